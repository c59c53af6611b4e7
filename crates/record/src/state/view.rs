//! What is derived from the state rather than kept in it.

use contract::claim::Kind;

use super::RunState;
use crate::event::{LoadSample, plan::PhasePlan};

/// The way of the coupons' requests through the system. What could not be read is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Funnel {
    /// Requests for a coupon.
    pub requests: Option<u64>,
    /// Grants in Redis.
    pub granted: Option<u64>,
    /// Of those, acknowledged by Kafka.
    pub in_kafka: Option<u64>,
    /// Rows in MySQL.
    pub rows: Option<u64>,
    /// Dead letters.
    pub dead_letters: Option<u64>,
    /// In flight between Redis and Kafka: granted, not yet acknowledged.
    pub pending: Option<u64>,
    /// In flight between Kafka and MySQL: acknowledged, neither a row nor a dead letter yet.
    pub unconsumed: Option<u64>,
}

impl Funnel {
    /// Granted, and neither a row nor a dead letter yet.
    pub fn in_flight(&self) -> Option<u64> {
        Some(self.granted?.saturating_sub(self.rows?).saturating_sub(self.dead_letters.unwrap_or(0)))
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

/// Requests for a coupon.
fn requests(load: &LoadSample) -> u64 {
    load.claims.get(Kind::Coupon.name()).copied().unwrap_or(0)
}

impl RunState {
    /// The funnel of all coupons, from the newest samples.
    pub fn funnel(&self) -> Funnel {
        let mut funnel = Funnel { requests: self.load.as_ref().map(requests), ..Funnel::default() };
        match (&self.probe, &self.redis) {
            (Some(probe), _) => {
                let coupons = || probe.coupons.values();
                funnel.granted = coupons().map(|c| c.grants).sum();
                funnel.pending = coupons().map(|c| c.pending).sum();
                funnel.rows = coupons().map(|c| c.rows).sum();
                funnel.dead_letters = probe.dead_letters;
            }
            (None, Some(redis)) if !redis.gates.is_empty() => {
                funnel.granted = redis.gates.values().map(|gate| gate.grants).sum();
                funnel.pending = redis.gates.values().map(|gate| gate.pending).sum();
            }
            _ => {}
        }
        if let Some(kafka) = self.kafka.as_ref().filter(|_| self.probe.is_none()) {
            funnel.dead_letters = kafka.dead_letters;
        }
        funnel.in_kafka = funnel.granted.zip(funnel.pending).map(|(granted, pending)| granted.saturating_sub(pending));
        let arrived = funnel.rows.map(|rows| rows + funnel.dead_letters.unwrap_or(0));
        funnel.unconsumed = funnel.in_kafka.zip(arrived).map(|(sent, arrived)| sent.saturating_sub(arrived));
        funnel
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
