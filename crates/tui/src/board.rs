//! From the run's state to what is drawn. The only place that knows both.

use std::{cmp::Reverse, sync::Arc};

use contract::claim::Claim;
use record::{
    event::{
        AlarmLevel, Figures,
        names::{self, Overall, ProcessState, Stage},
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
        (_, Some(redis), claim) => redis.subjects.get(claim).cloned().unwrap_or_default(),
        _ => Figures::default(),
    };
    let subject = |claim: Claim, name: Option<&String>, total| Subject {
        claim,
        name: name.cloned().unwrap_or_default(),
        total,
        figures: figures(&claim),
    };
    let planned = state.plan.iter().flat_map(|plan| &plan.proven.subjects);
    let mut all: Vec<Subject> = planned.map(|plan| subject(plan.claim, plan.name.as_ref(), Some(plan.total))).collect();
    let probed = state.probe.iter().flat_map(|probe| probe.subjects.keys().copied());
    let gates = state.redis.iter().flat_map(|redis| redis.subjects.keys().copied());
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
mod tests;
