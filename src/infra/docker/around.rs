//! What containers stand in: networks and volumes.

use std::{collections::BTreeSet, path::Path};

use bollard::{
    errors::Error,
    models::{NetworkCreateRequest, VolumeCreateRequest},
    query_parameters::InspectNetworkOptions,
};
use futures_util::future::try_join_all;

use super::{
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
    doing: &Doing<'_>,
    project: &Project,
    state: &Path,
    services: &[String],
) -> Result<(), InfraError> {
    let owner = Owner { project: &project.name, state, apply: doing.apply };
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

async fn network(doing: &Doing<'_>, owner: Owner<'_>, key: &str, network: &Network) -> Result<(), InfraError> {
    let look = doing.engine.docker.inspect_network(&network.name, None::<InspectNetworkOptions>);
    if is_there(&format!("look at the network {}", network.name), look).await? {
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
    doing.to_its_end(async move { within(&action, SLOW, docker.create_network(body)).await.map(|_| ()) }).await
}

async fn volume(doing: &Doing<'_>, owner: Owner<'_>, key: &str, volume: &Volume) -> Result<(), InfraError> {
    let look = doing.engine.docker.inspect_volume(&volume.name);
    if is_there(&format!("look at the volume {}", volume.name), look).await? {
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

async fn is_there<T>(action: &str, look: impl Future<Output = Result<T, Error>>) -> Result<bool, InfraError> {
    match tokio::time::timeout(QUICK, look).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) if is_gone(&error) => Ok(false),
        Ok(Err(error)) => Err(failed(action, &error)),
        Err(_) => Err(silent(action, QUICK)),
    }
}

fn absent(kind: &str, name: &str) -> InfraError {
    InfraError::Docker {
        action: format!("use the {kind} {name}"),
        why: "it is external, and it is not here".into(),
        remedy: format!("make it with `docker {kind} create {name}`"),
    }
}
