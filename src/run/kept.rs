//! A backend that an earlier `run --keep` or `serve` left up: used again when it is the same, else replaced.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, bail};
use backend::{
    process::{ProcessConfig, Role},
    settings::Settings,
};

use super::backend::{CONF, Running};
use crate::infra::{
    process,
    stack::{Component, Stack, is_backend},
    state::StateDir,
};

/// How long a kept process may take to drain when it is replaced.
const STOP_WITHIN: Duration = Duration::from_secs(20);

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
    let mut api = None;
    let mut same = true;
    for name in &names {
        let alive = stack.components[name].process.is_some_and(process::is_alive);
        match read(state, name)
            .filter(|config| alive && &config.settings == settings && config.endpoints == stack.endpoints)
        {
            Some(config) if config.role == Role::Api => api = Some(config.listen),
            Some(_) => {}
            None => same = false,
        }
    }
    if same && api.is_some() {
        return Ok(api);
    }
    let foreground = |name: &String| {
        let alive = stack.components[name].process.is_some_and(process::is_alive);
        alive && read(state, name).is_some_and(|config| config.stop_with_stdin)
    };
    // Whoever runs `serve` in another shell would see it come and go without knowing why.
    if let Some(name) = names.iter().find(|name| foreground(name)) {
        bail!("{name} is served in another shell with other settings: end that `ecomctl serve` first");
    }
    for name in names {
        if let Some(process) = stack.components.remove(&name).and_then(|c| c.process) {
            process::terminate(process, STOP_WITHIN).await;
        }
    }
    state.save_stack(stack)?;
    Ok(None)
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
    for process in running {
        let component = Component {
            provider: "native".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            address: process.address.to_string(),
            process: process.process,
            log: Some(process.log.clone()),
            container: None,
            restarts: 0,
        };
        stack.components.insert(process.name.clone(), component);
        if process.name.starts_with("api-") {
            stack.api = Some(process.address);
        }
    }
    state.save_stack(&stack)?;
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
