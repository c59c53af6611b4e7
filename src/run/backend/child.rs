//! One backend process and the task that watches it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base::files;
use contract::process::{ProcessConfig, Role};
use infra::{
    owned::Owner,
    process::{self, ProcessRef},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{ChildStdin, Command};

use super::{
    CONF, LaunchPlan, Running,
    watched::{Told, Watched, Watcher},
};

/// One process of the backend.
#[derive(Debug)]
pub struct Child {
    config: ProcessConfig,
    log: PathBuf,
    process: Arc<Mutex<Option<ProcessRef>>>,
    watcher: Watcher,
}

impl Child {
    /// Starts the process and the task that watches it.
    pub(super) fn start(config: ProcessConfig, plan: &LaunchPlan, told: Told) -> io::Result<Self> {
        let conf = plan.state.join(CONF).join(format!("{}.json", config.name));
        let log = plan.logs.join(format!("{}.log", config.name));
        let process = Arc::new(Mutex::new(None));
        let (mark, folder_id) = (plan.state.join(&config.name), Owner::of(&plan.state).id().to_owned());
        let mut watch = Watch {
            config: config.clone(),
            conf,
            log: log.clone(),
            mark,
            folder_id,
            process: process.clone(),
            child: None,
            input: None,
        };
        watch.spawn()?;
        let watcher = Watcher::start(watch, told);
        Ok(Self { config, log, process, watcher })
    }

    /// Its role.
    pub fn role(&self) -> Role {
        self.config.role
    }

    /// What it is now.
    pub fn running(&self) -> Running {
        Running { restarts: self.watcher.restarts(), ..running(&self.config, &self.process, &self.log) }
    }

    /// The number that was drawn at its start, by which its answers are known.
    pub fn instance(&self) -> &str {
        &self.config.instance
    }

    /// Whether nobody starts it again any more.
    pub fn is_gone(&self) -> bool {
        self.watcher.is_gone()
    }

    /// SIGTERM, `grace`, SIGKILL. Gives the name if it had to be killed.
    pub async fn stop(self, grace: Duration) -> Option<String> {
        self.watcher.stop(grace).await
    }

    /// Lets the process go on without us.
    pub fn leave(self) {
        self.watcher.leave();
    }
}

fn running(config: &ProcessConfig, process: &Mutex<Option<ProcessRef>>, log: &Path) -> Running {
    Running {
        name: config.name.clone(),
        process: *process.lock().unwrap_or_else(PoisonError::into_inner),
        container: None,
        address: config.listen,
        log: log.to_owned(),
        restarts: 0,
    }
}

/// The watching task's own.
struct Watch {
    config: ProcessConfig,
    conf: PathBuf,
    log: PathBuf,
    mark: PathBuf,
    folder_id: String,
    process: Arc<Mutex<Option<ProcessRef>>>,
    /// None after a start that failed.
    child: Option<tokio::process::Child>,
    /// The other end of the child's standard input: as long as it is open, the child knows that we live.
    input: Option<ChildStdin>,
}

impl Watch {
    fn spawn(&mut self) -> io::Result<()> {
        files::replace(&self.conf, &serde_json::to_vec_pretty(&self.config)?)?;
        let log = File::options().create(true).append(true).open(&self.log)?;
        let stdin = if self.config.stop_with_stdin { Stdio::piped() } else { Stdio::null() };
        let program = std::env::current_exe()?;
        let mut child = Command::new(&program)
            .env_clear()
            .envs(process::own_environment(&program, Path::new("/")))
            .args(["serve", "--process"])
            .arg(&self.conf)
            .env(process::MARK, &self.mark)
            .env(process::FOLDER_ID, &self.folder_id)
            .stdin(stdin)
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: Ctrl-C in the terminal is for us, who then drain in order.
            .process_group(0)
            .kill_on_drop(self.config.stop_with_stdin)
            .spawn()?;
        // Waiting for the child would close its standard input, and so end it.
        self.input = child.stdin.take();
        let reference = child.id().and_then(process::reference);
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = reference;
        self.child = Some(child);
        Ok(())
    }
}

impl Watched for Watch {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn running(&self) -> Running {
        running(&self.config, &self.process, &self.log)
    }

    fn reference(&self) -> String {
        self.child.as_ref().and_then(tokio::process::Child::id).map_or_else(String::new, |pid| format!("pid {pid}"))
    }

    async fn ended(&mut self) -> String {
        let Some(child) = &mut self.child else { return "not running".into() };
        child.wait().await.map_or_else(|e| e.to_string(), process::describe)
    }

    async fn start_again(&mut self) -> Result<(), String> {
        // A failure on purpose strikes once: the process that comes back must be able to mend it.
        self.config.settings.failpoints.clear();
        self.spawn().map_err(|e| e.to_string())
    }

    async fn stop(&mut self, grace: Duration) -> bool {
        // Without a pid it has ended, and was waited for.
        let Some((child, pid)) = self.child.as_mut().and_then(|child| child.id().map(|pid| (child, pid))) else {
            return false;
        };
        let _ = kill(Pid::from_raw(pid as i32), Signal::SIGTERM);
        let in_time = tokio::time::timeout(grace, child.wait()).await.is_ok();
        if !in_time {
            let _ = child.kill().await;
        }
        !in_time
    }

    /// Dropping the child decides: with `kill_on_drop` it ends, else it was meant to go on.
    async fn orphaned(&mut self) {}
}
