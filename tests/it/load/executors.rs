//! What each executor starts, when, and with whom.

use super::*;

#[test]
fn an_open_model_drops_what_finds_nobody_free_and_counts_from_the_intended_start() {
    let (target, seen) = shop(0);
    let scenario = |max_vus: u32| json!({"executor": "constant-arrival-rate", "rate": 200.0, "duration": "1s", "maxVUs": max_vus, "requests": [get("/slow")]});
    let (summary, _) = run(&plan(target, scenario(10)));
    assert_eq!(count(&summary, "iterations") + count(&summary, "dropped_iterations"), 200);
    assert!(count(&summary, "dropped_iterations") >= 140, "{}", count(&summary, "dropped_iterations"));
    assert_eq!(summary.sent, seen.all());

    let (summary, _) = run(&plan(target, scenario(100)));
    assert_eq!((count(&summary, "iterations"), count(&summary, "dropped_iterations")), (200, 0));
    assert!(summary.requests[0].duration.min().unwrap() >= 200.0);
    assert_eq!(summary.lateness.as_ref().unwrap().count(), 200);
}

#[test]
fn a_ramp_starts_and_ends_virtual_users_and_once_is_once() {
    let (target, seen) = shop(1_000);
    let mut once = issue();
    once["once"] = json!(true);
    let scenario = json!({
        "executor": "ramping-vus", "think": "20ms",
        "stages": [{"duration": "500ms", "target": 60}, {"duration": "300ms", "target": 60}, {"duration": "500ms", "target": 0}],
        "requests": [once, get("/noop")]
    });
    let (summary, events) = run(&plan(target, scenario));
    assert_eq!(summary.outcomes["QUEUED"], 60);
    assert_eq!(seen.issues.load(Ordering::SeqCst), 60);
    assert_eq!(summary.sent, seen.all());
    assert_eq!(summary.phases.len(), 3);
    assert_eq!(count(&summary, "vus_max"), 60);
    assert!(summary.phases.iter().all(|phase| phase.sent > 0));
    assert_eq!(events.iter().filter(|e| matches!(e, LoadEvent::Phase { .. })).count(), 3);
    assert!(summary.duration_s < 2.0, "{}", summary.duration_s);

    // Nothing but `once`: each virtual user has one shot, and none of them spins.
    let mut once = issue();
    once["once"] = json!(true);
    let (target, seen) = shop(5);
    let (summary, _) = run(&plan(target, constant(12, "300ms", once)));
    assert_eq!((summary.sent, seen.all(), count(&summary, "iterations")), (12, 12, 12));
}

#[test]
fn sequential_users_come_in_turn_over_all_threads() {
    let (target, seen) = shop(1_000);
    let scenario = json!({
        "executor": "constant-arrival-rate", "rate": 200.0, "duration": "1s", "maxVUs": 50, "user": "sequential",
        "requests": [issue()]
    });
    let (summary, _) = run(&plan(target, scenario));
    assert_eq!(count(&summary, "dropped_iterations"), 0);
    let users = seen.users.lock().unwrap();
    assert!(users.keys().copied().eq(1..=100) && users.values().all(|times| *times == 2), "{users:?}");
}

#[test]
fn scenarios_run_side_by_side_and_more_threads_than_virtual_users_do_no_harm() {
    let (target, seen) = shop(3);
    let mut plan = plan(target, constant(3, "400ms", issue()));
    let rate = json!({
        "executor": "constant-arrival-rate", "rate": 150.0, "duration": "400ms", "maxVUs": 2, "requests": [get("/noop")]
    });
    plan.scenarios.insert("reads".into(), serde_json::from_value(rate).unwrap());
    plan.threads = 8;
    let (summary, events) = run(&plan);
    assert_eq!(summary.sent, seen.all());
    assert_eq!(summary.outcomes["QUEUED"], 3);
    let reads = &summary.requests[1];
    assert_eq!(reads.scenario, "reads");
    assert_eq!(reads.sent + count(&summary, "dropped_iterations"), 60);
    assert_eq!(events.iter().filter(|e| matches!(e, LoadEvent::Phase { .. })).count(), 2);
}

/// What is seldom begins on time and takes its whole time; a rate that is raised meanwhile still holds.
#[test]
fn a_slow_open_model_takes_the_time_that_it_is_given() {
    let (target, seen) = shop(0);
    let slow = json!({"executor": "constant-arrival-rate", "rate": 0.5, "duration": "1500ms", "maxVUs": 2, "requests": [get("/noop")]});
    let mut plan = plan(target, slow);
    plan.goals.insert("http_reqs".into(), vec![Goal::Expression("rate<0.7".into())]);
    let begun = Instant::now();
    let (summary, events) = run(&plan);
    assert!(begun.elapsed() >= Duration::from_millis(1_500));
    assert_eq!((summary.sent, summary.duration_s, summary.phases[0].duration_s), (1, 1.5, 1.5));
    assert!((summary.rps - 2.0 / 3.0).abs() < 1e-9 && (summary.phases[0].rps - summary.rps).abs() < 1e-9);
    let results = goal::evaluate(&plan.goals, &summary.metrics());
    assert_eq!((results[0].state, results[0].actual), (goal::State::Met, Some(summary.rps)));
    assert!(summary.bottleneck.is_none() && events.iter().any(|e| matches!(e, LoadEvent::Sample(_))));

    plan.scenarios.values_mut().for_each(|scenario| {
        scenario.executor = serde_json::from_value(
            json!({"executor": "constant-arrival-rate", "rate": 0.1, "duration": "3s", "maxVUs": 9}),
        )
        .unwrap();
    });
    let (control, mut asked) = (LoadControl::roomy(), false);
    let before = seen.all();
    let summary = load::run(&plan, &control, &mut |event| {
        if matches!(event, LoadEvent::Sample(_)) && !asked {
            asked = true;
            control.set_rate(20.0).unwrap();
        }
    })
    .unwrap();
    // From 1.28 s to 3 s.
    assert!((25..=40).contains(&summary.sent) && summary.sent == seen.all() - before, "{}", summary.sent);
    assert!((summary.duration_s - 3.0).abs() < f64::EPSILON, "{}", summary.duration_s);
}
