//! Taking a project down, by its labels.

use std::{collections::BTreeSet, time::Duration};

use bollard::query_parameters::{ListContainersOptions, ListNetworksOptions, ListVolumesOptions, RemoveVolumeOptions};
use futures_util::future::join_all;

use super::{
    Engine,
    call::{QUICK, SLOW, failed, is_done_already, silent},
    labels,
    list::{Container, found_by, list},
    make,
};
use crate::{error::InfraError, owned::Labels};

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
    /// Adds what went, and what was left, elsewhere.
    pub fn add(&mut self, other: Self) {
        self.containers.extend(other.containers);
        self.networks.extend(other.networks);
        self.volumes.extend(other.volumes);
        self.kept.extend(other.kept);
        self.in_the_way.extend(other.in_the_way);
    }

    /// Sorts out what went, and what is in the way of the rest.
    fn split(&mut self, results: Vec<Result<String, InfraError>>) -> Vec<String> {
        let (went, stayed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        self.in_the_way.extend(stayed.into_iter().filter_map(Result::err).map(|error| error.to_string()));
        went.into_iter().filter_map(Result::ok).collect()
    }
}

/// Whether something with these labels may go.
pub type Ours<'a> = &'a (dyn Fn(Labels<'_>) -> bool + Sync);

/// Removes whatever ecomctl made in `project`, for whichever state folder. See [`remove_ours`].
///
/// # Errors
/// Where the Engine does not list what there is.
pub async fn remove(engine: &Engine, project: &str, what: Remove) -> Result<Removed, InfraError> {
    remove_ours(engine, project, what, &|labels| !labels.state.is_empty()).await
}

/// Removes the containers of `project` that are `ours`, those first on which nobody depends, then its networks, and its
/// volumes where that is asked for. What is gone already is no error, and what cannot go does not keep the rest.
///
/// # Errors
/// Where the Engine does not list what there is.
pub async fn remove_ours(engine: &Engine, project: &str, what: Remove, ours: Ours<'_>) -> Result<Removed, InfraError> {
    let mut there = list(engine, project).await?;
    there.retain(|container| ours(container.labels()));
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
        let networks = networks(engine, project, ours, &BTreeSet::new()).await?;
        removed.networks = removed.split(networks);
        removed.kept = volumes_of(engine, project, ours).await?;
        if what.volumes {
            volumes(engine, &mut removed).await;
        }
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

async fn networks(
    engine: &Engine,
    project: &str,
    ours: Ours<'_>,
    keep: &BTreeSet<String>,
) -> Result<Vec<Result<String, InfraError>>, InfraError> {
    let found = networks_of(engine, project, ours).await?.into_iter().filter(|(id, _)| !keep.contains(id));
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

/// Removes the volumes that are `kept` so far; those that cannot go stay so.
async fn volumes(engine: &Engine, removed: &mut Removed) {
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
}

/// Ids of the networks and names of the volumes of a project that are `ours`: what [`remove_new`] leaves.
///
/// # Errors
/// Where the Engine does not list them.
pub async fn around(engine: &Engine, project: &str, ours: Ours<'_>) -> Result<BTreeSet<String>, InfraError> {
    let networks = networks_of(engine, project, ours).await?.into_iter().map(|(id, _)| id);
    Ok(networks.chain(volumes_of(engine, project, ours).await?).collect())
}

/// Removes networks and volumes of a project that are `ours` and were not there `before`.
///
/// # Errors
/// Where the Engine does not list what there is.
pub async fn remove_new(
    engine: &Engine,
    project: &str,
    before: &BTreeSet<String>,
    ours: Ours<'_>,
) -> Result<Removed, InfraError> {
    let mut removed = Removed::default();
    let networks = networks(engine, project, ours, before).await?;
    removed.networks = removed.split(networks);
    removed.kept = volumes_of(engine, project, ours).await?;
    removed.kept.retain(|name| !before.contains(name));
    volumes(engine, &mut removed).await;
    Ok(removed)
}

/// Ids and names of the networks of a project that are `ours`; two may have the same name.
async fn networks_of(engine: &Engine, project: &str, ours: Ours<'_>) -> Result<Vec<(String, String)>, InfraError> {
    let options = ListNetworksOptions { filters: Some(labels::of_project(project)) };
    let found = engine.call("list networks", QUICK, engine.docker.list_networks(Some(options))).await?;
    let found = found.into_iter().filter(|found| ours(Labels::of(&found.labels.clone().unwrap_or_default())));
    Ok(found.filter_map(|network| Some((network.id?, network.name?))).collect())
}

/// Names of the volumes of a project that are `ours`.
///
/// # Errors
/// Where the Engine does not list them.
pub async fn volumes_of(engine: &Engine, project: &str, ours: Ours<'_>) -> Result<Vec<String>, InfraError> {
    let options = ListVolumesOptions { filters: Some(labels::of_project(project)) };
    let found = engine.call("list volumes", QUICK, engine.docker.list_volumes(Some(options))).await?;
    let found = found.volumes.unwrap_or_default().into_iter().filter(|volume| ours(Labels::of(&volume.labels)));
    Ok(found.map(|volume| volume.name).collect())
}

/// Projects in which anything has the label `key` with this value.
///
/// # Errors
/// Where the Engine does not list what there is.
pub async fn projects_with(engine: &Engine, key: &str, value: &str) -> Result<BTreeSet<String>, InfraError> {
    let filters = || Some(labels::with(key, value));
    let options = ListContainersOptions { all: true, filters: filters(), ..Default::default() };
    let containers = engine.call("list containers", QUICK, engine.docker.list_containers(Some(options))).await?;
    let options = ListNetworksOptions { filters: filters() };
    let networks = engine.call("list networks", QUICK, engine.docker.list_networks(Some(options))).await?;
    let options = ListVolumesOptions { filters: filters() };
    let volumes = engine.call("list volumes", QUICK, engine.docker.list_volumes(Some(options))).await?;
    let containers = containers.into_iter().filter_map(|found| found.labels);
    let networks = networks.into_iter().filter_map(|found| found.labels);
    let volumes = volumes.volumes.unwrap_or_default().into_iter().map(|found| found.labels);
    let all = containers.chain(networks).chain(volumes);
    Ok(all.filter_map(|mut labels| labels.remove(labels::PROJECT)).collect())
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
