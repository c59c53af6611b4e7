//! The digest of everything a container is made from: where it is the same, the container is left alone.

use std::{collections::BTreeMap, fmt::Write as _};

use compose::model::{Content, MountSource, Project, Service};
use sha2::{Digest as _, Sha256};

use super::request::ExtraFile;

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
    // Only those that it mounts: a volume more for somebody else changes nothing here.
    for mount in &service.volumes {
        if let MountSource::Volume(key) = &mount.source {
            add(project.volumes.get(key).map_or("", |volume| volume.name.as_str()).as_bytes());
        }
    }
    for file in files {
        add(file.path.as_bytes());
        add(&file.bytes);
        for number in [file.mode, file.uid, file.gid] {
            add(&number.to_le_bytes());
        }
    }
    hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use compose::model::{Condition, Grant, Mount, Volume};

    fn project(secret: &str) -> Project {
        let content = Content { bytes: secret.as_bytes().to_vec(), secret: true };
        Project {
            name: "p".into(),
            services: BTreeMap::new(),
            off: std::collections::BTreeSet::new(),
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

    fn volume(name: &str) -> Volume {
        Volume { name: name.into(), external: false, driver: None, labels: BTreeMap::new() }
    }

    /// A cluster's second broker brings a volume; the servers that run already must not be made anew for it.
    #[test]
    fn only_volumes_that_the_service_mounts_count() {
        let mount = Mount { source: MountSource::Volume("own".into()), target: "/data".into(), read_only: false };
        let service = Service { volumes: vec![mount], ..service() };
        let mut project = project("a");
        project.volumes.insert("own".into(), volume("p_own"));
        let base = of(&project, &service, "sha256:1", &[]);
        project.volumes.insert("another".into(), volume("p_another"));
        assert_eq!(base, of(&project, &service, "sha256:1", &[]));
        project.volumes.insert("own".into(), volume("renamed"));
        assert_ne!(base, of(&project, &service, "sha256:1", &[]));
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
        let with = of(&project("a"), &service(), "sha256:1", std::slice::from_ref(&file));
        assert_ne!(base, with);
        assert_ne!(with, of(&project("a"), &service(), "sha256:1", &[ExtraFile { uid: 7, ..file }]), "another owner");
    }
}
