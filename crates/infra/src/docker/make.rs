//! One container: made, filled with its files, started, removed.

use std::{collections::HashMap, time::Duration};

use bollard::{
    errors::Error,
    models::{ContainerCreateBody, NetworkConnectRequest},
    query_parameters::{
        CreateContainerOptions, RemoveContainerOptions, RenameContainerOptions, StartContainerOptions,
        StopContainerOptions, UploadToContainerOptions,
    },
};
use compose::model::{Project, Service};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Engine,
    call::{QUICK, SLOW, failed, is_done_already, silent, within},
    files, labels, list, ports,
    request::ExtraFile,
    spec,
};
use crate::error::InfraError;

/// How long a container may take to end where its service does not say.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// Pause before the Engine is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// Everything that one container is made from.
pub(super) struct Recipe<'a> {
    pub project: &'a Project,
    pub name: &'a str,
    pub service: &'a Service,
    pub number: u16,
    pub hash: &'a str,
    pub image_id: &'a str,
    pub files: &'a [ExtraFile],
    pub owner: labels::Owner<'a>,
    /// The container that has its name now and goes when this one is what it should be.
    pub beside: Option<&'a str>,
}

impl Recipe<'_> {
    /// Whether a container with these labels has the place of this one, and was made for the same state folder.
    fn is_in_place(&self, labels: &HashMap<String, String>) -> bool {
        let is = |key: &str, value: &str| labels.get(key).is_some_and(|found| found == value);
        let state = self.owner.state.display().to_string();
        let ours =
            if labels.contains_key(labels::ID) { is(labels::ID, self.owner.id) } else { is(labels::STATE, &state) };
        ours && is(labels::PROJECT, &self.project.name)
            && is(labels::SERVICE, self.name)
            && is(labels::NUMBER, &self.number.to_string())
    }

    /// Whose a container with these labels is, in words.
    fn whose(&self, labels: &HashMap<String, String>) -> String {
        match (labels.get(labels::PROJECT), labels.get(labels::SERVICE)) {
            (None, _) => "of no compose project".to_owned(),
            (Some(project), Some(service)) if *project == self.project.name => format!("of the service {service}"),
            (Some(project), _) => format!("of the compose project {project}"),
        }
    }

    /// Its name until it has its place.
    fn first_name(&self) -> String {
        let name = container_name(self.project, self.name, self.service, self.number);
        // As docker compose names one that stands beside another.
        self.beside.map_or_else(|| name.clone(), |id| format!("{}_{name}", &id[..id.len().min(12)]))
    }
}

/// Name of container `number` of the service `name`.
pub(super) fn container_name(project: &Project, name: &str, service: &Service, number: u16) -> String {
    service.container_name.clone().unwrap_or_else(|| format!("{}-{name}-{number}", project.name))
}

/// Makes a container and puts its files into it; it is not started yet.
pub(super) async fn create(engine: &Engine, recipe: &Recipe<'_>) -> Result<String, InfraError> {
    let name = recipe.first_name();
    let mut body = spec::create_body(engine, recipe.project, recipe.name, recipe.service);
    body.labels =
        Some(recipe.owner.container(recipe.name, recipe.number, recipe.service, recipe.hash, recipe.image_id));
    let made = named(engine, recipe, &name, body).await?;
    let files = files::of(recipe.project, recipe.service, recipe.files);
    if !files.is_empty() {
        let bytes = files::archive(&files).map_err(InfraError::io("pack the files of", &name))?;
        let options = UploadToContainerOptions { path: "/".into(), ..Default::default() };
        let upload = engine.docker.upload_to_container(&made, Some(options), bollard::body_full(bytes.into()));
        within(&format!("put its files into {name}"), SLOW, upload).await?;
    }
    for (network, endpoint) in spec::others(recipe.project, recipe.name, recipe.service) {
        let request = NetworkConnectRequest { container: made.clone(), endpoint_config: Some(endpoint) };
        let join = engine.docker.connect_network(&network, request);
        within(&format!("join {name} to the network {network}"), QUICK, join).await?;
    }
    Ok(made)
}

/// Makes the container; gives its id. The Engine may still be at work on what a killed command asked for: such a one
/// holds the name before it is listed, and goes as soon as it can be seen.
async fn named(
    engine: &Engine,
    recipe: &Recipe<'_>,
    name: &str,
    body: ContainerCreateBody,
) -> Result<String, InfraError> {
    let action = format!("make the container {name}");
    let begun = Instant::now();
    loop {
        let options = CreateContainerOptions {
            name: Some(name.to_owned()),
            platform: recipe.service.platform.clone().unwrap_or_default(),
        };
        let conflict = match timeout(SLOW, engine.docker.create_container(Some(options), body.clone())).await {
            Ok(Ok(made)) => return Ok(made.id),
            Ok(Err(error @ Error::DockerResponseServerError { status_code: 409, .. })) => error,
            Ok(Err(error)) => return Err(failed(&action, &error)),
            Err(_) => return Err(silent(&action, SLOW)),
        };
        match list::labels_of(engine, name).await? {
            Some(labels) if !recipe.is_in_place(&labels) => {
                return Err(InfraError::Docker {
                    action,
                    why: format!("a container of that name is there, and it is {}", recipe.whose(&labels)),
                    remedy: format!("end that, or remove it with `docker rm -f {name}` if it is yours"),
                });
            }
            Some(_) => delete(engine, name, name).await?,
            None => {}
        }
        if begun.elapsed() > QUICK {
            return Err(failed(&action, &conflict));
        }
        sleep(PAUSE).await;
    }
}

/// Starts a container that is there.
pub(super) async fn start(engine: &Engine, component: &str, id: &str) -> Result<(), InfraError> {
    let action = format!("start {component}");
    match timeout(SLOW, engine.docker.start_container(id, None::<StartContainerOptions>)).await {
        // 304: it runs already. Something that is not there (404) is an error here.
        Ok(Ok(()) | Err(Error::DockerResponseServerError { status_code: 304, .. })) => Ok(()),
        Ok(Err(error)) => Err(match &error {
            Error::DockerResponseServerError { message, .. } => match ports::in_words(message) {
                Some(port) => ports::taken(engine, component, port).await,
                None => failed(&action, &error),
            },
            _ => failed(&action, &error),
        }),
        Err(_) => Err(silent(&action, SLOW)),
    }
}

/// Asks a container to end, waits for `grace`, and lets the Engine kill it then. `name` is for messages.
///
/// # Errors
/// When the Engine refuses or does not answer in time.
pub async fn stop(engine: &Engine, name: &str, id: &str, grace: Duration) -> Result<(), InfraError> {
    let options = StopContainerOptions { t: Some(grace.as_secs() as i32), ..Default::default() };
    let action = format!("stop {name}");
    match timeout(grace + QUICK, engine.docker.stop_container(id, Some(options))).await {
        Ok(Err(error)) if !is_done_already(&error) => Err(failed(&action, &error)),
        Ok(_) => Ok(()),
        Err(_) => Err(silent(&action, grace + QUICK)),
    }
}

/// Gives a container its name.
pub(super) async fn rename(engine: &Engine, id: &str, name: &str) -> Result<(), InfraError> {
    let options = RenameContainerOptions { name: name.to_owned() };
    within(&format!("name a container {name}"), QUICK, engine.docker.rename_container(id, options)).await
}

/// Removes a container, and the volumes without a name that its image declared. One that is gone already is no error.
/// `name` is for messages.
///
/// # Errors
/// When the Engine refuses or does not answer in time.
pub async fn delete(engine: &Engine, name: &str, id: &str) -> Result<(), InfraError> {
    let options = RemoveContainerOptions { v: true, force: true, link: false };
    let action = format!("remove {name}");
    match timeout(SLOW, engine.docker.remove_container(id, Some(options))).await {
        Ok(Err(error)) if !is_done_already(&error) => return Err(failed(&action, &error)),
        Ok(Ok(())) => return Ok(()),
        Ok(Err(_)) => {}
        Err(_) => return Err(silent(&action, SLOW)),
    }
    // Somebody else is removing it: its name is free when it is gone.
    for _ in 0..100 {
        if list::inspect(engine, id).await?.is_none() {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    Err(InfraError::Docker {
        action,
        why: "its removal does not come to an end".into(),
        remedy: "see the Engine's own log".into(),
    })
}
