//! A load that is stopped, changed or ended by a goal while it runs.

use super::*;

#[test]
fn it_stops_when_it_is_told_to() {
    let (target, seen) = shop(0);
    let control = LoadControl::default();
    let stopper = control.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        stopper.stop();
    });
    let begun = Instant::now();
    let mut scenario = constant(20, "60s", get("/slow"));
    scenario["requests"] = json!([get("/slow"), get("/noop")]);
    scenario["think"] = json!("30ms");
    let summary = load::run(&plan(target, scenario), &control, &mut |_| {}).unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1_500), "{:?}", begun.elapsed());
    assert_adds_up(&summary);
    assert_eq!(summary.sent, seen.all());
    assert!(!summary.outcomes.contains_key("UNKNOWN"), "those under way are finished");
    // It is as long as it ran, not as it was planned, nor until the last answer.
    assert!((0.4..0.75).contains(&summary.duration_s), "{}", summary.duration_s);
    assert!((summary.rps * summary.duration_s - summary.sent as f64).abs() < 1e-6);
}

#[test]
fn a_goal_may_end_the_load() {
    let (target, _) = shop(0);
    let mut plan = plan(target, constant(4, "60s", get("/slow")));
    let goal = Goal::Full { threshold: "p(95)<100".into(), abort_on_fail: true, delay: None };
    plan.goals.insert("http_req_duration".into(), vec![goal]);
    let (summary, events) = run(&plan);
    assert_eq!(summary.aborted_by.as_deref(), Some("http_req_duration: p(95)<100"));
    assert!(summary.duration_s < 5.0);
    assert!(events.iter().any(|event| matches!(event, LoadEvent::Aborted { .. })));
}

/// Runs `plan` and calls `change` with the control at each sample.
fn run_changed(
    plan: &LoadPlan,
    control: &LoadControl,
    mut change: impl FnMut(&LoadControl, usize),
) -> (LoadSummary, Vec<record::event::LoadSample>) {
    let mut samples = Vec::new();
    let summary = load::run(plan, control, &mut |event| {
        if let LoadEvent::Sample(sample) = event {
            samples.push(sample);
            change(control, samples.len());
        }
    })
    .unwrap();
    assert_adds_up(&summary);
    (summary, samples)
}

#[test]
fn virtual_users_follow_what_is_asked_while_it_runs_and_the_ledger_stays_whole() {
    let (target, seen) = shop(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let mut scenario = constant(20, "7s", issue());
    scenario["think"] = json!("20ms");
    let mut plan = plan(target, scenario);
    plan.ledger = Some(folder.path().join("ledger"));
    plan.users = 1_000;
    let control = LoadControl::roomy();
    let (summary, samples) = run_changed(&plan, &control, |control, second| match second {
        1 => control.set_vus(120).unwrap(),
        3 => control.set_vus(0).unwrap(),
        5 => control.follow_plan().unwrap(),
        6 => assert!(control.set_vus(121).is_err() && control.set_rate(5.0).is_err()),
        _ => {}
    });
    let vus: Vec<_> = samples.iter().map(|sample| sample.vus).collect();
    // A sample tells how it was up to a second before; what was asked for at one stands in the next but one.
    assert_eq!((vus[0], vus[2], vus[4], vus[5]), (20, 120, 0, 20), "{vus:?}");
    assert_eq!(samples[4].sent, samples[3].sent, "nothing is sent while there is nobody");
    assert_eq!((summary.sent, count(&summary, "vus_max")), (seen.all(), 120));
    assert!((summary.duration_s - 7.0).abs() < 0.7, "{}", summary.duration_s);
    assert_eq!(entries(&folder.path().join("ledger")).len() as u64, summary.sent);
    assert!(control.set_vus(1).is_err(), "it is over");
}

#[test]
fn a_rate_changes_at_one_instant_and_no_iteration_is_lost_or_doubled() {
    let (target, seen) = shop(0);
    let scenario = json!({
        "executor": "constant-arrival-rate", "rate": 100.0, "duration": "6s", "maxVUs": 50, "requests": [get("/noop")]
    });
    let mut plan = plan(target, scenario);
    plan.threads = 3;
    let control = LoadControl::roomy();
    let (summary, samples) = run_changed(&plan, &control, |control, second| match second {
        2 => control.set_rate(1_000.0).unwrap(),
        4 => control.set_rate(50.0).unwrap(),
        5 => assert!(control.set_vus(5).is_err()),
        _ => {}
    });
    // 100/s until 2.28 s, 1,000/s until 4.28 s, then 50/s: the samples come 30 ms after the second, a rate 250 ms later.
    let expected = 100.0 * 2.28 + 1_000.0 * 2.0 + 50.0 * 1.72;
    let began = (count(&summary, "iterations") + count(&summary, "dropped_iterations")) as f64;
    assert!((began - expected).abs() < 60.0, "{began} iterations, expected about {expected}");
    assert_eq!((summary.sent, count(&summary, "dropped_iterations")), (seen.all(), 0));
    let late = summary.lateness.as_ref().unwrap();
    assert_eq!(late.count(), summary.sent);
    assert!(late.max().unwrap() < 250.0, "an iteration was due long before it began: {late:?}");
    assert!(samples[3].rps > 800.0 && samples[1].rps < 150.0, "{samples:?}");
}

#[test]
fn a_load_without_room_keeps_to_the_plan() {
    let (target, _) = shop(0);
    let plan = plan(target, constant(5, "1500ms", get("/noop")));
    let (summary, _) = run_changed(&plan, &LoadControl::default(), |control, second| {
        if second == 1 {
            assert!(control.set_vus(6).is_err());
            control.set_vus(5).unwrap();
        }
    });
    assert_eq!(count(&summary, "vus_max"), 5);
}

#[test]
fn goals_are_told_while_it_runs() {
    let (target, _) = shop(0);
    let mut plan = plan(target, constant(5, "3500ms", get("/noop")));
    plan.goals = BTreeMap::from([
        ("http_reqs".to_owned(), vec![Goal::Expression("count>5".into())]),
        ("consumer_lag".to_owned(), vec![Goal::Expression("max<1".into())]),
    ]);
    let (_, events) = run(&plan);
    let told: Vec<_> =
        events.iter().filter_map(|e| if let LoadEvent::Goals(goals) = e { Some(goals) } else { None }).collect();
    assert!(!told.is_empty() && told.iter().all(|goals| goals.len() == 1), "{told:?}");
    assert_eq!((told[0][0].metric.as_str(), told[0][0].state), ("http_reqs", goal::State::Met));
}
