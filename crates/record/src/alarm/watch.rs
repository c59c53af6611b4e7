//! All alarms of a run, for the one who owns its state.

use super::machine::Machine;
use crate::{
    event::{
        AlarmLevel, Event, Stamped,
        plan::{AlarmPlan, RunPlan},
    },
    metric::reading::{Reader, Reading},
};

/// What an alarm sees of its metric: the whole, or of several parts the worst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look<'a> {
    /// Name of the metric.
    pub metric: &'static str,
    /// Its value in the metric's unit; absent where it could not be measured.
    pub value: Option<f64>,
    /// The component that it is of, where there are several.
    pub component: Option<&'a str>,
}

/// What alarms see in `readings`: one look at each metric that an alarm can watch.
pub fn looks<'a>(readings: &'a [Reading<'_>]) -> Vec<Look<'a>> {
    let mut all: Vec<Look<'a>> = Vec::new();
    for reading in readings.iter().filter(|reading| reading.metric.alarm.is_some()) {
        let look = Look { metric: reading.metric.name, value: reading.value, component: reading.label.as_deref() };
        match all.iter_mut().find(|seen| seen.metric == look.metric) {
            Some(worst) if look.value > worst.value => *worst = look,
            Some(_) => {}
            None => all.push(look),
        }
    }
    all
}

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
        for look in looks(&self.reader.read(stamped)) {
            for alarm in self.alarms.iter_mut().filter(|alarm| alarm.plan.metric == look.metric) {
                let before = alarm.machine.state().level();
                let level = alarm.machine.feed(stamped.t_ms, look.value).level();
                // Only a value can change a level.
                if let Some(value) = look.value.filter(|_| level != before) {
                    told.push(event(&alarm.plan, level, value, look.component));
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
