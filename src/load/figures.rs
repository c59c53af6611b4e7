//! Measures as metrics: whole, or chosen by tags.

use std::sync::Arc;

use super::{
    cache::{ByCache, CacheAnswer},
    compile::{Compiled, CompiledRequest, UNKNOWN},
    measure::{Measures, PhaseMeasure, RequestMeasure, ScenarioMeasure, merged},
};
use crate::goal::{Metric, Selector, Trend};

/// What a load has measured so far, and in what time.
#[derive(Debug)]
pub(super) struct Figures {
    pub plan: Arc<Compiled>,
    pub measures: Measures,
    /// Seconds of load.
    pub seconds: f64,
    /// Last, smallest and largest number of active virtual users.
    pub vus: Option<(f64, f64, f64)>,
}

impl Figures {
    /// The metric that `selector` asks for; none where nothing of the kind was measured.
    pub fn metric(&self, selector: &Selector) -> Option<Metric> {
        let request_trend =
            |of: fn(&RequestMeasure) -> &Trend| trend(merged(self.requests(selector).map(|(_, measure)| of(measure))));
        match selector.metric.as_str() {
            "http_reqs" => Some(self.counter(self.count_requests(selector)?)),
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
            "data_sent" => Some(self.counter(self.measures.data_sent)),
            "data_received" => Some(self.counter(self.measures.data_received)),
            _ => None,
        }
    }

    /// Virtual users that the plan allots, or that ran at once where more were asked for by hand.
    pub fn vus_max(&self) -> u32 {
        let planned = self.plan.scenarios.iter().map(|s| s.schedule.max_vus()).sum();
        self.vus.map_or(planned, |(_, _, max)| planned.max(max as u32))
    }

    fn counter(&self, count: u64) -> Metric {
        Metric::Counter { count, rate: if self.seconds > 0.0 { count as f64 / self.seconds } else { 0.0 } }
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
        self.counter(self.scenarios(selector).map(of).sum())
    }
}

fn trend(trend: Trend) -> Option<Metric> {
    (trend.count() > 0).then_some(Metric::Trend(trend))
}
