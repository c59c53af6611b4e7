//! Why a container did not become what it should: cause, health outputs, last lines, and what to do.

use std::{fmt, time::Duration};

use bollard::{
    models::ContainerInspectResponse,
    query_parameters::{InspectContainerOptions, LogsOptions},
};
use futures_util::StreamExt as _;

use super::{Engine, list::Container, stats};
use crate::{choice::Server, error::InfraError};

/// Lines of its log that are shown.
const LINES: usize = 20;
/// Outputs of its health check that are shown.
const OUTPUTS: usize = 3;
/// Looking for the cause must not take long.
const LOOK: Duration = Duration::from_secs(5);

/// A container that did not become what it should.
#[derive(Debug)]
pub struct ContainerFailure {
    /// Component.
    pub component: String,
    /// Container.
    pub container: String,
    /// Image.
    pub image: String,
    /// What happened, in words.
    pub cause: String,
    /// Who waits for it: `api waits for mysql (healthy)`.
    pub waiting: Vec<String>,
    /// Last outputs of its health check, oldest first.
    pub health: Vec<String>,
    /// Last lines of its log.
    pub tail: Vec<String>,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for ContainerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { component, container, image, cause, waiting, health, tail, remedy } = self;
        write!(f, "{component} (container {container}, image {image}) {cause}; {remedy}")?;
        for edge in waiting {
            write!(f, "\n{edge}")?;
        }
        if !health.is_empty() {
            write!(f, "\nlast outputs of its health check:")?;
            health.iter().try_for_each(|output| write!(f, "\n  {output}"))?;
        }
        if tail.is_empty() {
            return write!(f, "\nits log is empty");
        }
        write!(f, "\nlast lines of its log:")?;
        tail.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// What went wrong, before anything is known of the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It ended, or ends again and again.
    Ended {
        /// Its exit code.
        code: i64,
        /// The kernel ended it for its memory.
        oom: bool,
        /// How often the Engine started it again.
        restarts: u32,
    },
    /// Its health check failed too often.
    Unhealthy,
    /// It did not become healthy in this time.
    NotHealthy(Duration),
    /// It did not come to its end in this time.
    NotDone(Duration),
    /// It is gone: somebody removed it.
    Gone,
}

impl Wrong {
    /// `now` ended, or is about to be started again. Once it runs again, nothing tells how it ended.
    pub fn ended(now: &Container) -> Self {
        Self::Ended { code: now.exit_code.unwrap_or(0), oom: now.oom_killed, restarts: now.restarts }
    }
}

/// Collects what there is to know about a container that failed.
pub(super) async fn collect(engine: &Engine, container: &Container, wrong: &Wrong, waiting: Vec<String>) -> InfraError {
    let look = engine.docker.inspect_container(&container.id, None::<InspectContainerOptions>);
    let found = tokio::time::timeout(LOOK, look).await.ok().and_then(Result::ok).unwrap_or_default();
    let tail = tokio::time::timeout(LOOK, tail(engine, &container.id, LINES)).await.unwrap_or_default();
    let wrong = with_memory(engine, &found, wrong).await;
    let (cause, remedy) = explain(&container.service, &found, &wrong, &tail);
    InfraError::Container(Box::new(ContainerFailure {
        component: container.component.clone(),
        container: container.name.clone(),
        image: container.image.clone(),
        cause,
        waiting,
        health: health(&found),
        tail,
        remedy,
    }))
}

/// How a container that has ended did so, when, and what to do about it, in one line.
pub async fn how_it_ended(engine: &Engine, container: &Container) -> String {
    let look = engine.docker.inspect_container(&container.id, None::<InspectContainerOptions>);
    let found = tokio::time::timeout(LOOK, look).await.ok().and_then(Result::ok).unwrap_or_default();
    let wrong = with_memory(engine, &found, &Wrong::ended(container)).await;
    let at = found.state.as_ref().and_then(|state| state.finished_at.clone()).filter(|at| !at.starts_with("0001-"));
    let at = at.and_then(|at| at.split('.').next().map(|at| format!(" at {}Z", at.trim_end_matches('Z'))));
    let (cause, remedy) = explain(&container.service, &found, &wrong, &[]);
    format!("container {} {cause}{}; {remedy}", container.name, at.unwrap_or_default())
}

/// The Engine may hear of the end before it hears that memory was the cause: where there is a limit, that is waited for.
async fn with_memory(engine: &Engine, found: &ContainerInspectResponse, wrong: &Wrong) -> Wrong {
    let mut wrong = wrong.clone();
    if let Wrong::Ended { code, oom, .. } = &mut wrong {
        let state = found.state.clone().unwrap_or_default();
        *oom |= state.oom_killed.unwrap_or(false);
        if !*oom && *code != 0 && limit(found).is_some() {
            let (id, began) = (found.id.as_deref().unwrap_or_default(), state.started_at.unwrap_or_default());
            *oom = stats::soon_tells_oom(&engine.docker, id, &began).await;
        }
    }
    wrong
}

/// Its limit of memory in bytes, where it has one.
fn limit(found: &ContainerInspectResponse) -> Option<i64> {
    found.host_config.as_ref().and_then(|host| host.memory).filter(|bytes| *bytes > 0)
}

/// Cause and remedy, in words.
fn explain(service: &str, found: &ContainerInspectResponse, wrong: &Wrong, tail: &[String]) -> (String, String) {
    let state = found.state.clone().unwrap_or_default();
    let limit = limit(found).map_or_else(|| "no limit".to_owned(), |bytes| format!("limit {} MiB", bytes >> 20));
    let full = tail.iter().any(|line| line.contains("No space left on device"));
    match wrong {
        _ if full => ("found no room on the disk".into(), "free some: `docker system df` shows what takes it".into()),
        Wrong::Ended { code, oom: true, .. } => (
            format!("was ended by the kernel because its memory was used up ({limit}, exit code {code})"),
            format!(
                "raise deploy.resources.limits.memory of {service}{}, or let it use less",
                variable_of("LIMIT", service, "memory")
            ),
        ),
        Wrong::Ended { code, restarts, .. } => {
            let ended = match restarts {
                0 => "ended".to_owned(),
                times => format!("ends again and again: it was started again {times} times, and ended last"),
            };
            let error =
                state.error.filter(|text| !text.is_empty()).map_or_else(String::new, |text| format!(": {text}"));
            let remedy = if *code == 0 { "it should go on running: check its command" } else { "its log tells why" };
            (format!("{ended} with exit code {code}{}{error}", signal(*code)), remedy.into())
        }
        Wrong::Unhealthy => {
            let streak = state.health.and_then(|health| health.failing_streak).unwrap_or(0);
            let cause = format!("is unhealthy: its health check failed {streak} times in a row");
            (cause, "see what its health check says".into())
        }
        Wrong::NotHealthy(waited) => (
            format!("did not become healthy within {:.0} s", waited.as_secs_f64()),
            "see what its health check says".into(),
        ),
        Wrong::NotDone(waited) => (
            format!("did not come to its end within {:.0} s", waited.as_secs_f64()),
            "see its log, or give it longer".into(),
        ),
        Wrong::Gone => ("is gone: somebody removed it".into(), "try again".into()),
    }
}

/// The variable that sets a resource (`cpus`, `memory`) of one of the three servers, in brackets; nothing for other
/// services. `kind` is `LIMIT` or `RESERVE`.
pub(super) fn variable_of(kind: &str, service: &str, resource: &str) -> String {
    let server = Server::ALL.into_iter().find(|server| server.has(service));
    server.map_or_else(String::new, |server| {
        format!(" (ECOMCTL_{kind}_{}_{})", server.name().to_uppercase(), resource.to_uppercase())
    })
}

/// What an exit code above 128 means.
fn signal(code: i64) -> &'static str {
    match code {
        137 => " (killed)",
        139 => " (crashed: segmentation fault)",
        143 => " (asked to end)",
        126 => " (the command cannot be executed)",
        127 => " (there is no such command)",
        _ => "",
    }
}

fn health(found: &ContainerInspectResponse) -> Vec<String> {
    let log = found.state.as_ref().and_then(|state| state.health.as_ref()?.log.clone()).unwrap_or_default();
    let skip = log.len().saturating_sub(OUTPUTS);
    let outputs = log.into_iter().skip(skip).map(|result| {
        let output = result.output.unwrap_or_default();
        let output: String = output.trim().chars().take(500).collect();
        format!("exit code {}: {}", result.exit_code.unwrap_or(0), output.replace('\n', " ⏎ "))
    });
    outputs.collect()
}

/// The last lines of a container's log.
pub(super) async fn tail(engine: &Engine, id: &str, lines: usize) -> Vec<String> {
    let options = LogsOptions { stdout: true, stderr: true, tail: lines.to_string(), ..Default::default() };
    let mut stream = std::pin::pin!(engine.docker.logs(id, Some(options)));
    let mut bytes = Vec::new();
    while let Some(Ok(part)) = stream.next().await {
        bytes.extend_from_slice(&part.into_bytes());
    }
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerState, HostConfig};

    use super::*;

    fn found() -> ContainerInspectResponse {
        ContainerInspectResponse {
            state: Some(ContainerState::default()),
            host_config: Some(HostConfig { memory: Some(64 << 20), ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn memory_disk_and_a_missing_command_are_told_apart() {
        let ended = |code, oom, restarts| Wrong::Ended { code, oom, restarts };
        let (cause, remedy) = explain("mysql", &found(), &ended(137, true, 0), &[]);
        assert!(cause.contains("limit 64 MiB") && remedy.contains("limits.memory"), "{cause}; {remedy}");
        let (cause, _) = explain("mysql", &found(), &ended(127, false, 0), &[]);
        assert!(cause.contains("127 (there is no such command)"), "{cause}");
        let full = ["mysqld: No space left on device".to_owned()];
        assert!(explain("mysql", &found(), &ended(1, false, 0), &full).0.contains("disk"));
        let (cause, _) = explain("mysql", &found(), &ended(1, false, 3), &[]);
        assert!(cause.contains("again and again") && cause.contains("3 times"), "{cause}");
        let (cause, remedy) = explain("mysql", &found(), &ended(0, false, 0), &[]);
        assert!(cause.contains("exit code 0") && remedy.contains("check its command"), "{cause}; {remedy}");
    }
}
