//! The containers of one state folder: which compose files describe them, and with which values.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use compose::{
    self, Demands, Options, Profiles, files,
    model::{MountSource, Project, Service},
};
use contract::{
    endpoint::{Endpoints, KafkaEndpoint},
    process::is_backend,
    settings::Size,
    system::System,
};
use profile::model::{PortSpec, StackSpec};
use record::event::names;

use super::{
    Container, ContainerState, Engine, Order, Remove, Removed,
    around::is_volume,
    delete,
    failure::{Wrong, collect},
    limits, list,
    places::{Kept, Places},
    remove,
};
use crate::{
    choice::Server,
    error::InfraError,
    process::GRACE,
    stack::{DockerRef, Stack},
    state::StateDir,
};

/// Services of the backend: those of the sizes, and those that are the same in each.
pub const API: &str = "api";
/// Consumers; as many containers as the settings say.
pub const CONSUMER: &str = "consumer";
/// Reconciler.
pub const RECONCILER: &str = "reconciler";

/// Where each server listens in its network.
const KAFKA_INSIDE: u16 = 19_092;

/// Service of the API of a size.
pub fn api_service(size: Size) -> String {
    match size {
        Size::App => API.to_owned(),
        size => format!("{API}-{}", size.name()),
    }
}

/// Containers of a system of a state folder, as they are to be.
#[derive(Debug, Clone)]
pub struct Provider {
    /// The Engine.
    pub engine: Engine,
    /// Ports, passwords and images.
    pub kept: Kept,
    /// Compose project.
    pub name: String,
    state: StateDir,
    monitoring: bool,
    original: bool,
    brokers: u8,
    variables: BTreeMap<String, String>,
}

impl Provider {
    /// What `spec` asks for. `variables` are those of this process, for the compose files.
    ///
    /// # Errors
    /// Where the kept places cannot be used.
    pub fn open(
        engine: Engine,
        state: &StateDir,
        system: System,
        spec: &StackSpec,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, InfraError> {
        Ok(Self {
            engine,
            kept: Kept::open(state, system, spec)?,
            name: state.owner().project(system.name()),
            state: state.clone(),
            monitoring: spec.monitoring,
            original: spec.original,
            brokers: spec.brokers,
            variables: variables.clone(),
        })
    }

    /// The same containers that `stack` was brought up with.
    ///
    /// # Errors
    /// Where the kept places cannot be used.
    pub fn of_stack(
        engine: Engine,
        state: &StateDir,
        stack: &Stack,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, InfraError> {
        let (monitoring, original) = stack.docker.as_ref().map_or((false, false), |d| (d.monitoring, d.original));
        let ports = ports_of(state, stack.system);
        let spec = StackSpec { brokers: stack.brokers, ports, monitoring, original, ..StackSpec::default() };
        Self::open(engine, state, stack.system, &spec, variables)
    }

    /// What `stack.json` says of it.
    pub fn reference(&self) -> DockerRef {
        DockerRef { project: self.name.clone(), monitoring: self.monitoring, original: self.original }
    }

    /// The whole project, services of the backend among them; `more` are values for further variables.
    ///
    /// # Errors
    /// Where a compose file cannot be used.
    pub fn project(&self, more: &BTreeMap<String, String>) -> Result<Project, InfraError> {
        let mut variables = moved(self.kept.places.system());
        variables.extend(self.variables.clone());
        variables.extend(self.kept.places.variables());
        variables.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
        let files = files_of(self.original, self.brokers, self.monitoring);
        load(&self.name, &files, &needed(self.brokers), &variables)
    }

    /// The servers' part of the project: without servers that run elsewhere, and what cannot be without them.
    /// Services of the backend stay in it, so that none counts as an orphan.
    ///
    /// # Errors
    /// Where a compose file cannot be used, or a limit is below what is reserved.
    pub fn servers(&self, here: &dyn Fn(Server) -> bool) -> Result<(Project, Vec<Order>), InfraError> {
        let mut project = self.project(&BTreeMap::new())?;
        remove_elsewhere(&mut project, here);
        let servers = project.services.iter().filter(|(name, _)| !is_backend_service(name));
        limits::keep_reservations(servers.clone())?;
        let orders = servers.map(|(name, _)| Order { service: name.clone(), ..Order::default() }).collect();
        Ok((project, orders))
    }

    /// Whether data of an earlier `up` are there: the volume of a server exists.
    ///
    /// # Errors
    /// Where the Engine does not answer.
    pub async fn has_data(&self, project: &Project, server: Server) -> Result<bool, InfraError> {
        let services = project.services.iter().filter(|(name, _)| server.has(name));
        for volume in services.flat_map(|(_, service)| volumes(project, service)).collect::<BTreeSet<_>>() {
            if is_volume(&self.engine, &volume).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Number of brokers that Kafka's data were made by; none where there are none.
    ///
    /// # Errors
    /// Where the Engine does not answer.
    pub async fn brokers_with_data(&self) -> Result<Option<u8>, InfraError> {
        let mut found = 0;
        for n in 1..=3_u8 {
            let volume = format!("{}_kafka-{n}-data", self.name);
            if is_volume(&self.engine, &volume).await? {
                found = n;
            }
        }
        Ok((found > 0).then_some(found))
    }

    /// Brokers that are asked for.
    pub fn brokers(&self) -> u8 {
        self.brokers
    }

    /// The state folder.
    pub fn state(&self) -> &StateDir {
        &self.state
    }

    /// Whether a container was made for this state folder.
    pub fn owns(&self, container: &Container) -> bool {
        self.state.owner().owns(container.labels())
    }

    /// Networks and volumes of ours, as they are before something is begun.
    ///
    /// # Errors
    /// Where the Engine does not answer.
    pub async fn around(&self) -> Result<BTreeSet<String>, InfraError> {
        remove::around(&self.engine, &self.name, &|labels| self.state.owner().owns(labels)).await
    }

    /// Removes networks and volumes of ours that were not there `before`.
    ///
    /// # Errors
    /// Where the Engine does not answer.
    pub async fn remove_new(&self, before: &BTreeSet<String>) -> Result<Removed, InfraError> {
        remove::remove_new(&self.engine, &self.name, before, &|labels| self.state.owner().owns(labels)).await
    }

    /// Further services than the three servers are waited for with the Engine's own health checks.
    pub fn has_more(&self) -> bool {
        self.monitoring || self.original
    }

    /// Removes containers of a backend that nobody wrote down: those of a killed run. Returns their names.
    ///
    /// # Errors
    /// Where the Engine does not answer or refuses.
    pub async fn reap_backend(&self, stack: Option<&Stack>) -> Result<Vec<String>, InfraError> {
        let mut all = list(&self.engine, &self.name).await?;
        all.retain(|container| self.owns(container));
        let known = |container: &Container| {
            let component = stack.and_then(|stack| stack.components.get(&container.component));
            component.and_then(|c| c.container.as_ref()).is_some_and(|known| known.id == container.id)
        };
        let left: Vec<_> = all.into_iter().filter(|c| is_backend(&c.component) && !known(c)).collect();
        let mut names = Vec::new();
        for container in left {
            delete(&self.engine, &container.component, &container.id).await?;
            names.push(container.component);
        }
        Ok(names)
    }
}

/// The project that `spec` asks for `system`, with ports and passwords that are drawn for the occasion: to be looked at only.
///
/// # Errors
/// Where a compose file cannot be used.
pub fn preview(system: System, spec: &StackSpec, variables: &BTreeMap<String, String>) -> Result<Project, InfraError> {
    let mut all = moved(system);
    all.extend(variables.clone());
    all.extend(Places::new(system, spec)?.variables());
    // Ports that any number will do for are no question yet. (A broker listens on the port that it is reached at, inside
    // its container too, so it keeps the one that was drawn.)
    let drawn = [("ECOMCTL_PORT_MYSQL", spec.ports.mysql), ("ECOMCTL_PORT_REDIS", spec.ports.redis)];
    all.extend(drawn.into_iter().filter(|(_, port)| *port == 0).map(|(name, _)| (name.to_owned(), "0".to_owned())));
    load("ecomctl-preview", &files_of(spec.original, spec.brokers, spec.monitoring), &needed(spec.brokers), &all)
}

/// Ports that give way to those of `system`, unless somebody names others.
fn moved(system: System) -> BTreeMap<String, String> {
    let moved = system.description().moved.iter();
    moved.map(|(variable, port)| ((*variable).to_owned(), port.to_string())).collect()
}

/// The compose files, in the order in which they are merged.
fn files_of(original: bool, brokers: u8, monitoring: bool) -> Vec<&'static str> {
    let mut names = vec![if original { "original" } else { "base" }];
    names.extend((brokers > 1).then_some("cluster"));
    names.extend(monitoring.then_some("monitoring"));
    names.push("backend");
    names
}

/// Services that must be there.
fn needed(brokers: u8) -> Vec<String> {
    ["mysql", "redis"].map(str::to_owned).into_iter().chain((1..=brokers).map(|n| format!("kafka-{n}"))).collect()
}

/// Reads the project.
fn load(
    name: &str,
    files: &[&str],
    needed: &[String],
    variables: &BTreeMap<String, String>,
) -> Result<Project, InfraError> {
    let profiles: Vec<String> = variables.get("COMPOSE_PROFILES").map_or_else(Vec::new, |names| {
        names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    });
    let required: Vec<&str> = needed.iter().map(String::as_str).collect();
    let load = || {
        let options = Options {
            project_name: Some(name),
            profiles: Profiles::Named(&profiles),
            working_dir: &files::working_dir()?,
            demands: Demands { required: &required, counted: Some(counted), started: Some(is_backend_service) },
        };
        compose::load(&files::find(files)?, variables, &options)
    };
    load().map_err(|errors| InfraError::Compose(Box::new(errors)))
}

/// Why the number of containers of `service` is not the compose files' to say.
fn counted(service: &str) -> Option<&'static str> {
    match service {
        CONSUMER => Some("the profile says how many there are (backend.consumers)"),
        _ if is_backend_service(service) => Some("there is one of it"),
        _ if Server::ALL.into_iter().any(|server| server.has(service)) => {
            Some("a server is one container (stack.brokers says how many brokers there are)")
        }
        _ => None,
    }
}

/// Why a server that a client cannot use is not up: how its container ended, or what the client was told (`late`).
pub async fn failure(engine: &Engine, container: &Container, late: Option<&str>, waited: Duration) -> InfraError {
    let wrong = match late {
        Some(_) => Wrong::NotHealthy(waited),
        None => match list::inspect(engine, &container.id).await {
            Ok(None) => Wrong::Gone,
            now => Wrong::ended(now.ok().flatten().as_ref().unwrap_or(container)),
        },
    };
    let told = late.map(|why| format!("a client was told: {why}"));
    collect(engine, container, &wrong, told.into_iter().collect()).await
}

/// Whether the service is one of the backend.
pub fn is_backend_service(name: &str) -> bool {
    matches!(name, API | CONSUMER | RECONCILER) || name.starts_with("api-")
}

/// Takes servers out that run elsewhere, and then whatever waits for them; the backend stays.
fn remove_elsewhere(project: &mut Project, here: &dyn Fn(Server) -> bool) {
    let elsewhere = |name: &str| Server::ALL.into_iter().any(|server| server.has(name) && !here(server));
    loop {
        let names: BTreeSet<String> = project.services.keys().cloned().collect();
        for (name, service) in &mut project.services {
            // Its services are in the project so that they are no orphans; nobody is to be waited for on their account.
            if is_backend_service(name) {
                service.depends_on.clear();
            }
        }
        let before = project.services.len();
        project.services.retain(|name, service| {
            !elsewhere(name) && service.depends_on.keys().all(|on| names.contains(on) && !elsewhere(on))
        });
        if project.services.len() == before {
            return;
        }
    }
}

/// Names of the volumes that a service mounts, as the Engine knows them.
fn volumes<'p>(project: &'p Project, service: &'p Service) -> impl Iterator<Item = String> + 'p {
    service.volumes.iter().filter_map(|mount| match &mount.source {
        MountSource::Volume(key) => project.volumes.get(key).map(|volume| volume.name.clone()),
        _ => None,
    })
}

/// Component → whether its container runs, of what `stack.json` knows.
///
/// # Errors
/// Where the Engine does not answer.
pub async fn running(engine: &Engine, project: &str) -> Result<BTreeMap<String, Container>, InfraError> {
    let all = list(engine, project).await?.into_iter();
    let running = all.filter(|c| !c.one_off && matches!(c.state, ContainerState::Running | ContainerState::Paused));
    Ok(running.map(|container| (container.component.clone(), container)).collect())
}

/// The ports that were asked for last time, so that a restart asks for the same.
pub fn ports_of(state: &StateDir, system: System) -> PortSpec {
    Kept::asked(state, system).unwrap_or_else(|| PortSpec::of(system))
}

/// Everything of the project: what to remove.
pub fn everything(volumes: bool) -> Remove {
    Remove { services: None, volumes, grace: GRACE }
}

/// The same servers, as a container of the project finds them.
///
/// # Errors
/// Where a server listens on this machine's loopback, which is another one inside a container.
pub fn inside(stack: &Stack) -> Result<Endpoints, InfraError> {
    let mut endpoints = stack.endpoints.clone();
    let provider = |server: Server| {
        let component = stack.components.iter().find(|(name, _)| server.has(name));
        component.map_or(names::Provider::External, |(_, component)| component.provider.clone())
    };
    let unreachable = |server: Server, address: String| InfraError::NotInside {
        component: server.name(),
        address,
        runner: provider(server).to_string(),
    };
    if provider(Server::Mysql) == names::Provider::Docker {
        (endpoints.mysql.host, endpoints.mysql.port) = ("mysql".into(), 3306);
    } else if is_loopback(&endpoints.mysql.host) {
        return Err(unreachable(Server::Mysql, endpoints.mysql.to_string()));
    }
    if provider(Server::Redis) == names::Provider::Docker {
        (endpoints.redis.host, endpoints.redis.port) = ("redis".into(), 6379);
    } else if is_loopback(&endpoints.redis.host) {
        return Err(unreachable(Server::Redis, endpoints.redis.to_string()));
    }
    if provider(Server::Kafka) == names::Provider::Docker {
        let names = stack.components.keys().filter(|name| Server::Kafka.has(name));
        let brokers: Vec<_> = names.map(|name| format!("{name}:{KAFKA_INSIDE}")).collect();
        endpoints.kafka = KafkaEndpoint { brokers: brokers.join(","), security: None };
    } else if endpoints.kafka.brokers.split(',').any(|broker| is_loopback(host_of(broker))) {
        return Err(unreachable(Server::Kafka, endpoints.kafka.brokers));
    }
    Ok(endpoints)
}

/// `host` of `host:port`, without the brackets of IPv6.
fn host_of(address: &str) -> &str {
    let host = address.trim().rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback() || ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use compose::model::Condition;

    use super::*;

    fn project(services: &[(&str, &[&str])]) -> Project {
        let service = |on: &[&str]| Service {
            depends_on: on.iter().map(|on| ((*on).to_owned(), Condition::ServiceHealthy)).collect(),
            ..Service::default()
        };
        Project {
            name: "p".into(),
            services: services.iter().map(|(name, on)| ((*name).to_owned(), service(on))).collect(),
            off: BTreeSet::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            configs: BTreeMap::new(),
            secrets: BTreeMap::new(),
        }
    }

    #[test]
    fn what_needs_a_server_of_elsewhere_is_left_out_and_the_backend_is_not() {
        let mut project = project(&[
            ("mysql", &[]),
            ("redis", &[]),
            ("kafka-1", &[]),
            ("mysqld-exporter", &["mysql"]),
            ("grafana", &["prometheus"]),
            ("prometheus", &[]),
            ("dashboard", &["mysqld-exporter"]),
            ("api", &["mysql", "kafka-1"]),
        ]);
        remove_elsewhere(&mut project, &|server| server != Server::Mysql);
        let names: Vec<_> = project.services.keys().map(String::as_str).collect();
        assert_eq!(names, ["api", "grafana", "kafka-1", "prometheus", "redis"]);
        assert!(project.services["api"].depends_on.is_empty(), "the servers do not wait for the backend's sake");
    }

    #[test]
    fn loopback_is_known_in_each_spelling() {
        for host in
            ["127.0.0.1", "127.9.9.9", "localhost", "[::1]", "::1", "::ffff:127.0.0.1", "0.0.0.0", "a.localhost"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1", "db.example", "localhost.example", "fe80::1"] {
            assert!(!is_loopback(host), "{host}");
        }
        assert!(is_loopback(host_of("[::1]:9092")) && is_loopback(host_of(" 127.0.0.1:1")));
    }

    #[test]
    fn services_of_sizes_are_named_after_them() {
        assert_eq!(Size::ALL.map(api_service), ["api", "api-small", "api-medium", "api-large"]);
        assert!(is_backend_service("api-small") && !is_backend_service("apim"));
    }
}
