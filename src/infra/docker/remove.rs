//! Taking a project down, by its labels.

use std::{collections::BTreeSet, time::Duration};

use bollard::query_parameters::{ListNetworksOptions, ListVolumesOptions, RemoveVolumeOptions};
use futures_util::future::join_all;

use super::{
    Engine,
    call::{QUICK, SLOW, failed, is_done_already, silent},
    labels,
    list::{Container, found_by, list},
    make,
};
use crate::infra::error::InfraError;

/// What goes.
#[derive(Debug, Clone)]
pub struct Remove {
    /// Only the containers of these services; the network stays then, and so do the volumes.
    pub services: Option<Vec<String>>,
    /// The volumes too: data are lost.
    pub volumes: bool,
    /// How long a container may take to end by itself, where its own settings do not say.
    pub grace: Duration,
}

/// What went, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Removed {
    /// Containers.
    pub containers: Vec<String>,
    /// Networks.
    pub networks: Vec<String>,
    /// Volumes.
    pub volumes: Vec<String>,
    /// Volumes that were left.
    pub kept: Vec<String>,
    /// What could not be removed, why not, and what to do about it.
    pub in_the_way: Vec<String>,
}

impl Removed {
    /// Sorts out what went, and what is in the way of the rest.
    fn split(&mut self, results: Vec<Result<String, InfraError>>) -> Vec<String> {
        let (went, stayed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        self.in_the_way.extend(stayed.into_iter().filter_map(Result::err).map(|error| error.to_string()));
        went.into_iter().filter_map(Result::ok).collect()
    }
}

/// Removes the containers of `project`, those first on which nobody depends, then its networks, and its volumes where
/// that is asked for. What is gone already is no error, and what cannot go does not keep the rest.
///
/// # Errors
/// Where the Engine does not list what there is.
pub async fn remove(engine: &Engine, project: &str, what: Remove) -> Result<Removed, InfraError> {
    let mut there = list(engine, project).await?;
    if let Some(services) = &what.services {
        there.retain(|container| services.contains(&container.service));
    }
    let mut removed = Removed::default();
    for wave in waves(there) {
        let ends = wave.into_iter().map(|container| async move {
            let grace = container.grace.unwrap_or(what.grace);
            make::stop(engine, &container.name, &container.id, grace).await?;
            make::delete(engine, &container.name, &container.id).await?;
            Ok(container.name)
        });
        let went = removed.split(join_all(ends).await);
        removed.containers.extend(went);
    }
    if what.services.is_none() {
        let networks = networks(engine, project).await?;
        removed.networks = removed.split(networks);
        volumes(engine, project, what.volumes, &mut removed).await?;
    }
    Ok(removed)
}

/// Dependents before those they depend on. Labels that go round in a circle end in one last wave.
pub(super) fn waves(mut left: Vec<Container>) -> Vec<Vec<Container>> {
    let mut waves = Vec::new();
    while !left.is_empty() {
        let needed: BTreeSet<String> = left.iter().flat_map(|container| container.depends_on.clone()).collect();
        let (mut stay, mut go): (Vec<_>, Vec<_>) = left.into_iter().partition(|c| needed.contains(&c.service));
        if go.is_empty() {
            std::mem::swap(&mut stay, &mut go);
        }
        waves.push(go);
        left = stay;
    }
    waves
}

async fn networks(engine: &Engine, project: &str) -> Result<Vec<Result<String, InfraError>>, InfraError> {
    let options = ListNetworksOptions { filters: Some(labels::of_project(project)) };
    let found = engine.call("list networks", QUICK, engine.docker.list_networks(Some(options))).await?;
    // By id: two may have the same name.
    let found = found.into_iter().filter_map(|network| Some((network.id?, network.name?)));
    let removals = found.map(|(id, name)| async move {
        let action = format!("remove the network {name}");
        match tokio::time::timeout(SLOW, engine.docker.remove_network(&id)).await {
            Ok(Err(error)) if !is_done_already(&error) => Err(used(
                failed(&action, &error),
                &found_by(engine, "network", &id, false).await,
                &format!("end it, or take it out with `docker network disconnect {name} CONTAINER`"),
            )),
            Ok(_) => Ok(name),
            Err(_) => Err(silent(&action, SLOW)),
        }
    });
    Ok(join_all(removals).await)
}

/// Removes the volumes where that is asked for, and writes down those that were left.
async fn volumes(engine: &Engine, project: &str, delete: bool, removed: &mut Removed) -> Result<(), InfraError> {
    let options = ListVolumesOptions { filters: Some(labels::of_project(project)) };
    let found = engine.call("list volumes", QUICK, engine.docker.list_volumes(Some(options))).await?;
    removed.kept = found.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect();
    if !delete {
        return Ok(());
    }
    let removals = removed.kept.clone().into_iter().map(|name| async move {
        let action = format!("remove the volume {name}");
        match tokio::time::timeout(SLOW, engine.docker.remove_volume(&name, None::<RemoveVolumeOptions>)).await {
            Ok(Err(error)) if !is_done_already(&error) => Err(used(
                failed(&action, &error),
                &found_by(engine, "volume", &name, true).await,
                "remove it with `docker rm -f CONTAINER` if it is yours",
            )),
            Ok(_) => Ok(name),
            Err(_) => Err(silent(&action, SLOW)),
        }
    });
    let results = join_all(removals).await;
    removed.volumes = removed.split(results);
    removed.kept.retain(|name| !removed.volumes.contains(name));
    Ok(())
}

/// The Engine's refusal, with who uses the thing where that can be found.
fn used(error: InfraError, by: &[String], remedy: &str) -> InfraError {
    match error {
        InfraError::Docker { action, .. } if !by.is_empty() => InfraError::Docker {
            action,
            why: format!("{} uses it", by.join(" and ")),
            remedy: format!("{remedy}, and try again"),
        },
        error => error,
    }
}
