//! From merged files to a project: profiles chosen, references checked, defaults and contents filled in.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    Options, Profiles, check, env_file,
    files::Contents,
    layer::{ContentLayer, DEFAULT_NETWORK, FileLayer, HealthLayer, ResourceLayer, ServiceLayer},
    model::{Content, Grant, Healthcheck, Mount, MountSource, Network, Project, Service, Volume},
    reader::{Placed, Reader},
};

/// Makes the project. What is wrong stays with the reader.
pub(super) fn project(reader: &mut Reader<'_>, file: FileLayer, options: &Options<'_>) -> Project {
    let name = project_name(reader, &file, options);
    let started = options.demands.started.unwrap_or(|_| false);
    let (active, inactive): (BTreeMap<_, _>, BTreeMap<_, _>) =
        file.services.into_iter().partition(|(name, s)| started(name) || is_active(s, options.profiles));
    let off: BTreeMap<_, _> = inactive.into_iter().map(|(name, service)| (name, service.profiles)).collect();
    let names = off.keys().cloned().collect();
    let known = check::Known {
        off,
        networks: file.networks.keys().cloned().collect(),
        volumes: file.volumes.keys().cloned().collect(),
        configs: file.configs.keys().cloned().collect(),
        secrets: file.secrets.keys().cloned().collect(),
    };
    check::services(reader, &active, &known, &options.demands);
    let services: BTreeMap<String, Service> = active
        .into_iter()
        .map(|(key, layer)| {
            let service = service(reader, &key, layer, options.working_dir);
            (key, service)
        })
        .collect();
    let used = Used::by(&services);
    let contents = Contents::new(options.working_dir);
    let mut networks = resources(&used.networks, file.networks, |key, layer| network(&name, key, layer));
    if used.networks.contains(DEFAULT_NETWORK) {
        let made = || network(&name, DEFAULT_NETWORK, ResourceLayer::default());
        networks.entry(DEFAULT_NETWORK.into()).or_insert_with(made);
    }
    Project {
        networks,
        volumes: resources(&used.volumes, file.volumes, |key, layer| volume(&name, key, layer)),
        configs: read_contents(reader, "configs", &used.configs, file.configs, &contents),
        secrets: read_contents(reader, "secrets", &used.secrets, file.secrets, &contents),
        services,
        off: names,
        name,
    }
}

fn project_name(reader: &mut Reader<'_>, file: &FileLayer, options: &Options<'_>) -> String {
    let (at, name) = match (options.project_name, &file.name) {
        (Some(name), _) => (super::node::At { file: usize::MAX, ..Default::default() }, name.to_owned()),
        (None, Some(placed)) => (placed.at, placed.value.clone()),
        (None, None) => {
            let at = super::node::At { file: 0, line: 1, column: 1 };
            reader.problem_of(at, "name", "the project has no name; add `name:` to the file");
            return String::new();
        }
    };
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c));
    if !fits {
        let wanted = "small letters, digits, `_` and `-`, and begins with a letter or digit";
        reader.problem_of(at, "name", format!("`{name}` is no name of a project: it is made of {wanted}"));
    }
    name
}

fn is_active(service: &ServiceLayer, profiles: Profiles<'_>) -> bool {
    let chosen = match profiles {
        Profiles::All => return true,
        Profiles::Named(names) => names,
    };
    service.profiles.is_empty() || service.profiles.iter().any(|p| chosen.iter().any(|name| name == p || name == "*"))
}

fn service(reader: &mut Reader<'_>, name: &str, layer: ServiceLayer, working_dir: &Path) -> Service {
    let mut environment = env_file::read(reader, name, &layer.env_files, working_dir);
    environment.extend(layer.environment.into_iter().filter_map(|(key, value)| {
        let value = value.or_else(|| reader.vars.get(&key).cloned())?;
        Some((key, value))
    }));
    let networks: BTreeMap<_, _> =
        layer.networks.unwrap_or_default().into_iter().map(|(key, aliases)| (key, aliases.value)).collect();
    let replicas = layer.deploy_replicas.or(layer.scale).map_or(1, |placed| placed.value);
    Service {
        image: layer.image.unwrap_or_default(),
        command: layer.command,
        entrypoint: layer.entrypoint,
        environment,
        ports: values(layer.ports),
        expose: layer.expose,
        volumes: values(layer.volumes).into_iter().map(|m: Mount| absolute(m, working_dir)).collect(),
        configs: values(layer.configs),
        secrets: values(layer.secrets),
        networks: if networks.is_empty() { BTreeMap::from([(DEFAULT_NETWORK.into(), Vec::new())]) } else { networks },
        healthcheck: layer.healthcheck.map(healthcheck),
        depends_on: layer.depends_on.into_iter().map(|(key, condition)| (key, condition.value)).collect(),
        replicas,
        resources: layer.resources,
        ulimits: layer.ulimits,
        profiles: layer.profiles,
        restart: layer.restart.unwrap_or_default(),
        labels: layer.labels,
        container_name: layer.container_name.map(|placed| placed.value),
        hostname: layer.hostname,
        user: layer.user,
        working_dir: layer.working_dir,
        stop_signal: layer.stop_signal,
        stop_grace_period: layer.stop_grace_period,
        init: layer.init,
        privileged: layer.privileged.unwrap_or_default(),
        read_only: layer.read_only.is_some_and(|placed| placed.value),
        cap_add: layer.cap_add,
        cap_drop: layer.cap_drop,
        security_opt: layer.security_opt,
        extra_hosts: layer.extra_hosts,
        pid: layer.pid,
        devices: layer.devices,
        shm_size: layer.shm_size,
        platform: layer.platform,
        extensions: layer.extensions,
    }
}

fn values<T>(placed: Vec<Placed<T>>) -> Vec<T> {
    placed.into_iter().map(|p| p.value).collect()
}

fn absolute(mut mount: Mount, working_dir: &Path) -> Mount {
    if let MountSource::Bind(path) = &mut mount.source {
        let joined = working_dir.join(&*path);
        // `./x` and `x/..` are written out, as compose does, so that the same folder has one spelling.
        let mut plain = std::path::PathBuf::new();
        for part in joined.components() {
            match part {
                std::path::Component::CurDir => {}
                std::path::Component::ParentDir => {
                    plain.pop();
                }
                other => plain.push(other),
            }
        }
        *path = plain.to_string_lossy().into_owned();
    }
    mount
}

/// The specification's defaults where the file is silent.
fn healthcheck(layer: HealthLayer) -> Healthcheck {
    let seconds = std::time::Duration::from_secs;
    Healthcheck {
        test: if layer.disable == Some(true) { vec!["NONE".into()] } else { layer.test.unwrap_or_default() },
        interval: layer.interval.unwrap_or(seconds(30)),
        timeout: layer.timeout.unwrap_or(seconds(30)),
        retries: layer.retries.unwrap_or(3),
        start_period: layer.start_period.unwrap_or_default(),
        start_interval: layer.start_interval,
    }
}

/// Keys that active services name; the rest is left out, as `docker compose up` does.
#[derive(Default)]
struct Used {
    networks: BTreeSet<String>,
    volumes: BTreeSet<String>,
    configs: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

impl Used {
    fn by(services: &BTreeMap<String, Service>) -> Self {
        let mut used = Self::default();
        for service in services.values() {
            used.networks.extend(service.networks.keys().cloned());
            used.volumes.extend(service.volumes.iter().filter_map(|mount| match &mount.source {
                MountSource::Volume(key) => Some(key.clone()),
                _ => None,
            }));
            let sources = |grants: &[Grant]| grants.iter().map(|g| g.source.clone()).collect::<Vec<_>>();
            used.configs.extend(sources(&service.configs));
            used.secrets.extend(sources(&service.secrets));
        }
        used
    }
}

fn resources<T>(
    used: &BTreeSet<String>,
    layers: BTreeMap<String, Placed<ResourceLayer>>,
    make: impl Fn(&str, ResourceLayer) -> T,
) -> BTreeMap<String, T> {
    let used = layers.into_iter().filter(|(key, _)| used.contains(key));
    used.map(|(key, layer)| {
        let resource = make(&key, layer.value);
        (key, resource)
    })
    .collect()
}

/// What is made here is prefixed by the project; what is there already has its own name.
fn engine_name(project: &str, key: &str, layer: &ResourceLayer) -> String {
    match &layer.name {
        Some(name) => name.clone(),
        None if layer.external == Some(true) => key.to_owned(),
        None => format!("{project}_{key}"),
    }
}

fn network(project: &str, key: &str, layer: ResourceLayer) -> Network {
    Network {
        name: engine_name(project, key, &layer),
        external: layer.external.unwrap_or_default(),
        driver: layer.driver,
        internal: layer.internal.unwrap_or_default(),
        labels: layer.labels,
    }
}

fn volume(project: &str, key: &str, layer: ResourceLayer) -> Volume {
    Volume {
        name: engine_name(project, key, &layer),
        external: layer.external.unwrap_or_default(),
        driver: layer.driver,
        labels: layer.labels,
    }
}

fn read_contents(
    reader: &mut Reader<'_>,
    section: &str,
    used: &BTreeSet<String>,
    layers: BTreeMap<String, Placed<ContentLayer>>,
    contents: &Contents<'_>,
) -> BTreeMap<String, Content> {
    let mut found = BTreeMap::new();
    for (key, Placed { at, value: layer }) in layers.into_iter().filter(|(key, _)| used.contains(key)) {
        let bytes = match layer {
            ContentLayer { content: Some(text), .. } => Ok(text.into_bytes()),
            ContentLayer { environment: Some(name), .. } => reader
                .vars
                .get(&name)
                .map(|value| value.clone().into_bytes())
                .ok_or_else(|| format!("the variable `{name}`, whose value it is, is not set")),
            ContentLayer { file: Some(path), .. } => contents.read(&path),
            _ => Ok(Vec::new()),
        };
        match bytes {
            Ok(bytes) => {
                found.insert(key, Content { bytes, secret: section == "secrets" });
            }
            Err(why) => reader.problem_of(at, format!("{section}.{key}"), why),
        }
    }
    found
}
