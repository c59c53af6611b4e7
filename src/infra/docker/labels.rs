//! Labels: compose's own, by which it and we find what belongs to a project, and a few of ours.

use std::{collections::HashMap, fmt::Write as _, path::Path};

use sha2::{Digest as _, Sha256};

use crate::compose::model::{Condition, Service};

/// Project.
pub const PROJECT: &str = "com.docker.compose.project";
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
/// State folder whose stack this is.
pub const STATE: &str = "dev.ecomctl.state";
/// Component as ecomctl names it.
pub const COMPONENT: &str = "dev.ecomctl.component";
/// The `up` that made it: what a failed one made is found by this.
pub const APPLY: &str = "dev.ecomctl.apply";

/// Name of the project of a state folder: two folders never share one.
pub fn project(state: &Path) -> String {
    let digest = Sha256::digest(state.as_os_str().as_encoded_bytes());
    digest.iter().take(3).fold("ecomctl-".to_owned(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    })
}

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

    fn common(&self) -> [(String, String); 3] {
        [
            (PROJECT.to_owned(), self.project.to_owned()),
            (STATE.to_owned(), self.state.display().to_string()),
            (APPLY.to_owned(), self.apply.to_owned()),
        ]
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
    HashMap::from([("label".to_owned(), vec![format!("{PROJECT}={project}")])])
}

/// Filter of the Engine for what one `up` made.
pub(super) fn of_apply(project: &str, apply: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{PROJECT}={project}"), format!("{APPLY}={apply}")])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_have_projects_of_their_own_and_components_their_names() {
        let (a, b) = (project(Path::new("/a/.ecomctl")), project(Path::new("/b/.ecomctl")));
        assert_ne!(a, b);
        assert!(a.starts_with("ecomctl-") && a.len() == 14, "{a}");
        assert_eq!(component("mysql", 1), "mysql");
        assert_eq!(component("kafka-2", 1), "kafka-2");
        assert_eq!(component("consumer", 3), "consumer-3");
        assert_eq!(component("api-small", 1), "api-small");
    }
}
