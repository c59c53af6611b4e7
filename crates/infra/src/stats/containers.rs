//! Containers of a state folder, by the label that they carry.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use bollard::Docker;

use crate::{
    docker::{
        Engine,
        stats::{self, Figures, Oom, Sampler, Seen},
    },
    error::InfraError,
};

/// While the Engine does not answer it is asked again this often.
const RETRY: Duration = Duration::from_secs(5);

/// One container with what it uses.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Container {
    pub seen: Seen,
    pub figures: Figures,
    pub oom: Option<Oom>,
}

/// Looks once. The error is for people.
pub(super) async fn once(state: &Path) -> Result<Vec<Container>, String> {
    let docker = connect().await.map_err(|e| e.to_string())?;
    let seen = look(&docker, state).await?;
    let ids = running(&seen);
    let (figures, events) = tokio::join!(stats::take(&docker, &ids), stats::oom_events(&docker, &seen));
    Ok(seen.into_iter().map(|seen| join(seen, |id| figures.get(id).copied(), &events)).collect())
}

/// Looks once, and measures for `window` what can be had in that time. The error is for people.
pub(super) async fn glance(state: &Path, window: Duration) -> Result<Vec<Container>, String> {
    let docker = connect().await.map_err(|e| e.to_string())?;
    let seen = look(&docker, state).await?;
    let (figures, events) = tokio::join!(stats::glance(&docker, &seen, window), stats::oom_events(&docker, &seen));
    Ok(seen.into_iter().map(|seen| join(seen, |id| figures.get(id).copied(), &events)).collect())
}

/// Looks again and again; the connection and the streams stay open.
#[derive(Debug, Default)]
pub(super) struct Watched {
    sampler: Option<(Docker, Sampler)>,
    failed: Option<(Instant, String)>,
}

impl Watched {
    pub async fn look(&mut self, state: &Path) -> Result<Vec<Container>, String> {
        if let Some((at, why)) = &self.failed
            && at.elapsed() < RETRY
        {
            return Err(why.clone());
        }
        let result = self.try_look(state).await;
        self.failed = result.as_ref().err().map(|why| (Instant::now(), why.clone()));
        if result.is_err() {
            self.sampler = None;
        }
        result
    }

    async fn try_look(&mut self, state: &Path) -> Result<Vec<Container>, String> {
        let (docker, sampler) = if let Some(open) = &mut self.sampler {
            open
        } else {
            let docker = connect().await.map_err(|e| e.to_string())?;
            self.sampler.insert((docker.clone(), Sampler::new(docker)))
        };
        let seen = look(docker, state).await?;
        sampler.watch(&running(&seen));
        let events = stats::oom_events(docker, &seen).await;
        Ok(seen.into_iter().map(|seen| join(seen, |id| sampler.figures(id), &events)).collect())
    }
}

async fn look(docker: &Docker, state: &Path) -> Result<Vec<Seen>, String> {
    stats::look(docker, state).await.map_err(|e| format!("the Docker Engine: {e}"))
}

fn running(seen: &[Seen]) -> Vec<String> {
    seen.iter().filter(|seen| seen.pid.is_some()).map(|seen| seen.id.clone()).collect()
}

fn join(seen: Seen, figures: impl Fn(&str) -> Option<Figures>, events: &BTreeMap<String, u64>) -> Container {
    let oom = stats::oom(&seen, events.get(&seen.id).copied().unwrap_or(0));
    Container { figures: figures(&seen.id).unwrap_or_default(), oom, seen }
}

/// The Engine's client.
pub(crate) async fn connect() -> Result<Docker, InfraError> {
    Ok(Engine::connect().await?.docker)
}
