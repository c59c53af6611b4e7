//! One backend process in a container, and the task that watches it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bollard::query_parameters::{
    InspectContainerOptions, LogsOptionsBuilder, StopContainerOptionsBuilder, UploadToContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use contract::{
    endpoint::Endpoints,
    process::{ProcessConfig, Role},
    settings::Size,
};
use futures_util::StreamExt as _;
use infra::{
    InfraError,
    docker::{
        self, Engine, ExtraFile,
        provider::{self, Provider},
    },
    stack::{ContainerRef, Stack},
    state::StateDir,
    up::variables,
};
use record::event::Event;
use tokio::io::AsyncWriteExt as _;

use super::{
    Running,
    watched::{Told, Watched, Watcher},
};
use crate::run::recorder::Emitter;

/// Where a process finds its configuration.
pub(super) const PROCESS: &str = "/run/secrets/process.json";
/// Variable that names an image of the backend, which is then not made from this program.
const IMAGE: &str = "ECOMCTL_IMAGE_BACKEND";

/// How the backend runs in containers.
#[derive(Debug, Clone)]
pub struct Containers {
    pub(super) provider: Provider,
    /// The servers, as containers find them.
    pub(super) inside: Endpoints,
    /// One API of each.
    pub(super) sizes: Vec<Size>,
    /// An image that the user has made.
    pub(super) image: Option<String>,
}

impl Containers {
    /// Containers of these sizes beside `stack`.
    ///
    /// # Errors
    /// Where no Engine answers, or a container cannot reach one of the servers.
    pub async fn plan(state: &StateDir, stack: &Stack, sizes: Vec<Size>) -> Result<Self, InfraError> {
        let inside = provider::inside(stack)?;
        let variables = variables();
        let image = variables.get(IMAGE).filter(|image| !image.is_empty()).cloned();
        let provider = Provider::of_stack(Engine::connect().await?, state, stack, &variables)?;
        Ok(Self { provider, inside, sizes, image })
    }
}

/// One process of the backend in its container.
#[derive(Debug)]
pub struct Contained {
    role: Role,
    name: String,
    instance: String,
    engine: Engine,
    container: ContainerRef,
    address: Arc<Mutex<SocketAddr>>,
    log: PathBuf,
    watcher: Watcher,
}

impl Contained {
    /// Watches a container that was started. `config` is what it was given, and `user` who may read that.
    pub(super) fn watch(
        engine: &Engine,
        container: &docker::Container,
        config: ProcessConfig,
        address: SocketAddr,
        user: u32,
        logs: &Path,
        told: Told,
    ) -> Self {
        let log = logs.join(format!("{}.log", config.name));
        let address = Arc::new(Mutex::new(address));
        let (role, name, instance) = (config.role, config.name.clone(), config.instance.clone());
        let watch = Watch {
            engine: engine.clone(),
            id: container.id.clone(),
            container: container.name.clone(),
            config,
            address: address.clone(),
            user,
            log: log.clone(),
            emitter: told.emitter.clone(),
        };
        let watcher = Watcher::start(watch, told);
        let container = ContainerRef { id: container.id.clone(), name: container.name.clone() };
        Self { role, name, instance, engine: engine.clone(), container, address, log, watcher }
    }

    /// Its role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The number that was drawn at its start, by which its answers are known.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Whether nobody starts it again any more.
    pub fn is_gone(&self) -> bool {
        self.watcher.is_gone()
    }

    /// What it is now.
    pub fn running(&self) -> Running {
        Running {
            name: self.name.clone(),
            process: None,
            container: Some(self.container.clone()),
            address: *self.address.lock().unwrap_or_else(PoisonError::into_inner),
            log: self.log.clone(),
            restarts: self.watcher.restarts(),
        }
    }

    /// Writes what it has logged into its file.
    pub async fn save_log(&self) {
        let _ = save_log(&self.engine, &self.container.id, &self.log).await;
    }

    /// Asks it to end, kills it after `grace`, keeps its log and removes it. Gives the name if it had to be killed.
    pub async fn stop(self, grace: Duration) -> Option<String> {
        self.watcher.stop(grace).await
    }

    /// Lets the container go on without us.
    pub fn leave(self) {
        self.watcher.leave();
    }
}

/// The watching task's own.
struct Watch {
    engine: Engine,
    id: String,
    container: String,
    config: ProcessConfig,
    address: Arc<Mutex<SocketAddr>>,
    user: u32,
    log: PathBuf,
    emitter: Emitter,
}

impl Watched for Watch {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn running(&self) -> Running {
        Running {
            name: self.config.name.clone(),
            process: None,
            container: Some(ContainerRef { id: self.id.clone(), name: self.container.clone() }),
            address: *self.address.lock().unwrap_or_else(PoisonError::into_inner),
            log: self.log.clone(),
            restarts: 0,
        }
    }

    fn reference(&self) -> String {
        format!("container {}", self.container)
    }

    async fn ended(&mut self) -> String {
        ended(&self.engine, &self.id).await
    }

    async fn start_again(&mut self) -> Result<(), String> {
        // A failure on purpose strikes once: the process that comes back must be able to mend it.
        self.config.settings.failpoints.clear();
        let file = process_file(&self.config, self.user).map_err(|e| e.to_string())?;
        upload(&self.engine, &self.id, &file).await?;
        self.engine.docker.start_container(&self.id, None).await.map_err(|e| docker::words(&e))?;
        // A port that the Engine chose is another one after each start.
        let now = docker::inspect(&self.engine, &self.id).await.map_err(|e| e.to_string())?;
        if let Some(address) = now.and_then(|now| now.published(self.config.listen.port())) {
            *self.address.lock().unwrap_or_else(PoisonError::into_inner) = address;
        }
        Ok(())
    }

    async fn stop(&mut self, grace: Duration) -> bool {
        let options = StopContainerOptionsBuilder::new().t(grace.as_secs() as i32).build();
        let _ = self.engine.docker.stop_container(&self.id, Some(options)).await;
        // 137: the Engine killed it when its time was over.
        let killed = exit_code(&self.engine, &self.id).await == Some(137);
        let _ = save_log(&self.engine, &self.id, &self.log).await;
        if let Err(error) = docker::delete(&self.engine, &self.config.name, &self.id).await {
            self.emitter.emit(Event::Warning { message: error.to_string() }).await;
        }
        killed
    }

    async fn orphaned(&mut self) {
        let _ = docker::delete(&self.engine, &self.config.name, &self.id).await;
    }
}

/// Waits for the end of a container, and says how it ended.
async fn ended(engine: &Engine, id: &str) -> String {
    use bollard::errors::Error;
    loop {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        let answer = std::pin::pin!(engine.docker.wait_container(id, Some(options))).next().await;
        match answer {
            Some(Ok(_) | Err(Error::DockerContainerWaitError { .. })) => return describe(engine, id).await,
            Some(Err(Error::DockerResponseServerError { status_code: 404, .. })) => {
                return "its container was removed".into();
            }
            // The Engine is away, or the request ran out of time: the container may well go on.
            Some(Err(_)) | None => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn describe(engine: &Engine, id: &str) -> String {
    let found = engine.docker.inspect_container(id, None::<InspectContainerOptions>).await.ok();
    let Some(state) = found.and_then(|container| container.state) else { return "unknown".into() };
    let code = state.exit_code.unwrap_or_default();
    if state.oom_killed == Some(true) {
        return format!("exit code {code}: killed, its memory limit was reached");
    }
    match i32::try_from(code - 128).ok().and_then(|number| nix::sys::signal::Signal::try_from(number).ok()) {
        Some(signal) => format!("exit code {code} (signal {signal})"),
        None => format!("exit code {code}"),
    }
}

async fn exit_code(engine: &Engine, id: &str) -> Option<i64> {
    engine.docker.inspect_container(id, None::<InspectContainerOptions>).await.ok()?.state?.exit_code
}

/// The configuration as a file that only the container's user can read: it holds passwords.
pub(super) fn process_file(config: &ProcessConfig, user: u32) -> serde_json::Result<ExtraFile> {
    Ok(ExtraFile { path: PROCESS.into(), bytes: serde_json::to_vec(config)?, mode: 0o400, uid: user, gid: user })
}

async fn upload(engine: &Engine, id: &str, file: &ExtraFile) -> Result<(), String> {
    let archive = || {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(file.bytes.len() as u64);
        header.set_mode(file.mode);
        header.set_uid(file.uid.into());
        header.set_gid(file.gid.into());
        archive.append_data(&mut header, file.path.trim_start_matches('/'), &file.bytes[..])?;
        archive.into_inner()
    };
    let body = bollard::body_full(archive().map_err(|e| e.to_string())?.into());
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    engine.docker.upload_to_container(id, Some(options), body).await.map_err(|e| docker::words(&e))
}

async fn save_log(engine: &Engine, id: &str, to: &Path) -> std::io::Result<()> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
    let mut lines = std::pin::pin!(engine.docker.logs(id, Some(options)));
    let mut file = tokio::io::BufWriter::new(tokio::fs::File::create(to).await?);
    while let Some(line) = lines.next().await {
        file.write_all(&line.map_err(std::io::Error::other)?.into_bytes()).await?;
    }
    file.flush().await
}
