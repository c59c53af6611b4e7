//! Labels: compose's own, by which it and we find what belongs to a project, and a few of ours.

use std::{collections::HashMap, path::Path};

use compose::model::{Condition, Service};

pub use crate::owned::{ID, PROJECT, STATE, SYSTEM};

/// Service of a container.
pub const SERVICE: &str = "com.docker.compose.service";
/// Number of a container among those of its service, from 1.
pub const NUMBER: &str = "com.docker.compose.container-number";
/// Digest of everything that a container was made from.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// `service:condition:restart`, separated by commas.
pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// Key of a network in the files.
pub const NETWORK: &str = "com.docker.compose.network";
/// Key of a volume in the files.
pub const VOLUME: &str = "com.docker.compose.volume";
/// Whether a container is one of `docker compose run`.
pub const ONE_OFF: &str = "com.docker.compose.oneoff";
const IMAGE: &str = "com.docker.compose.image";
const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
/// Component as ecomctl names it.
pub const COMPONENT: &str = "dev.ecomctl.component";
/// The `up` that made it: what a failed one made is found by this.
pub const APPLY: &str = "dev.ecomctl.apply";

/// Name of the component that container `number` of `service` is.
pub fn component(service: &str, number: u16) -> String {
    match service {
        "api" | "consumer" | "reconciler" => format!("{service}-{number}"),
        _ if number == 1 => service.to_owned(),
        _ => format!("{service}-{number}"),
    }
}

/// What is labelled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    pub project: &'a str,
    pub state: &'a Path,
    /// Id of the state folder; empty for a folder without a mark.
    pub id: &'a str,
    /// System; empty where the project is no system's.
    pub system: &'a str,
    /// Number of this `up`.
    pub apply: &'a str,
}

impl Owner<'_> {
    /// Of a network or volume.
    pub fn thing(
        &self,
        kind: &str,
        key: &str,
        own: &std::collections::BTreeMap<String, String>,
    ) -> HashMap<String, String> {
        let mut labels: HashMap<_, _> = own.clone().into_iter().collect();
        labels.extend(self.common());
        labels.insert(kind.to_owned(), key.to_owned());
        labels
    }

    /// Of a container.
    pub fn container(
        &self,
        name: &str,
        number: u16,
        service: &Service,
        hash: &str,
        image: &str,
    ) -> HashMap<String, String> {
        let mut labels: HashMap<_, _> = service.labels.clone().into_iter().collect();
        labels.extend(self.common());
        let own = [
            (SERVICE, name.to_owned()),
            (NUMBER, number.to_string()),
            (CONFIG_HASH, hash.to_owned()),
            (ONE_OFF, "False".to_owned()),
            (IMAGE, image.to_owned()),
            (WORKING_DIR, self.state.display().to_string()),
            (CONFIG_FILES, String::new()),
            (DEPENDS_ON, depends_on(service)),
            (COMPONENT, component(name, number)),
        ];
        labels.extend(own.map(|(key, value)| (key.to_owned(), value)));
        labels
    }

    fn common(&self) -> impl Iterator<Item = (String, String)> {
        let state = self.state.display().to_string();
        let all = [(PROJECT, self.project), (STATE, &state), (APPLY, self.apply), (ID, self.id), (SYSTEM, self.system)];
        let all = all.map(|(key, value)| (key.to_owned(), value.to_owned()));
        all.into_iter().filter(|(_, value)| !value.is_empty())
    }
}

fn depends_on(service: &Service) -> String {
    let words = service.depends_on.iter().map(|(name, condition)| {
        let condition = match condition {
            Condition::ServiceStarted => "service_started",
            Condition::ServiceHealthy => "service_healthy",
            Condition::ServiceCompletedSuccessfully => "service_completed_successfully",
        };
        format!("{name}:{condition}:false")
    });
    words.collect::<Vec<_>>().join(",")
}

/// Filter of the Engine for everything of a project.
pub(super) fn of_project(project: &str) -> HashMap<String, Vec<String>> {
    with(PROJECT, project)
}

/// Filter of the Engine for whatever has the label `key` with this value.
pub fn with(key: &str, value: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{key}={value}")])])
}

/// Filter of the Engine for what one `up` made.
pub(super) fn of_apply(project: &str, apply: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{PROJECT}={project}"), format!("{APPLY}={apply}")])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_have_their_names() {
        assert_eq!(component("mysql", 1), "mysql");
        assert_eq!(component("kafka-2", 1), "kafka-2");
        assert_eq!(component("consumer", 3), "consumer-3");
        assert_eq!(component("api-small", 1), "api-small");
    }
}
