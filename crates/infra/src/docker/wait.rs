//! Waiting for a container: until it runs, is healthy, or has done its work.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    Engine,
    failure::{self, Wrong},
    list::{self, Container, ContainerState},
};
use crate::error::InfraError;

/// Pause between two looks: over a local socket one costs less than a millisecond.
const PAUSE: Duration = Duration::from_millis(40);
/// One without a health check that has run for this long did not fail at its first steps.
const STEADY: Duration = Duration::from_millis(300);
/// One that the Engine started again so often will end again.
const MOST_RESTARTS: u32 = 3;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// It was started and did not fail at once.
    Runs,
    /// It is healthy; without a health check, goes on running, or ended with 0.
    Up,
    /// The same, but somebody waits for its health: it must not end.
    Healthy,
    /// It ended with 0.
    Done,
}

/// How long is waited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// In all.
    pub within: Duration,
    /// For a container that ran before and is unhealthy: until its next check has answered.
    pub stale: Duration,
}

/// Waits for one container.
pub(super) async fn until(
    engine: &Engine,
    container: &Container,
    until: Until,
    limits: Limits,
    waiting: &[String],
) -> Result<(), InfraError> {
    let begun = Instant::now();
    let fail = |wrong: Wrong| async move { Err(failure::collect(engine, container, &wrong, waiting.to_vec()).await) };
    let mut steady = Steady::new(container);
    loop {
        let Some(now) = list::inspect(engine, &container.id).await? else { return fail(Wrong::Gone).await };
        let health = now.health.as_deref();
        let may_end = match until {
            Until::Runs | Until::Done => true,
            Until::Up => health.is_none(),
            Until::Healthy => false,
        };
        match now.state {
            ContainerState::Exited if now.exit_code == Some(0) && may_end => return Ok(()),
            ContainerState::Exited | ContainerState::Dead => return fail(Wrong::ended(&now)).await,
            // Only here its exit code is known; while it runs once more there is none.
            ContainerState::Restarting if now.restarts >= MOST_RESTARTS => return fail(Wrong::ended(&now)).await,
            ContainerState::Running => match until {
                Until::Runs => return Ok(()),
                Until::Up | Until::Healthy if health == Some("healthy") => return Ok(()),
                Until::Up | Until::Healthy if health.is_none() && steady.at(&now) => return Ok(()),
                _ => {}
            },
            _ => {}
        }
        let patience = if container.reused { limits.stale } else { Duration::ZERO };
        if health == Some("unhealthy") && until != Until::Done && begun.elapsed() >= patience {
            return fail(Wrong::Unhealthy).await;
        }
        if begun.elapsed() > limits.within {
            let late = if until == Until::Done { Wrong::NotDone } else { Wrong::NotHealthy };
            return fail(late(limits.within)).await;
        }
        sleep(PAUSE).await;
    }
}

/// Whether a container without a health check runs on, and is not started again and again.
struct Steady {
    /// It ran before, and never ended.
    proven: bool,
    since: Option<(Option<String>, Instant)>,
}

impl Steady {
    fn new(container: &Container) -> Self {
        Self { proven: container.reused && container.restarts == 0, since: None }
    }

    fn at(&mut self, now: &Container) -> bool {
        match &self.since {
            Some((start, since)) if *start == now.started_at => self.proven || since.elapsed() >= STEADY,
            _ => {
                self.since = Some((now.started_at.clone(), Instant::now()));
                self.proven
            }
        }
    }
}
