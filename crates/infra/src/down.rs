//! `down`: by the recorded process, by the mark of a process and by label, never by what today's profile says.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use contract::process::is_backend;
use record::event::names::Provider;
use serde::Serialize;

use super::{
    choice::Server,
    docker::{self, Engine, Remove, Removed, provider},
    error::InfraError,
    launched::Launched,
    owned::{self, Labels, Owner, Removal, remove_tree},
    process::{self, Ended, GRACE, ProcessRef},
    stack::Stack,
    state::StateDir,
};

/// What is to go.
#[derive(Debug, Clone, Default)]
pub struct Down {
    /// The data too: those of `system`, or of the one that is up.
    pub volumes: bool,
    /// The system that is meant. Where another one is up, that one is left as it is.
    pub system: Option<String>,
    /// It is the end of a run, which holds the lock of runs itself.
    pub in_run: bool,
}

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
///
/// # Errors
/// As [`down_as`].
pub async fn down(state: &StateDir, volumes: bool) -> Result<DownReport, InfraError> {
    down_as(state, &Down { volumes, ..Down::default() }).await
}

/// The system whose data `what` is about: the one that is named, the one that is up, or the only one there is; none where
/// there are no data.
///
/// # Errors
/// [`InfraError::WhichSystem`] where that cannot be told.
pub fn system(state: &StateDir, what: &Down) -> Result<Option<String>, InfraError> {
    let stack = state.load_stack().ok().flatten();
    let up = stack.as_ref().filter(|stack| !stack.components.is_empty()).map(|stack| stack.system.name().to_owned());
    let known: BTreeSet<String> = state
        .systems()
        .into_iter()
        .chain(stack.map(|stack| stack.system.name().to_owned()))
        .chain(state.owner().old_systems())
        .collect();
    let list = || known.iter().cloned().collect::<Vec<_>>().join(", ");
    match (&what.system, up) {
        (Some(name), _) if known.contains(name) => Ok(Some(name.clone())),
        (Some(name), _) => {
            let why = format!("there are no data of a system {name} in {}; there are", state.root().display());
            Err(InfraError::WhichSystem { why, known: if known.is_empty() { "none".into() } else { list() } })
        }
        (None, Some(up)) => Ok(Some(up)),
        (None, None) if known.len() > 1 && what.volumes => {
            let why = format!("nothing is up in {}, and there are data of several systems", state.root().display());
            Err(InfraError::WhichSystem { why, known: list() })
        }
        (None, None) => Ok(known.into_iter().next()),
    }
}

/// Takes down what `what` says.
///
/// # Errors
/// [`InfraError::Locked`] while a run or a served backend uses the stack, [`InfraError::WhichSystem`] where it is not clear
/// whose data are meant; nothing was done then.
pub async fn down_as(state: &StateDir, what: &Down) -> Result<DownReport, InfraError> {
    let _lock = state.lock("stack", "down")?;
    let _alone = state.alone("down", what.in_run)?;
    take_down(state, what).await
}

/// [`down_as`] for whoever holds the locks.
pub(super) async fn take_down(state: &StateDir, what: &Down) -> Result<DownReport, InfraError> {
    // A stack file that cannot be read must not keep the processes alive: they carry a mark.
    let (stack, broken) = match state.load_stack() {
        Ok(stack) => (stack, None),
        Err(error @ InfraError::BadState { .. }) => (None, Some(error)),
        Err(error) => return Err(error),
    };
    let system = system(state, what)?;
    let up = stack.as_ref().filter(|stack| !stack.components.is_empty());
    // The stack of another system is none of our business.
    let elsewhere = what.system.is_some() && up.is_some_and(|up| Some(up.system.name()) != system.as_deref());
    let mut processes = if elsewhere { Vec::new() } else { recorded(stack.as_ref()) };
    let unrecorded = if elsewhere { Vec::new() } else { state.owner().processes() };
    for (name, process) in unrecorded {
        if !processes.iter().any(|(_, known)| *known == process) {
            processes.push((name, process));
        }
    }
    let (servers, backend): (Vec<_>, Vec<_>) = processes.into_iter().partition(|(name, _)| Server::is_any(name));
    let in_docker = system.as_ref().is_some_and(|system| state.data(system).join("docker.json").exists());
    let known = up.is_some_and(|stack| stack.docker.is_some()) || (what.volumes && in_docker);
    let scope = Scope {
        owner: state.owner(),
        only: system.as_deref().filter(|_| elsewhere),
        delete: system.as_deref().filter(|_| what.volumes),
    };
    // The backend drains into the servers: they go last.
    let mut stopped = end(backend).await;
    let containers = containers(&scope, known).await;
    stopped.extend(end(servers).await);
    Launched::forget_orphans(state)?;
    let Removed { containers, networks, volumes, kept, mut in_the_way } = containers?;
    let external = stack.iter().flat_map(|stack| &stack.components).filter(|(_, c)| c.provider == Provider::External);
    let left_alone = external.map(|(name, c)| format!("{name} ({})", c.address)).collect();
    // A volume that is left can only be used with the passwords that are kept beside the data.
    let files = scope.delete.filter(|_| kept.is_empty());
    let (mut gone, mut links) = (false, Vec::new());
    if let Some(system) = files {
        gone = delete(state, system, elsewhere, &mut links)?;
    }
    if !elsewhere {
        forget(state, stack, broken, what.volumes && kept.is_empty() && links.is_empty())?;
    }
    let there = || state.path("data").exists().then(|| state.path("data"));
    let data = if gone { files.map(|system| state.data(system)) } else { there() };
    let deleted = (gone || !volumes.is_empty()) && kept.is_empty() && links.is_empty();
    in_the_way.extend(links);
    let volumes = if kept.is_empty() { volumes } else { kept };
    Ok(DownReport { stopped, left_alone, data, deleted, containers, networks, volumes, in_the_way })
}

/// Deletes the files of a system; whether there were any, and they are gone. `links` takes what was not deleted, and why.
fn delete(state: &StateDir, system: &str, elsewhere: bool, links: &mut Vec<String>) -> Result<bool, InfraError> {
    let mut tree =
        |below: &Path| -> Result<Removal, InfraError> {
            let removal = remove_tree(state.root(), below)?;
            if let Removal::Link { link, target } = &removal {
                links.push(format!(
                "{} was not deleted: {} is a link to {}, which ecomctl did not make; delete what is behind it and the \
                 link yourself",
                state.path(below).display(), link.display(), target.display()
            ));
            }
            Ok(removal)
        };
    let gone = tree(&Path::new("data").join(system))? == Removal::Gone;
    let _ = fs::remove_dir(state.path("data"));
    if !elsewhere {
        tree(Path::new("conf"))?;
        let sockets = state.run_folder()?;
        match fs::remove_dir_all(&sockets) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(InfraError::io("delete", sockets)(e)),
            _ => {}
        }
    }
    Ok(gone)
}

/// Writes down that nothing is up any more; `afresh`: forgets that there ever was anything.
fn forget(state: &StateDir, stack: Option<Stack>, broken: Option<InfraError>, afresh: bool) -> Result<(), InfraError> {
    match (stack, broken) {
        _ if afresh => state.remove_stack(),
        (_, Some(error)) => Err(error),
        (Some(mut stack), None) => {
            stack.components.clear();
            stack.docker = None;
            state.save_stack(&stack)
        }
        (None, None) => Ok(()),
    }
}

/// Which containers, networks and volumes go.
struct Scope<'a> {
    owner: &'a Owner,
    /// Those of this system only.
    only: Option<&'a str>,
    /// The system whose volumes go too.
    delete: Option<&'a str>,
}

/// Removes by label whatever belongs to the folder, whether or not the folder still knows of it. Only where it does
/// (`known`) is an Engine that does not answer an error.
async fn containers(scope: &Scope<'_>, known: bool) -> Result<Removed, InfraError> {
    let engine = match Engine::connect().await {
        Ok(engine) => engine,
        Err(error) if known => return Err(error),
        Err(_) => return Ok(Removed::default()),
    };
    let mut projects = docker::projects_with(&engine, owned::ID, scope.owner.id()).await?;
    projects.extend(scope.owner.old_projects().cloned());
    let mut removed = Removed::default();
    for project in projects {
        let system = scope.owner.system_of(&project);
        if scope.only.is_some_and(|only| system.as_deref() != Some(only)) {
            continue;
        }
        let volumes = scope.delete.is_some() && system.as_deref() == scope.delete;
        removed.add(remove_project(&engine, &project, volumes, &|labels| scope.owner.owns(labels)).await?);
    }
    Ok(removed)
}

/// What of one project is `ours`, backend first.
async fn remove_project(
    engine: &Engine,
    project: &str,
    volumes: bool,
    ours: docker::Ours<'_>,
) -> Result<Removed, InfraError> {
    let backend = docker::list(engine, project).await?;
    let backend: BTreeSet<String> =
        backend.into_iter().filter(|c| is_backend(&c.component)).map(|container| container.service).collect();
    let mut removed = Removed::default();
    // The backend drains into the servers: they go last.
    if !backend.is_empty() {
        let services = Some(backend.into_iter().collect());
        removed =
            docker::remove_ours(engine, project, Remove { services, ..provider::everything(false) }, ours).await?;
    }
    removed.add(docker::remove_ours(engine, project, provider::everything(volumes), ours).await?);
    Ok(removed)
}

/// `down` for a state folder that is gone itself: its containers are still found by their label.
///
/// # Errors
/// [`InfraError::NeedsYes`] where `volumes` would go and `yes` is not given: the folder may have been moved, and no mark
/// says whose they are.
pub async fn down_by_label(root: &Path, volumes: bool, yes: bool) -> Result<DownReport, InfraError> {
    let mut all = Removed::default();
    if let Ok(engine) = Engine::connect().await {
        let path = root.to_string_lossy().into_owned();
        let ours = |labels: Labels<'_>| labels.state == path;
        let projects = docker::projects_with(&engine, owned::STATE, &path).await?;
        if volumes && !yes {
            for project in &projects {
                all.kept.extend(docker::volumes_of(&engine, project, &ours).await?);
            }
            if !all.kept.is_empty() {
                let names = all.kept.join(", ");
                let what = format!(
                    "{path} is not there; the volumes {names} were made for it, and would be deleted even if it was only \
                     moved"
                );
                return Err(InfraError::NeedsYes { what });
            }
        }
        for project in &projects {
            all.add(remove_project(&engine, project, volumes, &ours).await?);
        }
    }
    let Removed { containers, networks, volumes: gone, kept, in_the_way } = all;
    let deleted = !gone.is_empty() && kept.is_empty();
    let volumes = if deleted { gone } else { kept };
    let (stopped, left_alone, data) = (Vec::new(), Vec::new(), None);
    Ok(DownReport { stopped, left_alone, data, deleted, containers, networks, volumes, in_the_way })
}

/// Component → process, as `stack.json` says.
pub(super) fn recorded(stack: Option<&Stack>) -> Vec<(String, ProcessRef)> {
    let components = stack.into_iter().flat_map(|stack| &stack.components);
    components.filter_map(|(name, component)| Some((name.clone(), component.process?))).collect()
}

/// Ends processes side by side; gives those that were still there.
pub(super) async fn end(processes: Vec<(String, ProcessRef)>) -> Vec<Stopped> {
    let ends = processes.into_iter().map(|(name, process)| async move {
        let ended = process::terminate(process, GRACE).await;
        (ended != Ended::WasGone).then_some(Stopped { name, pid: process.pid, killed: ended == Ended::Killed })
    });
    futures_util::future::join_all(ends).await.into_iter().flatten().collect()
}
