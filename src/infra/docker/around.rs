//! What containers stand in: networks and volumes.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use bollard::{
    models::{NetworkCreateRequest, VolumeCreateRequest},
    query_parameters::ListNetworksOptions,
};
use futures_util::future::try_join_all;

use super::{
    Engine,
    call::{QUICK, SLOW, failed, is_gone, silent, within},
    labels::{self, Owner},
    undo::Doing,
};
use crate::{
    compose::model::{MountSource, Network, Project, Service, Volume},
    infra::error::InfraError,
};

/// Makes the networks and volumes of `services` that are not there yet.
pub(super) async fn ensure(
    doing: &Doing,
    project: &Project,
    state: &Path,
    services: &[String],
) -> Result<(), InfraError> {
    let owner = Owner { project: &project.name, state, apply: &doing.apply };
    let services: Vec<&Service> = services.iter().filter_map(|name| project.services.get(name)).collect();
    let networks: BTreeSet<&String> = services.iter().flat_map(|service| service.networks.keys()).collect();
    let mounts = services.iter().flat_map(|service| &service.volumes);
    let volumes: BTreeSet<&String> = mounts
        .filter_map(|mount| match &mount.source {
            MountSource::Volume(key) => Some(key),
            _ => None,
        })
        .collect();
    let networks = project.networks.iter().filter(|(key, _)| networks.contains(key));
    let volumes = project.volumes.iter().filter(|(key, _)| volumes.contains(key));
    tokio::try_join!(
        try_join_all(networks.map(|(key, network)| self::network(doing, owner, key, network))),
        try_join_all(volumes.map(|(key, volume)| self::volume(doing, owner, key, volume))),
    )?;
    Ok(())
}

async fn network(doing: &Doing, owner: Owner<'_>, key: &str, network: &Network) -> Result<(), InfraError> {
    if one_of(&doing.engine, network).await? {
        return Ok(());
    }
    if network.external {
        return Err(absent("network", &network.name));
    }
    let body = NetworkCreateRequest {
        name: network.name.clone(),
        driver: network.driver.clone(),
        internal: Some(network.internal),
        labels: Some(owner.thing(labels::NETWORK, key, &network.labels)),
        ..Default::default()
    };
    let (docker, action) = (doing.engine.docker.clone(), format!("make the network {}", network.name));
    doing.to_its_end(async move { within(&action, SLOW, docker.create_network(body)).await.map(|_| ()) }).await?;
    // The one that a killed command had asked for may have come meanwhile.
    one_of(&doing.engine, network).await.map(|_| ())
}

/// Whether the network is there. A command that was killed may have had it made twice, which Engines before API 1.44 allow;
/// no container starts then, so those that nobody uses go until one is left.
async fn one_of(engine: &Engine, network: &Network) -> Result<bool, InfraError> {
    let filters = HashMap::from([("name".to_owned(), vec![network.name.clone()])]);
    let options = ListNetworksOptions { filters: Some(filters) };
    let action = format!("look for the network {}", network.name);
    let found = within(&action, QUICK, engine.docker.list_networks(Some(options))).await?;
    // The filter takes parts of names too.
    let found = found.into_iter().filter(|found| found.name.as_deref() == Some(&network.name));
    let mut left: Vec<String> = found.filter_map(|found| found.id).collect();
    if network.external {
        return Ok(!left.is_empty());
    }
    for id in left.clone() {
        if left.len() < 2 {
            break;
        }
        // The Engine refuses where containers are in it.
        if let Ok(Ok(())) = tokio::time::timeout(QUICK, engine.docker.remove_network(&id)).await {
            left.retain(|other| *other != id);
        }
    }
    Ok(!left.is_empty())
}

/// Ids of all networks of the Engine.
pub(super) async fn network_ids(engine: &Engine) -> Result<BTreeSet<String>, InfraError> {
    let found = within("list networks", QUICK, engine.docker.list_networks(None::<ListNetworksOptions>)).await?;
    Ok(found.into_iter().filter_map(|network| network.id).collect())
}

async fn volume(doing: &Doing, owner: Owner<'_>, key: &str, volume: &Volume) -> Result<(), InfraError> {
    if is_volume(&doing.engine, &volume.name).await? {
        return Ok(());
    }
    if volume.external {
        return Err(absent("volume", &volume.name));
    }
    let body = VolumeCreateRequest {
        name: Some(volume.name.clone()),
        driver: volume.driver.clone(),
        labels: Some(owner.thing(labels::VOLUME, key, &volume.labels)),
        ..Default::default()
    };
    let (docker, action) = (doing.engine.docker.clone(), format!("make the volume {}", volume.name));
    doing.to_its_end(async move { within(&action, SLOW, docker.create_volume(body)).await.map(|_| ()) }).await
}

/// Whether the Engine has a volume of this name.
///
/// # Errors
/// Where it does not say: only its "no such volume" means that there is none.
pub(super) async fn is_volume(engine: &Engine, name: &str) -> Result<bool, InfraError> {
    let action = format!("look at the volume {name}");
    match tokio::time::timeout(QUICK, engine.docker.inspect_volume(name)).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) if is_gone(&error) => Ok(false),
        Ok(Err(error)) => Err(failed(&action, &error)),
        Err(_) => Err(silent(&action, QUICK)),
    }
}

fn absent(kind: &str, name: &str) -> InfraError {
    InfraError::Docker {
        action: format!("use the {kind} {name}"),
        why: "it is external, and it is not here".into(),
        remedy: format!("make it with `docker {kind} create {name}`"),
    }
}
