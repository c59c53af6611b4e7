//! `stop` and `restart` of components: all names are checked before anything is touched.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use base::http::Http;
use contract::{
    endpoint::{KafkaEndpoint, KafkaSecurity},
    process::is_backend,
    system::System,
};
use nix::sys::signal::Signal;
use profile::model::{ExternalSpec, KafkaLogin, ProviderChoice, StackSpec};
use record::event::names::Provider;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    docker::{self, Engine, provider},
    down::{Stopped, end, recorded},
    env::Env,
    error::InfraError,
    launched::Launched,
    process::{self, GRACE},
    stack::{Component, Stack},
    state::StateDir,
    stats,
    up::{self, Progress, UpEvent, UpRequest},
};

/// Everything that ecomctl started and can start again.
const ALL: &str = "all";
/// How long a process of the backend may take to drain and to be ready again.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A component that was restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restarted {
    /// `mysql`, `kafka-1`, `consumer-2` …
    pub name: String,
    /// `docker` or `native`.
    pub provider: Provider,
    /// Version.
    pub version: String,
    /// `host:port`
    pub address: String,
    /// Milliseconds from the beginning until it answered again.
    pub took_ms: u64,
}

/// What `restart` did.
#[derive(Debug, Clone)]
pub struct RestartReport {
    /// The stack, as it stands in `stack.json` now.
    pub stack: Stack,
    /// What was restarted, servers first.
    pub components: Vec<Restarted>,
}

/// Ends the processes and containers of components, which stay known as exited; `up` or [`restart`] brings them back.
///
/// # Errors
/// As [`restart`].
pub async fn stop(state: &StateDir, service: &str) -> Result<Vec<Stopped>, InfraError> {
    let _lock = state.lock("stack", "stop")?;
    let stack = state.require_stack()?;
    let names = choose(stack.system, &stack.components, None, &[service.to_owned()])?;
    end_all(&stack, &names).await
}

/// Ends and starts components again: servers side by side, then what a `run` or `serve` in another shell has launched, one
/// by one. `kafka` means all brokers, `all` everything that ecomctl started. Returns when all of them answer.
///
/// # Errors
/// Before anything is touched: [`InfraError::UnknownService`] for a name that is not there, [`InfraError::NotOurs`] for a
/// component that is somebody else's. Afterwards what did not come back.
pub async fn restart(
    state: &StateDir,
    names: &[String],
    env: Env,
    progress: Progress<'_>,
    cancel: CancellationToken,
) -> Result<RestartReport, InfraError> {
    let begun = Instant::now();
    let mut stack = state.require_stack()?;
    let launched = Launched::load(state)?.filter(Launched::is_owned);
    let (backend, servers): (Vec<_>, Vec<_>) = choose(stack.system, &stack.components, launched.as_ref(), names)?
        .into_iter()
        .partition(|name| is_backend(name));
    let mut components = Vec::new();
    if !servers.is_empty() {
        let lock = state.lock("stack", "restart")?;
        end_all(&stack, &servers).await?;
        drop(lock);
        let took: Mutex<BTreeMap<String, u64>> = Mutex::default();
        let say = |event: UpEvent| match event {
            UpEvent::Ready(ready) if servers.contains(&ready.name) => {
                let took_ms = begun.elapsed().as_millis() as u64;
                progress(UpEvent::Note { message: format!("{}: restarted in {took_ms} ms", ready.name) });
                took.lock().unwrap_or_else(PoisonError::into_inner).insert(ready.name, took_ms);
            }
            // The others were not asked for.
            UpEvent::Ready(_) | UpEvent::Topic(_) | UpEvent::Chosen { .. } => {}
            other => progress(other),
        };
        let report = Box::pin(up::up(&again(state, &stack, env), &say, cancel.clone())).await?;
        let took = took.into_inner().unwrap_or_else(PoisonError::into_inner);
        let ready = report.components.into_iter().filter(|component| servers.contains(&component.name));
        components.extend(ready.map(|component| Restarted {
            took_ms: took.get(&component.name).copied().unwrap_or(component.took_ms),
            name: component.name,
            provider: component.provider,
            version: component.version,
            address: component.address,
        }));
        stack = report.stack;
    }
    for name in backend {
        let restarted = tokio::select! {
            restarted = relaunch(state, &name) => restarted?,
            () = cancel.cancelled() => return Err(InfraError::Cancelled { stage: format!("restarting {name}") }),
        };
        progress(UpEvent::Note { message: format!("{name}: restarted in {} ms", restarted.took_ms) });
        components.push(restarted);
    }
    Ok(RestartReport { stack, components })
}

/// Asks a process of a `run` or `serve` to drain and end; the command that watches it starts it again.
async fn relaunch(state: &StateDir, name: &str) -> Result<Restarted, InfraError> {
    let begun = Instant::now();
    let now = || -> Result<Option<Component>, InfraError> {
        Ok(Launched::load(state)?.and_then(|mut launched| launched.components.remove(name)))
    };
    let ended =
        || InfraError::NotOurs { name: name.to_owned(), why: "ended, and the command that launched it with it" };
    let before = now()?.ok_or_else(ended)?;
    if let Some(container) = &before.container {
        docker::stop(&Engine::connect().await?, name, &container.id, GRACE).await?;
    } else if let Some(process) = before.process {
        process::signal_group(process, Signal::SIGTERM);
    }
    let http = Http::new(Duration::from_secs(2));
    loop {
        let after = now()?.ok_or_else(ended)?;
        let url = format!("http://{}/actuator/health/readiness", after.address);
        if after.restarts > before.restarts && http.get(&url).await.is_ok_and(|(status, _)| status.is_success()) {
            let Component { provider, version, address, .. } = after;
            let took_ms = begun.elapsed().as_millis() as u64;
            return Ok(Restarted { name: name.to_owned(), provider, version, address, took_ms });
        }
        if begun.elapsed() > BACK_WITHIN {
            let why = "was asked to end, and did not come back within 60 s: see `ecomctl logs`, `ecomctl status`";
            return Err(InfraError::NotOurs { name: name.to_owned(), why });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn end_all(stack: &Stack, names: &[String]) -> Result<Vec<Stopped>, InfraError> {
    let chosen = || stack.components.iter().filter(|(name, _)| names.contains(name));
    let containers: Vec<_> = chosen().filter_map(|(name, c)| Some((name, &c.container.as_ref()?.id))).collect();
    if !containers.is_empty() {
        let engine = Engine::connect().await?;
        // `up` starts them again.
        let stops = containers.iter().map(|(name, id)| docker::stop(&engine, name, id, GRACE));
        futures_util::future::try_join_all(stops).await?;
    }
    let processes = recorded(Some(stack)).into_iter().filter(|(name, _)| names.contains(name)).collect();
    Ok(end(processes).await)
}

/// The components that `names` mean, each once: servers in the order of their names, then the backend from its end to its
/// beginning, so that nothing is asked of a process that is away when the next one is ended.
fn choose(
    system: System,
    components: &BTreeMap<String, Component>,
    launched: Option<&Launched>,
    names: &[String],
) -> Result<Vec<String>, InfraError> {
    let live = launched.map(|launched| &launched.components);
    let mut all = components.clone();
    all.extend(live.into_iter().flatten().map(|(name, component)| (name.clone(), component.clone())));
    let known: Vec<&str> = all.keys().map(String::as_str).collect();
    let (every, single): (Vec<String>, Vec<String>) = names.iter().cloned().partition(|name| name == ALL);
    let meant = if single.is_empty() { Vec::new() } else { stats::meant(&single, &known)? };
    let is_live = |name: &str| live.is_some_and(|live| live.contains_key(name));
    let refused = |name: &str, component: &Component| {
        if component.process.is_none() && component.container.is_none() {
            Some("is external: ecomctl did not start it, and leaves it alone")
        } else if is_backend(name) && !is_live(name) {
            Some("was left by a run that has ended, and nobody watches it: `ecomctl run` or `serve` starts it anew")
        } else {
            None
        }
    };
    let mut chosen = Vec::new();
    for (name, component) in &all {
        match refused(name, component) {
            Some(why) if meant.contains(&name.as_str()) => return Err(InfraError::NotOurs { name: name.clone(), why }),
            None if !every.is_empty() || meant.contains(&name.as_str()) => chosen.push(name.clone()),
            _ => {}
        }
    }
    if chosen.is_empty() {
        let why = "means nothing here: ecomctl has started nothing of this stack";
        return Err(InfraError::NotOurs { name: ALL.into(), why });
    }
    chosen.sort_by_key(|name| {
        let roles = system.description().roles;
        (roles.iter().position(|spec| spec.has(name)).map_or(0, |at| at + 1), name.clone())
    });
    Ok(chosen)
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
    let spec = StackSpec {
        provider: ProviderChoice::Auto,
        brokers: stack.brokers,
        ports: provider::ports_of(state, stack.system),
        monitoring: stack.docker.as_ref().is_some_and(|docker| docker.monitoring),
        original: stack.docker.as_ref().is_some_and(|docker| docker.original),
        external,
    };
    UpRequest { env, ..UpRequest::new(state.clone(), stack.system, spec) }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn components(text: serde_json::Value) -> BTreeMap<String, Component> {
        serde_json::from_value(text).unwrap()
    }

    fn stack() -> BTreeMap<String, Component> {
        let process = serde_json::json!({"pid": 1, "start_time": 1});
        let native = serde_json::json!({"provider": "native", "version": "1", "address": "a:1", "process": process});
        let external = serde_json::json!({"provider": "external", "version": "1", "address": "a:1"});
        components(serde_json::json!({
            "mysql": external, "redis": native, "kafka-1": native, "kafka-2": native, "consumer-9": native
        }))
    }

    fn launched() -> Launched {
        let one = &stack()["redis"];
        let owner = process::this().unwrap();
        let launched = serde_json::json!({
            "schema_version": 1, "owner": owner, "components": {"api-1": one, "consumer-1": one, "reconciler-1": one}
        });
        serde_json::from_value(launched).unwrap()
    }

    fn chosen(names: &[&str]) -> Result<String, String> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        choose(System::default(), &stack(), Some(&launched()), &names)
            .map(|names| names.join(" "))
            .map_err(|error| error.to_string())
    }

    /// Everything is known before anything is stopped, and servers come back before those who use them.
    #[test]
    fn several_are_restarted_in_a_sound_order_each_once() {
        assert_eq!(chosen(&["consumer-1", "redis", "kafka", "kafka-1"]).unwrap(), "kafka-1 kafka-2 redis consumer-1");
        assert_eq!(chosen(&["all"]).unwrap(), "kafka-1 kafka-2 redis reconciler-1 consumer-1 api-1");
        assert_eq!(chosen(&["all", "redis"]).unwrap(), chosen(&["all"]).unwrap());
    }

    #[test]
    fn what_is_not_there_or_not_ours_is_refused_by_name() {
        let unknown = chosen(&["redis", "nginx"]).unwrap_err();
        assert!(unknown.starts_with("no component is named `nginx`; there are: api-1, "), "{unknown}");
        assert!(chosen(&["redis", "mysql"]).unwrap_err().starts_with("mysql is external"));
        assert!(chosen(&["consumer-9"]).unwrap_err().starts_with("consumer-9 was left by a run"));
        let none = choose(
            System::default(),
            &components(serde_json::json!({"mysql": stack()["mysql"]})),
            None,
            &["all".into()],
        );
        assert!(none.unwrap_err().to_string().starts_with("all means nothing here"));
    }
}
