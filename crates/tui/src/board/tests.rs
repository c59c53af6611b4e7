use super::*;
use contract::claim::coupon::{GRANTS, ROWS};
use record::event::{
    Event, ProbeSample, Stamped,
    names::Verdict,
    plan::{AlarmPlan, RunPlan},
    watch::RedisSample,
};
use record::state::Away;

fn state(events: Vec<Event>) -> RunState {
    let mut state = RunState::default();
    for (i, event) in events.into_iter().enumerate() {
        state.apply(&Stamped { t_ms: i as u64 * 1_000, event });
    }
    state
}

fn check(id: &str, verdict: Verdict) -> Event {
    Event::Check {
        id: id.into(),
        verdict,
        severity: names::Severity::Violation,
        evidence: "x".into(),
        rows: vec!["user 1".into()],
    }
}

#[test]
fn a_source_that_is_away_keeps_its_last_figures_and_asks_for_attention() {
    let away = Event::Unreachable { source: "redis".into(), why: "refused".into() };
    let mut state = state(vec![Event::Redis(RedisSample { clients: 7, ..RedisSample::default() }), away]);
    let seen = board(&state);
    assert_eq!(seen.redis.newest.as_ref().map(|r| r.clients), Some(7));
    assert_eq!(seen.redis.away, Some(Away { since_ms: 1_000, why: "refused".into() }));
    assert_eq!(seen.attention[0].text, "redis away since 00:01: refused");
    state.apply(&Stamped { t_ms: 9_000, event: Event::Redis(RedisSample::default()) });
    assert!(board(&state).redis.away.is_none() && board(&state).attention.is_empty());
}

#[test]
fn violated_checks_come_first_and_make_the_verdict() {
    let begun = Event::RunStarted { schema_version: 1, profile: "x".into(), at: String::new(), plan: None };
    let state = state(vec![
        begun,
        check("CP10", Verdict::Holds),
        check("CP2", Verdict::Holds),
        check("SY1", Verdict::Violated),
    ]);
    let seen = board(&state);
    assert_eq!(seen.checks.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["SY1", "CP2", "CP10"]);
    assert_eq!((seen.verdict.tone, seen.verdict.text.as_str()), (Tone::Bad, "1 check VIOLATED"));
    assert_eq!(seen.checks[0].rows, ["user 1"]);
}

/// It is neither a pass nor anything that is missing.
#[test]
fn a_check_that_is_not_applicable_is_not_counted() {
    let begun = Event::RunStarted { schema_version: 1, profile: "x".into(), at: String::new(), plan: None };
    let state = state(vec![begun, check("CP1", Verdict::Holds), check("PT6", Verdict::NotApplicable)]);
    assert_eq!(board(&state).verdict.text, "1 check holds of 1");
}

#[test]
fn a_raised_alarm_asks_for_attention_behind_what_is_broken_and_leaves_the_verdict_alone() {
    let planned = |metric: &str| AlarmPlan { metric: metric.into(), warning: Some(5.0), ..AlarmPlan::default() };
    let mut lag = planned("consumer_lag");
    lag.act = Some("add consumers".into());
    let alarms = vec![lag, planned("cpu"), planned("dead_letters")];
    let plan = Some(Box::new(RunPlan { alarms, ..RunPlan::default() }));
    let begun = Event::RunStarted { schema_version: 1, profile: "x".into(), at: String::new(), plan };
    let probe = ProbeSample { lag: Some(9), dead_letters: Some(5), ..ProbeSample::default() };
    let raise = Event::Alarm {
        metric: "consumer_lag".into(),
        level: AlarmLevel::Critical,
        value: 9.0,
        threshold: 5.0,
        component: None,
        act: None,
    };
    let away = Event::Unreachable { source: "redis".into(), why: "refused".into() };
    let mut state = state(vec![begun, Event::Probe(probe), raise, away]);
    let seen = board(&state);
    let states: Vec<_> = seen.alarms.iter().map(|a| (a.now.plan.metric.as_str(), a.state)).collect();
    let expected =
        [("consumer_lag", AlarmState::Critical), ("dead_letters", AlarmState::Pending), ("cpu", AlarmState::Unknown)];
    assert_eq!(states, expected, "the worst first");
    let words: Vec<_> = seen.attention.iter().map(|word| word.text.as_str()).collect();
    let said = "consumer_lag critical since 00:02, now 9: add consumers";
    assert_eq!(words, ["redis away since 00:03: refused", said]);
    assert_eq!((seen.verdict.tone, seen.verdict.text.as_str()), (Tone::Plain, "checks not run yet"));
    let event = Event::Finished { verdict: Overall::Consistent, exit_code: 0 };
    state.apply(&Stamped { t_ms: 9_000, event });
    assert_eq!(board(&state).attention.len(), 1, "nothing can be done about an alarm of a run that is over");
}

#[test]
fn hits_and_misses_stand_apart_where_answers_say_which_they_are() {
    let line = |cache: &str| {
        let text = format!(
            r#"{{"t_ms":1,"type":"load","vus":1,"sent":9,"rps":1.0,"outcomes":{{}},"p50_ms":1.0,"p95_ms":1.0,"p99_ms":1.0,"dropped":0{cache}}}"#
        );
        serde_json::from_str::<Stamped>(&text).unwrap().event
    };
    let cache = r#","cache":{"hit":{"answers":7,"p95_ms":1.5},"miss":{"answers":2,"p95_ms":null}}"#;
    let seen = |event| -> Vec<_> {
        let cache = board(&state(vec![event])).load.unwrap().cache;
        cache.into_iter().map(|(name, of)| (name, of.answers, of.p95_ms)).collect()
    };
    assert_eq!(seen(line(cache)), [("hit".to_owned(), 7, Some(1.5)), ("miss".to_owned(), 2, None)]);
    assert_eq!(seen(line("")), Vec::new(), "files of older versions have none");
}

#[test]
fn what_is_not_known_is_not_zero() {
    let coupon = Figures::default().with(GRANTS, 5);
    let sample = ProbeSample { subjects: [(Claim::coupon(1), coupon)].into(), ..ProbeSample::default() };
    let seen = board(&state(vec![Event::Probe(sample)]));
    let figures = &seen.subjects[0].figures;
    assert_eq!((figures.get(GRANTS), figures.get(ROWS)), (Some(5), None));
    let came: Vec<_> = seen.funnel.steps.iter().map(|(_, came)| *came).collect();
    assert_eq!((came, seen.funnel.in_flight()), (vec![None, Some(5), None, None], None));
}
