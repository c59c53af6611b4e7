//! The walk through one run: stack → seed → backend → load (with the probes beside it) → drain → verify → summary.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use base::files;
use contract::claim::Claim;
use infra::{
    process,
    state::{RUN, StateDir},
};
use profile::model::{Profile, RequestSpec};
use record::{
    epoch::Opened,
    event::{self, Event, names::Stage, plan::Proven},
    invariant,
    state::RunState,
};
use tokio_util::sync::CancellationToken;

use super::{
    control::{Control, Live, Performer, Server},
    folder::{self, RunFile, RunFolder},
    gather::{self, Gathered},
    plan,
    recorder::{Emitter, Recorder},
    stages::{self, Started},
    walk::{Marks, Request, Show, Walk},
};
use crate::{report, seed::SeedPlan, summary::Summary};

/// Runs one profile to its end and writes its files. What was started for it is stopped again, however it ends.
///
/// # Errors
/// When a stage could not be done; the error names it. A violated check or a missed goal is no error.
pub async fn run(request: &Request<'_>, show: &dyn Show) -> Result<Summary> {
    // Read once, and before anything of the run exists: a fixture that cannot be read leaves no half-made run.
    let seed = SeedPlan::new(request.loaded.profile.system, &request.loaded.profile.seed)?;
    let proven = proven(&request.loaded.profile, &seed);
    // Two runs on one stack would each see the other's claims.
    let _lock = request.state.lock(RUN, "run")?;
    let (name, started) = (&request.loaded.name, jiff::Timestamp::now());
    let runs = request.state.root().join("runs");
    let folder = RunFolder::create(&runs, name, started)
        .with_context(|| format!("cannot make a folder for the run in {}", runs.display()))?;
    folder.reserve().with_context(|| format!("there is no room for the run in {}", runs.display()))?;
    let origin = Instant::now();
    let origin_unix_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    let (emitter, recorder) =
        Recorder::start(&folder.events(), origin).await.context("cannot write the run's events")?;
    // Without its events a run cannot be seen or replayed: it ends as after a signal.
    let cancel = request.cancel.child_token();
    let ending = tokio::spawn(end_with(recorder.failed(), cancel.clone()));
    let request = &Request { cancel, ..*request };
    let mut file = file_of(request, started, &proven, origin_unix_ns);
    let (control, asked) = Control::channel();
    let (server, problem) = listen(request.state, &control);
    file.control = server.as_ref().map(|server| server.path().to_owned());
    folder.write(&file).context("cannot write run.json")?;
    show.begin(&folder, recorder.snapshots.clone());
    show.control(control);
    emitter
        .emit(Event::RunStarted {
            schema_version: event::SCHEMA_VERSION,
            profile: name.clone(),
            at: file.started_at.clone(),
            plan: Some(Box::new(plan::of(&request.loaded.profile, &proven))),
        })
        .await;
    if let Some(message) = problem {
        emitter.emit(Event::Warning { message }).await;
    }

    let (live, marks) = (Live::default(), Arc::new(Marks::default()));
    let acting = CancellationToken::new();
    let walk = Walk {
        request,
        folder: &folder,
        origin,
        origin_unix_ns,
        seed,
        proven,
        marks: marks.clone(),
        emitter: emitter.clone(),
        live,
        show,
    };
    let performing = tokio::spawn(performer(&walk, recorder.snapshots.clone(), acting.clone()).run(asked));
    let mut begun = Started::default();
    let walked = Box::pin(stages::run_all(&walk, &mut begun)).await;
    drop(server);
    acting.cancel();
    let _ = performing.await;
    emitter.stage(Stage::Stop).await;
    let stopped = begun.stop(&walk, walked.is_ok()).await;

    emitter.settle().await;
    let summary = walked.map(|walked| {
        file.sent.clone_from(&walked.load.claims);
        let state = recorder.snapshots.borrow().clone();
        let duration_s = origin.elapsed().as_secs_f64();
        let (file, folder) = (&file, &folder);
        gather::summary(&Gathered { request, folder, file, duration_s, walked: &walked, state: &state })
    });
    if let Ok(summary) = &summary {
        announce(&emitter, summary).await;
    }
    drop((walk, emitter));
    let written = recorder.finish().await;
    ending.abort();
    show.end();
    // From here on there is room for what comes last.
    folder.release();
    (file.process, file.control, file.epochs) = (None, None, Some(marks.opened().clone()));
    let closed = folder.write(&file).context("cannot write run.json");
    let summary = concluded(summary, written.err())?;
    save(&folder, &summary)?;
    closed?;
    stopped.context("the run is done, but not everything it started could be stopped")?;
    Ok(summary)
}

/// Does what is asked for while `walk` goes on.
fn performer(
    walk: &Walk<'_>,
    snapshots: tokio::sync::watch::Receiver<Arc<RunState>>,
    cancel: CancellationToken,
) -> Performer {
    Performer {
        live: walk.live.clone(),
        emitter: walk.emitter.clone(),
        state: walk.request.state.clone(),
        marks: walk.marks.clone(),
        proven: walk.proven.clone(),
        snapshots,
        cancel,
    }
}

/// What is known of the run before it ends.
fn file_of(request: &Request<'_>, started: jiff::Timestamp, proven: &Proven, origin_unix_ns: u64) -> RunFile {
    let profile = &request.loaded.profile;
    RunFile {
        schema_version: folder::SCHEMA_VERSION,
        profile: request.loaded.name.clone(),
        started_at: started.to_string(),
        proven: proven.clone(),
        require: profile.checks.require.clone(),
        origin_unix_ns,
        sent: BTreeMap::new(),
        epochs: Some(Opened::new()),
        invariants: invariant::listed(profile.system, &profile.invariants),
        process: process::this(),
        control: None,
    }
}

/// What the run came to, where its events could not all be written.
fn concluded(summary: Result<Summary>, unwritten: Option<std::io::Error>) -> Result<Summary> {
    match (summary, unwritten) {
        (Ok(mut summary), Some(error)) => {
            summary.break_off(&cannot_write(&error));
            Ok(summary)
        }
        // The walk was cut short because of this: "interrupted" would not be the cause.
        (Err(_), Some(error)) => Err(anyhow::anyhow!(cannot_write(&error))),
        (summary, None) => summary,
    }
}

fn cannot_write(error: &std::io::Error) -> String {
    format!("the run's events could not be written any more: {error}")
}

/// Cancels `cancel` when `failed` is.
async fn end_with(failed: CancellationToken, cancel: CancellationToken) {
    failed.cancelled().await;
    cancel.cancel();
}

/// The socket for acts of other processes. A run goes on without it.
fn listen(state: &StateDir, control: &Control) -> (Option<Server>, Option<String>) {
    let path = state.run_folder().map_err(|e| e.to_string()).map(|folder| folder.join("control.sock"));
    let server = path.and_then(|path| {
        Server::start(&path, control.clone()).map_err(|e| format!("cannot listen on {}: {e}", path.display()))
    });
    match server {
        Ok(server) => (Some(server), None),
        Err(why) => (None, Some(format!("no other process can act on this run: {why}"))),
    }
}

async fn announce(emitter: &Emitter, summary: &Summary) {
    emitter.emit(Event::Goals { results: summary.goals.clone(), last: true }).await;
    emitter.emit(Event::Finished { verdict: summary.verdict, exit_code: summary.exit_code }).await;
}

fn save(folder: &RunFolder, summary: &Summary) -> Result<()> {
    let write = |path: PathBuf, bytes: Vec<u8>| {
        files::replace(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    write(folder.summary(), serde_json::to_vec_pretty(summary)?)?;
    write(folder.report(), report::markdown::render(summary).into_bytes())
}

/// What of a seed the profile's requests claim: this is what is proven.
pub fn proven(profile: &Profile, seed: &SeedPlan) -> Proven {
    let claims = profile.scenarios.values().flat_map(|s| &s.requests).flat_map(RequestSpec::claims);
    let asked: BTreeSet<Claim> = claims.filter_map(|claim| Some(claim.id.source().ok()?.counted(claim.kind))).collect();
    let subjects = seed.subjects().filter(|subject| asked.contains(&subject.claim));
    Proven { subjects: subjects.collect() }
}

#[cfg(test)]
mod tests;
