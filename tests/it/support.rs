//! Real servers for tests: one private stack for the whole binary, brought up by the program under test.
//!
//! `MYSQL_URL`, `REDIS_URL` and `KAFKA_BROKERS`, all set, name other servers instead.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use contract::endpoint::Endpoints;

/// The program under test.
pub const ECOMCTL: &str = env!("CARGO_BIN_EXE_ecomctl");

/// A state folder with whatever runs in it. Dropped, or when the test process dies, all of it is taken down.
pub struct Stack {
    folder: tempfile::TempDir,
    guard: Child,
}

/// Takes down what a test left. A run that a failed test began still uses the stack: it is stopped first, and `down`
/// tried again until it has ended.
const GUARD: &str = r#"cat >/dev/null
tries=0
until "$0" down -v --state-dir "$1/state" >/dev/null 2>&1 || [ $? -ne 1 ] || [ $tries -ge 60 ]; do
  "$0" stop --state-dir "$1/state" >/dev/null 2>&1
  tries=$((tries + 1))
  sleep 0.5
done
rm -rf -- "$1""#;

impl Stack {
    /// An empty state folder; nothing runs yet.
    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("ecomctl-it-").tempdir().unwrap();
        // The guard's input ends with this process, however it ends.
        let guard =
            Command::new("sh").args(["-c", GUARD, ECOMCTL]).arg(folder.path()).stdin(Stdio::piped()).spawn().unwrap();
        Self { folder, guard }
    }

    /// The state folder.
    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A folder for files of the test.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// A command of ecomctl on this state folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(ECOMCTL);
        command
            .args(args)
            .arg("--state-dir")
            .arg(self.state_dir())
            .current_dir(self.folder.path())
            // Whether this machine has an Engine with the images is no matter of most tests.
            .env("ECOMCTL_PROVIDER", "native")
            .stdin(Stdio::null());
        for name in ["MYSQL_URL", "REDIS_URL", "KAFKA_BROKERS", "ECOMCTL_LOG"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs it to its end, within `within`.
    pub fn run_within(&self, args: &[&str], within: Duration) -> Output {
        wait(self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), within)
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.run_within(args, Duration::from_secs(180))
    }

    /// Runs it and insists that it [`went_well`].
    pub fn ok(&self, args: &[&str]) -> Output {
        let output = self.run(args);
        assert!(went_well(&output), "ecomctl {}: {}\n{}", args.join(" "), output.status, both(&output));
        output
    }

    /// Runs it with `--format json` and parses what it printed, whatever the exit code.
    pub fn json(&self, args: &[&str]) -> (i32, serde_json::Value) {
        let args: Vec<_> = args.iter().copied().chain(["--format", "json"]).collect();
        let output = self.run(&args);
        let value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("ecomctl {}: {e}\n{}", args.join(" "), both(&output)));
        (output.status.code().unwrap_or(-1), value)
    }

    /// Where the servers are.
    pub fn endpoints(&self) -> Endpoints {
        let (_, env) = self.json(&["env"]);
        parse(|name| env[name].as_str().unwrap_or_default().to_owned())
    }

    /// Processes whose command line names this state folder.
    pub fn processes(&self) -> Vec<String> {
        let needle = self.state_dir().to_string_lossy().into_owned();
        let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let lines = entries.filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            (line.contains(&needle) && pid != self.guard.id()).then(|| format!("{pid} {line}"))
        });
        lines.collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Exit code 0. On a machine that is too busy for the load a run says so and exits with 4: goals prove nothing then, but
/// its verdict stands, and the test that asked for it looks at that.
pub fn went_well(output: &Output) -> bool {
    let said = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => true,
        Some(4) => said.contains("the load generator was the bottleneck") || said.contains("\"bottleneck\": \""),
        _ => false,
    }
}

/// The exit code that the same means of a run whose summary this is. Which of the two it is says how busy the machine was,
/// and that a test must not assert.
pub fn exit_of(summary: &serde_json::Value) -> i32 {
    if summary["bottleneck"].is_null() { 0 } else { 4 }
}

/// Both streams of a command, for a failed test to show.
pub fn both(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits for `child`; a test never hangs.
pub fn wait(mut child: Child, within: Duration) -> Output {
    let since = Instant::now();
    let pid = child.id();
    let finished = std::thread::scope(|scope| {
        let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
        let read = |pipe: Option<&mut dyn std::io::Read>| {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                let _ = pipe.read_to_end(&mut bytes);
            }
            bytes
        };
        let stdout = scope.spawn(move || read(out.as_mut().map(|p| p as _)));
        let stderr = scope.spawn(move || read(err.as_mut().map(|p| p as _)));
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if since.elapsed() > within {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        (status, stdout, stderr)
    });
    match finished {
        (Some(status), stdout, stderr) => Output { status, stdout, stderr },
        (None, stdout, stderr) => panic!(
            "pid {pid} was not done within {within:?}\n{}\n{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        ),
    }
}

/// Waits until a process handles Ctrl-C: one that has only just begun is ended by it without a word.
pub fn handles_ctrl_c(pid: u32) {
    let since = Instant::now();
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
        mask.is_some_and(|mask| mask & 1 << (nix::sys::signal::Signal::SIGINT as u64 - 1) != 0)
    };
    while !caught() {
        assert!(since.elapsed() < Duration::from_secs(20), "process {pid} does not handle Ctrl-C");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn parse(get: impl Fn(&str) -> String) -> Endpoints {
    Endpoints {
        mysql: get("MYSQL_URL").parse().unwrap(),
        redis: get("REDIS_URL").parse().unwrap(),
        kafka: get("KAFKA_BROKERS").parse().unwrap(),
    }
}

static SHARED: OnceLock<Mutex<Stack>> = OnceLock::new();

/// The stack that tests share, up; only one test at a time has it.
pub fn shared() -> MutexGuard<'static, Stack> {
    let stack = SHARED.get_or_init(|| {
        let stack = Stack::empty();
        stack.ok(&["up", "coupon-quick"]);
        Mutex::new(stack)
    });
    stack.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Servers for tests of the library.
pub fn servers() -> Endpoints {
    let named: Vec<_> =
        ["MYSQL_URL", "REDIS_URL", "KAFKA_BROKERS"].iter().filter_map(|n| std::env::var(n).ok()).collect();
    if named.len() == 3 {
        return parse(|name| std::env::var(name).unwrap_or_default());
    }
    shared().endpoints()
}

/// A port that was free a moment ago. The kernel gives it to no outgoing connection, also not to one of a test that runs
/// beside this one.
pub fn free_port() -> u16 {
    infra::ports::free(&BTreeSet::new()).unwrap()
}

/// Writes a file of the test.
pub fn write(path: &Path, text: &str) {
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
