//! The measured part of a run: load with the probes beside it, drain, verdict.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use base::http::Http;
use contract::{claim::Claim, endpoint::ApiEndpoint};
use infra::stack::Stack;
use load::{self, LoadControl, LoadEvent, LoadPlan, LoadSummary};
use probe::{self, DrainPlan, DrainReport, Probe, ProbePlan};
use record::{
    epoch::OfRun,
    event::{Event, ProbeSample, names::Stage, plan::Proven},
    invariant::{self, Listed},
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use verify::{self, CheckResult, LiveFacts, LogBefore, VerifyPlan, VerifyReport, invariants::InvariantPlan};

use super::{
    folder,
    recorder::Emitter,
    walk::{Marks, Walk},
};

/// Time between two looks of the probes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks that may wait for the recorder; more are skipped, not piled up.
const LOOKS: usize = 4;

/// How long an API that runs already may take to accept a connection, and to answer.
const API_WITHIN: Duration = Duration::from_secs(5);

/// Where an API that runs already is reached: the first address of its host that accepts a connection, as curl does it.
/// `localhost` may mean `::1` first, where nobody listens.
///
/// # Errors
/// When the URL is none, its host is not known, nobody accepts, or whoever does speaks no HTTP: told before anything is
/// seeded.
pub async fn resolve(url: &str) -> Result<(Vec<SocketAddr>, String)> {
    let api: ApiEndpoint = url.parse()?;
    let found = tokio::net::lookup_host((api.host.as_str(), api.port)).await;
    let addresses: Vec<_> = found.with_context(|| format!("the API's host {} is not known", api.host))?.collect();
    match first_that_accepts(&addresses).await {
        Ok(address) => {
            look(&api).await?;
            // One of them: the load generator spreads over API instances, not over the names of one.
            Ok((vec![address], api.authority()))
        }
        Err(refused) => bail!("no API answers at {api} ({refused}); start it, or leave --api-url away"),
    }
}

/// The first of `addresses` that accepts a connection; else why none does.
async fn first_that_accepts(addresses: &[SocketAddr]) -> Result<SocketAddr, String> {
    let mut refused = Vec::new();
    for address in addresses {
        let connect = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(API_WITHIN / 2, connect).await {
            Ok(Ok(_)) => return Ok(*address),
            Ok(Err(e)) => refused.push(format!("{address}: {e}")),
            Err(_) => refused.push(format!("{address}: no answer")),
        }
    }
    Err(refused.join("; "))
}

/// Whether HTTP is spoken there; any status will do, for its paths are the profile's business.
async fn look(api: &ApiEndpoint) -> Result<()> {
    let url = format!("{api}/actuator/health");
    let answer = Http::new(API_WITHIN).get(&url).await;
    answer.map(drop).with_context(|| format!("whoever listens at {api} gives no HTTP answer"))
}

/// Loads the API as the profile says, while the probes look at the servers.
///
/// # Errors
/// When the generator cannot work: no file descriptors, no ledger. Failed requests are no error.
pub async fn load(walk: &Walk<'_>, stack: &Stack, api: (Vec<SocketAddr>, String)) -> Result<LoadSummary> {
    walk.emitter.stage(Stage::Load).await;
    let profile = &walk.request.loaded.profile;
    let plan = LoadPlan {
        targets: api.0,
        host: api.1,
        scenarios: profile.scenarios.clone(),
        users: profile.seed.users,
        threads: threads(),
        ledger: Some(walk.folder.ledger()),
        origin: walk.origin,
        random_seed: walk.origin_unix_ns,
        goals: profile.goals.clone(),
    };
    let (sender, receiver) = mpsc::channel(LOOKS);
    let probe = Probe::start(probe_plan(walk, stack), sender);
    let looking = tokio::spawn(forward(receiver, walk.emitter.clone(), facts_of(walk), walk.marks.clone()));
    let invariants = InvariantWatch::start(walk, stack);

    let control = LoadControl::roomy();
    walk.live.set_load(Some(control.clone()));
    let (emitter, worker) = (walk.emitter.clone(), control.clone());
    let mut loading = tokio::task::spawn_blocking(move || {
        load::run(&plan, &worker, &mut |event| emitter.emit_blocking(translate(event)))
    });
    let cancel = &walk.request.cancel;
    let summary = tokio::select! {
        summary = &mut loading => summary,
        () = cancel.cancelled() => {
            control.stop();
            loading.await
        }
    };
    walk.live.set_load(None);
    probe.stop().await;
    invariants.stop().await;
    let _ = looking.await;
    Ok(summary.context("the load generator ended early")??)
}

/// The invariants of the system and of the profile.
fn listed(walk: &Walk<'_>) -> Vec<Listed> {
    let profile = &walk.request.loaded.profile;
    invariant::listed(profile.system, &profile.invariants)
}

/// The looks at invariants beside the load.
struct InvariantWatch {
    stop: CancellationToken,
    looking: JoinHandle<()>,
    telling: JoinHandle<()>,
}

impl InvariantWatch {
    fn start(walk: &Walk<'_>, stack: &Stack) -> Self {
        let stop = CancellationToken::new();
        let (tell, mut told) = mpsc::channel::<CheckResult>(LOOKS);
        let (emitter, marks) = (walk.emitter.clone(), walk.marks.clone());
        let telling = tokio::spawn(async move {
            while let Some(check) = told.recv().await {
                emitter.emit(check.event()).await;
                marks.violated(check);
            }
        });
        let watching = verify::invariants::watch(stack.endpoints.clone(), listed(walk), tell, stop.clone());
        Self { stop, looking: tokio::spawn(watching), telling }
    }

    /// Ends them; a look that is under way is given up by its end.
    async fn stop(self) {
        self.stop.cancel();
        let _ = self.looking.await;
        let _ = self.telling.await;
    }
}

/// Half of the cores, at least one: the servers and the backend need the others.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2)).min(8)
}

fn translate(event: LoadEvent) -> Event {
    match event {
        LoadEvent::Phase { scenario, index, target } => Event::Phase { scenario, index, target },
        LoadEvent::Sample(sample) => Event::Load(sample),
        LoadEvent::Goals(results) => Event::Goals { results, last: false },
        LoadEvent::Aborted { goal } => {
            Event::Warning { message: format!("ending the load: the goal {goal} is missed") }
        }
    }
}

fn probe_plan(walk: &Walk<'_>, stack: &Stack) -> ProbePlan {
    ProbePlan {
        endpoints: stack.endpoints.clone(),
        subjects: claims(walk),
        topic: stack.system.claims().name.to_owned(),
        group: stack.system.claims().group.to_owned(),
        interval: LOOK_EVERY,
        starts: walk.marks.starts(),
        opened: walk.marks.opened().clone(),
    }
}

fn claims(walk: &Walk<'_>) -> Vec<Claim> {
    walk.proven.subjects.iter().map(|subject| subject.claim).collect()
}

/// What counts are held against while the run goes on.
pub fn live_facts(proven: &Proven, marks: &Marks) -> LiveFacts {
    LiveFacts { subjects: folder::subjects(proven), topic_starts: marks.starts().topic }
}

fn facts_of(walk: &Walk<'_>) -> LiveFacts {
    live_facts(&walk.proven, &walk.marks)
}

/// Hands samples on to the recorder; what a sample proves false is told at once, each check once.
async fn forward(mut samples: mpsc::Receiver<ProbeSample>, emitter: Emitter, facts: LiveFacts, marks: Arc<Marks>) {
    let mut told = std::collections::BTreeSet::new();
    while let Some(sample) = samples.recv().await {
        marks.saw(&sample);
        for check in verify::live(&sample, &facts) {
            if told.insert(check.id.clone()) {
                emitter.emit(check.event()).await;
            }
        }
        emitter.emit(Event::Probe(sample)).await;
    }
}

/// Waits until everything is consumed and nothing moves any more.
pub async fn drain(walk: &Walk<'_>, stack: &Stack) -> DrainReport {
    walk.emitter.stage(Stage::Drain).await;
    let plan = DrainPlan {
        endpoints: stack.endpoints.clone(),
        subjects: claims(walk),
        topic: stack.system.claims().name.to_owned(),
        group: stack.system.claims().group.to_owned(),
        starts: walk.marks.starts(),
        opened: walk.marks.opened().clone(),
        timeout: walk.request.loaded.profile.drain.timeout.0,
    };
    let (sender, receiver) = mpsc::channel(LOOKS);
    let looking = tokio::spawn(forward(receiver, walk.emitter.clone(), facts_of(walk), walk.marks.clone()));
    let gone = |system: &str| walk.live.gone(walk.request.state, system);
    let tell = |sample: &ProbeSample| drop(sender.try_send(sample.clone()));
    let report = probe::drain(&plan, tell, &gone, &walk.request.cancel).await;
    drop(sender);
    let _ = looking.await;
    if !report.drained && !walk.request.cancel.is_cancelled() {
        let message = format!("the drain ended after {:.1} s without rest: {}", report.seconds, report.why);
        walk.emitter.emit(Event::Warning { message }).await;
    }
    report
}

/// Reads the sets and judges.
///
/// # Errors
/// When the sets cannot be written. What cannot be read makes checks unknown.
pub async fn verify(walk: &Walk<'_>, stack: &Stack, load: &LoadSummary) -> Result<VerifyReport> {
    walk.emitter.stage(Stage::Verify).await;
    let plan = VerifyPlan {
        endpoints: stack.endpoints.clone(),
        topic: stack.system.claims().name.to_owned(),
        group: stack.system.claims().group.to_owned(),
        system: stack.system,
        subjects: folder::subjects(&walk.proven),
        ledger: Some(walk.folder.ledger()),
        sent: load.claims.clone(),
        sets_dir: Some(walk.folder.sets()),
        require: walk.request.loaded.profile.checks.require.clone(),
        origin_unix_ns: Some(walk.origin_unix_ns),
        of_run: Some(OfRun {
            run: walk.folder.name(),
            opened: Ok(walk.marks.opened().clone()),
            history: false,
            openers: BTreeMap::new(),
        }),
        before: LogBefore { cluster: None, ends: walk.marks.ends() },
        running: None,
        invariants: InvariantPlan { listed: listed(walk), under_load: walk.marks.under_load() },
    };
    let report = verify::run(&plan).await.context("the sets could not be compared")?;
    for check in &report.checks {
        walk.emitter.emit(check.event()).await;
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `localhost` is `::1` first on many machines, while a server listens on IPv4: every request was refused.
    #[tokio::test]
    async fn an_api_is_reached_by_the_first_of_its_addresses_that_accepts() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let nobody = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, here.port()));
        assert_eq!(first_that_accepts(&[nobody, here]).await, Ok(here));
        drop(listener);
        let why = first_that_accepts(&[nobody, here]).await.unwrap_err();
        assert!(why.contains("[::1]:") && why.contains("127.0.0.1:"), "{why}");
    }

    #[tokio::test]
    async fn whoever_speaks_no_http_is_told_before_the_load() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"-ERR unknown command\r\n").await;
            }
        });
        let error = resolve(&url).await.unwrap_err();
        assert!(format!("{error:#}").contains("gives no HTTP answer"), "{error:#}");
        let error = resolve("http://u:hunter2@127.0.0.1:1").await.unwrap_err();
        assert!(!format!("{error:#?}").contains("hunter2"), "{error:#}");
    }
}
