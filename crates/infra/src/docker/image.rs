//! The backend's image: this very program with the libraries it runs on, handed to the Engine as a tar archive.
//!
//! No Dockerfile and no registry is needed. With `ECOMCTL_IMAGE_BASE` the same files are put on top of another image.

mod pack;

use std::{collections::HashMap, path::Path, sync::Arc};

use bollard::{
    Docker,
    models::ImageInspect,
    query_parameters::{
        BuildImageOptionsBuilder, CreateImageOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
        RemoveImageOptionsBuilder,
    },
};
use futures_util::{Stream, StreamExt as _};
use hyper::body::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::pack::Pack;
use super::call;
use crate::error::InfraError;

/// Variable that names an image to build on.
pub const BASE: &str = "ECOMCTL_IMAGE_BASE";
/// Repository of the images that are made here.
pub const REPOSITORY: &str = "ecomctl-backend";
/// Label with the digest of the program.
pub const LABEL: &str = "dev.ecomctl.image";
/// Label with the path of the program: an image of another digest, but the same path, is out of date.
pub const PROGRAM: &str = "dev.ecomctl.program";
/// User and group of the backend inside: nobody of the host.
pub const USER: u32 = 65_534;
/// Changes when the files are laid out in another way.
const LAYOUT: u32 = 1;

/// What became of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its name with its tag.
    pub image: String,
    /// It was made now.
    pub built: bool,
    /// Older images of this program that were removed.
    pub removed: Vec<String>,
}

fn failed(why: impl std::fmt::Display) -> InfraError {
    InfraError::BackendImage { why: contract::cause::once(&why.to_string()) }
}

/// What the Engine knows of an image; none where it answers that there is no such image. Any other error says nothing
/// about that.
async fn known(docker: &Docker, image: &str) -> Result<Option<ImageInspect>, InfraError> {
    match docker.inspect_image(image).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if call::is_gone(&error) => Ok(None),
        Err(error) => Err(call::failed(&format!("look at the image {image}"), &error)),
    }
}

/// Makes the image of this program where the Engine does not have it yet, and removes those of older builds.
///
/// # Errors
/// Where the program is none of the Engine's machine, cannot be read, or the Engine refuses the image.
pub async fn ensure(docker: &Docker, base: Option<&str>, cancel: &CancellationToken) -> Result<Made, InfraError> {
    let making = make(docker, base);
    tokio::select! {
        made = making => made,
        () = cancel.cancelled() => Err(InfraError::Cancelled { stage: "making the backend's image".into() }),
    }
}

async fn make(docker: &Docker, base: Option<&str>) -> Result<Made, InfraError> {
    fits(docker).await?;
    let pack = tokio::task::spawn_blocking(Pack::of_this_program).await.map_err(failed)?;
    let pack = Arc::new(pack.map_err(failed)?);
    let tag = tag(docker, &pack, base).await?;
    let image = format!("{REPOSITORY}:{tag}");
    let built = known(docker, &image).await?.is_none();
    if built {
        match base {
            None => import(docker, &pack, &tag).await?,
            Some(base) => build(docker, &pack, base, &image).await?,
        }
    }
    let removed = remove_older(docker, &pack, &image).await;
    Ok(Made { image, built, removed })
}

/// The program must run on the Engine's machine.
async fn fits(docker: &Docker) -> Result<(), InfraError> {
    if !cfg!(target_os = "linux") {
        return Err(failed(format!(
            "containers need a Linux program, and this one runs on {}; give ECOMCTL_IMAGE_BACKEND an image of the \
             backend (compose/backend/Dockerfile), or leave --size away",
            std::env::consts::OS
        )));
    }
    let version = docker.version().await.map_err(failed)?;
    let (ours, theirs) = (go_arch(std::env::consts::ARCH), version.arch.unwrap_or_else(|| "unknown".into()));
    if ours != theirs {
        return Err(failed(format!("this program is one for {ours}, and the Engine runs on {theirs}")));
    }
    Ok(())
}

/// Architectures by the names that Engines use.
fn go_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The same program on the same base has the same tag.
async fn tag(docker: &Docker, pack: &Pack, base: Option<&str>) -> Result<String, InfraError> {
    let Some(base) = base else { return Ok(short(&format!("{LAYOUT} {}", pack.digest))) };
    let id = known(docker, base).await?.and_then(|image| image.id).unwrap_or_default();
    Ok(short(&format!("{LAYOUT} {} {base} {id}", pack.digest)))
}

fn short(text: &str) -> String {
    pack::hex(&Sha256::digest(text.as_bytes()))[..12].to_owned()
}

/// Settings of the image, as lines of a Dockerfile.
fn settings(pack: &Pack) -> Vec<String> {
    let entry = serde_json::to_string(&pack.entrypoint()).unwrap_or_default();
    vec![
        format!("LABEL {LABEL}={}", pack.digest),
        // A path may hold blanks and quotes; JSON's way to write it is the Dockerfile's too.
        format!("LABEL {PROGRAM}={}", serde_json::Value::from(pack.program.to_string_lossy().into_owned())),
        format!("ENV SSL_CERT_FILE={}", pack::CERTIFICATES),
        format!("USER {USER}:{USER}"),
        "WORKDIR /tmp".into(),
        "STOPSIGNAL SIGTERM".into(),
        format!("ENTRYPOINT {entry}"),
    ]
}

async fn import(docker: &Docker, pack: &Arc<Pack>, tag: &str) -> Result<(), InfraError> {
    // An import takes no STOPSIGNAL; SIGTERM is the default.
    let changes = settings(pack).into_iter().filter(|line| !line.starts_with("STOPSIGNAL")).collect();
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(REPOSITORY)
        .tag(tag)
        .message("made by ecomctl from itself")
        .changes(changes)
        .build();
    let (blocks, writing) = stream(pack.clone(), None);
    let body = bollard::body_try_stream(blocks);
    let mut answer = std::pin::pin!(docker.create_image(Some(options), Some(body), None));
    let mut result = Ok(());
    while let Some(line) = answer.next().await {
        if let Err(error) = line {
            result = Err(failed(error));
        }
    }
    written(writing, result).await
}

async fn build(docker: &Docker, pack: &Arc<Pack>, base: &str, image: &str) -> Result<(), InfraError> {
    let dockerfile = format!("FROM {base}\nCOPY root/ /\n{}\n", settings(pack).join("\n"));
    let options = BuildImageOptionsBuilder::new().dockerfile("Dockerfile").t(image).rm(true).forcerm(true).build();
    let (blocks, writing) = stream(pack.clone(), Some(dockerfile));
    let body = bollard::body_try_stream(blocks);
    let mut answer = std::pin::pin!(docker.build_image(options, None, Some(body)));
    let mut result = Ok(());
    while let Some(line) = answer.next().await {
        if let Err(error) = line {
            result = Err(failed(format!("on {base} ({BASE}): {error}")));
        }
    }
    written(writing, result).await
}

/// The Engine's own words count more than that it stopped listening.
async fn written(writing: JoinHandle<std::io::Result<()>>, result: Result<(), InfraError>) -> Result<(), InfraError> {
    let written = writing.await.map_err(failed)?;
    result?;
    written.map_err(failed)
}

/// The archive as it is written: a few blocks at a time, never the whole of it in memory.
fn stream(
    pack: Arc<Pack>,
    dockerfile: Option<String>,
) -> (impl Stream<Item = std::io::Result<Bytes>> + Send + 'static, JoinHandle<std::io::Result<()>>) {
    let (sender, receiver) = mpsc::channel::<std::io::Result<Bytes>>(4);
    let writing = tokio::task::spawn_blocking(move || pack.write(sender, dockerfile.as_deref()));
    let blocks = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let block = receiver.recv().await?;
        Some((block, receiver))
    });
    (blocks, writing)
}

/// Removes images that an older build of the same program made, where no container has them. What cannot be removed
/// stays: it is in the way of nothing.
async fn remove_older(docker: &Docker, pack: &Pack, image: &str) -> Vec<String> {
    let filters = HashMap::from([("label".to_owned(), vec![LABEL.to_owned()])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let images = docker.list_images(Some(options)).await.unwrap_or_default();
    let containers = docker.list_containers(Some(ListContainersOptionsBuilder::new().all(true).build())).await;
    // Without knowing what is in use nothing is removed.
    let Ok(containers) = containers else { return Vec::new() };
    let used: Vec<_> = containers.into_iter().filter_map(|container| container.image_id).collect();
    let program = pack.program.to_string_lossy();
    let mut removed = Vec::new();
    for old in images {
        let same_program = old.labels.get(PROGRAM).is_some_and(|path| *path == program);
        let current = old.labels.get(LABEL) == Some(&pack.digest) || old.repo_tags.iter().any(|tag| tag == image);
        if !same_program || current || used.contains(&old.id) {
            continue;
        }
        let name = old.repo_tags.first().cloned().unwrap_or_else(|| old.id.clone());
        let options = RemoveImageOptionsBuilder::new().build();
        if docker.remove_image(&old.id, Some(options), None).await.is_ok() {
            removed.push(name);
        }
    }
    removed
}

/// Number of the user that an image of somebody else runs as; 0 where it says none, or only a name, or is not there yet.
///
/// # Errors
/// Where the Engine cannot tell.
pub async fn user_of(docker: &Docker, image: &str) -> Result<u32, InfraError> {
    let config = known(docker, image).await?.and_then(|image| image.config);
    let user = config.and_then(|config| config.user).unwrap_or_default();
    Ok(user.split(':').next().and_then(|user| user.parse().ok()).unwrap_or(0))
}

/// Where the image has a file of the host.
fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_short_and_its_own() {
        assert_eq!(short("a").len(), 12);
        assert_ne!(short("a"), short("b"));
    }

    #[test]
    fn the_settings_run_the_program_as_nobody() {
        let lines = settings(&Pack::of_this_program().unwrap()).join("\n");
        assert!(lines.contains("USER 65534:65534") && lines.contains("ENTRYPOINT [\""), "{lines}");
        assert!(lines.contains("/opt/ecomctl/ecomctl\"]"), "{lines}");
    }
}
