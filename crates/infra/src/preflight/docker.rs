//! What `up` in Docker will need: the Engine and the right to use it, images, ports, and room for the limits.

use std::collections::BTreeMap;

use compose::model::Project;
use contract::system::System;
use profile::model::StackSpec;

use super::{Check, Level, check};
use crate::{
    choice::Server,
    docker::{self, Engine, provider},
    error::InfraError,
    ports,
    state::StateDir,
};

/// Looks at everything that is looked at before a container is made. `state` is the state folder, where there is one:
/// ports that its own containers have are no trouble.
pub async fn checks(
    state: Option<&StateDir>,
    system: System,
    spec: &StackSpec,
    variables: &BTreeMap<String, String>,
) -> Vec<Check> {
    let engine = match Engine::connect().await {
        Ok(engine) => engine,
        Err(InfraError::Engine { host, why, remedy }) => {
            let found = format!("no Docker Engine answers on {host}: {why}");
            return vec![check("docker", Level::Error, found, &remedy)];
        }
        Err(error) => return vec![check("docker", Level::Error, error.to_string(), "see the Engine's own log")],
    };
    let facts = &engine.facts;
    let (major, minor) = facts.api;
    let found = format!("Engine {}, API {major}.{minor}, on {}", facts.version, facts.host);
    let mut checks = vec![check("docker", Level::Ok, found, "")];
    let project = match provider::preview(system, spec, variables) {
        Ok(project) => project,
        Err(error) => {
            checks.push(check("compose files", Level::Error, error.to_string(), "mend the files in compose/"));
            return checks;
        }
    };
    checks.extend(images(&engine, &project).await);
    checks.extend(published(&engine, &project, state, system).await);
    checks.extend(limits(&engine, &project));
    checks
}

/// Services that `up` starts: those of the backend come with a run.
fn servers(project: &Project) -> impl Iterator<Item = (&String, &compose::model::Service)> {
    project.services.iter().filter(|(name, _)| !provider::is_backend_service(name))
}

async fn images(engine: &Engine, project: &Project) -> Vec<Check> {
    let names: Vec<String> = servers(project).map(|(name, _)| name.clone()).collect();
    match docker::images_missing(engine, project, &names).await {
        Ok(missing) if missing.is_empty() => vec![check("images", Level::Ok, "all of them are here".into(), "")],
        Ok(missing) => missing
            .into_iter()
            .map(|image| {
                let remedy = format!("fetch it with `ecomctl up --pull` or `docker pull {image}`");
                check("images", Level::Error, format!("{image} is not here"), &remedy)
            })
            .collect(),
        Err(error) => vec![check("images", Level::Error, error.to_string(), "see the Engine's own log")],
    }
}

async fn published(engine: &Engine, project: &Project, state: Option<&StateDir>, system: System) -> Vec<Check> {
    let own = match state {
        Some(state) => provider::running(engine, &state.owner().project(system.name())).await.unwrap_or_default(),
        None => BTreeMap::new(),
    };
    let is_own = |port: u16| own.values().any(|c| c.ports.iter().any(|published| published.host == port));
    let mut checks = Vec::new();
    for (name, service) in servers(project) {
        for port in service.ports.iter().map(|port| port.published).filter(|port| *port > 0) {
            let of = format!("port {port}");
            checks.push(if is_own(port) {
                check(&of, Level::Ok, format!("held by this stack's {name}"), "")
            } else if ports::is_free(port) {
                check(&of, Level::Ok, format!("free for {name}"), "")
            } else {
                let found = format!("{name} needs it, and it is taken by {}", docker::port_holder(port).await);
                check(&of, Level::Error, found, "end that, or give another one by stack.ports (0 takes a free one)")
            });
        }
    }
    checks
}

/// The Engine refuses more CPUs than its machine has; more memory it only promises.
fn limits(engine: &Engine, project: &Project) -> Vec<Check> {
    let (cpus, memory) = (engine.facts.cpus, engine.facts.memory);
    let mut checks = Vec::new();
    let mut sum = 0;
    for (name, service) in servers(project) {
        sum += service.resources.memory.unwrap_or(0) * u64::from(service.replicas);
        if let Some(wanted) = service.resources.cpus.filter(|wanted| *wanted > cpus as f64) {
            let found = format!("{name} may use {wanted} CPUs, and the Engine's machine has {cpus}");
            checks.push(check("limits", Level::Error, found, &lower(name, "CPUS")));
        }
    }
    let below = docker::below_reservations(servers(project));
    checks.extend(below.into_iter().map(|one| check("limits", Level::Error, one.found(), &one.remedy())));
    let found = format!("{} MiB of memory for all containers, {} MiB in the Engine's machine", sum >> 20, memory >> 20);
    let level = if memory > 0 && sum > memory { Level::Warning } else { Level::Ok };
    checks.push(check("limits", level, found, "lower deploy.resources.limits.memory (ECOMCTL_LIMIT_…_MEMORY)"));
    checks
}

fn lower(service: &str, what: &str) -> String {
    let server = Server::ALL.into_iter().find(|server| server.has(service)).map(|server| server.name().to_uppercase());
    let variable = server.map_or_else(String::new, |name| format!(" (ECOMCTL_LIMIT_{name}_{what})"));
    format!("lower deploy.resources.limits of {service}{variable}")
}
