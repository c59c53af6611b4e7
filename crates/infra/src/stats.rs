//! What each component of the stack uses, container or process: rows of `stats`, of `status`, and of the dashboard.
//!
//! [`stats`] looks once, which takes as long as two readings where there are containers. [`Sampler`] is for who watches: it keeps a stream
//! of each container, so that a look costs a few small questions.

mod containers;
mod native;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use record::event::{
    names::{ComponentState, Provider},
    watch::{ComponentSample, StackSample},
};
use serde::Serialize;

pub(super) use self::containers::connect;
use self::{
    containers::{Container, Watched},
    native::{Processes, Usage},
};
use super::{
    error::InfraError,
    process,
    stack::{Component, ContainerRef, Stack},
    state::StateDir,
};

/// CPU use of processes is measured over this time.
const WINDOW: Duration = Duration::from_millis(200);
/// Longest time that an Engine may take for a glance.
const GLANCE: Duration = Duration::from_secs(2);

/// What `stats` shows.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Stats {
    /// Each component, exited ones too.
    pub components: Vec<ComponentSample>,
}

/// A component's figures with what it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub sample: ComponentSample,
    pub pid: Option<i32>,
    pub container: Option<ContainerRef>,
}

/// Looks once at the components `names`, or at all. A name without a number means all of that kind: `kafka`, `consumer`.
///
/// # Errors
/// [`InfraError::NotUp`] where there is no stack, [`InfraError::UnknownService`] for a name that is not there.
pub async fn stats(state: &StateDir, names: &[String]) -> Result<Stats, InfraError> {
    let rows = rows(state, &state.require_stack()?).await;
    let all = rows.into_iter().map(|row| row.sample).collect();
    Ok(Stats { components: choose(all, names)? })
}

/// Those that `names` mean.
fn choose(all: Vec<ComponentSample>, names: &[String]) -> Result<Vec<ComponentSample>, InfraError> {
    let known: Vec<&str> = all.iter().map(|sample| sample.name.as_str()).collect();
    let wanted = meant(names, &known)?.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    Ok(all.into_iter().filter(|sample| wanted.contains(&sample.name)).collect())
}

/// The names of `known` that `names` mean; all where none is given.
///
/// # Errors
/// [`InfraError::UnknownService`] with the names there are.
pub(super) fn meant<'a>(names: &[String], known: &[&'a str]) -> Result<Vec<&'a str>, InfraError> {
    for name in names {
        if !known.iter().any(|known| is_of(name, known)) {
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            return Err(InfraError::UnknownService { name: name.clone(), known });
        }
    }
    let wanted = |known: &&&str| names.is_empty() || names.iter().any(|name| is_of(name, known));
    Ok(known.iter().filter(wanted).copied().collect())
}

/// `kafka-1` is meant by `kafka-1` and by `kafka`.
pub(super) fn is_of(name: &str, component: &str) -> bool {
    let number = component.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    component == name || number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Every component of the stack, with one look at all of them side by side.
async fn rows(state: &StateDir, stack: &Stack) -> Vec<Row> {
    let containers = async { if runs_in_docker(stack) { Some(containers::once(state.root()).await) } else { None } };
    let (processes, containers) = tokio::join!(processes(&stack.components), containers);
    merge(&stack.components, |pid| processes.get(&pid).copied(), containers)
}

/// As they are at this moment, with what can be measured within [`WINDOW`]. Containers are looked for in any case: they
/// may be there although nobody knows of them. Where none is known an Engine that cannot be asked is no news.
pub(super) async fn glance(state: &StateDir, components: &BTreeMap<String, Component>, docker: bool) -> Vec<Row> {
    let containers = async {
        let looked = tokio::time::timeout(GLANCE, containers::glance(state.root(), WINDOW)).await;
        match looked.unwrap_or_else(|_| Err(format!("the Docker Engine: no answer within {} s", GLANCE.as_secs()))) {
            Err(_) if !docker => None,
            looked => Some(looked),
        }
    };
    let (processes, containers) = tokio::join!(processes(components), containers);
    merge(components, |pid| processes.get(&pid).copied(), containers)
}

/// Pid → what the process uses, of those that live.
async fn processes(components: &BTreeMap<String, Component>) -> BTreeMap<i32, Usage> {
    let known: Vec<_> = components.values().filter_map(|component| component.process).collect();
    let mut processes = Processes::default();
    for process in &known {
        processes.look(*process);
    }
    if !known.is_empty() {
        tokio::time::sleep(WINDOW).await;
    }
    known.into_iter().filter_map(|process| Some((process.pid, processes.look(process)?))).collect()
}

/// Whether any of the stack runs in containers.
pub(super) fn runs_in_docker(stack: &Stack) -> bool {
    stack.docker.is_some() || stack.components.values().any(|component| component.container.is_some())
}

/// Looks at a stack again and again.
#[derive(Debug, Default)]
pub struct Sampler {
    processes: Processes,
    containers: Watched,
}

impl Sampler {
    /// One look; its paces are those since the one before, and absent in the first.
    ///
    /// # Errors
    /// [`InfraError::NotUp`] where there is no stack. An Engine that does not answer is told in the rows of its containers.
    pub async fn sample(&mut self, state: &StateDir) -> Result<StackSample, InfraError> {
        let stack = state.require_stack()?;
        Ok(self.sample_of(Some(state), &stack).await)
    }

    /// One look at `stack`, which may know more than its file: the processes of a run that is going on.
    pub async fn sample_of(&mut self, state: Option<&StateDir>, stack: &Stack) -> StackSample {
        let containers = match state.filter(|_| runs_in_docker(stack)) {
            Some(state) => Some(self.containers.look(state.root()).await),
            None => None,
        };
        let known = stack.components.values().filter_map(|component| component.process);
        let usage: Vec<_> = known.map(|process| (process.pid, self.processes.look(process))).collect();
        let of = |pid| usage.iter().find(|(known, _)| *known == pid).and_then(|(_, usage)| *usage);
        let rows = merge(&stack.components, of, containers);
        StackSample { components: rows.into_iter().map(|row| row.sample).collect() }
    }

    /// One look at the components `names`, as in [`stats`].
    ///
    /// # Errors
    /// As [`Self::sample`], and [`InfraError::UnknownService`].
    pub async fn stats(&mut self, state: &StateDir, names: &[String]) -> Result<Stats, InfraError> {
        Ok(Stats { components: choose(self.sample(state).await?.components, names)? })
    }
}

/// Rows of what `stack.json` names, then those of containers that it does not name: they are ours by their label.
fn merge(
    components: &BTreeMap<String, Component>,
    usage: impl Fn(i32) -> Option<Usage>,
    containers: Option<Result<Vec<Container>, String>>,
) -> Vec<Row> {
    let (mut containers, error) = match containers {
        None => (Vec::new(), None),
        Some(Ok(containers)) => (containers, None),
        Some(Err(error)) => (Vec::new(), Some(error)),
    };
    let mut rows = Vec::new();
    for (name, component) in components {
        let sample = if let Some(container) = &component.container {
            // Recreated by other hands it has another id, and the same label.
            let same = |c: &Container| c.seen.id == container.id || c.seen.component.as_deref() == Some(name);
            match containers.iter().position(same) {
                Some(at) => {
                    let container = containers.swap_remove(at);
                    let mut sample = container_sample(name, &container);
                    sample.restarts += component.restarts;
                    sample
                }
                None => unseen(name, component, error.as_deref()),
            }
        } else {
            process_sample(name, component, component.process.and_then(|process| usage(process.pid)))
        };
        let pid = component.process.filter(|process| process::is_alive(*process)).map(|process| process.pid);
        rows.push(Row { sample, pid, container: component.container.clone() });
    }
    containers.sort_by(|a, b| a.seen.name.cmp(&b.seen.name));
    rows.extend(containers.iter().map(|container| {
        let name = container.seen.component.as_ref().unwrap_or(&container.seen.name);
        let sample = container_sample(name, container);
        let container = ContainerRef { id: container.seen.id.clone(), name: container.seen.name.clone() };
        Row { sample, pid: None, container: Some(container) }
    }));
    rows
}

fn process_sample(name: &str, component: &Component, usage: Option<Usage>) -> ComponentSample {
    let state = match component.process.map(process::is_alive) {
        None => ComponentState::External,
        Some(true) => ComponentState::Running,
        Some(false) => ComponentState::Exited,
    };
    ComponentSample {
        name: name.to_owned(),
        provider: component.provider.clone(),
        health: if state == ComponentState::Exited { state.to_string() } else { String::new() },
        state,
        restarts: component.restarts,
        cpu: usage.and_then(|usage| usage.cpu).map(tenth),
        mem: usage.map(|usage| usage.memory),
        disk: usage.and_then(|usage| usage.disk),
        open_files: usage.and_then(|usage| usage.open_files),
        ports: vec![component.address.clone()],
        ..ComponentSample::default()
    }
}

fn container_sample(name: &str, container: &Container) -> ComponentSample {
    let Container { seen, figures, oom } = container;
    let ended = seen.pid.is_none();
    let health = match seen.exit_code {
        // Beside the servers there are jobs, which are to end.
        Some(0) if seen.is_job(name) => "done".into(),
        _ if ended => seen.state.clone(),
        _ => seen.health.clone().unwrap_or_default(),
    };
    ComponentSample {
        name: name.to_owned(),
        provider: Provider::Docker,
        state: seen.state.as_str().into(),
        health,
        exit_code: seen.exit_code,
        oom_killed: oom.is_some(),
        oom_evidence: oom.map(|oom| oom.to_string()),
        restarts: seen.restarts,
        cpu: figures.cpu.map(tenth),
        cpu_limit_percent: seen.cpu_limit.map(|cpus| cpus * 100.0),
        throttled: figures.throttled.map(tenth),
        mem: figures.memory,
        mem_limit: seen.memory_limit,
        network: figures.network,
        disk: figures.disk,
        open_files: None,
        ports: seen.ports.clone(),
    }
}

/// A container that should be there.
fn unseen(name: &str, component: &Component, error: Option<&str>) -> ComponentSample {
    let (state, health) = match error {
        Some(error) => (ComponentState::Unknown, error),
        None => (ComponentState::Gone, "its container was removed; `ecomctl up` makes it again"),
    };
    ComponentSample {
        name: name.to_owned(),
        provider: component.provider.clone(),
        state,
        health: health.into(),
        restarts: component.restarts,
        ..ComponentSample::default()
    }
}

/// More places than one say nothing.
fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests;
