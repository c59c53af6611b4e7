//! What must hold between the parts of a project.

use std::collections::{BTreeMap, BTreeSet};

use base::yaml::suggest::did_you_mean;

use super::{
    Demands,
    files::BUILT_IN_MARK,
    layer::{DEFAULT_NETWORK, ServiceLayer},
    model::MountSource,
    node::At,
    order,
    reader::{Placed, Reader},
};

/// What services may name.
pub(super) struct Known {
    /// Services whose profiles are not active → their profiles.
    pub off: BTreeMap<String, Vec<String>>,
    pub networks: BTreeSet<String>,
    pub volumes: BTreeSet<String>,
    pub configs: BTreeSet<String>,
    pub secrets: BTreeSet<String>,
}

/// Checks all active services.
pub(super) fn services(
    reader: &mut Reader<'_>,
    services: &BTreeMap<String, ServiceLayer>,
    known: &Known,
    demands: &Demands<'_>,
) {
    required(reader, services, known, demands.required);
    for (name, service) in services {
        let wrong = |key: &str| format!("services.{name}.{key}");
        let told = reader.has_problem(&wrong("image")) || reader.has_problem(&wrong("build"));
        reader.below("services", |reader| {
            reader.below(name, |reader| {
                if service.image.is_none() && !told {
                    reader.problem(service.at, "`image` is missing; ecomctl builds no images from compose files");
                }
                references(reader, service, known);
                dependencies(reader, service, services, known);
                replicas(reader, service);
                if let Some(why) = demands.counted.and_then(|counted| counted(name)) {
                    not_counted(reader, service, why);
                }
                filled(reader, service, demands.started.is_some_and(|started| started(name)));
            });
        });
    }
    names_and_ports(reader, services);
    let edges = services.iter().map(|(name, s)| (name.as_str(), s.depends_on.keys().map(String::as_str).collect()));
    if let Err(cycle) = order::waves(&edges.collect()) {
        let first = cycle.first().copied().unwrap_or_default();
        let at = services.get(first).map_or_else(At::default, |s| s.at);
        let pairs = cycle.iter().zip(cycle.iter().cycle().skip(1));
        let edge = |(name, other): (&&str, &&str)| {
            let at = services.get(*name).and_then(|service| Some(service.depends_on.get(*other)?.at));
            at.map_or_else(|| (*name).to_owned(), |at| format!("{name} (line {})", at.line))
        };
        let way: Vec<String> = pairs.map(edge).chain([first.to_owned()]).collect();
        let message = format!("services wait for each other: {}", way.join(" → "));
        reader.problem_of(at, format!("services.{first}.depends_on"), message);
    }
}

/// The services that the caller cannot do without: one problem for all of them, of the file that took their place.
fn required(reader: &mut Reader<'_>, services: &BTreeMap<String, ServiceLayer>, known: &Known, required: &[&str]) {
    let missing: Vec<&str> = required.iter().copied().filter(|name| !services.contains_key(*name)).collect();
    if missing.is_empty() {
        return;
    }
    let theirs = reader.names.iter().position(|name| !name.starts_with(BUILT_IN_MARK)).unwrap_or(0);
    let at = At { file: theirs, line: 1, column: 1 };
    let why = |name: &str| match known.off.get(name) {
        Some(profiles) => format!("{name} belongs to the profile {}, which is not active", profiles.join(", ")),
        None => format!("{name} is missing"),
    };
    let missing: Vec<String> = missing.into_iter().map(why).collect();
    let message = format!("there must be the services {}; {}", required.join(", "), missing.join("; "));
    reader.problem_of(at, "services", message);
}

/// Somebody else decides how many containers there are.
fn not_counted(reader: &mut Reader<'_>, service: &ServiceLayer, why: &str) {
    for (key, count) in [("deploy.replicas", &service.deploy_replicas), ("scale", &service.scale)] {
        if let Some(count) = count {
            let message = format!("{why}; leave it out");
            reader.below(key, |reader| reader.problem(count.at, message));
        }
    }
}

/// Files are put into a container before it starts, which the Engine refuses for a read-only one.
fn filled(reader: &mut Reader<'_>, service: &ServiceLayer, started: bool) {
    let Some(Placed { at, value: true }) = &service.read_only else { return };
    if started || !service.configs.is_empty() || !service.secrets.is_empty() {
        let what = if started { "its process.json" } else { "its configs and secrets" };
        let message = format!("{what} could not be put into it; leave `read_only` out");
        reader.below("read_only", |reader| reader.problem(*at, message));
    }
}

fn references(reader: &mut Reader<'_>, service: &ServiceLayer, known: &Known) {
    for (key, network) in service.networks.iter().flatten() {
        if key != DEFAULT_NETWORK {
            refer(reader, "networks", key, network.at, &known.networks);
        }
    }
    for Placed { at, value } in &service.volumes {
        if let MountSource::Volume(key) = &value.source {
            refer(reader, "volumes", key, *at, &known.volumes);
        }
    }
    for Placed { at, value } in &service.configs {
        refer(reader, "configs", &value.source, *at, &known.configs);
    }
    for Placed { at, value } in &service.secrets {
        refer(reader, "secrets", &value.source, *at, &known.secrets);
    }
}

fn refer(reader: &mut Reader<'_>, section: &str, key: &str, at: At, known: &BTreeSet<String>) {
    if known.contains(key) {
        return;
    }
    let hint = did_you_mean(key, known.iter().map(String::as_str));
    let message = format!("`{key}` is not declared{hint}; add it to the file's top-level `{section}`");
    reader.below(section, |reader| reader.problem(at, message));
}

fn dependencies(
    reader: &mut Reader<'_>,
    service: &ServiceLayer,
    services: &BTreeMap<String, ServiceLayer>,
    known: &Known,
) {
    for (other, edge) in &service.depends_on {
        if services.contains_key(other) {
            continue;
        }
        let message = if let Some(profiles) = known.off.get(other) {
            format!("`{other}` belongs to the profile {}, which is not active", profiles.join(", "))
        } else {
            let names = services.keys().map(String::as_str);
            format!("there is no service `{other}`{}", did_you_mean(other, names))
        };
        reader.below("depends_on", |reader| reader.problem(edge.at, message));
    }
}

fn replicas(reader: &mut Reader<'_>, service: &ServiceLayer) {
    if let (Some(deploy), Some(scale)) = (&service.deploy_replicas, &service.scale)
        && deploy.value != scale.value
    {
        let message = format!("`deploy.replicas` says {}, `scale` says {}; keep one", deploy.value, scale.value);
        reader.problem(scale.at, message);
    }
    let count = service.deploy_replicas.as_ref().or(service.scale.as_ref()).map_or(1, |placed| placed.value);
    if count < 2 {
        return;
    }
    if let Some(name) = &service.container_name {
        let message = format!("{count} containers cannot all be called `{}`; remove the name", name.value);
        reader.below("container_name", |reader| reader.problem(name.at, message));
    }
    if let Some(port) = service.ports.iter().find(|port| port.value.published > 0) {
        let message = format!("{count} containers cannot share port {}; publish port 0", port.value.published);
        reader.below("ports", |reader| reader.problem(port.at, message));
    }
}

fn names_and_ports(reader: &mut Reader<'_>, services: &BTreeMap<String, ServiceLayer>) {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    let mut ports = BTreeMap::new();
    for (service, layer) in services {
        if let Some(name) = &layer.container_name
            && let Some(other) = names.insert(&name.value, service)
        {
            let message = format!("`{other}` has the same container name");
            reader.problem_of(name.at, format!("services.{service}.container_name"), message);
        }
        for Placed { at, value: port } in layer.ports.iter().filter(|port| port.value.published > 0) {
            let taken = ports.insert((port.host_ip, port.published, port.protocol.as_str()), service);
            if let Some(other) = taken {
                let message = format!("port {} is published by `{other}` too", port.published);
                reader.problem_of(*at, format!("services.{service}.ports"), message);
            }
        }
    }
}
