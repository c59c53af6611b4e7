//! What is there and should not be: servers that nobody wrote down, and those that the stack does not have any more.

use std::collections::BTreeMap;

use super::{
    Progress, UpEvent, UpRequest,
    runners::{Runners, is_own, living},
};
use crate::{
    choice::{Runner, Server},
    docker::{
        self,
        provider::{self, Provider},
    },
    error::InfraError,
    owned, ports,
    process::{self, Ended, GRACE, ProcessRef},
    stack::Stack,
    state::StateDir,
};

/// Looks at what must be right before anything is touched, ends what nobody wrote down, and moves ports that others have
/// taken.
pub(super) async fn make_ready(
    request: &UpRequest,
    before: Option<&Stack>,
    mut runners: Runners,
    progress: Progress<'_>,
) -> Result<Runners, InfraError> {
    let docker = runners.docker.take();
    let mut data = false;
    if let Some(docker) = &docker {
        data = fits_its_data(request, &runners, docker).await?;
    }
    runners.docker = docker;
    let recorded = living(before);
    let unwritten = unrecorded(&request.state, &recorded);
    if !unwritten.is_empty()
        || runners.left.is_some()
        || recorded.iter().any(|(name, _)| goes(name, request, before, &runners))
    {
        request.may_replace()?;
    }
    processes(unwritten, |name, pid| progress(UpEvent::Reaped { name, pid })).await;
    backend(request, before, &runners, progress).await?;
    if let Some(native) = &mut runners.native {
        let own: Vec<i32> = living(before).into_values().map(|process| process.pid).collect();
        for message in native.avoid_taken_ports(|port| is_own(&own, port)).await? {
            progress(UpEvent::Note { message });
        }
    }
    if let Some(mut docker) = runners.docker.take() {
        places(request, &runners, &mut docker, data, progress).await?;
        runners.docker = Some(docker);
    }
    Ok(runners)
}

/// Whether the stack will not have the server `name` any more, which runs as a process.
fn goes(name: &str, request: &UpRequest, before: Option<&Stack>, runners: &Runners) -> bool {
    let same_system = before.is_none_or(|stack| stack.system == request.system);
    let server = Server::ALL.into_iter().find(|server| server.has(name));
    let node = name.strip_prefix("kafka-").and_then(|node| node.parse::<u8>().ok());
    let wanted = server.is_some_and(|server| runners.of(server) == Runner::Native)
        && node.is_none_or(|node| node <= request.stack.brokers);
    Server::is_any(name) && !(same_system && wanted)
}

/// Ends the servers of the stack `before` that the stack has no more `now`, processes and containers.
pub(super) async fn end_others(
    request: &UpRequest,
    before: Option<&Stack>,
    now: &Stack,
    runners: &Runners,
    progress: Progress<'_>,
) -> Result<(), InfraError> {
    let kept: Vec<ProcessRef> = now.components.values().filter_map(|component| component.process).collect();
    let others = living(before).into_iter().filter(|(name, process)| Server::is_any(name) && !kept.contains(process));
    processes(others.collect(), |name, pid| progress(UpEvent::Ended { name, pid })).await;
    let Some(engine) = &runners.left else { return Ok(()) };
    let owner = request.state.owner();
    let project = owner.project(request.system.name());
    let ours = |labels: owned::Labels<'_>| owner.owns(labels);
    let removed = docker::remove_ours(engine, &project, provider::everything(false), &ours).await?;
    for name in removed.containers {
        progress(UpEvent::Removed { name });
    }
    for message in removed.in_the_way {
        progress(UpEvent::Note { message });
    }
    Ok(())
}

async fn processes(all: Vec<(String, ProcessRef)>, tell: impl Fn(String, i32) + Sync) {
    let tell = &tell;
    let ends = all.into_iter().map(|(name, process)| async move {
        if process::terminate(process, GRACE).await != Ended::WasGone {
            tell(name, process.pid);
        }
    });
    futures_util::future::join_all(ends).await;
}

/// Servers, and the steps that prepare them, that run for the state folder `state` and do not stand in `recorded`.
pub(super) fn unrecorded(state: &StateDir, recorded: &BTreeMap<String, ProcessRef>) -> Vec<(String, ProcessRef)> {
    let mut found = state.owner().processes();
    found.retain(|(name, process)| Server::is_any(name) && recorded.get(name) != Some(process));
    found
}

/// Removes containers of a backend that a killed command left.
async fn backend(
    request: &UpRequest,
    before: Option<&Stack>,
    runners: &Runners,
    progress: Progress<'_>,
) -> Result<(), InfraError> {
    let Some(docker) = &runners.docker else { return Ok(()) };
    // A run or `serve` in another shell has written nothing down yet: theirs is not ours to remove.
    if request.may_replace().is_ok() {
        for name in docker.reap_backend(before).await? {
            progress(UpEvent::Removed { name });
        }
    }
    Ok(())
}

/// Whether there are data of an earlier `up`.
///
/// # Errors
/// Where the stack that is asked for could not read them.
async fn fits_its_data(request: &UpRequest, runners: &Runners, docker: &Provider) -> Result<bool, InfraError> {
    let here = |server| runners.of(server) == Runner::Docker;
    let (project, _) = docker.servers(&here)?;
    let mut data = false;
    for server in Server::ALL.into_iter().filter(|server| here(*server)) {
        data |= docker.has_data(&project, server).await?;
    }
    let asked_original = request.stack.original;
    if data && docker.kept.was_there && docker.kept.places.is_original() != asked_original {
        return Err(InfraError::OtherStack { original: asked_original });
    }
    if here(Server::Kafka)
        && let Some(had) = docker.brokers_with_data().await?
        && had != docker.brokers()
    {
        let data = format!("volumes {}_kafka-1-data …", docker.name).into();
        return Err(InfraError::BrokersChanged { data, had, want: docker.brokers() });
    }
    Ok(data)
}

/// Ports and images. They are written when all is well; passwords at once, because data are made with them.
async fn places(
    request: &UpRequest,
    runners: &Runners,
    docker: &mut Provider,
    data: bool,
    progress: Progress<'_>,
) -> Result<(), InfraError> {
    let note = |message| progress(UpEvent::Note { message });
    let here = |server| runners.of(server) == Runner::Docker;
    let wanted = |name: &str| Server::ALL.into_iter().any(|server| server.has(name) && here(server));
    let ours = held_by(docker).await?;
    let is_free = |port: u16| ours.contains_key(&port) || ports::is_free(port);
    let mut owners = BTreeMap::new();
    for (name, port) in docker.kept.places.ports() {
        if wanted(&name) && !is_free(port) {
            owners.insert(port, docker::port_holder(port).await);
        }
    }
    let owner = |port: u16| owners.get(&port).cloned().unwrap_or_else(|| "another program".into());
    for message in docker.kept.places.avoid_taken(&wanted, &is_free, &owner)? {
        note(message);
    }
    docker.kept.places.set_original(request.stack.original);
    for message in docker.kept.places.take_images(&request.variables, data) {
        note(message);
    }
    if docker.kept.was_there { Ok(()) } else { docker.kept.save() }
}

/// Ports of this machine that containers of ours hold.
async fn held_by(docker: &Provider) -> Result<BTreeMap<u16, String>, InfraError> {
    let running = provider::running(&docker.engine, &docker.name).await?;
    let ports = running.into_values().flat_map(|container| {
        let name = container.component;
        container.ports.into_iter().map(move |port| (port.host, name.clone()))
    });
    Ok(ports.collect())
}
