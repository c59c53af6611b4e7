//! What is derived from the state rather than kept in it.

use contract::{
    claim::Kind,
    figures::{self, Came, Figure, Step},
    system::System,
};

use super::RunState;
use crate::event::plan::PhasePlan;

/// The way of claims through the system, as [`contract::figures::funnel`] declares it. What could not be read is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Funnel {
    /// What people call a step, and how many came to it.
    pub steps: Vec<(&'static str, Option<u64>)>,
    /// Dead letters.
    pub dead_letters: Option<u64>,
}

impl Funnel {
    /// Granted, and neither at the last step nor a dead letter yet.
    pub fn in_flight(&self) -> Option<u64> {
        let (granted, last) = (self.steps.get(1)?.1?, self.steps.last()?.1?);
        Some(granted.saturating_sub(last).saturating_sub(self.dead_letters.unwrap_or(0)))
    }
}

/// Where a scenario stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Number of the phase, from 0.
    pub index: usize,
    /// Phases in all.
    pub of: usize,
    /// The phase as planned.
    pub phase: PhasePlan,
    /// Share of the phase that is done, 0..1.
    pub phase_done: f64,
    /// Share of the scenario that is done, 0..1.
    pub done: f64,
    /// Seconds until it is over.
    pub left_s: f64,
}

impl RunState {
    /// The kind of what is claimed: that of the plan's system or, where nobody said, of the default one.
    pub fn kind(&self) -> Kind {
        self.plan.as_ref().and_then(|plan| System::named(&plan.system)).unwrap_or_default().kind()
    }

    /// The sum of `figure` over all subjects, by the probes or, where there are none, by Redis's watcher.
    pub fn sum(&self, figure: Figure) -> Option<i64> {
        match (&self.probe, &self.redis) {
            (Some(probe), _) => probe.sum(figure),
            (None, Some(redis)) if !redis.subjects.is_empty() => {
                redis.subjects.values().map(|figures| figures.get(figure)).sum()
            }
            _ => None,
        }
    }

    /// The funnel of all subjects, from the newest samples.
    pub fn funnel(&self) -> Funnel {
        let sum = |figure| self.sum(figure).and_then(|sum| u64::try_from(sum).ok());
        let came = |step: &Step| match step.came {
            Came::Requests => self.load.as_ref().map(|load| load.claims.get(self.kind().name()).copied().unwrap_or(0)),
            Came::Sum(figure) => sum(figure),
            Came::Without(all, part) => sum(all).zip(sum(part)).map(|(all, part)| all.saturating_sub(part)),
        };
        let watched = || self.kafka.as_ref().and_then(|kafka| kafka.dead_letters);
        Funnel {
            steps: figures::funnel(self.kind()).iter().map(|step| (step.label, came(step))).collect(),
            dead_letters: self.probe.as_ref().map_or_else(watched, |probe| probe.dead_letters),
        }
    }

    /// Where `scenario` stands by the plan; none without a plan, or before the load.
    pub fn progress(&self, scenario: &str) -> Option<Progress> {
        let plan = self.plan.as_ref()?.scenario(scenario)?;
        let began = self.load_began_ms?;
        // When the load is over time goes on, and the scenario does not.
        let until = self.load_ended_ms.unwrap_or(self.t_ms);
        let at = until.saturating_sub(began) as f64 / 1_000.0;
        let index = self.phases.get(scenario).map_or(0, |phase| phase.index).min(plan.phases.len().checked_sub(1)?);
        let (phase, whole) = (*plan.phases.get(index)?, plan.duration_s());
        let share = |done: f64, of: f64| if of > 0.0 { (done / of).clamp(0.0, 1.0) } else { 1.0 };
        Some(Progress {
            index,
            of: plan.phases.len(),
            phase,
            phase_done: share(at - phase.start_s, phase.duration_s),
            done: share(at, whole),
            left_s: (whole - at).max(0.0),
        })
    }

    /// Share of the whole load that is done, 0..1, by the plan.
    pub fn load_done(&self) -> Option<f64> {
        let plan = self.plan.as_ref()?;
        plan.scenarios.iter().filter_map(|s| self.progress(&s.name)).map(|progress| progress.done).reduce(f64::min)
    }
}
