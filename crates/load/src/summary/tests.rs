//! What the figures are taken over.

#![expect(clippy::float_cmp, reason = "these figures are exact: whole seconds and halves")]

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use proptest::prelude::*;
use record::goal::Metric;
use serde_json::{Value, json};

use super::*;
use crate::{
    LoadPlan,
    measure::{Measures, Place},
};

fn open(rate: f64, duration: &str) -> Value {
    json!({"executor": "constant-arrival-rate", "rate": rate, "duration": duration, "maxVUs": 1})
}

fn closed(stages: &[(&str, u32)]) -> Value {
    let stages: Vec<_> =
        stages.iter().map(|(duration, target)| json!({"duration": duration, "target": target})).collect();
    json!({"executor": "ramping-vus", "startVUs": 1, "stages": stages})
}

/// Scenarios by name, with times in milliseconds at which requests began, and when the load was stopped and over.
fn summary(scenarios: &[(&str, Value, &[u64])], stopped_ms: Option<u64>, now_ms: u64) -> LoadSummary {
    let scenario = |executor: &Value| {
        let mut scenario = executor.clone();
        scenario["requests"] = json!([{"name": "a", "path": "/"}]);
        serde_json::from_value(scenario).unwrap()
    };
    let plan = LoadPlan {
        targets: vec!["127.0.0.1:1".parse().unwrap()],
        host: "h".into(),
        scenarios: scenarios.iter().map(|(name, executor, _)| ((*name).to_owned(), scenario(executor))).collect(),
        users: 1,
        threads: 1,
        ledger: None,
        origin: Instant::now(),
        random_seed: 0,
        goals: BTreeMap::new(),
    };
    let plan = Arc::new(Compiled::new(&plan).unwrap());
    let mut measures = Measures::new(&plan);
    for (number, compiled) in plan.scenarios.iter().enumerate() {
        let (.., begun) = scenarios.iter().find(|(name, ..)| *name == compiled.name).unwrap();
        for at in begun.iter().map(|ms| ms * 1_000_000) {
            let place = Place { request: number, scenario: number, phase: compiled.phase_at(at) };
            measures.sent(place, at);
        }
    }
    measures.stopped_at = stopped_ms.map(|ms| ms * 1_000_000);
    let figures = Figures { plan, measures, now: now_ms * 1_000_000, vus: None };
    LoadSummary::new(figures, &BTreeMap::new(), None, None)
}

fn rate(summary: &LoadSummary, selector: &str) -> f64 {
    match summary.figures.metric(&Selector::parse(selector).unwrap()) {
        Some(Metric::Counter { rate, .. }) => rate,
        other => panic!("{selector}: {other:?}"),
    }
}

/// Few iterations end early: the time that they were given counts, not the time until the last answer.
#[test]
fn an_open_model_is_as_long_as_it_is_scheduled() {
    for (per_second, duration, begun) in [(0.2, "5s", &[0_u64][..]), (1.0, "2s", &[0, 1_000]), (0.5, "3s", &[0, 2_000])]
    {
        let summary = summary(&[("s", open(per_second, duration), begun)], None, 9_000);
        let seconds: f64 = duration.trim_end_matches('s').parse().unwrap();
        assert_eq!((summary.duration_s, summary.phases[0].duration_s), (seconds, seconds));
        let wanted = begun.len() as f64 / seconds;
        assert_eq!((summary.rps, summary.phases[0].rps, rate(&summary, "http_reqs")), (wanted, wanted, wanted));
    }
}

#[test]
fn answers_after_the_end_do_not_lengthen_a_load_and_requests_do() {
    let slow = summary(&[("s", closed(&[("2s", 1)]), &[0, 1_900])], None, 12_000);
    assert_eq!((slow.duration_s, slow.rps, slow.phases[0].rps), (2.0, 1.0, 1.0));
    // An iteration of several requests goes on after the schedule is over.
    let long = summary(&[("s", closed(&[("1s", 1), ("1s", 1)]), &[0, 1_500, 3_000, 4_000])], None, 12_000);
    assert_eq!((long.duration_s, long.rps), (4.0, 1.0));
    let spans: Vec<_> = long.phases.iter().map(|p| (p.started_s, p.duration_s, p.sent)).collect();
    assert_eq!(spans, [(0.0, 1.0, 1), (1.0, 3.0, 3)]);
}

#[test]
fn a_load_that_was_stopped_is_as_long_as_it_ran() {
    let stages = closed(&[("10s", 1), ("10s", 1), ("10s", 1)]);
    let stopped = summary(&[("s", stages, &[0, 11_000])], Some(12_000), 12_700);
    assert_eq!((stopped.duration_s, stopped.phases.len()), (12.0, 2));
    assert_eq!(stopped.phases[1].duration_s, 2.0);
    let late = summary(&[("s", open(1.0, "2s"), &[0, 1_000])], Some(5_000), 6_000);
    assert_eq!(late.duration_s, 2.0, "stopped while the last answers were still missing");
}

#[test]
fn a_rate_is_over_the_time_of_what_it_is_about() {
    let two =
        [("long", closed(&[("4s", 1), ("6s", 1)]), &[0, 5_000, 6_000][..]), ("short", open(1.0, "2s"), &[0, 1_000])];
    let summary = summary(&two, None, 11_000);
    assert_eq!((summary.duration_s, summary.rps), (10.0, 0.5));
    for (selector, wanted) in [
        ("http_reqs", 0.5),
        ("http_reqs{scenario:short}", 1.0),
        ("http_reqs{scenario:long}", 0.3),
        ("http_reqs{name:a}", 0.5),
        ("http_reqs{phase:1}", 2.0 / 6.0),
        ("http_reqs{phase:0,scenario:long}", 0.25),
        ("http_reqs{phase:0,scenario:short}", 1.0),
    ] {
        assert!((rate(&summary, selector) - wanted).abs() < 1e-9, "{selector}: {}", rate(&summary, selector));
    }
    for phase in &summary.phases {
        let selector = format!("http_reqs{{phase:{},scenario:{}}}", phase.index, phase.scenario);
        assert_eq!(rate(&summary, &selector), phase.rps, "the table and the goal say the same");
    }
}

proptest! {
    /// Whatever the stages, and wherever it was stopped: rate × time is the number of requests, and the phases of a
    /// scenario make up the whole.
    #[test]
    fn figures_add_up(
        stages in prop::collection::vec((1_u64..5_000, 0_u32..3), 1..5),
        begun in prop::collection::vec(0.0_f64..1.0, 1..40),
        stopped in prop::option::of(1_u64..20_000),
        late in 0_u64..10_000,
    ) {
        let whole: u64 = stages.iter().map(|(ms, _)| ms).sum();
        let end = stopped.unwrap_or(whole).min(whole);
        let texts: Vec<String> = stages.iter().map(|(ms, _)| format!("{ms}ms")).collect();
        let stages: Vec<_> = texts.iter().map(String::as_str).zip(stages.iter().map(|(_, target)| *target)).collect();
        let mut begun: Vec<u64> = begun.iter().map(|share| (share * (end - 1) as f64) as u64).collect();
        begun.sort_unstable();
        let summary = summary(&[("s", closed(&stages), &begun)], stopped, end + late);
        prop_assert_eq!(summary.duration_s, end as f64 / 1e3);
        prop_assert!((summary.rps * summary.duration_s - begun.len() as f64).abs() < 1e-6);
        prop_assert_eq!(summary.phases.iter().map(|p| p.sent).sum::<u64>(), summary.sent);
        let seconds: f64 = summary.phases.iter().map(|p| p.duration_s).sum();
        prop_assert!((seconds - summary.duration_s).abs() < 1e-6, "{} {}", seconds, summary.duration_s);
        for phase in &summary.phases {
            prop_assert!((phase.rps * phase.duration_s - phase.sent as f64).abs() < 1e-6 || phase.duration_s == 0.0);
        }
    }
}
