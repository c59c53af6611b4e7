//! Brings the backend up in containers: ports, image, configuration, and the services of `compose/backend.yaml`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use base::files;
use compose::model::{Port, Project, Restart};
use contract::{
    endpoint::Endpoints,
    process::{ProcessConfig, Role},
    settings::Size,
};
use infra::{
    InfraError,
    docker::{
        self, ApplyRequest, ExtraFile, Order, image,
        provider::{CONSUMER, RECONCILER, api_service},
    },
    ports,
};
use tokio_util::sync::CancellationToken;

use super::{
    CONF, Containers, LaunchError, LaunchPlan,
    container::{Contained, process_file},
    free_address, spawn_error,
    watched::Told,
};

/// Port that a service without one listens on inside.
const INSIDE: u16 = 8080;
/// How long the Engine may take to make and start the containers.
const START_WITHIN: Duration = Duration::from_secs(60);

/// Containers of one service.
struct Batch {
    role: Role,
    service: String,
    /// Number of the first, less one.
    beyond: u16,
    replicas: u16,
}

/// A process to be put into a container.
struct Part {
    service: String,
    beyond: u16,
    config: ProcessConfig,
}

/// Makes the image where it is missing, and starts the containers.
///
/// # Errors
/// A taken port, an image that cannot be made, a container that does not start, Ctrl-C.
pub(super) async fn start(
    plan: &LaunchPlan,
    containers: &Containers,
    told: &Told,
    cancel: &CancellationToken,
) -> Result<Vec<Contained>, LaunchError> {
    let batch = |role, service, replicas| Batch { role, service, beyond: 0, replicas };
    let batches = plan.roles.iter().flat_map(|role| match role {
        Role::Api => containers.sizes.iter().map(|size| batch(*role, api_service(*size), 1)).collect(),
        Role::Consumer => vec![batch(*role, CONSUMER.to_owned(), plan.settings.consumers)],
        Role::Reconciler => vec![batch(*role, RECONCILER.to_owned(), 1)],
    });
    let ports = api_ports(plan, containers).await?;
    launch(plan, containers, batches.collect(), ports, told, cancel).await
}

/// Starts consumer `number` beside those that run.
///
/// # Errors
/// As [`start`].
pub(super) async fn add_consumer(
    plan: &LaunchPlan,
    containers: &Containers,
    number: u16,
    told: &Told,
) -> Result<Contained, LaunchError> {
    let batch = Batch { role: Role::Consumer, service: CONSUMER.to_owned(), beyond: number - 1, replicas: 1 };
    let never = CancellationToken::new();
    let added = launch(plan, containers, vec![batch], BTreeMap::new(), told, &never).await?;
    let gone = || std::io::Error::other("its container is gone");
    added.into_iter().next().ok_or_else(gone).map_err(spawn_error(&component(CONSUMER, number)))
}

async fn launch(
    plan: &LaunchPlan,
    containers: &Containers,
    batches: Vec<Batch>,
    mut variables: BTreeMap<String, String>,
    told: &Told,
    cancel: &CancellationToken,
) -> Result<Vec<Contained>, LaunchError> {
    let engine = &containers.provider.engine;
    let (image, user) = if let Some(image) = &containers.image {
        (image.clone(), image::user_of(&engine.docker, image).await.map_err(Box::new)?)
    } else {
        let base = std::env::var(image::BASE).ok().filter(|base| !base.is_empty());
        (image::ensure(&engine.docker, base.as_deref(), cancel).await.map_err(Box::new)?.image, image::USER)
    };
    variables.insert("ECOMCTL_IMAGE_BACKEND".into(), image);
    let mut project = containers.provider.project(&variables).map_err(Box::new)?;
    let (endpoints, certificates) = carry(&containers.inside)?;
    let parts = parts(plan, batches, &mut project, &endpoints)?;
    let orders = orders(&parts, &certificates, user)?;
    let request = ApplyRequest {
        project: &project,
        services: &orders,
        state: &plan.state,
        pull: false,
        recreate: false,
        orphans: false,
        may_replace: &|| Ok(()),
        keep_failed: false,
        ready_within: START_WITHIN,
        // Readiness is asked over HTTP, and tells whether it is this very process.
        wait: false,
    };
    let made = docker::apply(engine, &request, &|_| {}, cancel).await.map_err(|error| match error {
        InfraError::Cancelled { .. } => LaunchError::Interrupted,
        error => LaunchError::Containers(Box::new(error)),
    })?;
    let (mut contained, mut configs) = (Vec::new(), Vec::new());
    for part in parts {
        let Some(one) = made.iter().find(|one| one.component == part.config.name) else { continue };
        let inside = part.config.listen.port();
        // One that has ended already has no port; its watcher starts it again.
        let address = one.published(inside).unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, inside)));
        configs.push((part.config.clone(), address));
        contained.push(Contained::watch(engine, one, part.config, address, user, &plan.logs, told.clone()));
    }
    for (config, address) in configs {
        write_down(plan, &config, address)?;
    }
    Ok(contained)
}

/// Variable of the compose file → port of the API of each size.
async fn api_ports(plan: &LaunchPlan, containers: &Containers) -> Result<BTreeMap<String, String>, LaunchError> {
    let sizes = containers.sizes.len();
    if let (Some(port @ 1..), true) = (plan.settings.port, sizes > 1) {
        return Err(LaunchError::OnePort { port, sizes });
    }
    let mut taken = BTreeSet::new();
    let mut variables = BTreeMap::new();
    if !plan.roles.contains(&Role::Api) {
        return Ok(variables);
    }
    for size in &containers.sizes {
        let port = match plan.settings.port.unwrap_or(size.port(plan.system)) {
            0 => free_address(&mut taken).map_err(spawn_error(&api_service(*size)))?.port(),
            port if ports::is_free(port) => port,
            port => return Err(super::taken(port).await),
        };
        variables.insert(port_variable(*size), port.to_string());
    }
    Ok(variables)
}

fn port_variable(size: Size) -> String {
    match size {
        Size::App => "ECOMCTL_PORT_API".into(),
        size => format!("ECOMCTL_PORT_API_{}", size.name().to_ascii_uppercase()),
    }
}

/// Every process with its service. The services are made ready for them on the way.
fn parts(
    plan: &LaunchPlan,
    batches: Vec<Batch>,
    project: &mut Project,
    endpoints: &Endpoints,
) -> Result<Vec<Part>, LaunchError> {
    let mut parts = Vec::new();
    for Batch { role, service, beyond, replicas } in batches {
        let port = prepare(project, &service)?;
        for number in beyond + 1..=beyond + replicas {
            let config = ProcessConfig {
                system: plan.system,
                role,
                name: component(&service, number),
                instance: uuid::Uuid::new_v4().to_string(),
                // Inside a container nobody comes in but through the published port.
                listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
                endpoints: endpoints.clone(),
                settings: plan.settings.clone(),
                stop_with_stdin: false,
            };
            parts.push(Part { service: service.clone(), beyond, config });
        }
    }
    Ok(parts)
}

/// Name of container `number` of a service of the backend.
fn component(service: &str, number: u16) -> String {
    match service {
        "api" | CONSUMER | RECONCILER => format!("{service}-{number}"),
        service => service.to_owned(),
    }
}

/// Makes a service of the compose files ours to watch; gives the port that it listens on inside.
fn prepare(project: &mut Project, service: &str) -> Result<u16, LaunchError> {
    let missing = || {
        let why = format!("compose/backend.yaml has no service `{service}`");
        LaunchError::Containers(Box::new(InfraError::BackendImage { why }))
    };
    let service = project.services.get_mut(service).ok_or_else(missing)?;
    // The servers are up, wherever they run; and who ends is started again by its watcher, who says so.
    service.depends_on.clear();
    service.restart = Restart::No;
    if service.ports.is_empty() {
        let host_ip = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        service.ports.push(Port { host_ip, published: 0, target: INSIDE, protocol: "tcp".into() });
    }
    Ok(service.ports.first().map_or(INSIDE, |port| port.target))
}

fn orders(parts: &[Part], certificates: &[ExtraFile], user: u32) -> Result<Vec<Order>, LaunchError> {
    let mut orders: BTreeMap<&str, Order> = BTreeMap::new();
    for part in parts {
        let fail = |source: serde_json::Error| spawn_error(&part.config.name)(source.into());
        let mut files = vec![process_file(&part.config, user).map_err(fail)?];
        files.extend(certificates.iter().cloned());
        let order = orders.entry(&part.service).or_insert_with(|| Order {
            service: part.service.clone(),
            replicas: 0,
            beyond: part.beyond,
            files: Vec::new(),
        });
        order.replicas += 1;
        order.files.push(files);
    }
    Ok(orders.into_values().collect())
}

/// Certificate authorities are files of this machine: they go into the containers.
fn carry(inside: &Endpoints) -> Result<(Endpoints, Vec<ExtraFile>), LaunchError> {
    let mut endpoints = inside.clone();
    let mut files = Vec::new();
    let kafka = endpoints.kafka.security.as_mut().and_then(|security| security.tls.as_mut());
    let all = [("mysql", endpoints.mysql.tls.as_mut()), ("redis", endpoints.redis.tls.as_mut()), ("kafka", kafka)];
    for (name, tls) in all {
        let Some(ca) = tls.and_then(|tls| tls.ca.as_mut()) else { continue };
        let bytes = std::fs::read(&*ca).map_err(|e| Box::new(InfraError::io("read", ca.clone())(e)))?;
        let path = format!("/run/secrets/{name}-ca.pem");
        *ca = PathBuf::from(&path);
        files.push(ExtraFile { path, bytes, mode: 0o444, uid: 0, gid: 0 });
    }
    Ok((endpoints, files))
}

/// What the next command needs to know of it: as the process is seen from this machine.
fn write_down(plan: &LaunchPlan, config: &ProcessConfig, address: SocketAddr) -> Result<(), LaunchError> {
    let seen = ProcessConfig {
        listen: address,
        endpoints: plan.endpoints.clone(),
        stop_with_stdin: !plan.keep,
        ..config.clone()
    };
    let path = plan.state.join(CONF).join(format!("{}.json", config.name));
    let write = || files::replace(&path, &serde_json::to_vec_pretty(&seen)?);
    write().map_err(spawn_error(&config.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_named_as_people_know_them() {
        assert_eq!(component("consumer", 3), "consumer-3");
        assert_eq!(component("api", 1), "api-1");
        assert_eq!(component("api-small", 1), "api-small");
        assert_eq!(port_variable(Size::App), "ECOMCTL_PORT_API");
        assert_eq!(port_variable(Size::Medium), "ECOMCTL_PORT_API_MEDIUM");
    }
}
