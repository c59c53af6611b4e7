//! Processes that outlive the command that started them: started in a group of their own, told apart by pid and start
//! time, ended in two steps.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::{self, OpenOptions},
    io,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::OpenOptionsExt as _,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

pub use base::process::{ProcessRef, Stat, is_alive, program, reference, start_time, this};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use tokio::{sync::watch, time::Instant};

/// Variable that marks each process that ecomctl starts: `<state folder>/<component>`. By it a process is found again
/// whose command was killed before it could write anything down.
pub const MARK: &str = "ECOMCTL_COMPONENT";
/// Variable with the id of that state folder, which stays when the folder is moved.
pub const FOLDER_ID: &str = "ECOMCTL_FOLDER_ID";

/// Where a program that we start looks for others, after its own folder.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The whole environment of a program that ecomctl starts or asks: made here, and not inherited. The shell's could hold
/// what the JVM, MySQL's scripts or the dynamic loader read (`JAVA_TOOL_OPTIONS`, `MYSQL_HOME`, `LD_PRELOAD`, a `TMPDIR` that
/// is not there), and cron's lacks half of what they need.
///
/// `home` is a folder of ours: home, and with `tmp` below it the place of temporary files. The locale makes names in UTF-8
/// what they are; the logs are in UTC, as our own are.
pub fn environment(program: &Path, home: &Path) -> Vec<(&'static str, OsString)> {
    let own = program.parent().filter(|folder| folder.is_absolute()).map(Path::as_os_str);
    let path = own.into_iter().chain([OsStr::new(PATH)]).collect::<Vec<_>>().join(OsStr::new(":"));
    vec![
        ("PATH", path),
        ("HOME", home.into()),
        ("TMPDIR", home.join(TMP).into()),
        ("LC_ALL", "C.UTF-8".into()),
        ("TZ", "UTC".into()),
    ]
}

/// Folder of temporary files below the one that a server runs in.
pub const TMP: &str = "tmp";

/// What a process of this same program gets of our environment: how much it logs, where the machine's authorities are, and
/// where the loader finds what this program itself was linked with.
const OWN: [&str; 5] = ["ECOMCTL_LOG", "RUST_BACKTRACE", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH"];

/// The whole environment of a process of this same program that works in `home`.
pub fn own_environment(program: &Path, home: &Path) -> Vec<(&'static str, OsString)> {
    let inherited = OWN.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    // Such a process keeps no temporary files, and `home` has no folder for them.
    environment(program, home).into_iter().filter(|(name, _)| *name != "TMPDIR").chain(inherited).collect()
}

/// A program that is only asked something: `java -version`.
pub fn helper(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(environment(program, Path::new("/"))).env_remove("TMPDIR").stdin(Stdio::null());
    command
}

/// How long a process may take to end before it is killed.
pub const GRACE: Duration = Duration::from_secs(10);

/// What to start.
#[derive(Debug, Clone)]
pub struct Spawn {
    /// Program.
    pub program: PathBuf,
    /// Arguments; they are public on the machine, so no secret may stand here.
    pub args: Vec<OsString>,
    /// Variables beside those of [`environment`].
    pub env: Vec<(OsString, OsString)>,
    /// Folder it runs in.
    pub cwd: PathBuf,
    /// File that takes its output; it is appended to.
    pub log: PathBuf,
    /// Value of [`MARK`].
    pub mark: OsString,
    /// Name of the program as it sees it itself, where that must be another one.
    pub arg0: Option<OsString>,
}

impl Spawn {
    /// `program` for the component `name` of the state folder `state`, running in `cwd`, writing to `log`.
    pub fn new(program: impl Into<PathBuf>, state: &Path, name: &str, cwd: &Path, log: &Path) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: cwd.to_owned(),
            log: log.to_owned(),
            mark: state.join(name).into(),
            arg0: None,
        }
    }
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }
    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }
    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The command: in a group of its own, so that neither Ctrl-C nor the end of the terminal reaches it.
    fn command(&self) -> io::Result<Command> {
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.log)?;
        let errors = log.try_clone()?;
        let mut command = Command::new(&self.program);
        if let Some(arg0) = &self.arg0 {
            command.arg0(arg0);
        }
        command.env_clear().envs(environment(&self.program, &self.cwd)).envs(self.env.iter().cloned());
        command.args(&self.args).env(MARK, &self.mark).current_dir(&self.cwd);
        command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        Ok(command)
    }
}

/// How those of our children ended that did: a few servers and steps in the life of one command.
static ENDED: Mutex<BTreeMap<(i32, u64), ExitStatus>> = Mutex::new(BTreeMap::new());

/// How a process ended, where this command has started it by [`spawn_detached`]; nobody else is told.
pub fn exit_of(process: ProcessRef) -> Option<ExitStatus> {
    ENDED.lock().unwrap_or_else(PoisonError::into_inner).get(&(process.pid, process.start_time)).copied()
}

/// A process that was started by this one. Dropping it leaves the process running.
#[derive(Debug, Clone)]
pub struct Detached {
    /// Which process.
    pub process: ProcessRef,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Detached {
    /// How it ended, once it did.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> Option<ExitStatus> {
        self.exit.wait_for(Option::is_some).await.ok().and_then(|status| *status)
    }
}

/// Starts a process that goes on when this one ends.
pub fn spawn_detached(spawn: &Spawn) -> io::Result<Detached> {
    let mut child = spawn.command()?.spawn()?;
    let pid = child.id() as i32;
    // Nobody has waited for it yet, so even one that died at once can still be read here.
    let process = ProcessRef { pid, start_time: start_time(pid).unwrap_or(0) };
    let (sender, exit) = watch::channel(None);
    // A thread rather than a task: the child is collected whatever runtime asks, or none.
    std::thread::Builder::new().name(format!("wait-{pid}")).stack_size(64 * 1024).spawn(move || {
        if let Ok(status) = child.wait() {
            ENDED.lock().unwrap_or_else(PoisonError::into_inner).insert((process.pid, process.start_time), status);
            let _ = sender.send(Some(status));
        }
    })?;
    Ok(Detached { process, exit })
}

/// Runs a command to its end in a group of its own; dropping the future kills the group.
pub async fn run_to_end(spawn: &Spawn) -> io::Result<ExitStatus> {
    struct Guard(ProcessRef, bool);
    impl Drop for Guard {
        fn drop(&mut self) {
            if !self.1 {
                signal_group(self.0, Signal::SIGKILL);
            }
        }
    }
    let mut child = spawn_detached(spawn)?;
    let mut guard = Guard(child.process, false);
    let status = child.wait().await;
    guard.1 = true;
    status.ok_or_else(|| io::Error::other("its end was not seen"))
}

/// How the running `process` was started, where that can be read: the program and arguments are its own, the rest is that
/// of `like`.
pub fn as_started(process: ProcessRef, like: &Spawn) -> Option<Spawn> {
    let program = fs::read_link(format!("/proc/{}/exe", process.pid)).ok()?;
    let command = fs::read(format!("/proc/{}/cmdline", process.pid)).ok()?;
    let words = command.strip_suffix(b"\0").unwrap_or(&command).split(|byte| *byte == 0);
    let mut words = words.map(|word| OsString::from_vec(word.to_vec()));
    let arg0 = words.next()?;
    is_alive(process).then(|| Spawn { program, arg0: Some(arg0), args: words.collect(), ..like.clone() })
}

/// How a termination went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was not running any more.
    WasGone,
    /// It ended when asked to.
    Asked,
    /// It had to be killed.
    Killed,
}

/// Ends a process and its group: SIGTERM, after `grace` SIGKILL. Never signals another process that got the same pid.
pub async fn terminate(process: ProcessRef, grace: Duration) -> Ended {
    if !is_alive(process) {
        return Ended::WasGone;
    }
    signal_group(process, Signal::SIGTERM);
    // One that is stopped could not see the request.
    signal_group(process, Signal::SIGCONT);
    if gone_within(process, grace).await {
        return Ended::Asked;
    }
    signal_group(process, Signal::SIGKILL);
    gone_within(process, Duration::from_secs(5)).await;
    Ended::Killed
}

/// Sends a signal to the process, or to its whole group where it leads one.
pub fn signal_group(process: ProcessRef, signal: Signal) {
    let Some(stat) = Stat::read(process.pid).filter(|stat| stat.start_time == process.start_time) else { return };
    let pid = Pid::from_raw(process.pid);
    let _ = if stat.group == process.pid { killpg(pid, signal) } else { kill(pid, signal) };
}

async fn gone_within(process: ProcessRef, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while is_alive(process) {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// What a process that ecomctl started says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// State folder, where it was when the process was started.
    pub folder: PathBuf,
    /// Its id; none for what ecomctl 0.1.0 started.
    pub folder_id: Option<String>,
    /// Component.
    pub component: String,
}

/// The mark of a process; none where it has none.
///
/// # Errors
/// When it is gone, or belongs to a user whose processes we may not look at.
pub fn mark(pid: i32) -> io::Result<Option<Mark>> {
    Ok(mark_in(&fs::read(format!("/proc/{pid}/environ"))?))
}

fn mark_in(environment: &[u8]) -> Option<Mark> {
    let value = |name: &str| {
        let mut variables = environment.split(|byte| *byte == 0);
        variables.find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    };
    let path = Path::new(OsStr::from_bytes(value(MARK)?));
    let component = path.file_name()?.to_str()?.to_owned();
    let folder_id = value(FOLDER_ID).map(|id| String::from_utf8_lossy(id).into_owned());
    Some(Mark { folder: path.parent()?.to_owned(), folder_id, component })
}

/// The processes, this one left out, whose mark is one that is `wanted`.
pub fn marked(wanted: impl Fn(&Mark) -> bool) -> Vec<(Mark, ProcessRef)> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let mark = mark(pid).ok()?.filter(&wanted)?;
        let process = ProcessRef { pid, start_time: start_time(pid)? };
        (pid != std::process::id() as i32 && is_alive(process)).then_some((mark, process))
    })
    .collect()
}

/// An exit status in words.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(number)) => {
            let name = Signal::try_from(number).map_or("unknown", Signal::as_str);
            format!("killed by signal {number} ({name})")
        }
        (None, None) => "unknown".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(dir: &Path, script: &str) -> Spawn {
        Spawn::new("/bin/sh", dir, "sleeper", dir, &dir.join("log")).arg("-c").arg(script)
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let line =
            "4242 (a (b) c) S 1 77 77 0 -1 4194560 100 0 0 0 11 22 0 0 20 0 1 0 987654 1000 333 18446744073709551615";
        let stat = Stat { state: 'S', group: 77, cpu_ticks: 33, start_time: 987_654, resident_pages: 333 };
        assert_eq!(Stat::parse(line), Some(stat));
        for line in ["", "1 (x", "1 (x) S", "1 (x) S a b"] {
            assert_eq!(Stat::parse(line), None, "{line}");
        }
    }

    /// What a shell, cron or CI has set is nothing to a private server.
    #[tokio::test]
    async fn a_program_gets_the_environment_that_we_made_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        assert!(std::env::vars_os().any(|(name, _)| name == "CARGO_MANIFEST_DIR"), "the test has variables of its own");
        run_to_end(&sleeper(dir.path(), "env").env("EXTRA", "1")).await.unwrap();
        let text = fs::read_to_string(dir.path().join("log")).unwrap();
        let ours = ["PATH", "HOME", "TMPDIR", "LC_ALL", "TZ", "EXTRA", MARK];
        // The shell itself sets these.
        let shell = ["PWD", "OLDPWD", "SHLVL", "_"];
        for line in text.lines() {
            let name = line.split('=').next().unwrap_or_default();
            assert!(ours.contains(&name) || shell.contains(&name), "{line}");
        }
        assert!(ours.iter().all(|name| text.contains(&format!("{name}="))), "{text}");
        assert!(text.contains(&format!("PATH=/bin:{PATH}")), "{text}");
    }

    #[tokio::test]
    async fn it_is_found_by_its_mark_and_ends_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = spawn_detached(&sleeper(dir.path(), "sleep 60 & wait")).unwrap();
        assert!(is_alive(child.process));
        tokio::time::sleep(Duration::from_millis(100)).await;
        let own = |mark: &Mark| mark.folder == dir.path();
        assert!(marked(own).iter().any(|(mark, process)| mark.component == "sleeper" && *process == child.process));
        assert_eq!(terminate(child.process, GRACE).await, Ended::Asked);
        assert_eq!(describe(child.wait().await.unwrap()), "killed by signal 15 (SIGTERM)");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(marked(own).is_empty(), "the group was left behind");
        assert_eq!(terminate(child.process, GRACE).await, Ended::WasGone);
    }

    #[tokio::test]
    async fn one_that_does_not_listen_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let child =
            spawn_detached(&sleeper(dir.path(), "trap '' TERM; echo on; while :; do sleep 0.05; done")).unwrap();
        while fs::read_to_string(dir.path().join("log")).unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(terminate(child.process, Duration::from_millis(200)).await, Ended::Killed);
    }

    #[tokio::test]
    async fn a_pid_that_was_given_to_another_process_is_left_alone() {
        let me = std::process::id() as i32;
        let other = ProcessRef { pid: me, start_time: start_time(me).unwrap() - 1 };
        assert!(!is_alive(other));
        assert_eq!(terminate(other, GRACE).await, Ended::WasGone);
    }

    #[tokio::test]
    async fn a_dropped_command_takes_its_group_along() {
        let dir = tempfile::tempdir().unwrap();
        let spawn = sleeper(dir.path(), "sleep 60");
        let run = run_to_end(&spawn);
        assert!(tokio::time::timeout(Duration::from_millis(200), run).await.is_err());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(marked(|mark| mark.folder == dir.path()).is_empty());
    }
}
