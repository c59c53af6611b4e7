//! A backend that an earlier `run --keep` or `serve` left up: used again when it is the same, else replaced.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use base::http::Http;
use contract::{
    process::{ProcessConfig, Role, is_backend},
    settings::{Settings, Size},
};
use infra::{
    docker::{self, Engine, provider},
    process::{self, GRACE},
    stack::Stack,
    state::{SERVE, StateDir},
};

use super::backend::{CONF, DRAIN_WITHIN, READY_WITHIN, Running};

/// How long an API may take to answer where it is only asked whether it is there.
const API_WITHIN: Duration = Duration::from_secs(2);

/// Where the API of a kept backend listens, if all of it is alive and has these settings. A kept backend that differs
/// is stopped and forgotten.
///
/// # Errors
/// When a backend with other settings is served in another shell, or `stack.json` cannot be written.
pub async fn reuse(state: &StateDir, stack: &mut Stack, settings: &Settings) -> Result<Option<SocketAddr>> {
    let names: Vec<_> = stack.components.keys().filter(|name| is_backend(name)).cloned().collect();
    if names.is_empty() {
        return Ok(None);
    }
    let alive = alive(state, stack, &names).await?;
    let wanted = settings.size.map_or_else(|| component(Size::App), component);
    let in_containers = settings.size.is_some();
    let mut api = None;
    let mut same = true;
    for name in &names {
        let fits = |config: &ProcessConfig| {
            // One backend may serve several sizes; which of them is asked for is a question of the address alone.
            let theirs = Settings { size: settings.size, ..config.settings.clone() };
            alive.contains(name)
                // What another version grants and how it names epochs is its own.
                && stack.components[name].version == env!("CARGO_PKG_VERSION")
                && stack.components[name].container.is_some() == in_containers
                && &theirs == settings
                && config.endpoints == stack.endpoints
        };
        match read(state, name).filter(fits) {
            Some(config) if config.role == Role::Api && *name == wanted => api = Some(config.listen),
            Some(_) => {}
            None => same = false,
        }
    }
    if same && api.is_some() {
        return Ok(api);
    }
    let foreground = |name: &String| alive.contains(name) && read(state, name).is_some_and(|c| c.stop_with_stdin);
    // Whoever runs `serve` in another shell would see it come and go without knowing why. Containers outlive a `serve`
    // that was killed; its lock does not.
    if let Some(name) = names.iter().find(|name| foreground(name))
        && state.lock(SERVE, "run").is_err()
    {
        bail!("{name} is served in another shell with other settings: end that `ecomctl serve` first");
    }
    for name in names {
        let Some(component) = stack.components.remove(&name) else { continue };
        if let Some(process) = component.process {
            process::terminate(process, DRAIN_WITHIN).await;
        }
        if let Some(container) = component.container {
            let engine = Engine::connect().await?;
            if alive.contains(&name) {
                docker::stop(&engine, &name, &container.id, GRACE).await?;
            }
            docker::delete(&engine, &name, &container.id).await?;
        }
    }
    state.save_stack(stack)?;
    Ok(None)
}

/// Waits until the API of a kept backend is ready. Where it looked at its gates while they were seeded, it answers 503 until it
/// looks again.
///
/// # Errors
/// When it is not ready in time.
pub async fn ready(api: SocketAddr) -> Result<()> {
    let (http, since) = (Http::new(API_WITHIN), Instant::now());
    let url = format!("http://{api}/actuator/health/readiness");
    loop {
        let why = match http.get(&url).await {
            Ok((status, _)) if status.is_success() => return Ok(()),
            Ok((status, body)) => format!("HTTP {status} {body}"),
            Err(error) => error.to_string(),
        };
        if since.elapsed() > READY_WITHIN {
            let limit = READY_WITHIN.as_secs();
            bail!(
                "the backend that was kept was not ready within {limit} s, {why}; `ecomctl restart all` starts it anew"
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Name of the API's component of a size.
fn component(size: Size) -> String {
    match size {
        Size::App => "api-1".into(),
        size => provider::api_service(size),
    }
}

/// Those of `names` whose process or container runs.
///
/// # Errors
/// When there are containers, and the Engine does not answer.
pub async fn alive(state: &StateDir, stack: &Stack, names: &[String]) -> Result<BTreeSet<String>> {
    let mut alive = BTreeSet::new();
    let containers = if names.iter().any(|name| stack.components[name].container.is_some()) {
        provider::running(&Engine::connect().await?, &state.owner().project(stack.system.name())).await?
    } else {
        BTreeMap::new()
    };
    for name in names {
        let component = &stack.components[name];
        let runs = match (&component.process, &component.container) {
            (Some(process), _) => process::is_alive(*process),
            (None, Some(known)) => containers.get(name).is_some_and(|container| container.id == known.id),
            (None, None) => false,
        };
        if runs {
            alive.insert(name.clone());
        }
    }
    Ok(alive)
}

/// URL of the stack's API, where it answers: ours is known by the number that was drawn at its start, somebody else's by
/// any HTTP answer.
pub async fn api_url(state: &StateDir, stack: &Stack) -> Option<String> {
    let http = Http::new(API_WITHIN);
    if let Some(url) = &stack.api_url {
        return http.get(&format!("{url}/actuator/health")).await.ok().map(|_| url.clone());
    }
    let url = format!("http://{}", stack.api?);
    let (_, answer) = http.get(&format!("{url}/actuator/health/liveness")).await.ok()?;
    let conf = std::fs::read_dir(state.root().join(CONF)).ok()?.flatten();
    let names = conf.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".json")?.to_owned()));
    let mut ours = names.filter(|name| is_backend(name)).filter_map(|name| read(state, &name));
    ours.any(|config| config.role == Role::Api && answer["instance"] == config.instance).then_some(url)
}

fn read(state: &StateDir, name: &str) -> Option<ProcessConfig> {
    let bytes = std::fs::read(state.root().join(CONF).join(format!("{name}.json"))).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Writes down what is left up, so that `status`, `down` and the next run find it.
///
/// # Errors
/// When `stack.json` cannot be read or written.
pub fn record(state: &StateDir, running: &[Running]) -> Result<()> {
    let mut stack = state.require_stack()?;
    let mut api = None;
    for process in running {
        stack.components.insert(process.name.clone(), process.component());
        if process.name.starts_with("api-") {
            // Of several sizes the first one is what `env` tells.
            api.get_or_insert(process.address);
        }
    }
    stack.api = api.or(stack.api);
    state.save_stack(&stack)?;
    Ok(())
}

/// Removes and forgets a backend in containers that a killed `serve` left behind.
///
/// # Errors
/// When the Engine does not answer, or `stack.json` cannot be written.
pub async fn forget_dead(state: &StateDir, stack: &mut Stack) -> Result<()> {
    let left: Vec<String> = stack
        .components
        .iter()
        .filter(|(name, component)| is_backend(name) && component.container.is_some())
        .map(|(name, _)| name.clone())
        .filter(|name| read(state, name).is_none_or(|config| config.stop_with_stdin))
        .collect();
    for name in left {
        if let Some(container) = stack.components.remove(&name).and_then(|component| component.container) {
            docker::delete(&Engine::connect().await?, &name, &container.id).await?;
        }
    }
    state.save_stack(stack)?;
    Ok(())
}

/// Forgets what [`record`] wrote.
///
/// # Errors
/// When `stack.json` cannot be read or written.
pub fn forget(state: &StateDir) -> Result<()> {
    let mut stack = state.require_stack()?;
    stack.components.retain(|name, _| !is_backend(name));
    state.save_stack(&stack)?;
    Ok(())
}
