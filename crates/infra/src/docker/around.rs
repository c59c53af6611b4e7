//! What containers stand in: networks and volumes.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use bollard::{
    errors::Error,
    models::{NetworkCreateRequest, VolumeCreateRequest},
    query_parameters::ListNetworksOptions,
};
use compose::model::{MountSource, Network, Project, Service, Volume};
use futures_util::future::try_join_all;

use super::{
    Engine,
    call::{QUICK, SLOW, failed, is_gone, silent, within},
    labels::{self, Owner},
    undo::Doing,
};
use crate::{error::InfraError, owned::Labels};

/// Makes the networks and volumes of `services` that are not there yet.
pub(super) async fn ensure(
    doing: &Doing,
    project: &Project,
    state: &Path,
    services: &[String],
) -> Result<(), InfraError> {
    let owner =
        Owner { project: &project.name, state, id: doing.folder.id(), system: &doing.system, apply: &doing.apply };
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
    if one_of(doing, network).await? {
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
    one_of(doing, network).await.map(|_| ())
}

/// Whether the network is there. A command that was killed may have had it made twice, which Engines before API 1.44 allow;
/// no container starts then, so those that nobody uses go until one is left.
async fn one_of(doing: &Doing, network: &Network) -> Result<bool, InfraError> {
    let engine = &doing.engine;
    let filters = HashMap::from([("name".to_owned(), vec![network.name.clone()])]);
    let options = ListNetworksOptions { filters: Some(filters) };
    let action = format!("look for the network {}", network.name);
    let found = within(&action, QUICK, engine.docker.list_networks(Some(options))).await?;
    // The filter takes parts of names too.
    let found = found.into_iter().filter(|found| found.name.as_deref() == Some(&network.name));
    let found: Vec<_> = found.collect();
    if network.external {
        return Ok(!found.is_empty());
    }
    let mut left = found.len();
    let ours =
        found.into_iter().filter(|found| doing.folder.owns(Labels::of(&found.labels.clone().unwrap_or_default())));
    for id in ours.filter_map(|found| found.id) {
        if left < 2 {
            break;
        }
        // The Engine refuses where containers are in it.
        if let Ok(Ok(())) = tokio::time::timeout(QUICK, engine.docker.remove_network(&id)).await {
            left -= 1;
        }
    }
    Ok(left > 0)
}

/// Ids of all networks of the Engine.
pub(super) async fn network_ids(engine: &Engine) -> Result<BTreeSet<String>, InfraError> {
    let found = within("list networks", QUICK, engine.docker.list_networks(None::<ListNetworksOptions>)).await?;
    Ok(found.into_iter().filter_map(|network| network.id).collect())
}

async fn volume(doing: &Doing, owner: Owner<'_>, key: &str, volume: &Volume) -> Result<(), InfraError> {
    let look = doing.engine.docker.inspect_volume(&volume.name);
    match found(&format!("look at the volume {}", volume.name), look).await? {
        Some(_) if volume.external => return Ok(()),
        Some(there) if doing.folder.owns(Labels::of(&there.labels)) => return Ok(()),
        Some(there) => return Err(of_another(&volume.name, &there.labels)),
        None if volume.external => return Err(absent("volume", &volume.name)),
        None => {}
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
    let look = engine.docker.inspect_volume(name);
    Ok(found(&format!("look at the volume {name}"), look).await?.is_some())
}

async fn found<T>(action: &str, look: impl Future<Output = Result<T, Error>>) -> Result<Option<T>, InfraError> {
    match tokio::time::timeout(QUICK, look).await {
        Ok(Ok(found)) => Ok(Some(found)),
        Ok(Err(error)) if is_gone(&error) => Ok(None),
        Ok(Err(error)) => Err(failed(action, &error)),
        Err(_) => Err(silent(action, QUICK)),
    }
}

/// Our servers would write into somebody else's data.
fn of_another(name: &str, labels: &HashMap<String, String>) -> InfraError {
    let whose = labels.get(labels::PROJECT).map_or_else(String::new, |project| format!(" for the project {project}"));
    InfraError::Docker {
        action: format!("use the volume {name}"),
        why: format!("it was not made for this state folder, but elsewhere{whose}"),
        remedy: "say `external: true` of it in the compose file if it is meant, or give the volume another name".into(),
    }
}

fn absent(kind: &str, name: &str) -> InfraError {
    InfraError::Docker {
        action: format!("use the {kind} {name}"),
        why: "it is external, and it is not here".into(),
        remedy: format!("make it with `docker {kind} create {name}`"),
    }
}
