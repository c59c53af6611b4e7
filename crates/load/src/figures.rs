//! Measures as metrics: whole, or chosen by tags.

use std::sync::Arc;

use record::goal::{Metric, Selector, Trend};

use super::{
    cache::{ByCache, CacheAnswer},
    clock::Nanos,
    compile::{Compiled, CompiledRequest, UNKNOWN},
    measure::{Measures, PhaseMeasure, RequestMeasure, ScenarioMeasure, merged},
    schedule::SECOND,
};

/// What a load has measured so far, and in what time.
///
/// Rates are over the time in which requests were to begin: the scheduled length of a scenario, cut where the load was
/// stopped. Answers that come later do not lengthen it; requests that an iteration under way still sent do.
#[derive(Debug)]
pub(super) struct Figures {
    pub plan: Arc<Compiled>,
    pub measures: Measures,
    /// Time since the load began.
    pub now: Nanos,
    /// Last, smallest and largest number of active virtual users.
    pub vus: Option<(f64, f64, f64)>,
}

impl Figures {
    /// The metric that `selector` asks for; none where nothing of the kind was measured.
    pub fn metric(&self, selector: &Selector) -> Option<Metric> {
        let request_trend =
            |of: fn(&RequestMeasure) -> &Trend| trend(merged(self.requests(selector).map(|(_, measure)| of(measure))));
        match selector.metric.as_str() {
            "http_reqs" => Some(self.counter(selector, self.count_requests(selector)?)),
            "http_req_failed" => self.failed(selector),
            "http_req_duration" => trend(self.duration(selector)),
            "cache_hit_rate" => self.cache_hit_rate(selector),
            "http_req_blocked" => request_trend(|r| &r.blocked),
            "http_req_connecting" => request_trend(|r| &r.connecting),
            "http_req_sending" => request_trend(|r| &r.sending),
            "http_req_waiting" => request_trend(|r| &r.waiting),
            "http_req_receiving" => request_trend(|r| &r.receiving),
            "iterations" => Some(self.count_iterations(selector, |s| s.iterations)),
            "dropped_iterations" => Some(self.count_iterations(selector, |s| s.dropped)),
            "iteration_duration" => trend(merged(self.scenarios(selector).map(|s| &s.iteration_duration))),
            "vus" => self.vus.map(|(value, min, max)| Metric::Gauge { value, min, max }),
            "vus_max" => {
                let all = f64::from(self.vus_max());
                Some(Metric::Gauge { value: all, min: all, max: all })
            }
            "data_sent" => Some(self.counter(selector, self.measures.data_sent)),
            "data_received" => Some(self.counter(selector, self.measures.data_received)),
            _ => None,
        }
    }

    /// Virtual users that the plan allots, or that ran at once where more were asked for by hand.
    pub fn vus_max(&self) -> u32 {
        let planned = self.plan.scenarios.iter().map(|s| s.schedule.max_vus()).sum();
        self.vus.map_or(planned, |(_, _, max)| planned.max(max as u32))
    }

    /// Seconds of load.
    pub fn seconds(&self) -> f64 {
        self.seconds_of(&Selector::default())
    }

    /// When phase `index` of scenario `number` began and ended, in seconds since the load began; none when the load was
    /// over before it.
    pub fn span(&self, number: usize, index: usize) -> Option<(f64, f64)> {
        let (scenario, measure) = (&self.plan.scenarios[number], &self.measures.scenarios[number]);
        let phases = scenario.schedule.phases();
        let phase = phases.get(index).filter(|phase| phase.start <= self.cut(Nanos::MAX))?;
        let end = self.cut(phase.start.saturating_add(phase.duration));
        // What is sent after the end of the schedule belongs to the last phase.
        let end = if index + 1 == phases.len() { end.max(measure.last_begun) } else { end };
        Some((seconds(phase.start), seconds(end)))
    }

    /// `at`, or the time at which the load was stopped if that was earlier.
    fn cut(&self, at: Nanos) -> Nanos {
        at.min(self.measures.stopped_at.unwrap_or(Nanos::MAX)).min(self.now)
    }

    /// Seconds in which the requests that `selector` chooses were to begin: of its scenarios, or of its phase in them.
    fn seconds_of(&self, selector: &Selector) -> f64 {
        let phase = selector.tag("phase").and_then(|number| number.parse().ok());
        let named = |number: usize| {
            let wanted = selector.tag("name");
            let mut own = self.plan.requests.iter().filter(|request| request.scenario == number);
            wanted.is_none_or(|name| own.any(|request| request.name == name))
        };
        let scenarios = self.plan.scenarios.iter().zip(&self.measures.scenarios).enumerate();
        let chosen = scenarios.filter(|(number, (scenario, _))| {
            selector.tag("scenario").is_none_or(|name| name == scenario.name) && named(*number)
        });
        let spans = chosen.filter_map(|(number, (scenario, measure))| match phase {
            Some(index) => self.span(number, index),
            None => Some((0.0, seconds(self.cut(scenario.schedule.end()).max(measure.last_begun)))),
        });
        let (start, end) = spans.fold((f64::INFINITY, 0.0_f64), |all, one| (all.0.min(one.0), all.1.max(one.1)));
        (end - start).max(0.0)
    }

    fn counter(&self, selector: &Selector, count: u64) -> Metric {
        Metric::Counter { count, rate: per_second(count, self.seconds_of(selector)) }
    }

    /// The requests that `name` and `scenario` choose.
    fn requests<'a>(
        &'a self,
        selector: &'a Selector,
    ) -> impl Iterator<Item = (&'a CompiledRequest, &'a RequestMeasure)> {
        self.plan.requests.iter().zip(&self.measures.requests).filter(|(request, _)| {
            let scenario = &self.plan.scenarios[request.scenario].name;
            selector.tag("name").is_none_or(|name| name == request.name)
                && selector.tag("scenario").is_none_or(|name| name == scenario)
        })
    }

    fn scenarios<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = &'a ScenarioMeasure> {
        let wanted = selector.tag("scenario");
        let named = self.plan.scenarios.iter().zip(&self.measures.scenarios);
        named.filter(move |(plan, _)| wanted.is_none_or(|name| name == plan.name)).map(|(_, measure)| measure)
    }

    /// The phases that `phase` and `scenario` choose; none where no phase is asked for.
    fn phases<'a>(&'a self, selector: &'a Selector) -> Option<impl Iterator<Item = &'a PhaseMeasure>> {
        let number = selector.tag("phase")?.parse::<usize>().ok()?;
        Some(self.scenarios(selector).filter_map(move |scenario| scenario.phases.get(number)))
    }

    /// Whether the tags `outcome` and `expected_response` choose class `number`.
    fn is_class(&self, selector: &Selector, number: usize) -> bool {
        let expected = (number != UNKNOWN).to_string();
        selector.tag("outcome").is_none_or(|name| self.plan.classes.get(number).is_some_and(|class| class == name))
            && selector.tag("expected_response").is_none_or(|value| value == expected)
    }

    /// Durations of the answers that came from a cache, or of those that did not, as the tag `cache` asks.
    fn cached(&self, selector: &Selector) -> Option<Trend> {
        let of = CacheAnswer::named(selector.tag("cache")?);
        let requests = self.requests(selector).map(|(_, measure)| &measure.cached);
        Some(merged(requests.filter_map(|cached| Some(cached.of(of?)))))
    }

    /// The share of hits among the answers that say what they are; none where no answer does.
    fn cache_hit_rate(&self, selector: &Selector) -> Option<Metric> {
        let mut sum = ByCache::default();
        self.requests(selector).for_each(|(_, measure)| sum.add(measure.cached.counts()));
        (sum.all() > 0).then_some(Metric::Rate { passes: sum.hit, fails: sum.miss })
    }

    fn duration(&self, selector: &Selector) -> Trend {
        if let Some(cached) = self.cached(selector) {
            return cached;
        }
        if let Some(phases) = self.phases(selector) {
            return merged(phases.map(|phase| &phase.duration));
        }
        let by_class = self.requests(selector).flat_map(|(_, measure)| measure.durations.iter().enumerate());
        merged(by_class.filter(|(class, _)| self.is_class(selector, *class)).map(|(_, trend)| trend))
    }

    fn count_requests(&self, selector: &Selector) -> Option<u64> {
        if let Some(cached) = self.cached(selector) {
            return Some(cached.count());
        }
        if let Some(phases) = self.phases(selector) {
            return Some(phases.map(|phase| phase.sent).sum());
        }
        let status = match selector.tag("status") {
            Some(text) => Some(text.parse::<u16>().ok()?),
            None => None,
        };
        let all = ["outcome", "expected_response"].iter().all(|tag| selector.tag(tag).is_none());
        let of = |(request, measure): (&CompiledRequest, &RequestMeasure)| match status {
            Some(status) if self.is_class(selector, request.class(status)) => {
                measure.statuses.get(&status).copied().unwrap_or(0)
            }
            Some(_) => 0,
            None if all => measure.sent,
            None => {
                let counts = measure.outcomes.iter().enumerate();
                counts.filter(|(class, _)| self.is_class(selector, *class)).map(|(_, count)| count).sum()
            }
        };
        Some(self.requests(selector).map(of).sum())
    }

    /// Failed are requests of which nobody knows what the server did: time-outs, resets, refused connections, 5xx.
    fn failed(&self, selector: &Selector) -> Option<Metric> {
        let add = |(failed, all): (u64, u64), outcomes: &[u64]| {
            (failed + outcomes.get(UNKNOWN).copied().unwrap_or(0), all + outcomes.iter().sum::<u64>())
        };
        let (failed, all) = match self.phases(selector) {
            Some(phases) => phases.fold((0, 0), |sum, phase| add(sum, &phase.outcomes)),
            None => self.requests(selector).fold((0, 0), |sum, (_, measure)| add(sum, &measure.outcomes)),
        };
        (all > 0).then_some(Metric::Rate { passes: failed, fails: all - failed })
    }

    fn count_iterations(&self, selector: &Selector, of: fn(&ScenarioMeasure) -> u64) -> Metric {
        self.counter(selector, self.scenarios(selector).map(of).sum())
    }
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / SECOND as f64
}

/// A rate; 0 where no time has passed.
pub(super) fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

fn trend(trend: Trend) -> Option<Metric> {
    (trend.count() > 0).then_some(Metric::Trend(trend))
}
