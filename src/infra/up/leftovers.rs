//! What is there and should not be: servers that nobody wrote down, and those that the stack does not have any more.

use std::collections::BTreeMap;

use super::{
    Progress, UpEvent, UpRequest, is_server,
    runners::{Runners, is_own, living},
};
use crate::infra::{
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

/// Ends and removes leftovers, and moves ports that others have taken.
pub(super) async fn reap(
    request: &UpRequest,
    before: Option<&Stack>,
    mut runners: Runners,
    progress: Progress<'_>,
) -> Result<Runners, InfraError> {
    processes(request, before, &runners, progress).await?;
    containers(request, before, &runners, progress).await?;
    if let Some(native) = &mut runners.native {
        let own: Vec<i32> = living(before).into_values().map(|process| process.pid).collect();
        for message in native.avoid_taken_ports(|port| is_own(&own, port))? {
            progress(UpEvent::Note { message });
        }
    }
    if let Some(mut docker) = runners.docker.take() {
        prepare(request, &runners, &mut docker, progress).await?;
        runners.docker = Some(docker);
    }
    Ok(runners)
}

async fn processes(
    request: &UpRequest,
    before: Option<&Stack>,
    runners: &Runners,
    progress: Progress<'_>,
) -> Result<(), InfraError> {
    let recorded = living(before);
    let same_system = before.is_none_or(|stack| stack.system == request.system);
    let wanted = |name: &str| {
        let server = Server::ALL.into_iter().find(|server| server.has(name));
        let node = name.strip_prefix("kafka-").and_then(|node| node.parse::<u8>().ok());
        server.is_some_and(|server| runners.of(server) == Runner::Native)
            && node.is_none_or(|node| node <= request.stack.brokers)
    };
    let mut leftovers: Vec<_> = recorded.iter().map(|(name, process)| (name.clone(), *process)).collect();
    leftovers.retain(|(name, _)| is_server(name) && !(same_system && wanted(name)));
    leftovers.extend(unrecorded(&request.state, &recorded));
    if !leftovers.is_empty() {
        request.may_replace()?;
    }
    let ends = leftovers.into_iter().map(|(name, process)| async move {
        if process::terminate(process, GRACE).await != Ended::WasGone {
            progress(UpEvent::Reaped { name, pid: process.pid });
        }
    });
    futures_util::future::join_all(ends).await;
    Ok(())
}

/// Servers, and the steps that prepare them, that run for the state folder `state` and do not stand in `recorded`.
pub(super) fn unrecorded(state: &StateDir, recorded: &BTreeMap<String, ProcessRef>) -> Vec<(String, ProcessRef)> {
    let mut found = state.owner().processes();
    found.retain(|(name, process)| is_server(name) && recorded.get(name) != Some(process));
    found
}

/// Containers of a backend that a killed command left; and everything, where no server is a container any more.
async fn containers(
    request: &UpRequest,
    before: Option<&Stack>,
    runners: &Runners,
    progress: Progress<'_>,
) -> Result<(), InfraError> {
    if let Some(engine) = &runners.left {
        request.may_replace()?;
        let owner = request.state.owner();
        let project = owner.project(&request.system);
        let ours = |labels: owned::Labels<'_>| owner.owns(labels);
        let removed = docker::remove_ours(engine, &project, provider::everything(false), &ours).await?;
        for name in removed.containers {
            progress(UpEvent::Removed { name });
        }
        for message in removed.in_the_way {
            progress(UpEvent::Note { message });
        }
    }
    let Some(docker) = &runners.docker else { return Ok(()) };
    // A run or `serve` in another shell has written nothing down yet: theirs is not ours to remove.
    if request.may_replace().is_ok() {
        for name in docker.reap_backend(before).await? {
            progress(UpEvent::Removed { name });
        }
    }
    Ok(())
}

/// Ports, images and data: what must be right before a container is made.
async fn prepare(
    request: &UpRequest,
    runners: &Runners,
    docker: &mut Provider,
    progress: Progress<'_>,
) -> Result<(), InfraError> {
    let note = |message| progress(UpEvent::Note { message });
    let here = |server| runners.of(server) == Runner::Docker;
    let wanted = |name: &str| Server::ALL.into_iter().any(|server| server.has(name) && here(server));
    let ours = held_by(docker).await?;
    let is_free = |port: u16| ours.contains_key(&port) || ports::is_free(port);
    for message in docker.kept.places.avoid_taken(&wanted, &is_free)? {
        note(message);
    }
    let (project, _) = docker.servers(&here)?;
    let mut data = false;
    for server in Server::ALL.into_iter().filter(|server| here(*server)) {
        data |= docker.has_data(&project, server).await;
    }
    let asked_original = request.stack.original;
    if data && docker.kept.was_there && docker.kept.places.is_original() != asked_original {
        return Err(InfraError::OtherStack { original: asked_original });
    }
    docker.kept.places.set_original(asked_original);
    if here(Server::Kafka)
        && let Some(had) = docker.brokers_with_data().await
        && had != docker.brokers()
    {
        let data = format!("volumes {}_kafka-1-data …", docker.name).into();
        return Err(InfraError::BrokersChanged { data, had, want: docker.brokers() });
    }
    for message in docker.kept.places.take_images(&request.variables, data) {
        note(message);
    }
    docker.kept.save()
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
