//! Images: whether they are here, and fetching them.

use std::collections::BTreeMap;

use bollard::{errors::Error, query_parameters::CreateImageOptions};
use compose::model::Project;
use futures_util::{StreamExt as _, future::try_join_all};

use super::{
    Engine,
    call::{QUICK, failed, is_gone, silent},
};
use crate::{
    error::InfraError,
    up::{Progress, UpEvent},
};

/// A pull that brings nothing for this long is given up.
const STALLED: std::time::Duration = std::time::Duration::from_secs(120);

/// Images of `services` that the Engine does not have, each once.
///
/// # Errors
/// Where the Engine does not answer.
pub async fn missing(engine: &Engine, project: &Project, services: &[String]) -> Result<Vec<String>, InfraError> {
    let found = look(engine, &images(project, services)).await?;
    Ok(found.into_iter().filter(|(_, id)| id.is_none()).map(|(image, _)| image).collect())
}

/// Image → id of each service's image; those that are not here are fetched where `pull` allows it.
pub(super) async fn ensure(
    engine: &Engine,
    project: &Project,
    services: &[String],
    pull: bool,
    progress: Progress<'_>,
) -> Result<BTreeMap<String, String>, InfraError> {
    let mut found = look(engine, &images(project, services)).await?;
    let absent: Vec<String> = found.iter().filter(|(_, id)| id.is_none()).map(|(image, _)| image.clone()).collect();
    if !pull && let Some(image) = absent.first() {
        return Err(InfraError::Docker {
            action: format!("use the image {image}"),
            why: "it is not here".into(),
            remedy: format!("fetch it with --pull or `docker pull {image}`, or name another one by ECOMCTL_IMAGE_…"),
        });
    }
    try_join_all(absent.iter().map(|image| fetch(engine, image, progress))).await?;
    if !absent.is_empty() {
        found.extend(look(engine, &absent).await?);
    }
    let ids = found.into_iter().map(|(image, id)| match id {
        Some(id) => Ok((image, id)),
        None => Err(InfraError::Docker {
            action: format!("fetch the image {image}"),
            why: "the pull ended and the image is not here".into(),
            remedy: "check its name and platform".into(),
        }),
    });
    ids.collect()
}

fn images(project: &Project, services: &[String]) -> Vec<String> {
    let mut images: Vec<_> =
        services.iter().filter_map(|name| Some(project.services.get(name)?.image.clone())).collect();
    images.sort();
    images.dedup();
    images
}

async fn look(engine: &Engine, images: &[String]) -> Result<BTreeMap<String, Option<String>>, InfraError> {
    let looks = images.iter().map(|image| async move {
        let action = format!("look for the image {image}");
        match tokio::time::timeout(QUICK, engine.docker.inspect_image(image)).await {
            Ok(Ok(found)) => Ok((image.clone(), Some(found.id.unwrap_or_default()))),
            Ok(Err(error)) if is_gone(&error) => Ok((image.clone(), None)),
            Ok(Err(error)) => Err(failed(&action, &error)),
            Err(_) => Err(silent(&action, QUICK)),
        }
    });
    Ok(try_join_all(looks).await?.into_iter().collect())
}

/// Fetches one image and tells how far it is.
async fn fetch(engine: &Engine, image: &str, progress: Progress<'_>) -> Result<(), InfraError> {
    let action = format!("fetch the image {image}");
    let (name, tag) = split(image);
    let options =
        CreateImageOptions { from_image: Some(name.to_owned()), tag: Some(tag.to_owned()), ..Default::default() };
    let mut stream = std::pin::pin!(engine.docker.create_image(Some(options), None, None));
    let mut layers: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut told = (0, 0);
    progress(UpEvent::Pulling { image: image.to_owned(), done: 0, total: 0 });
    loop {
        let info = match tokio::time::timeout(STALLED, stream.next()).await {
            Ok(Some(Ok(info))) => info,
            Ok(Some(Err(error))) => return Err(failed(&action, &error)),
            Ok(None) => return Ok(()),
            Err(_) => return Err(silent(&action, STALLED)),
        };
        if let Some(detail) = info.error_detail {
            let error = detail.message.unwrap_or_default();
            return Err(failed(&action, &Error::DockerStreamError { error }));
        }
        if let (Some(id), Some(detail)) = (info.id, info.progress_detail)
            && let (Some(current), Some(total)) = (detail.current, detail.total)
        {
            layers.insert(id, (current.max(0) as u64, total.max(0) as u64));
        }
        let sum = layers.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        // Every tenth, not every block.
        if sum.1 > 0 && (sum.0 * 10 / sum.1 != told.0 || sum.1 != told.1) {
            told = (sum.0 * 10 / sum.1, sum.1);
            progress(UpEvent::Pulling { image: image.to_owned(), done: sum.0, total: sum.1 });
        }
    }
}

/// Name and tag (or digest) of a reference; without one it is `latest`. A colon before a slash is a registry's port.
fn split(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        return (name, digest);
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_as_docker_does() {
        assert_eq!(split("mysql:8.4"), ("mysql", "8.4"));
        assert_eq!(split("mysql"), ("mysql", "latest"));
        assert_eq!(split("host:5000/mysql"), ("host:5000/mysql", "latest"));
        assert_eq!(split("host:5000/a/mysql:8"), ("host:5000/a/mysql", "8"));
        assert_eq!(split("mysql@sha256:ab"), ("mysql", "sha256:ab"));
    }
}
