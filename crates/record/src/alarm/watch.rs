//! All alarms of a run, for the one who owns its state.

use super::{machine::Machine, reading::Reader};
use crate::event::{
    AlarmLevel, Event, Stamped,
    plan::{AlarmPlan, RunPlan},
};

/// Watches the alarms that the run's first event names.
#[derive(Debug, Default)]
pub struct Watch {
    reader: Reader,
    alarms: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    plan: AlarmPlan,
    machine: Machine,
}

impl Watch {
    /// Takes one event in; gives an [`Event::Alarm`] for each alarm whose level it changed.
    pub fn see(&mut self, stamped: &Stamped) -> Vec<Event> {
        if let Event::RunStarted { plan, .. } = &stamped.event {
            self.begin(plan.as_deref());
        }
        if self.alarms.is_empty() {
            return Vec::new();
        }
        let mut told = Vec::new();
        for reading in self.reader.read(&stamped.event) {
            for alarm in self.alarms.iter_mut().filter(|alarm| alarm.plan.metric == reading.metric) {
                let before = alarm.machine.state().level();
                let level = alarm.machine.feed(stamped.t_ms, reading.value).level();
                // Only a value can change a level.
                if let Some(value) = reading.value.filter(|_| level != before) {
                    told.push(event(&alarm.plan, level, value, reading.component));
                }
            }
        }
        told
    }

    fn begin(&mut self, plan: Option<&RunPlan>) {
        let alarms = plan.map_or_else(Vec::new, |plan| plan.alarms.clone());
        self.reader = Reader::new(plan.map_or(0, |plan| plan.cores));
        let watched = |plan: AlarmPlan| {
            let machine = Machine::new(plan.warning, plan.critical, (plan.for_s * 1_000.0) as u64);
            Watched { plan, machine }
        };
        self.alarms = alarms.into_iter().map(watched).collect();
    }
}

/// The event that an alarm came to `level`.
fn event(plan: &AlarmPlan, level: AlarmLevel, value: f64, component: Option<&str>) -> Event {
    Event::Alarm {
        metric: plan.metric.clone(),
        level,
        value,
        threshold: plan.threshold(level),
        component: component.map(str::to_owned),
        act: plan.act.clone().filter(|_| level != AlarmLevel::Ok),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ProbeSample;

    #[test]
    fn a_change_is_told_once_with_its_threshold_and_what_to_do() {
        let alarm = AlarmPlan {
            metric: "consumer_lag".into(),
            warning: Some(100.0),
            critical: Some(1_000.0),
            for_s: 2.0,
            act: Some("add consumers".into()),
        };
        let plan = RunPlan { alarms: vec![alarm], ..RunPlan::default() };
        let begun = |plan| Event::RunStarted { schema_version: 1, profile: "p".into(), at: String::new(), plan };
        let mut watch = Watch::default();
        let lag = |lag| Event::Probe(ProbeSample { lag, ..ProbeSample::default() });
        assert_eq!(watch.see(&Stamped { t_ms: 0, event: lag(Some(9_000)) }), [], "no run yet");
        watch.see(&Stamped { t_ms: 0, event: begun(Some(Box::new(plan))) });
        let lags = [Some(150), Some(150), Some(2_000), Some(2_000), None, Some(2_000), Some(2_000)];
        let mut told = Vec::new();
        let calm = [Some(3); 7];
        for (second, value) in lags.into_iter().chain(calm).enumerate() {
            for event in watch.see(&Stamped { t_ms: second as u64 * 1_000, event: lag(value) }) {
                let Event::Alarm { level, value, threshold, act, .. } = event else { panic!("{event:?}") };
                told.push((second, level, value, threshold, act.is_some()));
            }
        }
        let expected = [
            (2, AlarmLevel::Warning, 2_000.0, 100.0, true),
            (6, AlarmLevel::Critical, 2_000.0, 1_000.0, true),
            (12, AlarmLevel::Ok, 3.0, 100.0, false),
        ];
        assert_eq!(told, expected);
        watch.see(&Stamped { t_ms: 0, event: begun(None) });
        assert!(watch.alarms.is_empty(), "a run without a plan has no alarms");
    }
}
