//! One backend process and the task that watches it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use backend::process::{ProcessConfig, Role};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{ChildStdin, Command},
    sync::oneshot,
    task::JoinHandle,
};

use super::{CONF, LaunchPlan, Running};
use crate::{
    event::Event,
    infra::{process, stack::ProcessRef},
    run::recorder::Emitter,
};

/// First pause before a process is started again; it doubles up to [`LONGEST_PAUSE`].
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A process that lived this long had started well: the pause begins anew.
pub(super) const LIVED_WELL: Duration = Duration::from_secs(10);

/// What the watcher is told.
#[derive(Debug)]
enum Order {
    Stop { grace: Duration, done: oneshot::Sender<Option<String>> },
    Leave,
}

/// One process of the backend.
#[derive(Debug)]
pub struct Child {
    config: ProcessConfig,
    log: PathBuf,
    process: Arc<Mutex<Option<ProcessRef>>>,
    orders: oneshot::Sender<Order>,
    watcher: JoinHandle<()>,
}

impl Child {
    /// Starts the process and the task that watches it.
    pub fn start(config: ProcessConfig, plan: &LaunchPlan, emitter: Emitter) -> io::Result<Self> {
        let conf = plan.state.join(CONF).join(format!("{}.json", config.name));
        let log = plan.logs.join(format!("{}.log", config.name));
        let process = Arc::new(Mutex::new(None));
        let (orders, receiver) = oneshot::channel();
        let mark = format!("{}/{}", plan.state.display(), config.name);
        let mut watch = Watch {
            config: config.clone(),
            conf,
            log: log.clone(),
            mark,
            process: process.clone(),
            emitter,
            input: None,
        };
        let first = watch.spawn()?;
        let watcher = tokio::spawn(watch.run(first, receiver));
        Ok(Self { config, log, process, orders, watcher })
    }

    /// Its role.
    pub fn role(&self) -> Role {
        self.config.role
    }

    /// What it is now.
    pub fn running(&self) -> Running {
        let process = *self.process.lock().unwrap_or_else(PoisonError::into_inner);
        Running {
            name: self.config.name.clone(),
            process,
            container: None,
            address: self.config.listen,
            log: self.log.clone(),
        }
    }

    /// The number that was drawn at its start, by which its answers are known.
    pub fn instance(&self) -> &str {
        &self.config.instance
    }

    /// Whether nobody starts it again any more.
    pub fn is_gone(&self) -> bool {
        self.watcher.is_finished()
    }

    /// SIGTERM, `grace`, SIGKILL. Gives the name if it had to be killed.
    pub async fn stop(self, grace: Duration) -> Option<String> {
        let (done, answer) = oneshot::channel();
        if self.orders.send(Order::Stop { grace, done }).is_err() {
            return None;
        }
        let killed = answer.await.ok().flatten();
        let _ = self.watcher.await;
        killed
    }

    /// Lets the process go on without us.
    pub fn leave(self) {
        let _ = self.orders.send(Order::Leave);
    }
}

/// The watching task's own.
struct Watch {
    config: ProcessConfig,
    conf: PathBuf,
    log: PathBuf,
    mark: String,
    process: Arc<Mutex<Option<ProcessRef>>>,
    emitter: Emitter,
    /// The other end of the child's standard input: as long as it is open, the child knows that we live.
    input: Option<ChildStdin>,
}

impl Watch {
    fn spawn(&mut self) -> io::Result<tokio::process::Child> {
        write_private(&self.conf, &serde_json::to_vec_pretty(&self.config)?)?;
        let log = File::options().create(true).append(true).open(&self.log)?;
        let stdin = if self.config.stop_with_stdin { Stdio::piped() } else { Stdio::null() };
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--process"])
            .arg(&self.conf)
            .env(process::MARK, &self.mark)
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
        Ok(child)
    }

    async fn run(mut self, mut child: tokio::process::Child, mut orders: oneshot::Receiver<Order>) {
        self.say("started", child.id().map_or_else(String::new, |pid| format!("pid {pid}"))).await;
        let mut pause = FIRST_PAUSE;
        loop {
            let born = Instant::now();
            let status = tokio::select! {
                status = child.wait() => status,
                order = &mut orders => return self.end(child, order.ok()).await,
            };
            let status = status.map_or_else(|e| e.to_string(), process::describe);
            self.say("exited", status).await;
            if born.elapsed() > LIVED_WELL {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                order = &mut orders => {
                    if let Ok(Order::Stop { done, .. }) = order {
                        let _ = done.send(None);
                    }
                    return;
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            // A failure on purpose strikes once: the process that comes back must be able to mend it.
            self.config.settings.failpoints.clear();
            match self.spawn() {
                Ok(next) => {
                    child = next;
                    self.say("restarted", child.id().map_or_else(String::new, |pid| format!("pid {pid}"))).await;
                }
                Err(error) => self.say("exited", format!("cannot be started again: {error}")).await,
            }
        }
    }

    async fn end(&self, mut child: tokio::process::Child, order: Option<Order>) {
        let (grace, done) = match order {
            Some(Order::Stop { grace, done }) => (grace, done),
            // Left alone, or the backend was dropped: then `kill_on_drop` decides.
            Some(Order::Leave) | None => return,
        };
        let Some(pid) = child.id() else {
            let _ = done.send(None);
            return;
        };
        let _ = kill(Pid::from_raw(pid as i32), Signal::SIGTERM);
        let in_time = tokio::time::timeout(grace, child.wait()).await.is_ok();
        if !in_time {
            let _ = child.kill().await;
        }
        let _ = done.send((!in_time).then(|| self.config.name.clone()));
    }

    async fn say(&self, state: &str, detail: String) {
        let name = self.config.name.clone();
        self.emitter.emit(Event::Process { name, state: state.to_owned(), detail }).await;
    }
}

/// Writes a file that only its owner can read: it holds passwords.
pub(super) fn write_private(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}
