//! How the alarms stand. Levels come as events, from the one who judges them; figures come from the samples.

use std::{collections::BTreeMap, ops::Deref};

use crate::{
    alarm::watch::{Look, looks},
    event::{
        AlarmLevel, Event, Stamped,
        plan::{AlarmPlan, RunPlan},
    },
    metric::reading::Reading,
};

/// Alarms that are kept. There are fewer metrics; a file may say anything.
const MOST_ALARMS: usize = 64;

/// An alarm, and what became of its metric so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlarmNow {
    /// Its levels, and what to do.
    pub plan: AlarmPlan,
    /// The level that counts now.
    pub level: AlarmLevel,
    /// Since when, in milliseconds since the run began; absent while it has never changed.
    pub since_ms: Option<u64>,
    /// The metric's newest value; absent where it could not be measured.
    pub value: Option<f64>,
    /// The component that the value is of, where there are several.
    pub component: Option<String>,
    /// The worst level so far.
    pub worst: AlarmLevel,
    /// When a level counted for the first time.
    pub first_ms: Option<u64>,
    /// Highest value so far.
    pub highest: Option<f64>,
    /// The component that it was of.
    pub highest_of: Option<String>,
    /// Milliseconds at or above the lowest level, as far as they were seen.
    pub above_ms: u64,
    /// When the newest value came; none behind a missing one.
    at_ms: Option<u64>,
}

/// Alarms by metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alarms {
    all: BTreeMap<String, AlarmNow>,
}

impl Deref for Alarms {
    type Target = BTreeMap<String, AlarmNow>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl Alarms {
    /// The alarms of a plan, none of them raised.
    pub(super) fn new(plan: Option<&RunPlan>) -> Self {
        let planned = plan.iter().flat_map(|plan| &plan.alarms).take(MOST_ALARMS);
        let alarm = |plan: &AlarmPlan| AlarmNow { plan: plan.clone(), ..AlarmNow::default() };
        Self { all: planned.map(|plan| (plan.metric.clone(), alarm(plan))).collect() }
    }

    /// Takes in what was read of the metrics.
    pub(super) fn see(&mut self, t_ms: u64, readings: &[Reading<'_>]) {
        if self.all.is_empty() {
            return;
        }
        for look in looks(readings) {
            if let Some(alarm) = self.all.get_mut(look.metric) {
                alarm.see(t_ms, &look);
            }
        }
    }

    /// Takes in that an alarm came to another level.
    pub(super) fn tell(&mut self, stamped: &Stamped) {
        let Event::Alarm { metric, level, value, component, .. } = &stamped.event else { return };
        if !self.all.contains_key(metric) && self.all.len() >= MOST_ALARMS {
            return;
        }
        let alarm = self.all.entry(metric.clone()).or_default();
        metric.clone_into(&mut alarm.plan.metric);
        (alarm.level, alarm.since_ms) = (*level, Some(stamped.t_ms));
        (alarm.value, alarm.component) = (Some(*value), component.clone());
        if *level > AlarmLevel::Ok {
            alarm.first_ms.get_or_insert(stamped.t_ms);
        }
        alarm.worst = alarm.worst.max(*level);
    }
}

impl AlarmNow {
    /// At or above a level, and not yet for long enough.
    pub fn pending(&self) -> bool {
        self.level == AlarmLevel::Ok && self.value.is_some_and(|value| value >= self.plan.lowest())
    }

    fn see(&mut self, t_ms: u64, look: &Look<'_>) {
        // The value before lasted until this one; time without a value counts for nothing.
        if let (Some(at), Some(_), Some(value)) = (self.at_ms, look.value, self.value)
            && value >= self.plan.lowest()
        {
            self.above_ms += t_ms.saturating_sub(at);
        }
        self.at_ms = look.value.map(|_| self.at_ms.unwrap_or(0).max(t_ms));
        self.value = look.value;
        self.component = look.component.map(str::to_owned);
        if let Some(value) = look.value.filter(|value| self.highest.is_none_or(|highest| *value > highest)) {
            (self.highest, self.highest_of) = (Some(value), self.component.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::CONSUMER_LAG;

    fn lag(lag: Option<u64>) -> [Reading<'static>; 1] {
        [Reading { metric: CONSUMER_LAG, label: None, value: lag.map(|lag| lag as f64) }]
    }

    fn alarm(t_ms: u64, metric: &str, level: AlarmLevel) -> Stamped {
        let (metric, value, threshold) = (metric.to_owned(), 7.0, 5.0);
        Stamped { t_ms, event: Event::Alarm { metric, level, value, threshold, component: None, act: None } }
    }

    fn watched() -> Alarms {
        let plan = AlarmPlan { metric: "consumer_lag".into(), warning: Some(5.0), ..AlarmPlan::default() };
        Alarms::new(Some(&RunPlan { alarms: vec![plan], ..RunPlan::default() }))
    }

    #[test]
    fn figures_are_of_the_samples_and_levels_of_the_events_alone() {
        let mut alarms = watched();
        for (t_ms, value) in [(0, Some(5)), (1_000, Some(9)), (2_000, None), (9_000, Some(6)), (10_000, Some(1))] {
            alarms.see(t_ms, &lag(value));
        }
        let now = &alarms["consumer_lag"];
        assert_eq!((now.highest, now.value, now.level), (Some(9.0), Some(1.0), AlarmLevel::Ok), "nobody raised it");
        // 5 for a second and 6 for one; from 1 s to 9 s nobody knows.
        assert_eq!((now.above_ms, now.since_ms, now.first_ms), (2_000, None, None));
        alarms.tell(&alarm(11_000, "consumer_lag", AlarmLevel::Critical));
        alarms.tell(&alarm(20_000, "consumer_lag", AlarmLevel::Ok));
        let now = &alarms["consumer_lag"];
        assert_eq!((now.level, now.worst), (AlarmLevel::Ok, AlarmLevel::Critical));
        assert_eq!((now.since_ms, now.first_ms), (Some(20_000), Some(11_000)));
    }

    #[test]
    fn what_is_above_and_not_raised_is_pending() {
        let mut alarms = watched();
        assert!(!alarms["consumer_lag"].pending(), "no value yet");
        alarms.see(0, &lag(Some(5)));
        assert!(alarms["consumer_lag"].pending());
        alarms.tell(&alarm(1, "consumer_lag", AlarmLevel::Warning));
        assert!(!alarms["consumer_lag"].pending());
    }

    #[test]
    fn a_file_that_names_ever_more_metrics_fills_no_memory() {
        let mut alarms = watched();
        for n in 0..1_000 {
            alarms.tell(&alarm(n, &format!("metric-{n}"), AlarmLevel::Warning));
        }
        assert_eq!(alarms.len(), MOST_ALARMS);
    }
}
