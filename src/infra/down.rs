//! `down`, `stop` and `restart`: by the recorded process, never by what today's profile says.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use backend::endpoint::{KafkaEndpoint, KafkaSecurity};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    docker::{self, Engine, Remove, Removed, provider},
    env::Env,
    error::InfraError,
    process::{self, Ended, GRACE, ProcessRef},
    stack::{Component, Stack, is_backend},
    state::StateDir,
    up::{self, Progress, UpReport, UpRequest},
};
use crate::{
    event::names::Provider,
    profile::model::{ExternalSpec, KafkaLogin, ProviderChoice, StackSpec},
};

/// What `down` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DownReport {
    /// Processes that were ended.
    pub stopped: Vec<Stopped>,
    /// External components, which were left alone.
    pub left_alone: Vec<String>,
    /// Folder with the data, if there is any.
    pub data: Option<PathBuf>,
    /// Whether that folder was deleted.
    pub deleted: bool,
    /// Containers that were removed.
    pub containers: Vec<String>,
    /// Networks that were removed.
    pub networks: Vec<String>,
    /// Volumes with data: removed where `deleted` says so, else kept.
    pub volumes: Vec<String>,
    /// What could not be removed, why not, and what to do about it.
    pub in_the_way: Vec<String>,
}

/// A process that was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// Component.
    pub name: String,
    /// Its pid.
    pub pid: i32,
    /// It did not end when asked to, and was killed.
    pub killed: bool,
}

/// Ends every process and removes every container of the stack, backend first. Data are kept, or deleted with `volumes`.
pub async fn down(state: &StateDir, volumes: bool) -> Result<DownReport, InfraError> {
    let _lock = state.lock("stack", "down")?;
    // A stack file that cannot be read must not keep the processes alive: they carry a mark.
    let stack = state.load_stack();
    let (stack, broken) = match stack {
        Ok(stack) => (stack, None),
        Err(error @ InfraError::BadState { .. }) => (None, Some(error)),
        Err(error) => return Err(error),
    };
    let mut processes = recorded(stack.as_ref());
    for (name, process) in process::marked(state.root()) {
        if !processes.iter().any(|(_, known)| *known == process) {
            processes.push((name, process));
        }
    }
    let (servers, backend): (Vec<_>, Vec<_>) = processes.into_iter().partition(|(name, _)| up::is_server(name));
    // The backend drains into the servers: they go last.
    let mut stopped = end(backend).await;
    let known = stack.as_ref().is_some_and(|stack| stack.docker.is_some());
    let containers = containers(state.root(), volumes, known).await;
    stopped.extend(end(servers).await);
    let removed = containers?;
    let external = stack.iter().flat_map(|stack| &stack.components).filter(|(_, c)| c.provider == Provider::External);
    let left_alone = external.map(|(name, c)| format!("{name} ({})", c.address)).collect();

    let data = state.path("data");
    // A volume that is left can only be used with the passwords that are kept beside the data.
    if volumes && removed.kept.is_empty() {
        remove_folder(&data)?;
        remove_folder(&state.path("conf"))?;
        remove_folder(&state.run_folder()?)?;
        state.remove_stack()?;
        let Removed { containers, networks, volumes, in_the_way, .. } = removed;
        let data = Some(data);
        return Ok(DownReport { stopped, left_alone, data, deleted: true, containers, networks, volumes, in_the_way });
    }
    if let Some(error) = broken {
        return Err(error);
    }
    if let Some(mut stack) = stack {
        stack.components.clear();
        stack.docker = None;
        state.save_stack(&stack)?;
    }
    let data = data.exists().then_some(data);
    let Removed { containers, networks, kept: volumes, in_the_way, .. } = removed;
    Ok(DownReport { stopped, left_alone, data, deleted: false, containers, networks, volumes, in_the_way })
}

/// Removes by label whatever belongs to the folder `root`, whether or not the folder still knows of it. Only where it
/// does (`known`) is an Engine that does not answer an error.
async fn containers(root: &Path, volumes: bool, known: bool) -> Result<Removed, InfraError> {
    let engine = match Engine::connect().await {
        Ok(engine) => engine,
        Err(error) if known => return Err(error),
        Err(_) => return Ok(Removed::default()),
    };
    let project = provider::project_name(root);
    // The backend drains into the servers: they go last.
    let backend = docker::list(&engine, &project).await?;
    let backend: BTreeSet<String> =
        backend.into_iter().filter(|c| is_backend(&c.component)).map(|container| container.service).collect();
    let mut removed = Removed::default();
    if !backend.is_empty() {
        let services = Some(backend.into_iter().collect());
        removed = docker::remove(&engine, &project, Remove { services, ..provider::everything(false) }).await?;
    }
    let rest = docker::remove(&engine, &project, provider::everything(volumes)).await?;
    removed.containers.extend(rest.containers);
    removed.networks.extend(rest.networks);
    removed.volumes.extend(rest.volumes);
    removed.kept.extend(rest.kept);
    removed.in_the_way.extend(rest.in_the_way);
    Ok(removed)
}

/// `down` for a state folder that is gone itself: its containers are still found by their label.
pub async fn down_by_label(root: &Path, volumes: bool) -> Result<DownReport, InfraError> {
    let Removed { containers, networks, volumes: gone, kept, in_the_way } = containers(root, volumes, false).await?;
    let deleted = volumes && kept.is_empty();
    Ok(DownReport {
        stopped: Vec::new(),
        left_alone: Vec::new(),
        data: None,
        deleted,
        containers,
        networks,
        volumes: if deleted { gone } else { kept },
        in_the_way,
    })
}

fn recorded(stack: Option<&Stack>) -> Vec<(String, ProcessRef)> {
    let components = stack.into_iter().flat_map(|stack| &stack.components);
    components.filter_map(|(name, component)| Some((name.clone(), component.process?))).collect()
}

async fn end(processes: Vec<(String, ProcessRef)>) -> Vec<Stopped> {
    let ends = processes.into_iter().map(|(name, process)| async move {
        let ended = process::terminate(process, GRACE).await;
        (ended != Ended::WasGone).then_some(Stopped { name, pid: process.pid, killed: ended == Ended::Killed })
    });
    futures_util::future::join_all(ends).await.into_iter().flatten().collect()
}

fn remove_folder(path: &PathBuf) -> Result<(), InfraError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(InfraError::io("delete", path)(e)),
        _ => Ok(()),
    }
}

/// Ends the processes of one component, which stays known as exited; `up` or [`restart`] brings it back.
pub async fn stop(state: &StateDir, service: &str) -> Result<Vec<Stopped>, InfraError> {
    let _lock = state.lock("stack", "stop")?;
    let stack = state.require_stack()?;
    let names = choose(&stack, service)?;
    for (name, id) in containers_of(&stack, &names) {
        docker::stop(&Engine::connect().await?, name, id, GRACE).await?;
    }
    let processes = recorded(Some(&stack)).into_iter().filter(|(name, _)| names.contains(name)).collect();
    Ok(end(processes).await)
}

/// These components that run in containers, with the containers' ids.
fn containers_of<'s>(stack: &'s Stack, names: &[String]) -> Vec<(&'s str, &'s str)> {
    let chosen = stack.components.iter().filter(|(name, _)| names.contains(name));
    chosen.filter_map(|(name, c)| Some((name.as_str(), c.container.as_ref()?.id.as_str()))).collect()
}

/// Ends and starts one server again, `kafka` for all brokers, or `all`; returns when it answers.
pub async fn restart(
    state: &StateDir,
    service: &str,
    env: Env,
    progress: Progress<'_>,
    cancel: CancellationToken,
) -> Result<UpReport, InfraError> {
    let stack = state.require_stack()?;
    let names = choose(&stack, service)?;
    if let Some(name) = names.iter().find(|name| is_backend(name)) {
        let why = "is a backend process: the run that started it restarts it by itself";
        return Err(InfraError::NotOurs { name: name.clone(), why });
    }
    {
        let _lock = state.lock("stack", "restart")?;
        let processes = recorded(Some(&stack)).into_iter().filter(|(name, _)| names.contains(name)).collect();
        end(processes).await;
        let containers = containers_of(&stack, &names);
        if !containers.is_empty() {
            let engine = Engine::connect().await?;
            let restarts = containers.iter().map(|(name, id)| docker::restart(&engine, name, id, GRACE));
            futures_util::future::try_join_all(restarts).await?;
        }
    }
    up::up(&again(state, &stack, env), progress, cancel).await
}

/// The components that `service` means. `all` means the servers that ecomctl started.
fn choose(stack: &Stack, service: &str) -> Result<Vec<String>, InfraError> {
    let chosen = stack.components.iter().filter(|(name, component)| match service {
        "all" => component.provider != Provider::External && !is_backend(name),
        "kafka" => name.starts_with("kafka"),
        service => *name == service,
    });
    let chosen: Vec<_> = chosen.collect();
    let is_external = |component: &Component| component.process.is_none() && component.container.is_none();
    if let Some((name, _)) = chosen.iter().find(|(_, component)| is_external(component)) {
        let why = "is external: ecomctl did not start it, and leaves it alone";
        return Err(InfraError::NotOurs { name: (*name).clone(), why });
    }
    if chosen.is_empty() {
        let known = stack.components.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(InfraError::UnknownService { name: service.to_owned(), known });
    }
    Ok(chosen.into_iter().map(|(name, _)| name.clone()).collect())
}

/// The request that brings this very stack up.
fn again(state: &StateDir, stack: &Stack, env: Env) -> UpRequest {
    let is_external = |name: &str| stack.components.get(name).is_some_and(|c| c.provider == Provider::External);
    let endpoints = &stack.endpoints;
    let external = ExternalSpec {
        mysql_url: is_external("mysql").then(|| endpoints.mysql.url()),
        redis_url: is_external("redis").then(|| endpoints.redis.url()),
        kafka_brokers: is_external("kafka").then(|| endpoints.kafka.brokers.clone()),
        kafka: login(&endpoints.kafka),
        api_url: stack.api_url.clone(),
        ..ExternalSpec::default()
    };
    UpRequest {
        state: state.clone(),
        system: stack.system.clone(),
        stack: StackSpec {
            provider: ProviderChoice::Auto,
            brokers: stack.brokers,
            ports: provider::ports_of(state, &stack.system),
            monitoring: stack.docker.as_ref().is_some_and(|docker| docker.monitoring),
            original: stack.docker.as_ref().is_some_and(|docker| docker.original),
            external,
        },
        topics: Vec::new(),
        env,
        variables: up::variables(),
        pull: false,
        in_run: false,
        yes: false,
        keep_failed: false,
        ready_within: std::time::Duration::from_secs(60),
    }
}

fn login(endpoint: &KafkaEndpoint) -> KafkaLogin {
    let Some(KafkaSecurity { tls, sasl }) = &endpoint.security else { return KafkaLogin::default() };
    let ca = tls.as_ref().and_then(|tls| tls.ca.as_ref());
    KafkaLogin {
        tls: tls.is_some(),
        ca: ca.map(|ca| ca.to_string_lossy().into_owned()),
        mechanism: sasl.as_ref().map(|sasl| sasl.mechanism.clone()),
        username: sasl.as_ref().map(|sasl| sasl.username.clone()),
        password: sasl.as_ref().map(|sasl| sasl.password.expose().to_owned()),
        password_file: None,
    }
}
