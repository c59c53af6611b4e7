//! From what the stages came to, to the one summary that every report is drawn from.

use std::collections::BTreeMap;

use load::LoadSummary;
use record::{
    event::ProbeSample,
    goal::{self, Metric, Metrics, Trend},
    metric::{DEAD_LETTERS, END_TO_END_DURATION},
    state::{AlarmNow, RunState},
};
use serde_json::Value;
use verify::{Overall, Sets};

use super::{
    folder::{RunFile, RunFolder},
    stages::Walked,
    walk::Request,
};
use crate::summary::{self, Alarm, Lag, PartitionLag, SCHEMA_VERSION, StackEntry, Summary};

/// What a summary is made of.
pub struct Gathered<'a> {
    /// What was asked for.
    pub request: &'a Request<'a>,
    /// The run's folder.
    pub folder: &'a RunFolder,
    /// What was known when it began.
    pub file: &'a RunFile,
    /// The whole run, in seconds.
    pub duration_s: f64,
    /// What the stages came to.
    pub walked: &'a Walked,
    /// What the recorder saw.
    pub state: &'a RunState,
}

/// Makes the summary.
pub fn summary(from: &Gathered<'_>) -> Summary {
    let (profile, walked) = (&from.request.loaded.profile, from.walked);
    let metrics = metrics(walked, from.state);
    let verify = walked.verify.as_ref();
    let mut warnings: Vec<String> = from.state.warnings.iter().cloned().collect();
    if let Some(goal) = &walked.load.aborted_by {
        warnings.push(format!("the load was ended before its time by the goal {goal}"));
    }
    warnings.extend(walked.load.notes.iter().cloned());
    // Figures by phase and goals are then not those of the plan alone.
    warnings.extend(from.state.acts.iter().map(|act| {
        format!("by hand, {:.1} s after the beginning: {} ({})", act.t_ms as f64 / 1_000.0, act.what, act.result)
    }));
    warnings.extend(from.state.ended.iter().map(|ended| {
        format!("{:.1} s after the beginning {} ended: {}", ended.t_ms as f64 / 1_000.0, ended.name, ended.how)
    }));
    warnings.extend(verify.iter().flat_map(|v| v.notes.clone()));
    let mut summary = Summary {
        schema_version: SCHEMA_VERSION,
        run: from.folder.name(),
        profile: from.file.profile.clone(),
        system: profile.system.name().to_owned(),
        started_at: from.file.started_at.clone(),
        duration_s: from.duration_s,
        load_s: walked.load.duration_s,
        stack: stack(walked),
        settings: profile.backend.clone(),
        phases: walked.load.phases.clone(),
        requests: requests(&walked.load),
        outcomes: walked.load.outcomes.clone(),
        claims: walked.load.claimed.iter().map(claim).collect(),
        goals: goal::evaluate(&profile.goals, &metrics),
        metrics: metrics.iter().map(|(name, metric)| (name.clone(), to_json(metric))).collect(),
        alarms: from.state.alarms.values().map(alarm).collect(),
        lag: lag(walked, from.state),
        sets: verify.map(|report| Sets::of(&report.sets)).unwrap_or_default(),
        checks: verify.map_or_else(Vec::new, |v| v.checks.clone()),
        restarts: from.state.restarts.clone(),
        bottleneck: walked.load.bottleneck.clone(),
        broken: walked.broken.clone(),
        warnings,
        // Without a verification nothing is proven.
        verdict: verify.map_or(Overall::Unproven, |v| v.verdict),
        exit_code: 0,
    };
    summary.exit_code = summary.exit((from.request.interrupted)()).code();
    summary
}

fn to_json(metric: &Metric) -> Value {
    serde_json::to_value(metric).unwrap_or(Value::Null)
}

/// The generator's metrics, and beside them what the servers said.
fn metrics(walked: &Walked, state: &RunState) -> Metrics {
    let mut metrics = walked.load.metrics();
    metrics.extend(state.seen.trends().map(|(name, trend)| (name.to_owned(), Metric::Trend(trend.clone()))));
    if let Some(times) = walked.verify.as_ref().and_then(|v| v.end_to_end.as_ref()) {
        let mut trend = Trend::default();
        for step in times.iter_recorded() {
            for _ in 0..step.count_at_value() {
                trend.record_thousandths(step.value_iterated_to());
            }
        }
        metrics.insert(END_TO_END_DURATION.name.to_owned(), Metric::Trend(trend));
    }
    if let Some(dead) = state.probe.as_ref().and_then(|probe| probe.dead_letters) {
        let seconds = walked.load.duration_s;
        let rate = if seconds > 0.0 { dead as f64 / seconds } else { 0.0 };
        metrics.insert(DEAD_LETTERS.name.to_owned(), Metric::Counter { count: dead, rate });
    }
    metrics
}

fn stack(walked: &Walked) -> BTreeMap<String, StackEntry> {
    let entry = |c: &infra::stack::Component| StackEntry {
        provider: c.provider.clone(),
        version: c.version.clone(),
        address: c.address.clone(),
    };
    walked.stack.components.iter().map(|(name, c)| (name.clone(), entry(c))).collect()
}

fn cache(trend: &Trend) -> summary::CacheFigures {
    summary::CacheFigures {
        answers: trend.count(),
        p50_ms: trend.percentile(50.0),
        p95_ms: trend.percentile(95.0),
        p99_ms: trend.percentile(99.0),
        max_ms: trend.max(),
    }
}

fn requests(load: &LoadSummary) -> Vec<summary::Request> {
    let request = |r: &load::RequestSummary| summary::Request {
        scenario: r.scenario.clone(),
        name: r.name.clone(),
        sent: r.sent,
        outcomes: r.outcomes.clone(),
        statuses: r.statuses.clone(),
        error_statuses: r.error_statuses.clone(),
        failures: r.failures.clone(),
        failure_examples: r.examples.clone(),
        p50_ms: r.duration.percentile(50.0),
        p95_ms: r.duration.percentile(95.0),
        p99_ms: r.duration.percentile(99.0),
        max_ms: r.duration.max(),
        cache: r.cache.iter().map(|(name, trend)| (name.clone(), cache(trend))).collect(),
    };
    load.requests.iter().map(request).collect()
}

fn claim(of: &load::ClaimSummary) -> summary::ClaimFigures {
    summary::ClaimFigures {
        kind: of.claim.kind,
        claim: of.claim.to_string(),
        sent: of.sent,
        outcomes: of.outcomes.clone(),
        done: of.done,
        refused: of.refused,
        refusals: of.refusals.clone(),
        unknown: of.unknown,
        receipts_missing: of.receipts_missing,
    }
}

fn alarm(now: &AlarmNow) -> Alarm {
    let seconds = |ms: u64| ms as f64 / 1_000.0;
    Alarm {
        metric: now.plan.metric.clone(),
        warning: now.plan.warning,
        critical: now.plan.critical,
        for_s: now.plan.for_s,
        worst: now.worst,
        first_raised_s: now.first_ms.map(seconds),
        above_s: seconds(now.above_ms),
        highest: now.highest,
        component: now.highest_of.clone(),
        act: now.plan.act.clone(),
    }
}

fn lag(walked: &Walked, state: &RunState) -> Lag {
    let drain_s = walked.drain.as_ref().filter(|drain| drain.drained).map(|drain| drain.seconds);
    let Some(probe) = &state.probe else { return Lag { drain_s, ..Lag::default() } };
    Lag { max: state.seen.most_lag(), last: probe.lag, drain_s, per_partition: partitions(probe) }
}

fn partitions(probe: &ProbeSample) -> Vec<PartitionLag> {
    let partition = |p: &record::event::PartitionSample| PartitionLag {
        partition: p.partition,
        end: p.end,
        committed: p.committed,
        // More committed than there is: the topic was made anew, and its lag is not known.
        lag: p.committed.map(|committed| p.end - committed).filter(|lag| *lag >= 0),
    };
    probe.partitions.iter().map(partition).collect()
}
