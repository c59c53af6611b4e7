//! From the run's state to what is drawn. The only place that knows both.

use std::{cmp::Reverse, sync::Arc};

use contract::claim::{Claim, Id, Kind};
use record::{
    event::{
        AlarmLevel, Figures,
        names::{self, Overall, ProcessState, Stage},
        watch::GateSample,
    },
    goal::State,
    metric::{self, in_unit},
    state::{self, AlarmNow, Newest, ProcessNow, RunState},
};

use super::model::{Alarm, AlarmState, Board, Check, Phase, Series, Source, Subject, Tone, Verdict, Word};

/// Makes a board of `state`.
pub fn board(state: &RunState) -> Board {
    let checks = checks(state);
    Board {
        at_ms: state.t_ms,
        profile: state.profile.clone(),
        stage: state.stage.clone(),
        phases: phases(state),
        progress: state.load_done(),
        load: state.load.clone(),
        series: series(&state.history),
        goals: state.goals.clone(),
        alarms: alarms(state),
        funnel: state.funnel(),
        kind: state.kind(),
        subjects: subjects(state),
        verdict: verdict(state, &checks),
        attention: attention(state),
        kafka: source(state.kafka.as_ref(), state, "kafka"),
        redis: source(state.redis.as_ref(), state, "redis"),
        mysql: source(state.mysql.as_ref(), state, "mysql"),
        stack: source(state.stack.as_ref(), state, "stack"),
        checks,
        happenings: happenings(state),
    }
}

fn source<T>(newest: Option<&Newest<T>>, state: &RunState, name: &str) -> Source<T> {
    Source { newest: newest.map(|newest| Arc::clone(&newest.sample)), away: state.away.get(name).cloned() }
}

fn phases(state: &RunState) -> Vec<Phase> {
    let of = |scenario: &String| {
        let now = &state.phases[scenario];
        let progress = state.progress(scenario);
        Phase {
            scenario: scenario.clone(),
            number: now.index + 1,
            of: progress.map(|p| p.of),
            target: now.target,
            progress: progress.map(|p| p.phase_done),
        }
    };
    state.phases.keys().map(of).collect()
}

fn series(history: &state::History) -> Series {
    let line = |metric| history.of(metric).iter().map(|point| Some(point.max)).collect::<Vec<_>>();
    // The watcher of the group speaks before the probes do, where there is one.
    let lag = line(metric::GROUP_LAG);
    Series {
        rps: line(metric::HTTP_REQS),
        p50: line(metric::HTTP_REQ_P50),
        p95: line(metric::HTTP_REQ_P95),
        p99: line(metric::HTTP_REQ_P99),
        lag: if lag.is_empty() { line(metric::CONSUMER_LAG) } else { lag },
        redis_ops: line(metric::REDIS_OPS),
        redis_memory: line(metric::REDIS_USED_MEMORY),
        connections: line(metric::MYSQL_THREADS),
        queries: line(metric::MYSQL_QUERIES),
    }
}

fn alarms(state: &RunState) -> Vec<Alarm> {
    let alarm = |now: &AlarmNow| Alarm {
        now: now.clone(),
        state: match now.level {
            AlarmLevel::Critical => AlarmState::Critical,
            AlarmLevel::Warning => AlarmState::Warning,
            AlarmLevel::Ok if now.pending() => AlarmState::Pending,
            AlarmLevel::Ok if now.highest.is_none() => AlarmState::Unknown,
            AlarmLevel::Ok => AlarmState::Ok,
        },
    };
    let mut all: Vec<_> = state.alarms.values().map(alarm).collect();
    all.sort_by_key(|alarm| Reverse(alarm.state));
    all
}

fn subjects(state: &RunState) -> Vec<Subject> {
    let figures = |claim: &Claim| match (&state.probe, &state.redis, claim) {
        (Some(probe), ..) if probe.subjects.contains_key(claim) => probe.subjects[claim].clone(),
        (_, Some(redis), Claim { kind: Kind::Coupon, id: Some(Id::Number(id)) }) => {
            redis.gates.get(id).map(GateSample::figures).unwrap_or_default()
        }
        _ => Figures::default(),
    };
    let subject = |claim: Claim, name: Option<&String>, total| Subject {
        claim,
        name: name.cloned().unwrap_or_default(),
        total,
        figures: figures(&claim),
    };
    let planned = state.plan.iter().flat_map(|plan| &plan.coupons);
    let mut all: Vec<Subject> =
        planned.map(|plan| subject(Claim::coupon(plan.id), plan.name.as_ref(), Some(plan.total))).collect();
    let probed = state.probe.iter().flat_map(|probe| probe.subjects.keys().copied());
    let gates = state.redis.iter().flat_map(|redis| redis.gates.keys().map(|id| Claim::coupon(*id)));
    for claim in probed.chain(gates) {
        if !all.iter().any(|subject| subject.claim == claim) {
            all.push(subject(claim, None, None));
        }
    }
    all
}

fn checks(state: &RunState) -> Vec<Check> {
    let mut all: Vec<Check> = state
        .checks
        .iter()
        .map(|(id, now)| Check {
            id: id.clone(),
            verdict: now.verdict,
            severity: now.severity,
            evidence: now.evidence.clone(),
            rows: now.rows.clone(),
        })
        .collect();
    // What is wrong comes first; `CP2` comes before `CP10`.
    all.sort_by_key(|check| (Reverse(check.verdict), check.id.len(), check.id.clone()));
    all
}

fn verdict(state: &RunState, checks: &[Check]) -> Verdict {
    if let Some(finished) = &state.finished {
        let tone = match (finished.verdict, finished.exit_code) {
            (Overall::Violated, _) => Tone::Bad,
            (Overall::Consistent | Overall::NothingToProve, 0) => Tone::Good,
            _ => Tone::Warn,
        };
        return Verdict { tone, text: finished.verdict.name().into(), exit_code: Some(finished.exit_code) };
    }
    if state.profile.is_empty() {
        return Verdict::default();
    }
    let count = |verdict: names::Verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    // A check that is only to warn decides nothing.
    let violations =
        checks.iter().filter(|check| check.verdict == names::Verdict::Violated && check.severity.is_violation());
    let (violated, missed) = (violations.count(), state.goals.iter().filter(|g| g.state == State::Missed).count());
    let words = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    let mut text = match (violated, checks.len() - count(names::Verdict::NotApplicable)) {
        (0, 0) => "checks not run yet".into(),
        (0, n) => format!("{} of {}", words(count(names::Verdict::Holds), "check holds", "checks hold"), n),
        (n, _) => words(n, "check VIOLATED", "checks VIOLATED"),
    };
    if missed > 0 {
        text = format!("{text}, {} missed", words(missed, "goal", "goals"));
    }
    let tone = match (violated, missed) {
        (0, 0) if checks.is_empty() => Tone::Plain,
        (0, 0) => Tone::Good,
        (0, _) => Tone::Warn,
        _ => Tone::Bad,
    };
    Verdict { tone, text, exit_code: None }
}

/// What cannot wait. Findings of a diagnosis will stand here before all of it.
fn attention(state: &RunState) -> Vec<Word> {
    let mut all = Vec::new();
    for (source, away) in &state.away {
        let since = super::text::clock(away.since_ms);
        let text = format!("{source} away since {since}: {}", away.why);
        all.push(Word { at_ms: Some(away.since_ms), tone: Tone::Bad, text });
    }
    for (id, check) in state.checks.iter().filter(|(_, check)| check.verdict == names::Verdict::Violated) {
        let text = format!("{id} violated: {}", check.evidence);
        let tone = if check.severity.is_violation() { Tone::Bad } else { Tone::Warn };
        all.push(Word { at_ms: Some(check.t_ms), tone, text });
    }
    for (name, process) in state.processes.iter().filter(|(_, process)| process.state == ProcessState::Exited) {
        let text = format!("{name} exited: {}", process.detail);
        // At the end of a run they are meant to.
        if state.stage != Some(Stage::Stop) && state.finished.is_none() {
            all.push(Word { at_ms: Some(process.t_ms), tone: Tone::Bad, text });
        }
    }
    // When the run is over nothing can be done about them any more; its report has them.
    if state.finished.is_none() {
        all.extend(alarms(state).iter().filter(|alarm| alarm.state >= AlarmState::Warning).map(raised));
    }
    all
}

/// `consumer_lag critical since 00:31, now 2,348: add consumers`
pub(super) fn raised(alarm: &Alarm) -> Word {
    let AlarmNow { plan, since_ms, value, component, .. } = &alarm.now;
    let since = since_ms.map_or_else(String::new, |ms| format!(" since {}", super::text::clock(ms)));
    let now = value.map_or_else(String::new, |value| format!(", now {}", in_unit(&plan.metric, value)));
    let of = component.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
    let act = plan.act.as_ref().map_or_else(String::new, |act| format!(": {act}"));
    let text = format!("{} {}{since}{now}{of}{act}", plan.metric, alarm.state.name());
    Word { at_ms: *since_ms, tone: alarm.state.tone(), text }
}

fn happenings(state: &RunState) -> Vec<Word> {
    let mut all = Vec::new();
    for (name, at_ms) in &state.stages {
        all.push(Word { at_ms: Some(*at_ms), tone: Tone::Plain, text: format!("stage {name}") });
    }
    for act in &state.acts {
        let result = if act.result.is_empty() { "under way" } else { &act.result };
        all.push(Word { at_ms: Some(act.t_ms), tone: Tone::Plain, text: format!("{}: {result}", act.what) });
    }
    for ended in &state.ended {
        let text = format!("{} exited: {}", ended.name, ended.how);
        all.push(Word { at_ms: Some(ended.t_ms), tone: Tone::Bad, text });
    }
    // How servers ended stands there already.
    let told = |name: &str, process: &ProcessNow| state.ended.iter().any(|e| e.name == name && e.t_ms == process.t_ms);
    for (name, process) in state.processes.iter().filter(|(name, process)| !told(name, process)) {
        let tone = if process.state == ProcessState::Started { Tone::Plain } else { Tone::Warn };
        let text = format!("{name} {}: {}", process.state, process.detail);
        all.push(Word { at_ms: Some(process.t_ms), tone, text });
    }
    all.sort_by_key(|word| word.at_ms);
    // Warnings have no time of their own; they come last, where they are seen first.
    all.extend(state.warnings.iter().map(|text| Word { at_ms: None, tone: Tone::Warn, text: text.clone() }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::figures::coupon::{GRANTS, ROWS};
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
        let expected = [
            ("consumer_lag", AlarmState::Critical),
            ("dead_letters", AlarmState::Pending),
            ("cpu", AlarmState::Unknown),
        ];
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
}
