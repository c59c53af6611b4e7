//! Whether the generator, not the system, was the limit of a load: its figures of time then say nothing about the system.
//!
//! Few samples are no proof of that. One late iteration among 20 is 5 % of them and still one: the share must be above what
//! is allowed by more than chance, with a least number behind it. Where there are too few, a note says what was seen.

use record::goal::Trend;

use super::figures::Figures;

/// Lateness of an open model's iterations, in milliseconds, that is nobody's fault.
const LATENESS_MS: f64 = 5.0;
/// Share of an open model's p99 that lateness may reach.
const LATENESS_SHARE: f64 = 0.1;
/// Share of iterations that may begin later than that: the rule is about the p99.
const LATE_SHARE: f64 = 0.01;
/// Fewest late iterations from which a share is taken.
const FEWEST_LATE: u64 = 5;
/// By how many standard deviations the number of late iterations must be above the share: chance alone does that once in
/// some hundred loads.
const DEVIATIONS: f64 = 3.0;
/// Share of a closed model's time that threads may wait for a core.
const CORE_WAIT: f64 = 0.2;
/// Time of threads, in nanoseconds, from which their waiting is judged.
const LEAST_TIME: u64 = 1_000_000_000;

/// What there is to say about the generator.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Limit {
    /// It was the bottleneck: why.
    pub bottleneck: Option<String>,
    /// It was late, but too seldom to be called the bottleneck.
    pub note: Option<String>,
}

/// Judges the generator. Open model: iterations began too late. Closed model: threads waited for a core.
pub(super) fn judge(figures: &Figures, lateness: &Trend) -> Limit {
    let requests = figures.plan.requests.iter().zip(&figures.measures.requests);
    let open = |scenario: usize| figures.plan.scenarios[scenario].schedule.is_open();
    let mut durations = Trend::default();
    for (_, measure) in requests.filter(|(request, _)| open(request.scenario)) {
        measure.durations.iter().for_each(|trend| durations.merge(trend));
    }
    let late = of_lateness(lateness, durations.percentile(99.0).unwrap_or(0.0));
    if late.bottleneck.is_some() {
        return late;
    }
    let closed = figures.plan.scenarios.iter().any(|scenario| !scenario.schedule.is_open());
    let waited = of_waiting(figures.measures.core_wait, figures.measures.thread_time);
    Limit { bottleneck: waited.filter(|_| closed), ..late }
}

fn of_lateness(lateness: &Trend, p99_ms: f64) -> Limit {
    let allowed = LATENESS_MS.max(LATENESS_SHARE * p99_ms);
    let (all, late) = (lateness.count(), lateness.count_above(allowed));
    if late == 0 {
        return Limit::default();
    }
    let share = late as f64 * 100.0 / all as f64;
    let seen = format!("{late} of {all} iterations ({share:.1} %) began more than {allowed:.1} ms after they were due");
    let most = lateness.max().unwrap_or(0.0);
    if is_more_than_chance(late, all) {
        let advice = "lower the rate, or give the generator more cores";
        let why = format!("{seen}, the latest {most:.1} ms; allowed is 1 %; {advice}");
        return Limit { bottleneck: Some(why), note: None };
    }
    // A share of late iterations that is allowed needs no word.
    let note = (late as f64 > all as f64 * LATE_SHARE).then(|| {
        format!(
            "{seen}, the latest {most:.1} ms: too few to tell whether the load generator was the bottleneck \
             (that takes at least {FEWEST_LATE}, and more than 1 % by more than chance)"
        )
    });
    Limit { bottleneck: None, note }
}

/// Whether `late` of `all` is a share above [`LATE_SHARE`] by more than chance.
fn is_more_than_chance(late: u64, all: u64) -> bool {
    let expected = all as f64 * LATE_SHARE;
    let deviation = (expected * (1.0 - LATE_SHARE)).sqrt();
    late >= FEWEST_LATE && late as f64 > expected + DEVIATIONS * deviation
}

fn of_waiting(waited: u64, time: u64) -> Option<String> {
    let share = waited as f64 / time.max(1) as f64;
    (time >= LEAST_TIME && share > CORE_WAIT).then(|| {
        format!(
            "generator threads waited for a core {:.0} % of the time, allowed are {:.0} %; \
             the machine has too few cores for this load and the servers together",
            share * 100.0,
            CORE_WAIT * 100.0
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `all` iterations of which `late` began 50 ms late, the others at once.
    fn lateness(late: u64, all: u64) -> Trend {
        let mut trend = Trend::default();
        for number in 0..all {
            trend.record(if number < late { 50.0 } else { 0.1 });
        }
        trend
    }

    /// A p99 of few samples is their maximum: one hiccup must not void a whole run.
    #[test]
    fn few_late_iterations_are_told_and_prove_nothing() {
        for (late, all) in [(1, 1), (1, 20), (2, 20), (4, 4), (4, 100), (5, 200), (110, 10_000)] {
            let limit = of_lateness(&lateness(late, all), 10.0);
            assert_eq!(limit.bottleneck, None, "{late} of {all}");
            assert!(limit.note.is_some_and(|note| note.contains(&format!("{late} of {all} iterations"))));
        }
        for (late, all) in [(5, 5), (5, 20), (5, 100), (140, 10_000), (20, 200)] {
            let limit = of_lateness(&lateness(late, all), 10.0);
            assert!(limit.bottleneck.is_some() && limit.note.is_none(), "{late} of {all}");
        }
        for (late, all) in [(0, 20), (1, 100), (100, 10_000)] {
            assert_eq!(of_lateness(&lateness(late, all), 10.0), Limit::default(), "{late} of {all}");
        }
    }

    /// What is allowed is 5 ms, or a tenth of the p99 of slow answers.
    #[test]
    fn slow_answers_forgive_more_lateness() {
        let at = |ms: f64| {
            let mut trend = Trend::default();
            (0..100).for_each(|_| trend.record(ms));
            trend
        };
        for (late_ms, p99_ms, limit) in
            [(4.0, 20.0, false), (6.0, 20.0, true), (19.0, 200.0, false), (21.0, 200.0, true)]
        {
            let found = of_lateness(&at(late_ms), p99_ms);
            assert_eq!(found.bottleneck.is_some(), limit, "{late_ms} ms of {p99_ms} ms: {found:?}");
        }
    }

    /// Threads that ran for a moment only say nothing about the machine.
    #[test]
    fn waiting_for_a_core_needs_time_behind_it() {
        let second = LEAST_TIME;
        for (waited, time, limit) in [
            (second / 5, second, false),
            (second * 21 / 100, second, true),
            (second / 3, second / 2, false),
            (0, 0, false),
        ] {
            assert_eq!(of_waiting(waited, time).is_some(), limit, "{waited} of {time}");
        }
    }

    proptest! {
        /// More late iterations never acquit, more punctual ones never convict.
        #[test]
        fn the_judgement_is_monotonous(late in 0_u64..2_000, all in 0_u64..100_000) {
            let late = late.min(all);
            if is_more_than_chance(late, all) {
                prop_assert!(is_more_than_chance(late + 1, all + 1));
                prop_assert!(late as f64 / all as f64 > LATE_SHARE);
            } else {
                prop_assert!(!is_more_than_chance(late, all + 1));
            }
        }

        /// A generator of which each iteration is late with the allowed chance of 1 % is hardly ever blamed.
        #[test]
        fn chance_is_not_blamed(all in 1_u64..5_000, draws in prop::collection::vec(0_u32..100, 5_000)) {
            let late = draws[..all as usize].iter().filter(|draw| **draw == 0).count() as u64;
            let expected = all as f64 * LATE_SHARE;
            prop_assert!(!is_more_than_chance(late, all) || late as f64 > expected + 2.9 * expected.sqrt());
        }
    }
}
