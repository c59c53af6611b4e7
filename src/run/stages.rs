//! The stages of a run, one after the other, and what they have started.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use contract::cause;
use infra::{self, Down, InfraError, UpEvent, UpRequest, stack::Stack};
use load::{self, LoadSummary};
use probe::DrainReport;
use record::event::{
    Event,
    names::{Provider, Stage},
};
use verify::VerifyReport;

use super::{
    backend::{Backend, Containers, DRAIN_WITHIN, LaunchPlan, check_port},
    kept, measure, seeding,
    servers::ServerWatch,
    walk::Walk,
};
use crate::watch::{WatchPlan, Watchers};

/// Time between two looks of the watchers: their samples stand in the events for the replay.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// What a run has started so far, and must stop.
#[derive(Default)]
pub struct Started {
    servers: bool,
    watchers: Option<Watchers>,
    server_watch: Option<ServerWatch>,
}

/// What the stages came to.
pub struct Walked {
    /// The stack that was used.
    pub stack: Stack,
    /// The load.
    pub load: LoadSummary,
    /// The drain; none after an interrupt.
    pub drain: Option<DrainReport>,
    /// The verdict; none after an interrupt.
    pub verify: Option<VerifyReport>,
    /// Why the run was broken off after its load began: its ledger or its sets could not be written.
    pub broken: Option<String>,
}

/// Runs all stages in order.
///
/// # Errors
/// When a stage cannot be done, or a signal came before there was any load.
pub async fn run_all(walk: &Walk<'_>, started: &mut Started) -> Result<Walked> {
    let cancel = &walk.request.cancel;
    let mut stack = up(walk, started).await?;
    let containers = containers(walk, &stack).await?;
    walk.live.set_servers(&stack);
    started.watchers = Some(watch(walk, &stack));
    let (state, emitter) = (walk.request.state.clone(), walk.emitter.clone());
    started.server_watch = Some(ServerWatch::start(state, emitter, walk.live.clone()));
    // An API that is not there is told before anything is changed for it.
    let given = match &stack.api_url {
        Some(url) => Some(measure::resolve(url).await?),
        None => None,
    };
    load::enough_open_files(&walk.request.loaded.profile.scenarios)?;
    seed(walk, &stack).await?;
    let api = match given {
        Some(api) => api,
        None => launch(walk, &mut stack, containers).await.map(|api| (vec![api], api.to_string()))?,
    };
    interrupted(walk)?;
    let load = measure::load(walk, &stack, api).await?;
    let broken = load.broken.clone();
    let mut walked = Walked { stack, load, drain: None, verify: None, broken };
    if walked.broken.is_none() && !cancel.is_cancelled() {
        walked.drain = Some(measure::drain(walk, &walked.stack).await);
    }
    if walked.broken.is_none() && !cancel.is_cancelled() {
        match measure::verify(walk, &walked.stack, &walked.load).await {
            Ok(report) => walked.verify = Some(report),
            // What was measured is worth a summary all the same.
            Err(error) => walked.broken = Some(cause::chain(error.as_ref())),
        }
    }
    Ok(walked)
}

/// Looks at servers and processes beside everything else.
fn watch(walk: &Walk<'_>, stack: &Stack) -> Watchers {
    let (emitter, live) = (walk.emitter.clone(), walk.live.clone());
    let plan = WatchPlan {
        state: Some(walk.request.state.clone()),
        endpoints: stack.endpoints.clone(),
        stack: Arc::new(move || live.stack()),
        topic: stack.system.claims().name.to_owned(),
        group: stack.system.claims().group.to_owned(),
        interval: WATCH_EVERY,
    };
    Watchers::start(plan, move |event| emitter.offer(event))
}

fn interrupted(walk: &Walk<'_>) -> Result<()> {
    if walk.request.cancel.is_cancelled() {
        bail!("interrupted");
    }
    Ok(())
}

async fn up(walk: &Walk<'_>, started: &mut Started) -> Result<Stack> {
    walk.emitter.stage(Stage::Up).await;
    let mut request = UpRequest::for_profile(walk.request.state.clone(), &walk.request.loaded.profile);
    request.yes = walk.request.yes;
    request.in_run = true;
    request.swap = walk.request.swap;
    request.pull = walk.request.pull;
    let say = |event: UpEvent| walk.show.message(&event.to_string());
    let report = infra::up(&request, &say, walk.request.cancel.clone()).await.context("the stack did not come up")?;
    // Servers that ran before are not ours to stop.
    started.servers = report.components.iter().any(|c| c.provider != Provider::External && !c.reused);
    Ok(report.stack)
}

async fn seed(walk: &Walk<'_>, stack: &Stack) -> Result<()> {
    interrupted(walk)?;
    walk.emitter.stage(Stage::Seed).await;
    let say = |words: &str| walk.show.message(words);
    let seeding = async {
        let plan = seeding::plan(walk.seed.clone(), stack, walk.request.yes, &say).await;
        seeding::run(&plan, stack, &|_| {}).await
    };
    let seeded = tokio::select! {
        seeded = seeding => seeded.context("seeding failed")?,
        () = walk.request.cancel.cancelled() => bail!("interrupted"),
    };
    walk.show.message(&seeding::words(&seeded.report));
    // At once: a run that is killed later must still be told from the next one.
    let mut file = walk.folder.read().context("cannot read run.json back")?;
    file.epochs = Some(seeded.opened.clone());
    walk.folder.write(&file).context("cannot write run.json")?;
    walk.marks.set(seeded.opened, seeded.starts);
    Ok(())
}

/// How the backend runs in containers, where it does. Asked before anything is seeded: a server that containers cannot
/// reach, or a port that somebody has, is told at once.
async fn containers(walk: &Walk<'_>, stack: &Stack) -> Result<Option<Containers>> {
    let settings = &walk.request.loaded.profile.backend;
    if stack.api_url.is_none() {
        check_port(stack, settings).await?;
    }
    match settings.size {
        Some(size) if stack.api_url.is_none() => {
            Ok(Some(Containers::plan(walk.request.state, stack, vec![size]).await?))
        }
        _ => Ok(None),
    }
}

async fn launch(walk: &Walk<'_>, stack: &mut Stack, containers: Option<Containers>) -> Result<std::net::SocketAddr> {
    interrupted(walk)?;
    walk.emitter.stage(Stage::Backend).await;
    let (state, settings) = (walk.request.state, &walk.request.loaded.profile.backend);
    if let Some(api) = kept::reuse(state, stack, settings).await? {
        kept::ready(api).await?;
        walk.show.message(&format!("backend kept from before: API on {api}"));
        return Ok(api);
    }
    let plan = LaunchPlan {
        endpoints: stack.endpoints.clone(),
        settings: settings.clone(),
        system: stack.system,
        roles: stack.system.description().roles.iter().map(|spec| spec.role).collect(),
        last_port: stack.api.map(|api| api.port()),
        state: state.root().to_owned(),
        logs: walk.folder.logs(),
        keep: walk.request.keep,
        containers,
    };
    let backend =
        Backend::start(&plan, &walk.emitter, &walk.request.cancel).await.context("the backend did not come up")?;
    let api = backend.api.context("no API was launched")?;
    walk.show.message(&format!("backend ready: API on {api}, {} consumers, reconciler", settings.consumers));
    stack.api = Some(api);
    state.save_stack(stack)?;
    *walk.live.backend.lock().await = Some(backend);
    Ok(api)
}

impl Started {
    /// Stops what was started, in reverse order; with `--keep` a run that went well leaves it.
    ///
    /// # Errors
    /// When servers could not be stopped.
    pub async fn stop(self, walk: &Walk<'_>, went_well: bool) -> Result<()> {
        let keep = walk.request.keep && went_well;
        // What is stopped on purpose is not missed.
        if let Some(watchers) = self.watchers {
            watchers.stop().await;
        }
        if let Some(watch) = self.server_watch {
            watch.stop().await;
        }
        if let Some(backend) = walk.live.backend.lock().await.take() {
            if keep {
                kept::record(walk.request.state, &backend.running())?;
                backend.leave();
            } else {
                let killed = backend.stop(DRAIN_WITHIN).await;
                if !killed.is_empty() {
                    let why = format!("{} did not drain within {} s", killed.join(", "), DRAIN_WITHIN.as_secs());
                    walk.emitter.emit(Event::Warning { message: why }).await;
                }
            }
        }
        if self.servers && !keep {
            let what = Down { in_run: true, ..Down::default() };
            match infra::down_as(walk.request.state, &what).await {
                // Another backend uses the servers by now: they stay up.
                Err(error @ InfraError::Locked { .. }) => {
                    let message = format!("the servers stay up: {error}");
                    walk.emitter.emit(Event::Warning { message }).await;
                }
                other => drop(other.context("the servers could not be stopped")?),
            }
        }
        Ok(())
    }
}
