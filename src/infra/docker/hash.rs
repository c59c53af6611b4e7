//! The digest of everything a container is made from: where it is the same, the container is left alone.

use std::{collections::BTreeMap, fmt::Write as _};

use sha2::{Digest as _, Sha256};

use super::request::ExtraFile;
use crate::compose::model::{Content, Project, Service};

/// Digest of `service` as it is resolved. How many containers there are, what they wait for and which profiles name the
/// service changes no container, so it does not count.
pub(super) fn of(project: &Project, service: &Service, image_id: &str, files: &[ExtraFile]) -> String {
    let alone = Service { replicas: 0, depends_on: BTreeMap::new(), profiles: Vec::new(), ..service.clone() };
    let mut hasher = Sha256::new();
    let mut add = |part: &[u8]| {
        // With its length before it, no part can be mistaken for the end of another.
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    add(serde_json::to_string(&alone).unwrap_or_default().as_bytes());
    add(image_id.as_bytes());
    for grant in &service.configs {
        add(project.configs.get(&grant.source).map(Content::digest).unwrap_or_default().as_bytes());
    }
    for grant in &service.secrets {
        add(project.secrets.get(&grant.source).map(Content::digest).unwrap_or_default().as_bytes());
    }
    for network in service.networks.keys() {
        add(project.networks.get(network).map_or("", |network| network.name.as_str()).as_bytes());
    }
    for volume in project.volumes.values() {
        add(volume.name.as_bytes());
    }
    for file in files {
        add(file.path.as_bytes());
        add(&file.bytes);
        add(&file.mode.to_le_bytes());
    }
    hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::model::{Condition, Grant};

    fn project(secret: &str) -> Project {
        let content = Content { bytes: secret.as_bytes().to_vec(), secret: true };
        Project {
            name: "p".into(),
            services: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            configs: BTreeMap::new(),
            secrets: BTreeMap::from([("s".to_owned(), content)]),
        }
    }

    fn service() -> Service {
        let grant = Grant { source: "s".into(), target: "/run/secrets/s".into(), uid: 0, gid: 0, mode: 0o444 };
        Service { image: "i".into(), secrets: vec![grant], ..Service::default() }
    }

    #[test]
    fn what_makes_another_container_changes_it_and_nothing_else_does() {
        let base = of(&project("a"), &service(), "sha256:1", &[]);
        let same = Service {
            replicas: 3,
            profiles: vec!["x".into()],
            depends_on: BTreeMap::from([("db".to_owned(), Condition::ServiceHealthy)]),
            ..service()
        };
        assert_eq!(base, of(&project("a"), &same, "sha256:1", &[]));
        assert_ne!(base, of(&project("b"), &service(), "sha256:1", &[]), "another secret");
        assert_ne!(base, of(&project("a"), &service(), "sha256:2", &[]), "another image under the same name");
        let other = Service { environment: BTreeMap::from([("A".to_owned(), "1".to_owned())]), ..service() };
        assert_ne!(base, of(&project("a"), &other, "sha256:1", &[]));
        let file = ExtraFile { path: "/f".into(), bytes: vec![1], mode: 0o400, uid: 0, gid: 0 };
        assert_ne!(base, of(&project("a"), &service(), "sha256:1", &[file]));
    }
}
