//! `stop` and `restart`: by the recorded process, never by what today's profile says.

use backend::endpoint::{KafkaEndpoint, KafkaSecurity};
use tokio_util::sync::CancellationToken;

use super::{
    docker::{self, Engine, provider},
    env::Env,
    error::InfraError,
    process::GRACE,
    stack::{Component, Stack, is_backend},
    state::StateDir,
    take_down::{Stopped, end, recorded},
    up::{self, Progress, UpReport, UpRequest},
};
use crate::{
    event::names::Provider,
    profile::model::{ExternalSpec, KafkaLogin, ProviderChoice, StackSpec},
};

/// Ends the processes of one component, which stays known as exited; `up` or [`restart`] brings it back.
pub async fn stop(state: &StateDir, service: &str) -> Result<Vec<Stopped>, InfraError> {
    let _lock = state.lock("stack", "stop")?;
    let stack = state.require_stack()?;
    let names = choose(&stack, service)?;
    for (name, id) in containers_of(&stack, &names) {
        docker::stop(&Engine::connect().await?, name, id, GRACE).await?;
    }
    let processes = recorded(Some(&stack)).into_iter().filter(|(name, _)| names.contains(name)).collect();
    Ok(end(processes).await)
}

/// These components that run in containers, with the containers' ids.
fn containers_of<'s>(stack: &'s Stack, names: &[String]) -> Vec<(&'s str, &'s str)> {
    let chosen = stack.components.iter().filter(|(name, _)| names.contains(name));
    chosen.filter_map(|(name, c)| Some((name.as_str(), c.container.as_ref()?.id.as_str()))).collect()
}

/// Ends and starts one server again, `kafka` for all brokers, or `all`; returns when it answers.
pub async fn restart(
    state: &StateDir,
    service: &str,
    env: Env,
    progress: Progress<'_>,
    cancel: CancellationToken,
) -> Result<UpReport, InfraError> {
    let stack = state.require_stack()?;
    let names = choose(&stack, service)?;
    if let Some(name) = names.iter().find(|name| is_backend(name)) {
        let why = "is a backend process: the run that started it restarts it by itself";
        return Err(InfraError::NotOurs { name: name.clone(), why });
    }
    {
        let _lock = state.lock("stack", "restart")?;
        let processes = recorded(Some(&stack)).into_iter().filter(|(name, _)| names.contains(name)).collect();
        end(processes).await;
        let containers = containers_of(&stack, &names);
        if !containers.is_empty() {
            let engine = Engine::connect().await?;
            let restarts = containers.iter().map(|(name, id)| docker::restart(&engine, name, id, GRACE));
            futures_util::future::try_join_all(restarts).await?;
        }
    }
    up::up(&again(state, &stack, env), progress, cancel).await
}

/// The components that `service` means. `all` means the servers that ecomctl started.
fn choose(stack: &Stack, service: &str) -> Result<Vec<String>, InfraError> {
    let chosen = stack.components.iter().filter(|(name, component)| match service {
        "all" => component.provider != Provider::External && !is_backend(name),
        "kafka" => name.starts_with("kafka"),
        service => *name == service,
    });
    let chosen: Vec<_> = chosen.collect();
    let is_external = |component: &Component| component.process.is_none() && component.container.is_none();
    if let Some((name, _)) = chosen.iter().find(|(_, component)| is_external(component)) {
        let why = "is external: ecomctl did not start it, and leaves it alone";
        return Err(InfraError::NotOurs { name: (*name).clone(), why });
    }
    if chosen.is_empty() {
        let known = stack.components.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(InfraError::UnknownService { name: service.to_owned(), known });
    }
    Ok(chosen.into_iter().map(|(name, _)| name.clone()).collect())
}

/// The request that brings this very stack up.
fn again(state: &StateDir, stack: &Stack, env: Env) -> UpRequest {
    let is_external = |name: &str| stack.components.get(name).is_some_and(|c| c.provider == Provider::External);
    let endpoints = &stack.endpoints;
    let external = ExternalSpec {
        mysql_url: is_external("mysql").then(|| endpoints.mysql.url()),
        redis_url: is_external("redis").then(|| endpoints.redis.url()),
        kafka_brokers: is_external("kafka").then(|| endpoints.kafka.brokers.clone()),
        kafka: login(&endpoints.kafka),
        api_url: stack.api_url.clone(),
        ..ExternalSpec::default()
    };
    UpRequest {
        state: state.clone(),
        system: stack.system.clone(),
        stack: StackSpec {
            provider: ProviderChoice::Auto,
            brokers: stack.brokers,
            ports: provider::ports_of(state, &stack.system),
            monitoring: stack.docker.as_ref().is_some_and(|docker| docker.monitoring),
            original: stack.docker.as_ref().is_some_and(|docker| docker.original),
            external,
        },
        topics: Vec::new(),
        env,
        variables: up::variables(),
        pull: false,
        in_run: false,
        swap: false,
        yes: false,
        keep_failed: false,
        ready_within: std::time::Duration::from_secs(60),
    }
}

fn login(endpoint: &KafkaEndpoint) -> KafkaLogin {
    let Some(KafkaSecurity { tls, sasl }) = &endpoint.security else { return KafkaLogin::default() };
    let ca = tls.as_ref().and_then(|tls| tls.ca.as_ref());
    KafkaLogin {
        tls: tls.is_some(),
        ca: ca.map(|ca| ca.to_string_lossy().into_owned()),
        mechanism: sasl.as_ref().map(|sasl| sasl.mechanism.clone()),
        username: sasl.as_ref().map(|sasl| sasl.username.clone()),
        password: sasl.as_ref().map(|sasl| sasl.password.expose().to_owned()),
        password_file: None,
    }
}
