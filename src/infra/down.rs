//! `down`: by the recorded process, never by what today's profile says.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    docker::{self, Engine, Remove, Removed, provider},
    error::InfraError,
    launched::Launched,
    process::{self, Ended, GRACE, ProcessRef},
    stack::{Stack, is_backend},
    state::StateDir,
    up,
};
use crate::event::names::Provider;

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
    Launched::forget_orphans(state)?;
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

pub(super) fn recorded(stack: Option<&Stack>) -> Vec<(String, ProcessRef)> {
    let components = stack.into_iter().flat_map(|stack| &stack.components);
    components.filter_map(|(name, component)| Some((name.clone(), component.process?))).collect()
}

pub(super) async fn end(processes: Vec<(String, ProcessRef)>) -> Vec<Stopped> {
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
