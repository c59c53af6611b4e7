//! When virtual users run and when iterations are due: pure functions of time, without threads or sockets. Times are
//! nanoseconds since the load began.
//!
//! Another executor is another way to answer the same questions: how many virtual users there are at a time (closed),
//! or when the n-th iteration is due (open).

use profile::model::Executor;

use super::clock::Nanos;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// One phase of a scenario: a stage of a ramp, or the whole of a constant load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Phase {
    /// When it begins.
    pub start: u64,
    /// How long it takes; 0 is a jump.
    pub duration: u64,
    /// What it aims at: virtual users, or iterations per second.
    pub target: f64,
}

/// The schedule of one scenario.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Virtual users that start their next iteration when the last one is over.
    Closed {
        /// Virtual users at the start.
        start: u32,
        /// Duration and target of each stage.
        stages: Vec<(u64, u32)>,
    },
    /// Iterations that are due at fixed times, whatever the answers take.
    Open {
        /// Iterations per second.
        rate: f64,
        /// For how long.
        duration: u64,
        /// Most iterations under way at once.
        max_vus: u32,
    },
}

impl Schedule {
    /// The schedule of an executor.
    pub fn new(executor: &Executor) -> Self {
        let nanos = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4);
        match executor {
            Executor::RampingVus { start_vus, stages } => Self::Closed {
                start: *start_vus,
                stages: stages.iter().map(|stage| (nanos(stage.duration.0), stage.target)).collect(),
            },
            Executor::ConstantVus { vus, duration } => {
                Self::Closed { start: *vus, stages: vec![(nanos(duration.0), *vus)] }
            }
            Executor::ConstantArrivalRate { rate, duration, max_vus } => {
                Self::Open { rate: *rate, duration: nanos(duration.0), max_vus: *max_vus }
            }
        }
    }

    /// Whether latencies count from the intended start.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// When the scenario is over: from then on no iteration begins.
    pub fn end(&self) -> u64 {
        match self {
            Self::Closed { stages, .. } => stages.iter().map(|(duration, _)| duration).sum(),
            Self::Open { duration, .. } => *duration,
        }
    }

    /// Virtual users that are ever needed at once.
    pub fn max_vus(&self) -> u32 {
        match self {
            Self::Closed { start, stages } => {
                let targets = stages.iter().map(|(_, target)| *target);
                // Before a stage that jumps, the number at the start is never reached.
                let start = if stages.first().is_some_and(|(duration, _)| *duration > 0) { *start } else { 0 };
                targets.chain([start]).max().unwrap_or(0)
            }
            Self::Open { max_vus, .. } => *max_vus,
        }
    }

    /// Virtual users that may run at `at`: linear within a stage, 0 from the end on. In an open model those of the pool.
    pub fn target_vus(&self, at: u64) -> u32 {
        match self {
            Self::Open { duration, max_vus, .. } => {
                if at < *duration {
                    *max_vus
                } else {
                    0
                }
            }
            Self::Closed { .. } => self.ramps().find(|ramp| at < ramp.end()).map_or(0, |ramp| ramp.value(at)),
        }
    }

    /// The next time after `at` when [`Self::target_vus`] is another number; none from the end on.
    pub fn next_change(&self, at: u64) -> Option<u64> {
        let end = self.end();
        if at >= end {
            return None;
        }
        let now = self.target_vus(at);
        self.ramps()
            .filter(|ramp| at < ramp.end())
            .find_map(|ramp| {
                let from = at.max(ramp.start);
                if ramp.value(from) == now { ramp.step_after(from) } else { Some(from) }
            })
            .or(Some(end))
    }

    /// When iteration `number` (from 0) of an open model is due; none when the load is over by then, or in a closed model.
    pub fn iteration_at(&self, number: u64) -> Option<u64> {
        let at = Pace::of(self)?.at(number);
        (at < self.end()).then_some(at)
    }

    /// The phases in order.
    pub fn phases(&self) -> Vec<Phase> {
        match self {
            Self::Open { rate, duration, .. } => vec![Phase { start: 0, duration: *duration, target: *rate }],
            Self::Closed { stages, .. } => {
                let mut start = 0;
                let mut phases = Vec::with_capacity(stages.len());
                for (duration, target) in stages {
                    phases.push(Phase { start, duration: *duration, target: f64::from(*target) });
                    start += duration;
                }
                phases
            }
        }
    }

    fn ramps(&self) -> impl Iterator<Item = Ramp> {
        let (mut from, stages) = match self {
            Self::Closed { start, stages } => (*start, stages.as_slice()),
            Self::Open { .. } => (0, [].as_slice()),
        };
        let mut start = 0;
        stages.iter().map(move |(duration, to)| {
            let ramp = Ramp { start, duration: *duration, from, to: *to };
            (start, from) = (start + duration, *to);
            ramp
        })
    }
}

/// One stage: `from` → `to`.
struct Ramp {
    start: u64,
    duration: u64,
    from: u32,
    to: u32,
}

impl Ramp {
    fn end(&self) -> u64 {
        self.start + self.duration
    }

    fn height(&self) -> u128 {
        u128::from(self.from.abs_diff(self.to))
    }

    /// The number at `at`, which lies in the stage: whole steps that have been gone by then.
    fn value(&self, at: u64) -> u32 {
        let gone = u128::from(at.saturating_sub(self.start));
        let steps = (self.height() * gone).checked_div(u128::from(self.duration)).unwrap_or(0) as u32;
        if self.to >= self.from { self.from + steps } else { self.from - steps }
    }

    /// When the next step after `at` is gone, if that is within the stage.
    fn step_after(&self, at: u64) -> Option<u64> {
        let steps = u128::from(self.value(at).abs_diff(self.from)) + 1;
        let at = (steps * u128::from(self.duration)).div_ceil(self.height().max(1));
        let at = self.start.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
        (self.height() > 0 && at < self.end()).then_some(at)
    }
}

/// How many of the first `total` members of a row belong to the `rank`-th of `parts` threads, when they are dealt out in
/// turn. The shares of all threads add up to `total`.
pub fn share(total: u32, rank: u32, parts: u32) -> u32 {
    total.saturating_sub(rank).div_ceil(parts.max(1))
}

/// Iterations that are due at fixed intervals from an instant on; nanoseconds since the load began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    pub from: Nanos,
    pub rate: f64,
}

impl Pace {
    /// The pace that the plan has.
    pub fn of(schedule: &Schedule) -> Option<Self> {
        match schedule {
            Schedule::Open { rate, .. } => Some(Self { from: 0, rate: *rate }),
            Schedule::Closed { .. } => None,
        }
    }

    /// When iteration `number` (from 0) is due.
    pub fn at(self, number: u64) -> Nanos {
        self.from.saturating_add((number as f64 * (SECOND as f64 / self.rate)) as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn closed(start: u32, stages: &[(u64, u32)]) -> Schedule {
        Schedule::Closed { start, stages: stages.to_vec() }
    }

    #[test]
    fn a_ramp_is_linear() {
        let schedule = closed(0, &[(10 * SECOND, 100), (10 * SECOND, 100), (5 * SECOND, 0)]);
        for (second, vus) in [(0, 0), (1, 10), (5, 50), (10, 100), (15, 100), (21, 80), (24, 20), (25, 0), (99, 0)] {
            assert_eq!(schedule.target_vus(second * SECOND), vus, "at {second} s");
        }
        assert_eq!(schedule.next_change(0), Some(SECOND / 10));
        assert_eq!(schedule.next_change(12 * SECOND), Some(20 * SECOND + SECOND / 20));
        assert_eq!(schedule.phases()[2], Phase { start: 20 * SECOND, duration: 5 * SECOND, target: 0.0 });
    }

    #[test]
    fn a_stage_without_duration_jumps() {
        let schedule = closed(0, &[(0, 50), (SECOND, 50), (0, 10), (SECOND, 10)]);
        assert_eq!([0, 1, 2].map(|s| schedule.target_vus(s * SECOND)), [50, 10, 0]);
        assert_eq!(schedule.next_change(0), Some(SECOND));
        assert_eq!(schedule.max_vus(), 50);
    }

    #[test]
    fn a_rate_gives_as_many_iterations_as_it_says() {
        let schedule = Schedule::Open { rate: 1_000.0, duration: 3 * SECOND, max_vus: 1 };
        assert_eq!((0..9_999).filter(|n| schedule.iteration_at(*n).is_some()).count(), 3_000);
        assert_eq!(schedule.iteration_at(1_500), Some(1_500_000_000));
    }

    prop_compose! {
        fn any_closed()(
            start in 0_u32..200,
            stages in prop::collection::vec((0_u64..5_000, 0_u32..200), 1..6),
        ) -> Schedule {
            closed(start, &stages)
        }
    }

    proptest! {
        #[test]
        fn a_pace_never_goes_back_and_keeps_its_rate(rate in 0.1_f64..1e6, from in 0_u64..1 << 40, n in 0_u64..1 << 30) {
            let pace = Pace { from, rate };
            prop_assert!(pace.at(n) <= pace.at(n + 1) && pace.at(0) == from);
            let seconds = (pace.at(n) - from) as f64 / SECOND as f64;
            prop_assert!((seconds * rate - n as f64).abs() <= 1e-6 * n as f64 + rate / SECOND as f64);
        }

        #[test]
        fn changes_are_where_the_target_changes(schedule in any_closed()) {
            let mut at = 0;
            while let Some(next) = schedule.next_change(at) {
                prop_assert!(next > at);
                for between in [at, at + (next - at) / 2, next - 1] {
                    prop_assert_eq!(schedule.target_vus(between), schedule.target_vus(at), "at {}", between);
                }
                if next < schedule.end() {
                    prop_assert_ne!(schedule.target_vus(next), schedule.target_vus(at));
                }
                at = next;
            }
            prop_assert_eq!(at.max(schedule.end()), schedule.end());
            prop_assert_eq!(schedule.target_vus(schedule.end()), 0);
        }

        #[test]
        fn the_target_stays_between_the_ends_and_below_the_maximum(schedule in any_closed(), at in 0_u64..30_000) {
            prop_assert!(schedule.target_vus(at) <= schedule.max_vus());
        }

        #[test]
        fn iterations_are_in_order_and_keep_the_rate(rate in 0.1..50_000.0_f64, millis in 1_u64..2_000) {
            let schedule = Schedule::Open { rate, duration: millis * 1_000_000, max_vus: 1 };
            let times: Vec<u64> = (0..).map_while(|n| schedule.iteration_at(n)).collect();
            prop_assert!(times.is_sorted());
            let exact = rate * millis as f64 / 1_000.0;
            prop_assert!((times.len() as f64 - exact).abs() <= 1.0, "{} against {exact}", times.len());
        }

        #[test]
        fn shares_add_up(total in 0_u32..10_000, parts in 1_u32..17) {
            let shares: Vec<u32> = (0..parts).map(|rank| share(total, rank, parts)).collect();
            prop_assert_eq!(shares.iter().sum::<u32>(), total);
            for (rank, own) in shares.iter().enumerate() {
                let dealt = (0..total).filter(|n| n % parts == rank as u32).count();
                prop_assert_eq!(*own as usize, dealt);
            }
        }
    }
}
