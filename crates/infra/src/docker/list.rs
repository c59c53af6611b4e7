//! The containers of a project, as they are.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use bollard::{
    models::{ContainerInspectResponse, ContainerStateStatusEnum as Status, HealthStatusEnum as Health},
    query_parameters::{InspectContainerOptions, ListContainersOptions},
};
use futures_util::future::try_join_all;

use super::{
    Engine,
    call::{QUICK, failed, is_gone},
    labels,
    limits::Limits,
};
use crate::{error::InfraError, owned::Labels};

/// Looking for who is in the way must not take long.
const LOOK: Duration = Duration::from_secs(5);

/// A container of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// As ecomctl names it: `mysql`, `consumer-2`.
    pub component: String,
    /// Service.
    pub service: String,
    /// Number among those of its service, from 1.
    pub number: u16,
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Image as it was asked for.
    pub image: String,
    /// Ports published on the host.
    pub ports: Vec<PublishedPort>,
    /// What it does.
    pub state: ContainerState,
    /// `starting`, `healthy`, `unhealthy`; none without a health check.
    pub health: Option<String>,
    /// How it ended, where it did.
    pub exit_code: Option<i64>,
    /// The Engine saw the kernel end it for its memory.
    pub oom_killed: bool,
    /// How often the Engine started it again.
    pub restarts: u32,
    /// Pid of its first process on the Engine's machine, while it runs.
    pub pid: Option<i64>,
    /// UTC, RFC 3339.
    pub started_at: Option<String>,
    /// Digest of what it was made from.
    pub hash: String,
    /// Project.
    pub project: String,
    /// State folder it was made for, where that was then; empty for one that ecomctl did not make.
    pub state_folder: String,
    /// Id of that folder.
    pub folder_id: String,
    /// Made by `docker compose run`: none of the service's own.
    pub one_off: bool,
    /// Ids of the networks it is in.
    pub networks: Vec<String>,
    /// How long it may take to end, where its settings say so.
    pub grace: Option<Duration>,
    /// Services it depends on.
    pub depends_on: Vec<String>,
    /// What it may use.
    pub limits: Limits,
    /// It ran already, and was left alone.
    pub reused: bool,
    /// How often what has its place was started again before, by the Engine or by its present start; 0 where it is the
    /// first there, or was left alone.
    pub again: u32,
}

impl Container {
    /// What it says about its owner.
    pub fn labels(&self) -> Labels<'_> {
        Labels { id: &self.folder_id, state: &self.state_folder, project: &self.project }
    }

    /// Where its TCP port `inside` is found on the Engine's machine; none where it is not published, or does not run.
    pub fn published(&self, inside: u16) -> Option<SocketAddr> {
        let port = self.ports.iter().find(|port| port.container == inside && port.protocol == "tcp")?;
        Some(SocketAddr::new(port.address.parse().ok()?, port.host))
    }
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// Address of the host.
    pub address: String,
    /// Port of the host.
    pub host: u16,
    /// Port of the container.
    pub container: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

impl std::fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}->{}/{}", self.address, self.host, self.container, self.protocol)
    }
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    /// It was made and never started.
    Created,
    /// It runs.
    Running,
    /// It is frozen.
    Paused,
    /// It ended, and the Engine is about to start it again.
    Restarting,
    /// It ended.
    Exited,
    /// The Engine could not remove it.
    Dead,
}

impl ContainerState {
    /// As Docker names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }
}

/// All containers of a project, those that ended too; by service and number.
///
/// # Errors
/// Where the Engine does not answer.
pub async fn list(engine: &Engine, project: &str) -> Result<Vec<Container>, InfraError> {
    let options = ListContainersOptions { all: true, filters: Some(labels::of_project(project)), ..Default::default() };
    let listing = engine.docker.list_containers(Some(options));
    let found = engine.call(&format!("list the containers of {project}"), QUICK, listing).await?;
    let looks = found.into_iter().filter_map(|summary| summary.id).map(|id| async move { inspect(engine, &id).await });
    let mut all: Vec<Container> = try_join_all(looks).await?.into_iter().flatten().collect();
    all.sort_by(|a, b| (&a.service, a.number).cmp(&(&b.service, b.number)));
    Ok(all)
}

/// One container; none where it is gone.
///
/// # Errors
/// Where the Engine does not answer.
pub async fn inspect(engine: &Engine, id: &str) -> Result<Option<Container>, InfraError> {
    let look = engine.docker.inspect_container(id, None::<InspectContainerOptions>);
    match tokio::time::timeout(QUICK, look).await {
        Ok(Ok(found)) => Ok(Some(facts(found))),
        Ok(Err(error)) if is_gone(&error) => Ok(None),
        Ok(Err(error)) => Err(failed(&format!("look at container {id}"), &error)),
        Err(_) => Err(super::call::silent(&format!("look at container {id}"), QUICK)),
    }
}

/// Containers that the Engine's `filter` finds, those that ended too where `all`, as people know them.
pub(super) async fn found_by(engine: &Engine, filter: &str, value: &str, all: bool) -> Vec<String> {
    let filters = HashMap::from([(filter.to_owned(), vec![value.to_owned()])]);
    let options = ListContainersOptions { all, filters: Some(filters), ..Default::default() };
    let listing = engine.docker.list_containers(Some(options));
    let Ok(Ok(found)) = tokio::time::timeout(LOOK, listing).await else { return Vec::new() };
    let words = found.into_iter().filter_map(|container| {
        let name = container.names?.into_iter().next()?;
        let project = container.labels.unwrap_or_default().remove(labels::PROJECT);
        let project = project.map_or_else(String::new, |project| format!(" of the compose project {project}"));
        Some(format!("the container {}{project}", name.trim_start_matches('/')))
    });
    words.collect()
}

/// Labels of the container `name`; none where there is no such container.
pub(super) async fn labels_of(engine: &Engine, name: &str) -> Result<Option<HashMap<String, String>>, InfraError> {
    let look = engine.docker.inspect_container(name, None::<InspectContainerOptions>);
    match tokio::time::timeout(QUICK, look).await {
        Ok(Ok(found)) => Ok(Some(found.config.and_then(|config| config.labels).unwrap_or_default())),
        Ok(Err(error)) if is_gone(&error) => Ok(None),
        Ok(Err(error)) => Err(failed(&format!("look at container {name}"), &error)),
        Err(_) => Err(super::call::silent(&format!("look at container {name}"), QUICK)),
    }
}

fn facts(found: ContainerInspectResponse) -> Container {
    let config = found.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
    let state = found.state.unwrap_or_default();
    let status = match state.status {
        Some(Status::RUNNING) => ContainerState::Running,
        Some(Status::PAUSED) => ContainerState::Paused,
        Some(Status::RESTARTING) => ContainerState::Restarting,
        Some(Status::EXITED | Status::STOPPING) => ContainerState::Exited,
        Some(Status::DEAD | Status::REMOVING) => ContainerState::Dead,
        Some(Status::CREATED | Status::EMPTY) | None => ContainerState::Created,
    };
    let health = state.health.and_then(|health| health.status).and_then(|status| match status {
        Health::STARTING => Some("starting"),
        Health::HEALTHY => Some("healthy"),
        Health::UNHEALTHY => Some("unhealthy"),
        Health::NONE | Health::EMPTY => None,
    });
    let ended = matches!(status, ContainerState::Exited | ContainerState::Dead | ContainerState::Restarting);
    let (service, number) = (label(labels::SERVICE), label(labels::NUMBER).parse().unwrap_or(1));
    let network = found.network_settings.unwrap_or_default();
    let joined = network.networks.unwrap_or_default().into_values();
    let host = found.host_config.unwrap_or_default();
    let set = |limit: Option<i64>| limit.filter(|limit| *limit > 0);
    let depends_on = label(labels::DEPENDS_ON);
    let names = depends_on.split(',').filter_map(|word| word.split(':').next()).filter(|name| !name.is_empty());
    Container {
        component: labels.get(labels::COMPONENT).cloned().unwrap_or_else(|| labels::component(&service, number)),
        number,
        id: found.id.unwrap_or_default(),
        name: found.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        image: config.image.unwrap_or_default(),
        ports: published(network.ports.unwrap_or_default()),
        networks: joined.filter_map(|network| network.network_id).filter(|id| !id.is_empty()).collect(),
        state: status,
        health: health.map(str::to_owned),
        exit_code: state.exit_code.filter(|_| ended),
        oom_killed: state.oom_killed.unwrap_or(false),
        restarts: found.restart_count.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        pid: state.pid.filter(|pid| *pid > 0),
        started_at: state.started_at.filter(|at| !at.starts_with("0001-")),
        hash: label(labels::CONFIG_HASH),
        project: label(labels::PROJECT),
        state_folder: label(labels::STATE),
        folder_id: label(labels::ID),
        one_off: label(labels::ONE_OFF).eq_ignore_ascii_case("true"),
        grace: config.stop_timeout.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
        depends_on: names.map(str::to_owned).collect(),
        service,
        limits: Limits {
            nano_cpus: set(host.nano_cpus),
            memory: set(host.memory),
            reserved_memory: set(host.memory_reservation),
            pids: set(host.pids_limit),
        },
        reused: false,
        again: 0,
    }
}

fn published(map: bollard::models::PortMap) -> Vec<PublishedPort> {
    let mut all = Vec::new();
    for (target, bindings) in map {
        let (port, protocol) = target.split_once('/').unwrap_or((&target, "tcp"));
        for binding in bindings.into_iter().flatten() {
            let host = binding.host_port.and_then(|port| port.parse().ok());
            if let (Some(host), Ok(container)) = (host, port.parse()) {
                let address = binding.host_ip.unwrap_or_default();
                all.push(PublishedPort { address, host, container, protocol: protocol.to_owned() });
            }
        }
    }
    all.sort_by_key(|port| (port.container, port.host));
    all
}
