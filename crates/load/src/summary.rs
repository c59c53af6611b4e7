//! What a load came to, as it is written into files.

use std::{collections::BTreeMap, sync::Arc};

use contract::claim::Claim;
use record::{
    goal::{Goal, Metrics, Selector, Trend},
    metric,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    cache::{ByCache, CacheAnswer},
    claimed::{self, ClaimSummary},
    compile::{Compiled, CompiledRequest, ERROR, UNKNOWN},
    failure,
    figures::{Figures, per_second},
    limit,
    measure::{RequestMeasure, merged},
};

/// What a load came to. Requests sent = Σ outcomes = Σ over requests = Σ over phases.
#[derive(Debug, Clone)]
pub struct LoadSummary {
    /// How long it was to take, or took until it was stopped, in seconds; longer only where iterations under way still
    /// sent requests after that. Rates are over this time.
    pub duration_s: f64,
    /// Requests sent.
    pub sent: u64,
    /// Requests per second over the whole load.
    pub rps: f64,
    /// Outcome class → requests.
    pub outcomes: BTreeMap<String, u64>,
    /// Requests sent by what they claim, each with all of its claims.
    pub claims: BTreeMap<Claim, u64>,
    /// What they came to by what they claim.
    pub claimed: Vec<ClaimSummary>,
    /// By request.
    pub requests: Vec<RequestSummary>,
    /// By phase.
    pub phases: Vec<PhaseSummary>,
    /// Open model: how late iterations began, in milliseconds.
    pub lateness: Option<Trend>,
    /// Why the generator, not the system, was the limit: the figures of time prove nothing then.
    pub bottleneck: Option<String>,
    /// What a person should know of the figures.
    pub notes: Vec<String>,
    /// The goal that ended the load before its time.
    pub aborted_by: Option<String>,
    /// Why the load was broken off: its ledger could not be written on, so that nothing can be proven by it.
    pub broken: Option<String>,
    figures: Arc<Figures>,
    selectors: Vec<Selector>,
}

/// One request of a scenario. Times are in milliseconds.
#[derive(Debug, Clone)]
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
    /// Statuses of outcome ERROR or UNKNOWN → answers.
    pub error_statuses: BTreeMap<u16, u64>,
    /// Kind of failure → requests without an answer: `refused`, `unreachable`, `connect time-out`, `connect`, `time-out`,
    /// `reset`, `closed early`, `TLS`, `not HTTP`.
    pub failures: BTreeMap<String, u64>,
    /// Kind of failure → what was said at the first one.
    pub examples: BTreeMap<String, String>,
    /// Sending + waiting + receiving; in an open model from the intended start. Of requests that were answered or timed
    /// out, as all trends here.
    pub duration: Trend,
    /// Answers that say whether they came from a cache: `hit` and `miss` → duration; empty where none says so.
    pub cache: BTreeMap<String, Trend>,
    /// Making the connection; 0 on one that is kept.
    pub connecting: Trend,
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

impl LoadSummary {
    pub(super) fn new(
        figures: Figures,
        goals: &BTreeMap<String, Vec<Goal>>,
        aborted_by: Option<String>,
        broken: Option<String>,
    ) -> Self {
        let (plan, measures) = (&figures.plan, &figures.measures);
        let requests = plan.requests.iter().zip(&measures.requests);
        let lateness = merged(measures.scenarios.iter().map(|scenario| &scenario.lateness));
        let (sent, duration_s) = (measures.total_sent(), figures.seconds());
        let limit = limit::judge(&figures, &lateness);
        Self {
            duration_s,
            sent,
            rps: per_second(sent, duration_s),
            outcomes: plan.by_name(&measures.total_outcomes()),
            claims: measures.claims(plan),
            claimed: claimed::by_claim(plan, measures),
            requests: requests.map(|(request, measure)| RequestSummary::new(plan, request, measure)).collect(),
            phases: phases(&figures),
            bottleneck: limit.bottleneck,
            notes: limit.note.into_iter().chain(claimed::notes(plan, measures)).collect(),
            lateness: (lateness.count() > 0).then_some(lateness),
            aborted_by,
            broken,
            selectors: goals.keys().filter_map(|metric| Selector::parse(metric).ok()).collect(),
            figures: Arc::new(figures),
        }
    }

    /// The generator's metrics under k6's names; besides the whole ones `http_reqs` and `http_req_duration` by request,
    /// both by cache hits and misses where answers say which they are, and the sub-metrics that the plan's goals ask
    /// for. What has no samples is absent.
    pub fn metrics(&self) -> Metrics {
        let whole = metric::goals().map(|known| Selector { metric: known.name.to_owned(), ..Selector::default() });
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
    fn new(plan: &Compiled, request: &CompiledRequest, measure: &RequestMeasure) -> Self {
        let is_error = |status: u16| matches!(request.class(status), ERROR | UNKNOWN);
        let errors = measure.statuses.iter().filter(|(status, _)| is_error(**status));
        Self {
            scenario: plan.scenarios[request.scenario].name.clone(),
            name: request.name.clone(),
            sent: measure.sent,
            outcomes: plan.by_name(&measure.outcomes),
            statuses: measure.statuses.clone(),
            error_statuses: errors.map(|(status, count)| (*status, *count)).collect(),
            failures: failure::by_name(&measure.failures),
            examples: failure::examples(&measure.examples),
            duration: measure.duration(),
            cache: if measure.cached.counts().all() > 0 { by_name(&measure.cached) } else { BTreeMap::new() },
            connecting: measure.connecting.clone(),
            waiting: measure.waiting.clone(),
            receiving: measure.receiving.clone(),
        }
    }
}

fn by_name(cached: &ByCache<Trend>) -> BTreeMap<String, Trend> {
    CacheAnswer::ALL.into_iter().map(|answer| (answer.name().to_owned(), cached.of(answer).clone())).collect()
}

/// Phases that began before the load ended. Requests count by their beginning, so answers that came after a phase do not
/// lengthen it.
fn phases(figures: &Figures) -> Vec<PhaseSummary> {
    let mut summaries = Vec::new();
    for (number, (scenario, measure)) in figures.plan.scenarios.iter().zip(&figures.measures.scenarios).enumerate() {
        let phases = scenario.schedule.phases();
        for (index, (phase, measure)) in phases.iter().zip(&measure.phases).enumerate() {
            let Some((started_s, ended_s)) = figures.span(number, index) else { continue };
            let duration_s = ended_s - started_s;
            summaries.push(PhaseSummary {
                scenario: scenario.name.clone(),
                index,
                started_s,
                duration_s,
                target: phase.target,
                sent: measure.sent,
                rps: per_second(measure.sent, duration_s),
                outcomes: figures.plan.by_name(&measure.outcomes),
                p50_ms: measure.duration.percentile(50.0),
                p95_ms: measure.duration.percentile(95.0),
                p99_ms: measure.duration.percentile(99.0),
                max_ms: measure.duration.max(),
            });
        }
    }
    summaries
}

#[cfg(test)]
mod tests;
