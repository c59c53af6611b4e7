//! When a level counts, and when it is over: a pure machine that is fed with times and values.
//!
//! A level counts once the value has stayed at or above it for the alarm's time, and is over once the value has stayed
//! below it for [`CLEAR_MS`]. A missing value keeps the state, and the time until the next value counts for neither:
//! nobody knows where the value was.
//!
//! The levels are held apart. As the critical one is the higher, what is critical is at least a warning too.

use crate::event::AlarmLevel;

/// Milliseconds for which the value must stay below a level before it is over. Shorter dips are the same alarm.
pub const CLEAR_MS: u64 = 5_000;

/// How an alarm stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Below its levels.
    #[default]
    Ok,
    /// At or above a level, and not yet for long enough.
    Pending,
    /// The warning level counts.
    Warning,
    /// The critical level counts.
    Critical,
}

impl State {
    /// What is told of it: until a level counts all is well.
    pub const fn level(self) -> AlarmLevel {
        match self {
            Self::Ok | Self::Pending => AlarmLevel::Ok,
            Self::Warning => AlarmLevel::Warning,
            Self::Critical => AlarmLevel::Critical,
        }
    }
}

/// One level, which counts or does not.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Latch {
    level: f64,
    raised: bool,
    above: bool,
    /// For how long the value has been on the side it is on.
    stayed_ms: u64,
}

impl Latch {
    fn new(level: f64) -> Self {
        Self { level, raised: false, above: false, stayed_ms: 0 }
    }

    /// `passed_ms`: since the value before, where there was one.
    fn feed(&mut self, passed_ms: u64, value: f64, for_ms: u64) {
        let above = value >= self.level;
        self.stayed_ms = if above == self.above { self.stayed_ms.saturating_add(passed_ms) } else { 0 };
        self.above = above;
        if above && self.stayed_ms >= for_ms {
            self.raised = true;
        } else if !above && self.stayed_ms >= CLEAR_MS {
            self.raised = false;
        }
    }
}

/// The levels of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    warning: Option<Latch>,
    critical: Option<Latch>,
    for_ms: u64,
    /// When the newest value came; none behind a missing one.
    at_ms: Option<u64>,
}

impl Machine {
    /// A machine at rest. `for_ms`: how long a value must stay at or above a level.
    pub fn new(warning: Option<f64>, critical: Option<f64>, for_ms: u64) -> Self {
        Self { warning: warning.map(Latch::new), critical: critical.map(Latch::new), for_ms, at_ms: None }
    }

    /// Takes in the value at `t_ms`; none where it could not be measured. A time before the last one counts as that.
    pub fn feed(&mut self, t_ms: u64, value: Option<f64>) -> State {
        let Some(value) = value.filter(|value| !value.is_nan()) else {
            self.at_ms = None;
            return self.state();
        };
        let passed_ms = self.at_ms.map_or(0, |at| t_ms.saturating_sub(at));
        self.at_ms = Some(self.at_ms.unwrap_or(0).max(t_ms));
        for latch in [&mut self.warning, &mut self.critical].into_iter().flatten() {
            latch.feed(passed_ms, value, self.for_ms);
        }
        self.state()
    }

    /// How it stands.
    pub fn state(&self) -> State {
        let any = |holds: fn(&Latch) -> bool| move |latch: &Option<Latch>| latch.as_ref().is_some_and(holds);
        let (raised, above) = (any(|latch| latch.raised), any(|latch| latch.above));
        if raised(&self.critical) {
            State::Critical
        } else if raised(&self.warning) {
            State::Warning
        } else if above(&self.warning) || above(&self.critical) {
            State::Pending
        } else {
            State::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WARNING: f64 = 100.0;
    const CRITICAL: f64 = 1_000.0;

    fn states(for_ms: u64, samples: &[(u64, Option<f64>)]) -> Vec<State> {
        let mut machine = Machine::new(Some(WARNING), Some(CRITICAL), for_ms);
        samples.iter().map(|(t_ms, value)| machine.feed(*t_ms, *value)).collect()
    }

    /// For how long, as far as it was seen, the values up to the last one have stayed on the side that `side` says.
    fn stayed(samples: &[(u64, Option<f64>)], side: impl Fn(f64) -> bool) -> Option<u64> {
        let mut whole = None;
        for (at, (t_ms, value)) in samples.iter().enumerate().rev() {
            match value {
                None => {}
                Some(value) if side(*value) => {
                    // The time behind a missing value counts for nothing.
                    let next = samples.get(at + 1).filter(|(_, value)| value.is_some());
                    whole = Some(whole.unwrap_or(0) + next.map_or(0, |(later, _)| later - t_ms));
                }
                Some(_) => break,
            }
        }
        whole
    }

    /// Samples of a run: distances of up to 3 s, values around both levels, some of them missing.
    fn samples() -> impl Strategy<Value = Vec<(u64, Option<f64>)>> {
        let value = prop_oneof![
            Just(None),
            Just(Some(0.0)),
            Just(Some(99.9)),
            Just(Some(WARNING)),
            Just(Some(999.0)),
            Just(Some(CRITICAL)),
            Just(Some(f64::INFINITY)),
        ];
        // A value that lasts makes the long spans that chance would seldom make.
        proptest::collection::vec((value, 0_u64..3_000, 1_usize..8), 0..40).prop_map(|runs| {
            let mut t_ms = 0;
            let mut samples = Vec::new();
            for (value, step, times) in runs {
                for _ in 0..times {
                    t_ms += step;
                    samples.push((t_ms, value));
                }
            }
            samples
        })
    }

    #[test]
    fn a_level_counts_after_its_time_and_is_over_after_five_seconds() {
        use State::{Critical, Ok, Pending, Warning};
        let series =
            [(0, 50.0), (1_000, 100.0), (10_000, 100.0), (11_000, 100.0), (12_000, 5_000.0), (22_000, 5_000.0)];
        let more = [(23_000, 500.0), (27_999, 500.0), (28_000, 500.0), (29_000, 1.0), (33_999, 1.0), (34_000, 1.0)];
        let all: Vec<_> = series.iter().chain(&more).map(|(t, v)| (*t, Some(*v))).collect();
        let expected =
            [Ok, Pending, Pending, Warning, Warning, Critical, Critical, Critical, Warning, Warning, Warning, Ok];
        assert_eq!(states(10_000, &all), expected);
    }

    #[test]
    fn without_a_time_a_level_counts_at_once_and_one_level_is_enough() {
        let mut machine = Machine::new(None, Some(1.0), 0);
        assert_eq!(machine.feed(5, Some(1.0)), State::Critical);
        assert_eq!((machine.feed(6, Some(f64::NAN)), machine.feed(7, None)), (State::Critical, State::Critical));
        assert_eq!(machine.feed(100_000, Some(0.0)), State::Critical, "nobody knows where it was meanwhile");
        assert_eq!(machine.feed(105_000, Some(0.0)), State::Ok);
    }

    #[test]
    fn a_time_that_goes_back_is_no_time() {
        let mut machine = Machine::new(Some(1.0), None, 1_000);
        for t_ms in [5_000, 4_000, 5_000, 5_999] {
            assert_eq!(machine.feed(t_ms, Some(2.0)), State::Pending, "{t_ms}");
        }
        assert_eq!(machine.feed(6_000, Some(2.0)), State::Warning);
    }

    proptest! {
        #[test]
        fn a_level_is_raised_when_its_time_has_passed_and_never_before(samples in samples(), for_ms in 0_u64..20_000) {
            let states = states(for_ms, &samples);
            let mut before = State::Ok;
            for (at, state) in states.iter().enumerate() {
                let long = |level: f64| stayed(&samples[..=at], |v| v >= level).is_some_and(|ms| ms >= for_ms);
                let (seen, was, is) = (samples[at].1.is_some(), before.level(), state.level());
                if is > was {
                    let level = if is == AlarmLevel::Critical { CRITICAL } else { WARNING };
                    prop_assert!(seen && long(level), "{at}: {before:?} to {state:?}");
                }
                if seen && long(CRITICAL) {
                    prop_assert_eq!(*state, State::Critical, "{}", at);
                } else if seen && long(WARNING) {
                    prop_assert!(is >= AlarmLevel::Warning, "{at}: {state:?}");
                }
                before = *state;
            }
        }

        #[test]
        fn a_level_is_over_after_the_clear_time_below_and_never_before(samples in samples(), for_ms in 0_u64..20_000) {
            let states = states(for_ms, &samples);
            let mut before = State::Ok;
            for (at, state) in states.iter().enumerate() {
                let low = |level: f64| stayed(&samples[..=at], |v| v < level).is_some_and(|ms| ms >= CLEAR_MS);
                if state.level() < before.level() {
                    let left = if state.level() == AlarmLevel::Ok { WARNING } else { CRITICAL };
                    prop_assert!(samples[at].1.is_some() && low(left), "{at}: {before:?} to {state:?}");
                }
                if samples[at].1.is_some() && low(WARNING) {
                    prop_assert_eq!(*state, State::Ok, "{}", at);
                }
                before = *state;
            }
        }

        #[test]
        fn what_alternates_faster_than_the_clear_time_does_not_flap(
            steps in proptest::collection::vec((1_u64..CLEAR_MS, 0_u64..CLEAR_MS), 0..60),
        ) {
            let mut machine = Machine::new(Some(WARNING), Some(CRITICAL), 10_000);
            machine.feed(0, Some(CRITICAL));
            machine.feed(10_000, Some(CRITICAL));
            let mut t_ms = 10_000;
            for (below, above) in steps {
                // The value is seen below twice, `below` apart, and then above for some time.
                t_ms += 1;
                prop_assert_eq!(machine.feed(t_ms, Some(0.0)), State::Critical);
                t_ms += below - 1;
                prop_assert_eq!(machine.feed(t_ms, Some(0.0)), State::Critical);
                t_ms += 1;
                prop_assert_eq!(machine.feed(t_ms, Some(CRITICAL)), State::Critical);
                t_ms += above;
                prop_assert_eq!(machine.feed(t_ms, Some(CRITICAL)), State::Critical);
            }
            let mut quiet = Machine::new(Some(WARNING), None, 10_000);
            for second in 0..60_u64 {
                let value = if second % 4 == 0 { 0.0 } else { WARNING };
                prop_assert_ne!(quiet.feed(second * 1_000, Some(value)), State::Warning);
            }
        }

        #[test]
        fn a_missing_value_never_changes_the_state(samples in samples(), for_ms in 0_u64..20_000) {
            let states = states(for_ms, &samples);
            let mut before = State::Ok;
            for ((_, value), state) in samples.iter().zip(states) {
                if value.is_none() {
                    prop_assert_eq!(state, before);
                }
                before = state;
            }
        }
    }
}
