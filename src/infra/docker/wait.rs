//! Waiting for a container: until it runs, is healthy, or has done its work.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    Engine,
    failure::{self, Wrong},
    list::{self, Container, ContainerState},
    stage::Stage,
};
use crate::infra::error::InfraError;

/// Pause between two looks: over a local socket one costs less than a millisecond.
const PAUSE: Duration = Duration::from_millis(40);
/// One that ended so often will end again.
const MOST_RESTARTS: u32 = 3;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// It was started and did not end at once.
    Runs,
    /// It is healthy; without a health check, runs.
    Healthy,
    /// It ended with 0.
    Done,
}

/// Waits for one container. One that ended with 0 where nobody asked for its end is done, not failed.
pub(super) async fn until(
    engine: &Engine,
    container: &Container,
    until: Until,
    within: Duration,
    waiting: &[String],
) -> Result<Stage, InfraError> {
    let begun = Instant::now();
    let fail = |wrong: Wrong| async move { Err(failure::collect(engine, container, &wrong, waiting.to_vec()).await) };
    loop {
        let Some(now) = list::inspect(engine, &container.id).await? else { return fail(Wrong::Gone).await };
        let healthy = now.health.as_deref().is_none_or(|health| health == "healthy");
        match now.state {
            ContainerState::Exited if now.exit_code == Some(0) && until != Until::Healthy => {
                return Ok(Stage::Completed);
            }
            ContainerState::Exited if now.exit_code == Some(0) && now.health.is_none() => return Ok(Stage::Completed),
            ContainerState::Exited | ContainerState::Dead => return fail(Wrong::Ended).await,
            ContainerState::Running if until == Until::Runs => return Ok(Stage::Started),
            ContainerState::Running if until == Until::Healthy && healthy => return Ok(Stage::Healthy),
            _ if now.restarts >= MOST_RESTARTS => return fail(Wrong::Ended).await,
            _ => {}
        }
        if begun.elapsed() > within {
            let wrong = if until == Until::Done { Wrong::NotDone(within) } else { Wrong::Unhealthy(within) };
            return fail(wrong).await;
        }
        if now.health.as_deref() == Some("unhealthy") {
            return fail(Wrong::Unhealthy(begun.elapsed())).await;
        }
        sleep(PAUSE).await;
    }
}
