//! What one thread measures. Nothing here grows with the number of requests, and merging the threads' figures gives the
//! figures of all.

use std::collections::BTreeMap;

use contract::claim::Claim;
use record::goal::Trend;

use super::{
    cache::{ByCache, CacheAnswer},
    clock::Nanos,
    compile::Compiled,
    failure::{self, Failure},
    receipt::Body,
};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Answered with this status, from a cache or past it where the answer says so.
    Status(u16, Option<CacheAnswer>),
    /// Not answered.
    Failed(Failure),
}

/// How long the parts of a request took, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timing {
    pub blocked: u64,
    pub connecting: u64,
    pub sending: u64,
    pub waiting: u64,
    pub receiving: u64,
    pub duration: u64,
}

/// Which request ended, and how it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Number over all scenarios.
    pub request: usize,
    pub scenario: usize,
    pub phase: usize,
}

/// Nanoseconds to the microseconds that trends keep.
pub(super) fn micros(nanos: u64) -> u64 {
    nanos.saturating_add(500) / 1_000
}

/// Promises to one claim of a request that lack the id which they were to give.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lacks {
    pub all: u64,
    /// Those whose body was too long to be kept.
    pub too_long: u64,
}

impl Lacks {
    /// Counts one with this body.
    pub fn add(&mut self, body: &Body) {
        self.all += 1;
        self.too_long += u64::from(*body == Body::TooLong);
    }

    /// Adds those of another thread.
    pub fn merge(&mut self, other: Self) {
        self.all += other.all;
        self.too_long += other.too_long;
    }
}

/// Figures of one request.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestMeasure {
    pub sent: u64,
    /// By class.
    pub outcomes: Vec<u64>,
    pub statuses: BTreeMap<u16, u64>,
    pub failures: failure::Counts,
    /// By number of the claim.
    pub lacks: Vec<Lacks>,
    /// By kind of failure: what was said at the first one.
    pub examples: [Option<Box<str>>; failure::KINDS],
    /// By class: duration of requests that were answered or timed out.
    pub durations: Vec<Trend>,
    /// Duration of answers that say whether they came from a cache.
    pub cached: ByCache<Trend>,
    pub blocked: Trend,
    pub connecting: Trend,
    pub sending: Trend,
    pub waiting: Trend,
    pub receiving: Trend,
}

impl RequestMeasure {
    /// Duration over all classes.
    pub fn duration(&self) -> Trend {
        merged(&self.durations)
    }
}

/// One trend of many.
pub(super) fn merged<'a>(trends: impl IntoIterator<Item = &'a Trend>) -> Trend {
    let mut all = Trend::default();
    trends.into_iter().for_each(|trend| all.merge(trend));
    all
}

/// Figures of one phase of a scenario. A request belongs to the phase in which it began.
#[derive(Debug, Clone, Default)]
pub(super) struct PhaseMeasure {
    pub sent: u64,
    pub outcomes: Vec<u64>,
    pub duration: Trend,
}

/// Figures of one scenario.
#[derive(Debug, Clone, Default)]
pub(super) struct ScenarioMeasure {
    /// When its last request began, counted from the beginning of the load.
    pub last_begun: Nanos,
    pub iterations: u64,
    pub dropped: u64,
    pub iteration_duration: Trend,
    /// Open model: how late iterations began.
    pub lateness: Trend,
    pub phases: Vec<PhaseMeasure>,
}

/// Figures of one thread, or of all.
#[derive(Debug, Clone, Default)]
pub(super) struct Measures {
    pub requests: Vec<RequestMeasure>,
    pub scenarios: Vec<ScenarioMeasure>,
    /// When no request began any more, where the load was stopped before its time: from outside, or by a goal.
    pub stopped_at: Option<Nanos>,
    pub data_sent: u64,
    pub data_received: u64,
    /// Time that threads waited for a core, and time that they ran in all.
    pub core_wait: u64,
    pub thread_time: u64,
}

impl Measures {
    pub fn new(plan: &Compiled) -> Self {
        let classes = plan.classes.len();
        let request = |claims: usize| RequestMeasure {
            outcomes: vec![0; classes],
            durations: vec![Trend::default(); classes],
            lacks: vec![Lacks::default(); claims],
            ..RequestMeasure::default()
        };
        let phase = || PhaseMeasure { outcomes: vec![0; classes], ..PhaseMeasure::default() };
        let scenario = |phases: usize| ScenarioMeasure {
            phases: (0..phases).map(|_| phase()).collect(),
            ..ScenarioMeasure::default()
        };
        Self {
            requests: plan.requests.iter().map(|r| request(r.claims.len())).collect(),
            scenarios: plan.scenarios.iter().map(|s| scenario(s.phase_starts.len())).collect(),
            ..Self::default()
        }
    }

    /// A request begins, `at` counted from the beginning of the load.
    pub fn sent(&mut self, place: Place, at: Nanos) {
        self.requests[place.request].sent += 1;
        let scenario = &mut self.scenarios[place.scenario];
        scenario.phases[place.phase].sent += 1;
        scenario.last_begun = at;
    }

    /// A request ends. Latencies are kept of requests that were answered or timed out: leaving time-outs out would
    /// flatter the percentiles, and so would a refused connection, which takes next to no time.
    pub fn ended(&mut self, place: Place, class: usize, ending: Ending, timing: &Timing) {
        let request = &mut self.requests[place.request];
        request.outcomes[class] += 1;
        let phase = &mut self.scenarios[place.scenario].phases[place.phase];
        phase.outcomes[class] += 1;
        match ending {
            Ending::Status(status, cache) => {
                *request.statuses.entry(status).or_default() += 1;
                if let Some(answer) = cache {
                    request.cached.of_mut(answer).record_thousandths(micros(timing.duration));
                }
            }
            Ending::Failed(failure) => request.failures[failure as usize] += 1,
        }
        if !has_latency(ending) {
            return;
        }
        request.durations[class].record_thousandths(micros(timing.duration));
        phase.duration.record_thousandths(micros(timing.duration));
        for (trend, nanos) in [
            (&mut request.blocked, timing.blocked),
            (&mut request.connecting, timing.connecting),
            (&mut request.sending, timing.sending),
            (&mut request.waiting, timing.waiting),
            (&mut request.receiving, timing.receiving),
        ] {
            trend.record_thousandths(micros(nanos));
        }
    }

    /// Adds the figures of another thread of the same plan.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.requests.iter_mut().zip(&other.requests) {
            own.merge(other);
        }
        for (own, other) in self.scenarios.iter_mut().zip(&other.scenarios) {
            own.merge(other);
        }
        self.stopped_at = self.stopped_at.max(other.stopped_at);
        self.data_sent += other.data_sent;
        self.data_received += other.data_received;
        self.core_wait += other.core_wait;
        self.thread_time += other.thread_time;
    }

    /// Requests sent.
    pub fn total_sent(&self) -> u64 {
        self.requests.iter().map(|request| request.sent).sum()
    }

    /// Requests sent by what they claim, each with all of its claims. They are counted when they begin, apart from what comes
    /// of them.
    pub fn claims(&self, plan: &Compiled) -> BTreeMap<Claim, u64> {
        let mut sent = BTreeMap::new();
        for (request, measure) in plan.requests.iter().zip(&self.requests) {
            for claim in &request.claims {
                *sent.entry(claim.counted()).or_default() += measure.sent;
            }
        }
        sent
    }

    /// Requests ended, by class.
    pub fn total_outcomes(&self) -> Vec<u64> {
        let mut all = vec![0; self.requests.first().map_or(0, |request| request.outcomes.len())];
        self.requests.iter().for_each(|request| add(&mut all, &request.outcomes));
        all
    }

    /// Requests without an answer, by kind of failure.
    pub fn total_failures(&self) -> failure::Counts {
        let mut all = failure::Counts::default();
        self.requests.iter().for_each(|request| add(&mut all, &request.failures));
        all
    }

    /// Answers from a cache, and past it.
    pub fn total_cached(&self) -> ByCache<u64> {
        let mut all = ByCache::default();
        self.requests.iter().for_each(|request| all.add(request.cached.counts()));
        all
    }

    /// Iterations dropped.
    pub fn total_dropped(&self) -> u64 {
        self.scenarios.iter().map(|scenario| scenario.dropped).sum()
    }
}

/// Whether a latency is kept of a request that ended so.
pub(super) fn has_latency(ending: Ending) -> bool {
    matches!(ending, Ending::Status(..) | Ending::Failed(Failure::TimeOut | Failure::ConnectTimeOut))
}

pub(super) fn add(own: &mut [u64], other: &[u64]) {
    own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
}

impl RequestMeasure {
    fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        add(&mut self.outcomes, &other.outcomes);
        add(&mut self.failures, &other.failures);
        self.lacks.iter_mut().zip(&other.lacks).for_each(|(own, other)| own.merge(*other));
        for (own, other) in self.examples.iter_mut().zip(&other.examples) {
            if own.is_none() {
                own.clone_from(other);
            }
        }
        other.statuses.iter().for_each(|(status, count)| *self.statuses.entry(*status).or_default() += count);
        self.durations.iter_mut().zip(&other.durations).for_each(|(own, other)| own.merge(other));
        self.cached.merge(&other.cached);
        self.blocked.merge(&other.blocked);
        self.connecting.merge(&other.connecting);
        self.sending.merge(&other.sending);
        self.waiting.merge(&other.waiting);
        self.receiving.merge(&other.receiving);
    }
}

impl ScenarioMeasure {
    fn merge(&mut self, other: &Self) {
        self.last_begun = self.last_begun.max(other.last_begun);
        self.iterations += other.iterations;
        self.dropped += other.dropped;
        self.iteration_duration.merge(&other.iteration_duration);
        self.lateness.merge(&other.lateness);
        for (own, other) in self.phases.iter_mut().zip(&other.phases) {
            own.sent += other.sent;
            add(&mut own.outcomes, &other.outcomes);
            own.duration.merge(&other.duration);
        }
    }
}
