//! `doctor --preflight`: whether this machine can carry a stack, before anything is started.

pub mod docker;

use std::{collections::BTreeSet, fs, os::unix::process::CommandExt as _, path::Path, time::Duration};

use contract::system::System;
use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{AccessFlags, access},
};
use serde::Serialize;

use super::{
    docker::Engine,
    env::Env,
    ports::{self, Owner},
    process,
    room::{self, NEEDED_BYTES},
    state,
};

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was looked at: `cpu`, `memory`, `state-folder`, `disk`, `open-files`, `mysql`, `redis`, `java`, `kafka`, `docker`, `port 8080`.
    pub name: String,
    /// `ok`, `warning` or `error`.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Fine.
    Ok,
    /// It will run, but figures suffer.
    Warning,
    /// It will not run.
    Error,
}

/// The systems' own ports: whoever holds them is named, though private servers use others.
fn known_ports() -> BTreeSet<u16> {
    let of = System::ALL.map(System::description);
    of.iter().flat_map(|of| [of.mysql_port, of.redis_port, of.api_port, of.kafka_port]).collect()
}

/// Checks that only native servers need; the Engine is looked at more closely where it is asked for.
pub const NATIVE: [&str; 5] = ["mysql", "redis", "java", "kafka", "docker"];
/// Open files that 5,000 virtual users, their connections' other ends and the servers need.
const OPEN_FILES: u64 = 16_384;

/// Looks at the machine. `folder` is where the state is, or will be.
pub async fn preflight(env: &Env, folder: &Path, ports: &[u16]) -> Vec<Check> {
    let mut checks = vec![cpu(), memory(), state_folder(folder), disk(folder), open_files()];
    checks.extend(programs(env).await);
    let known = known_ports();
    let all = known.iter().chain(ports.iter().filter(|port| !known.contains(port)));
    checks.extend(all.filter_map(|port| port_check(*port, ports.contains(port), ports::owner(*port))));
    checks
}

fn check(name: &str, level: Level, found: String, remedy: &str) -> Check {
    let remedy = (level != Level::Ok).then(|| remedy.to_owned());
    Check { name: name.to_owned(), level, found, remedy }
}

fn cpu() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let level = if cores < 2 { Level::Warning } else { Level::Ok };
    check("cpu", level, format!("{cores} cores"), "servers, backend and load share one core: figures will be low")
}

fn memory() -> Check {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let (level, found) = match available_kib(&text) {
        None => (Level::Ok, "unknown".into()),
        Some(kib) if kib < 1 << 20 => (Level::Warning, format!("{} MiB available", kib >> 10)),
        Some(kib) => (Level::Ok, format!("{} MiB available", kib >> 10)),
    };
    check("memory", level, found, "a stack with its load needs about 1 GiB; close something")
}

fn available_kib(meminfo: &str) -> Option<u64> {
    meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse().ok())
}

/// Whether `up` may write where it will.
fn state_folder(folder: &Path) -> Check {
    let fail = |why: String| check("state-folder", Level::Error, why, "choose another --state-dir");
    let path = match std::path::absolute(folder) {
        Ok(path) => path,
        Err(e) => return fail(format!("{}: {e}", folder.display())),
    };
    if let Some(why) = state::impossible(&path) {
        return fail(format!("{}: {why}", path.to_string_lossy().escape_debug()));
    }
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    match access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) if there.is_dir() => check("state-folder", Level::Ok, path.display().to_string(), ""),
        Ok(()) => fail(format!("{} is no folder", there.display())),
        Err(e) => fail(format!("{}: {}", there.display(), e.desc())),
    }
}

fn disk(folder: &Path) -> Check {
    // The folder need not exist yet: its nearest parent says how much room there is.
    let there = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    match room::free_bytes(there) {
        Ok(free) => {
            let level = if free < NEEDED_BYTES { Level::Error } else { Level::Ok };
            let found = format!("{} MiB free for {}", free >> 20, folder.display());
            check("disk", level, found, &format!("{} MiB are needed; choose another --state-dir", NEEDED_BYTES >> 20))
        }
        Err(e) => check("disk", Level::Error, format!("{}: {e}", there.display()), "choose another --state-dir"),
    }
}

fn open_files() -> Check {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((0, 0));
    let level = if hard < OPEN_FILES { Level::Warning } else { Level::Ok };
    check("open-files", level, format!("{soft}, may be raised to {hard}"), &format!("ulimit -Hn {OPEN_FILES}"))
}

/// Raises the soft limit of open files to the hard one, for this process and those that it starts.
/// Returns the limit that holds now.
pub fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 0 };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return hard;
    }
    soft
}

async fn programs(env: &Env) -> Vec<Check> {
    let mysql = async { version("mysql", env.mysqld(), &["--no-defaults", "--version"], None).await };
    let redis = async { version("redis", env.redis_server(), &["--version"], Some("redis-server")).await };
    let java = async { version("java", env.java(), &["-version"], None).await };
    let (mut mysql, redis, mut java) = tokio::join!(mysql, redis, java);
    if mysql.level == Level::Ok
        && mysql.found.contains("MariaDB")
        && let Err(e) = env.mariadb_install_db()
    {
        mysql = check("mysql", Level::Error, e.to_string(), "make deps");
    }
    if java.level == Level::Ok
        && let Some(version) = java_version(&java.found).filter(|version| *version < OLDEST_JAVA)
    {
        let found = format!("{}; Kafka needs Java {OLDEST_JAVA} or newer, and this is {version}", java.found);
        java = check("java", Level::Error, found, "make deps, or set JAVA_HOME");
    }
    let kafka = match env.kafka() {
        Ok(jars) => check("kafka", Level::Ok, format!("{} in {}", jars.version, jars.home.display()), ""),
        Err(e) => check("kafka", Level::Error, e.to_string(), "make kafka"),
    };
    vec![mysql, redis, java, kafka, engine().await]
}

/// Kafka's own requirement.
const OLDEST_JAVA: u32 = 17;

/// `openjdk version "17.0.2" …` → 17; `java version "1.8.0_1"` → 8.
fn java_version(found: &str) -> Option<u32> {
    let mut parts = found.split_once("version \"")?.1.split(|c: char| !c.is_ascii_digit());
    match parts.next()?.parse().ok()? {
        1 => parts.next()?.parse().ok(),
        version => Some(version),
    }
}

/// Native servers need no Engine, so that one which is missing is worth no more than a word.
async fn engine() -> Check {
    let found = match Engine::connect().await {
        Ok(engine) => format!("Engine {}, API {}.{}", engine.facts.version, engine.facts.api.0, engine.facts.api.1),
        Err(error) => format!("{error}; native servers need none"),
    };
    check("docker", Level::Ok, found, "")
}

async fn version(
    name: &str,
    program: Result<std::path::PathBuf, super::InfraError>,
    args: &[&str],
    called: Option<&str>,
) -> Check {
    let program = match program {
        Ok(program) => program,
        Err(e) => return check(name, Level::Error, e.to_string(), "make deps"),
    };
    // As the server itself is started: with the environment that we make.
    let mut command = process::helper(&program);
    command.args(args);
    if let Some(called) = called {
        command.arg0(called);
    }
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(10), command.output()).await;
    let fail = |why: String| check(name, Level::Error, format!("{}: {why}", program.display()), "make deps");
    match output {
        Ok(Ok(output)) => {
            // Java writes its version to standard error.
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            match text.lines().next().filter(|_| output.status.success()) {
                Some(line) => check(name, Level::Ok, format!("{}: {}", program.display(), line.trim()), ""),
                None => fail(process::describe(output.status)),
            }
        }
        Ok(Err(e)) => fail(e.to_string()),
        Err(_) => fail("no answer within 10 s".into()),
    }
}

/// A port that the profile needs must be free; one of the teams' own is only worth a word.
fn port_check(port: u16, needed: bool, owner: Option<Owner>) -> Option<Check> {
    let name = format!("port {port}");
    match owner {
        None => needed.then(|| check(&name, Level::Ok, "free".into(), "")),
        Some(owner) if needed => {
            Some(check(&name, Level::Error, format!("taken by {owner}"), "stop it, or set backend.port: 0"))
        }
        Some(owner) => Some(check(&name, Level::Ok, format!("taken by {owner}; private servers use other ports"), "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_an_error_only_where_it_is_needed() {
        let owner = Owner { pid: Some(7), program: Some("nginx".into()) };
        let needed = port_check(8080, true, Some(owner.clone())).unwrap();
        assert_eq!((needed.level, needed.found.as_str()), (Level::Error, "taken by nginx (pid 7)"));
        assert_eq!(port_check(8080, false, Some(owner)).unwrap().level, Level::Ok);
        assert!(port_check(8080, false, None).is_none());
    }

    #[tokio::test]
    async fn missing_programs_are_errors_with_their_remedy() {
        let env = Env { search: vec![], java_home: None, kafka_home: None, cache: None };
        let checks = preflight(&env, Path::new("/nowhere/at/all"), &[]).await;
        for (name, remedy) in
            [("mysql", "make deps"), ("redis", "make deps"), ("java", "make deps"), ("kafka", "make kafka")]
        {
            let check = checks.iter().find(|check| check.name == name).unwrap();
            assert_eq!((check.level, check.remedy.as_deref()), (Level::Error, Some(remedy)));
        }
    }

    #[test]
    fn an_old_java_is_told_from_one_that_will_do() {
        for (found, version) in [
            ("/usr/bin/java: openjdk version \"17.0.2\" 2022-01-18", Some(17)),
            ("/usr/bin/java: java version \"1.8.0_402\"", Some(8)),
            ("/usr/bin/java: openjdk version \"21\" 2023", Some(21)),
            ("/usr/bin/java: something", None),
        ] {
            assert_eq!(java_version(found), version, "{found}");
        }
    }

    #[test]
    fn a_folder_that_up_could_not_write_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(state_folder(&dir.path().join("new/deep")).level, Level::Ok);
        for name in ["file/below", "a\nb"] {
            let check = state_folder(&dir.path().join(name));
            assert_eq!(
                (check.level, check.remedy.as_deref()),
                (Level::Error, Some("choose another --state-dir")),
                "{name}"
            );
        }
    }

    #[test]
    fn available_memory_is_read() {
        assert_eq!(available_kib("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), Some(2048));
    }
}
