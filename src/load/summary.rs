//! What a load came to, as it is written into files.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    cache::{ByCache, CacheAnswer},
    figures::Figures,
    measure::{FAILURES, PhaseMeasure, RequestMeasure, merged},
    schedule::{Phase, SECOND},
};
use crate::{
    goal::Goal,
    goal::{Metrics, Selector, Trend, registry},
};

/// What a load came to. Requests sent = Σ outcomes = Σ over requests = Σ over phases.
#[derive(Debug, Clone, Serialize)]
pub struct LoadSummary {
    /// Wall-clock time of the run's monotonic start, in nanoseconds since 1970.
    pub origin_unix_ns: u64,
    /// When the load began, in seconds since the run's start.
    pub started_s: f64,
    /// How long it took, with the requests that were under way at its end.
    pub duration_s: f64,
    /// Requests sent.
    pub sent: u64,
    /// Requests per second over the whole load.
    pub rps: f64,
    /// Outcome class → requests.
    pub outcomes: BTreeMap<String, u64>,
    /// By request.
    pub requests: Vec<RequestSummary>,
    /// By phase.
    pub phases: Vec<PhaseSummary>,
    /// Iterations completed.
    pub iterations: u64,
    /// Iterations that the end of the load cut off between two requests.
    pub interrupted: u64,
    /// Iterations of an open model that found no virtual user free.
    pub dropped: u64,
    /// Virtual users that were allotted.
    pub vus_max: u32,
    /// Bytes written.
    pub data_sent: u64,
    /// Bytes read.
    pub data_received: u64,
    /// Coupon → outcome → requests that stand in the ledger.
    pub ledger: BTreeMap<u64, BTreeMap<String, u64>>,
    /// Open model: how late iterations began, in milliseconds.
    pub lateness: Option<Trend>,
    /// Share of their time that generator threads waited for a core; absent where the kernel does not say.
    pub core_wait: Option<f64>,
    /// Why the generator, not the system, was the limit: the figures of time prove nothing then.
    pub bottleneck: Option<String>,
    /// The goal that ended the load before its time.
    pub aborted_by: Option<String>,
    /// It was stopped from outside.
    pub stopped: bool,
    #[serde(skip)]
    figures: Arc<Figures>,
    #[serde(skip)]
    selectors: Vec<Selector>,
}

/// One request of a scenario. Times are in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct RequestSummary {
    /// Scenario.
    pub scenario: String,
    /// Its name.
    pub name: String,
    /// Times it was sent.
    pub sent: u64,
    /// Outcome class → requests.
    pub outcomes: BTreeMap<String, u64>,
    /// Status → answers.
    pub statuses: BTreeMap<u16, u64>,
    /// Reason → requests without an answer: `time-out`, `reset`, `refused`, `connect`, `not HTTP`.
    pub failures: BTreeMap<String, u64>,
    /// Sending + waiting + receiving; in an open model from the intended start. Of requests that were answered or timed
    /// out, as all trends here.
    pub duration: Trend,
    /// Answers that say whether they came from a cache: `hit` and `miss` → duration; empty where none says so.
    pub cache: BTreeMap<String, Trend>,
    /// Until a connection was at hand or begun.
    pub blocked: Trend,
    /// Making the connection; 0 on one that is kept.
    pub connecting: Trend,
    /// Writing.
    pub sending: Trend,
    /// Until the answer's first byte.
    pub waiting: Trend,
    /// From the answer's first byte to its last.
    pub receiving: Trend,
}

/// One phase of a scenario, with the requests that began in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseSummary {
    /// Scenario.
    pub scenario: String,
    /// Number from 0.
    pub index: usize,
    /// When it began, in seconds since the load began.
    pub started_s: f64,
    /// How long it took.
    pub duration_s: f64,
    /// Virtual users, or iterations per second.
    pub target: f64,
    /// Requests sent.
    pub sent: u64,
    /// Requests per second.
    pub rps: f64,
    /// Outcome class → requests.
    pub outcomes: BTreeMap<String, u64>,
    /// Median latency in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// Largest.
    pub max_ms: Option<f64>,
}

/// How a load ended, besides its figures.
#[derive(Debug, Default)]
pub(super) struct End {
    pub origin_unix_ns: u64,
    pub started_s: f64,
    pub aborted_by: Option<String>,
    pub stopped: bool,
}

impl LoadSummary {
    pub(super) fn new(figures: Figures, goals: &BTreeMap<String, Vec<Goal>>, end: End) -> Self {
        let (plan, measures) = (&figures.plan, &figures.measures);
        let requests = plan.requests.iter().zip(&measures.requests);
        let sum = |of: fn(&super::measure::ScenarioMeasure) -> u64| measures.scenarios.iter().map(of).sum();
        let lateness = merged(measures.scenarios.iter().map(|scenario| &scenario.lateness));
        let core_wait = (measures.thread_time > 0).then(|| measures.core_wait as f64 / measures.thread_time as f64);
        let sent = measures.total_sent();
        Self {
            origin_unix_ns: end.origin_unix_ns,
            started_s: end.started_s,
            duration_s: figures.seconds,
            sent,
            rps: per_second(sent, figures.seconds),
            outcomes: plan.by_name(&measures.total_outcomes()),
            requests: requests
                .map(|(request, measure)| {
                    let scenario = plan.scenarios[request.scenario].name.clone();
                    RequestSummary::new(scenario, request.name.clone(), measure, plan.by_name(&measure.outcomes))
                })
                .collect(),
            phases: phases(&figures),
            iterations: sum(|s| s.iterations),
            interrupted: sum(|s| s.interrupted),
            dropped: sum(|s| s.dropped),
            vus_max: figures.vus_max(),
            data_sent: measures.data_sent,
            data_received: measures.data_received,
            ledger: owned(&measures.ledger),
            bottleneck: bottleneck(&figures, &lateness, core_wait),
            lateness: (lateness.count() > 0).then_some(lateness),
            core_wait,
            aborted_by: end.aborted_by,
            stopped: end.stopped,
            selectors: goals.keys().filter_map(|metric| Selector::parse(metric).ok()).collect(),
            figures: Arc::new(figures),
        }
    }

    /// The generator's metrics under k6's names; besides the whole ones `http_reqs` and `http_req_duration` by request,
    /// both by cache hits and misses where answers say which they are, and the sub-metrics that the plan's goals ask
    /// for. What has no samples is absent.
    pub fn metrics(&self) -> Metrics {
        let whole =
            registry::METRICS.iter().map(|known| Selector { metric: known.name.to_owned(), ..Selector::default() });
        let by_name = self.requests.iter().flat_map(|request| split(&[("name", &request.name)]));
        let cached = || self.requests.iter().filter(|request| !request.cache.is_empty());
        let by_cache = CacheAnswer::ALL.into_iter().flat_map(|answer| {
            let cache = ("cache", answer.name());
            let whole = cached().take(1).flat_map(move |_| split(&[cache]));
            whole.chain(cached().flat_map(move |request| split(&[cache, ("name", &request.name)])))
        });
        let all = whole.chain(by_name).chain(by_cache).chain(self.selectors.iter().cloned());
        all.filter_map(|selector| Some((selector.to_string(), self.figures.metric(&selector)?))).collect()
    }
}

/// The metrics that are told by request and by cache, for these tags.
fn split(tags: &[(&str, &str)]) -> [Selector; 2] {
    let tags: BTreeMap<_, _> = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    ["http_reqs", "http_req_duration"].map(|metric| Selector { metric: metric.to_owned(), tags: tags.clone() })
}

impl RequestSummary {
    fn new(scenario: String, name: String, measure: &RequestMeasure, outcomes: BTreeMap<String, u64>) -> Self {
        let failures = FAILURES.iter().zip(measure.failures).filter(|(_, count)| *count > 0);
        Self {
            scenario,
            name,
            sent: measure.sent,
            outcomes,
            statuses: measure.statuses.clone(),
            failures: failures.map(|(name, count)| ((*name).to_owned(), count)).collect(),
            duration: measure.duration(),
            cache: if measure.cached.counts().all() > 0 { by_name(&measure.cached) } else { BTreeMap::new() },
            blocked: measure.blocked.clone(),
            connecting: measure.connecting.clone(),
            sending: measure.sending.clone(),
            waiting: measure.waiting.clone(),
            receiving: measure.receiving.clone(),
        }
    }
}

fn by_name(cached: &ByCache<Trend>) -> BTreeMap<String, Trend> {
    CacheAnswer::ALL.into_iter().map(|answer| (answer.name().to_owned(), cached.of(answer).clone())).collect()
}

/// Phases that began before the load ended.
fn phases(figures: &Figures) -> Vec<PhaseSummary> {
    let mut summaries = Vec::new();
    for (scenario, measure) in figures.plan.scenarios.iter().zip(&figures.measures.scenarios) {
        let phases = scenario.schedule.phases();
        for (index, (phase, measure)) in phases.iter().zip(&measure.phases).enumerate() {
            let Some((started_s, duration_s)) = span(*phase, figures.seconds) else { continue };
            let outcomes = figures.plan.by_name(&measure.outcomes);
            summaries.push(phase_summary(
                &scenario.name,
                index,
                phase.target,
                (started_s, duration_s),
                measure,
                outcomes,
            ));
        }
    }
    summaries
}

/// When a phase began and how long it took, in a load that may have ended early. Requests count by their beginning, so
/// answers that came after a phase do not lengthen it: another scenario may go on much longer.
fn span(phase: Phase, seconds: f64) -> Option<(f64, f64)> {
    let started = phase.start as f64 / SECOND as f64;
    let end = (phase.start + phase.duration) as f64 / SECOND as f64;
    (started <= seconds).then(|| (started, (end.min(seconds) - started).max(0.0)))
}

fn phase_summary(
    scenario: &str,
    index: usize,
    target: f64,
    (started_s, duration_s): (f64, f64),
    measure: &PhaseMeasure,
    outcomes: BTreeMap<String, u64>,
) -> PhaseSummary {
    PhaseSummary {
        scenario: scenario.to_owned(),
        index,
        started_s,
        duration_s,
        target,
        sent: measure.sent,
        rps: per_second(measure.sent, duration_s),
        outcomes,
        p50_ms: measure.duration.percentile(50.0),
        p95_ms: measure.duration.percentile(95.0),
        p99_ms: measure.duration.percentile(99.0),
        max_ms: measure.duration.max(),
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

fn owned(ledger: &BTreeMap<u64, BTreeMap<&'static str, u64>>) -> BTreeMap<u64, BTreeMap<String, u64>> {
    let own = |counts: &BTreeMap<&'static str, u64>| counts.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
    ledger.iter().map(|(coupon, counts)| (*coupon, own(counts))).collect()
}

/// Most lateness of an open model, in milliseconds, that is nobody's fault.
const LATENESS_MS: f64 = 5.0;
/// Share of an open model's p99 that lateness may reach.
const LATENESS_SHARE: f64 = 0.1;
/// Share of a closed model's time that threads may wait for a core.
const CORE_WAIT: f64 = 0.2;

/// Whether the generator was the limit. Open model: iterations began too late. Closed model: threads waited for a core.
fn bottleneck(figures: &Figures, lateness: &Trend, core_wait: Option<f64>) -> Option<String> {
    let requests = || figures.plan.requests.iter().zip(&figures.measures.requests);
    let open = |scenario: usize| figures.plan.scenarios[scenario].schedule.is_open();
    if let Some(late) = lateness.percentile(99.0) {
        let measured = requests().filter(|(request, _)| open(request.scenario)).flat_map(|(_, m)| &m.durations);
        let p99 = merged(measured).percentile(99.0).unwrap_or(0.0);
        let allowed = LATENESS_MS.max(LATENESS_SHARE * p99);
        if late > allowed {
            return Some(format!(
                "iterations began late: p99 {late:.1} ms after they were due, allowed are {allowed:.1} ms; \
                 lower the rate, or give the generator more cores"
            ));
        }
    }
    let closed = figures.plan.scenarios.iter().any(|scenario| !scenario.schedule.is_open());
    core_wait.filter(|wait| closed && *wait > CORE_WAIT).map(|wait| {
        format!(
            "generator threads waited for a core {:.0} % of the time, allowed are {:.0} %; \
             the machine has too few cores for this load and the servers together",
            wait * 100.0,
            CORE_WAIT * 100.0
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{LoadPlan, compile::Compiled, measure::Measures};

    /// Figures of one scenario with one request that took `duration_ms`.
    fn figures(executor: serde_json::Value, duration_ms: u64) -> Figures {
        let mut scenario = executor;
        scenario["requests"] = serde_json::json!([{"name": "a", "path": "/"}]);
        let plan = LoadPlan {
            targets: vec!["127.0.0.1:1".parse().unwrap()],
            host: "h".into(),
            scenarios: BTreeMap::from([("s".to_owned(), serde_json::from_value(scenario).unwrap())]),
            users: 1,
            threads: 1,
            ledger: None,
            origin: std::time::Instant::now(),
            random_seed: 0,
            goals: BTreeMap::new(),
        };
        let plan = Arc::new(Compiled::new(&plan).unwrap());
        let mut measures = Measures::new(&plan);
        measures.requests[0].durations[0].record_thousandths(duration_ms * 1_000);
        Figures { plan, measures, seconds: 1.0, vus: None }
    }

    #[test]
    fn the_generator_was_the_limit_when_it_was_late_or_waited_for_a_core() {
        let open = serde_json::json!({"executor": "constant-arrival-rate", "rate": 1.0, "duration": "1s", "maxVUs": 1});
        let closed = serde_json::json!({"executor": "constant-vus", "vus": 1, "duration": "1s"});
        let late = |millis: f64| {
            let mut trend = Trend::default();
            trend.record(millis);
            trend
        };
        for (executor, duration_ms, lateness, core_wait, limit) in [
            (&open, 20, 4.0, 0.9, false),
            (&open, 20, 6.0, 0.0, true),
            (&open, 200, 19.0, 0.0, false),
            (&open, 200, 21.0, 0.0, true),
            (&closed, 20, 0.0, 0.19, false),
            (&closed, 20, 0.0, 0.21, true),
        ] {
            let lateness = if executor == &open { late(lateness) } else { Trend::default() };
            let found = bottleneck(&figures(executor.clone(), duration_ms), &lateness, Some(core_wait));
            assert_eq!(found.is_some(), limit, "{executor} {duration_ms} {core_wait} {found:?}");
        }
    }

    #[test]
    fn phases_of_a_load_that_ended_early_are_cut() {
        let phase =
            |start: u64, duration: u64| Phase { start: start * SECOND, duration: duration * SECOND, target: 1.0 };
        assert_eq!(span(phase(0, 10), 25.0), Some((0.0, 10.0)));
        assert_eq!(span(phase(10, 10), 25.0), Some((10.0, 10.0)));
        assert_eq!(span(phase(10, 10), 12.0), Some((10.0, 2.0)));
        assert_eq!(span(phase(10, 10), 9.0), None);
    }
}
