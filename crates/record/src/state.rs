//! What a run came to so far, gathered from its events and from nothing else: whoever draws a run, its own process,
//! another one that follows `events.jsonl`, or a replay, has the same state.
//!
//! | field | from | holds |
//! |---|---|---|
//! | `t_ms`, `stage`, `stages` | `Stage` | time of the newest event; where the run is, and when it got there |
//! | `profile`, `started_at`, `plan` | `RunStarted` | what was asked for: scenarios, phases, goals, subjects ([`RunPlan`]) |
//! | `load_began_ms`, `load_ended_ms` | `Stage` | span of the load |
//! | `phases` | `Phase` | scenario → number, target and beginning of its phase |
//! | `load`, `probe` | `Load`, `Probe` | the newest sample |
//! | `kafka`, `redis`, `mysql`, `stack` | the watchers | the newest sample with its time ([`Newest`]) |
//! | `away` | `Unreachable` | source → since when and why; the next sample removes it |
//! | `history` | all samples | bounded series for sparklines ([`History`], [`Series`]) |
//! | `seen` | `Probe` | trends over all samples, for goals and the summary |
//! | `goals`, `goals_last` | `Goals`, `Probe` | each goal with its state and figure; whether that is the last word |
//! | `alarms` | `RunStarted`, `Alarm`, all samples | metric → its level, since when, and its figures so far ([`AlarmNow`]) |
//! | `checks` | `Check` | id → verdict, evidence, rows |
//! | `acts` | `Act` | what was done by hand, newest last |
//! | `processes`, `restarts` | `Process` | backend processes; how often each was started again |
//! | `warnings` | `Warning` | the newest ones |
//! | `finished` | `Finished` | verdict and exit code |
//!
//! [`RunState::funnel`] and [`RunState::progress`] derive the rest. Cloning is cheap: series and large samples are
//! shared. Nothing here grows with the length of the run.

mod alarms;
mod goals;
mod history;
mod series;
mod view;

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Deref,
    sync::Arc,
};

use contract::process::is_backend;

pub use self::{
    alarms::{AlarmNow, Alarms},
    history::{History, Keyed},
    series::{MOST_POINTS, Point, Series},
    view::{Funnel, Progress},
};
use crate::{
    event::{
        Event, LoadSample, ProbeSample, Stamped,
        names::{Overall, ProcessState, Severity, Stage, Verdict},
        plan::RunPlan,
        watch::{KafkaSample, MysqlSample, RedisSample, StackSample},
    },
    goal::{GoalResult, Trend},
    metric::{
        CONSUMER_LAG, Kind,
        reading::{Reader, Reading},
    },
};

/// Warnings that are kept; `events.jsonl` has them all.
pub const MOST_WARNINGS: usize = 200;
/// Acts that are kept.
pub const MOST_ACTS: usize = 200;

/// The state of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunState {
    /// Milliseconds since the run began, of the newest event.
    pub t_ms: u64,
    /// Stage it is in; none before the first.
    pub stage: Option<Stage>,
    /// Stages it went through: name and when it was entered.
    pub stages: Vec<(Stage, u64)>,
    /// Name of the profile.
    pub profile: String,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// What it means to do; absent where nobody said.
    pub plan: Option<Arc<RunPlan>>,
    /// When the load began.
    pub load_began_ms: Option<u64>,
    /// When it ended.
    pub load_ended_ms: Option<u64>,
    /// Scenario → its phase.
    pub phases: BTreeMap<String, PhaseNow>,
    /// Newest sample of the generator.
    pub load: Option<LoadSample>,
    /// Newest sample of the probes.
    pub probe: Option<ProbeSample>,
    /// Newest look at the consumer group.
    pub kafka: Option<Newest<KafkaSample>>,
    /// Newest look at Redis.
    pub redis: Option<Newest<RedisSample>>,
    /// Newest look at MySQL.
    pub mysql: Option<Newest<MysqlSample>>,
    /// Newest look at processes and containers.
    pub stack: Option<Newest<StackSample>>,
    /// `kafka`, `redis`, `mysql`, `stack` → since when and why it cannot be read.
    pub away: BTreeMap<String, Away>,
    /// Histories.
    pub history: History,
    /// Figures over all samples of the probes.
    pub seen: Arc<Seen>,
    /// Goals and how they stand.
    pub goals: Vec<GoalResult>,
    /// The goals' states are the last word.
    pub goals_last: bool,
    /// Metric → how its alarm stands.
    pub alarms: Alarms,
    /// Check → verdict.
    pub checks: BTreeMap<String, CheckNow>,
    /// What was done by hand, newest last.
    pub acts: VecDeque<ActNow>,
    /// Servers that ended while the run went on, newest last.
    pub ended: VecDeque<EndedNow>,
    /// Backend processes and servers by name.
    pub processes: BTreeMap<String, ProcessNow>,
    /// Backend processes and servers that ended and were started again: name → how often.
    pub restarts: BTreeMap<String, u32>,
    /// The newest warnings.
    pub warnings: VecDeque<String>,
    /// How it ended.
    pub finished: Option<Finished>,
    /// Reads what the samples say of the metrics.
    pub reader: Reader,
}

/// The newest sample of a watcher.
#[derive(Debug, Clone, PartialEq)]
pub struct Newest<T> {
    /// When it came.
    pub t_ms: u64,
    /// The sample.
    pub sample: Arc<T>,
}

impl<T> Deref for Newest<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.sample
    }
}

/// A source that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// Since when.
    pub since_ms: u64,
    /// Why.
    pub why: String,
}

/// The phase that a scenario is in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhaseNow {
    /// Number from 0.
    pub index: usize,
    /// What it aims at.
    pub target: f64,
    /// When it was entered.
    pub entered_ms: u64,
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckNow {
    /// What it says.
    pub verdict: Verdict,
    /// What it means where it is false.
    pub severity: Severity,
    /// Figures.
    pub evidence: String,
    /// Offending users or rows.
    pub rows: Vec<String>,
    /// When it was told.
    pub t_ms: u64,
}

/// Something that was done by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActNow {
    /// When it was asked for.
    pub t_ms: u64,
    /// What.
    pub what: String,
    /// What came of it; empty while it goes on.
    pub result: String,
}

/// A backend process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessNow {
    /// What became of it.
    pub state: ProcessState,
    /// Exit status in words, or the pid.
    pub detail: String,
    /// When.
    pub t_ms: u64,
}

/// A server that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedNow {
    /// When it was seen.
    pub t_ms: u64,
    /// `redis`, `kafka-2`.
    pub name: String,
    /// Process or container, how it ended and when, and what to do.
    pub how: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// What all checks together say.
    pub verdict: Overall,
    /// Exit code.
    pub exit_code: u8,
}

/// Figures over all samples of the probes: name of a metric → its trend.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen(BTreeMap<&'static str, Trend>);

impl Seen {
    /// The trend of a metric; none without samples.
    pub fn trend(&self, metric: &str) -> Option<&Trend> {
        self.0.get(metric)
    }

    /// All trends by the names of their metrics.
    pub fn trends(&self) -> impl Iterator<Item = (&'static str, &Trend)> {
        self.0.iter().map(|(name, trend)| (*name, trend))
    }

    /// Largest Σ lag.
    pub fn most_lag(&self) -> Option<u64> {
        Some(self.trend(CONSUMER_LAG.name)?.max()? as u64)
    }

    fn add(&mut self, readings: &[Reading<'_>]) {
        for reading in readings.iter().filter(|reading| reading.metric.kind == Kind::Trend) {
            if let Some(value) = reading.value {
                self.0.entry(reading.metric.name).or_default().record(value);
            }
        }
    }
}

impl RunState {
    /// Takes one event in.
    pub fn apply(&mut self, stamped: &Stamped) {
        let t_ms = stamped.t_ms;
        self.t_ms = self.t_ms.max(t_ms);
        let readings = self.reader.read(stamped);
        self.alarms.see(t_ms, &readings);
        for reading in &readings {
            self.history.see(t_ms, reading);
        }
        match &stamped.event {
            Event::RunStarted { profile, at, plan, .. } => {
                (self.profile, self.started_at) = (profile.clone(), at.clone());
                self.alarms = Alarms::new(plan.as_deref());
                self.reader = Reader::new(plan.as_ref().map_or(0, |plan| plan.cores));
                self.goals = plan.as_ref().map_or_else(Vec::new, |plan| goals::unknown(&plan.goals));
                self.plan = plan.as_deref().cloned().map(Arc::new);
            }
            Event::Stage { name } => self.enter(name, t_ms),
            Event::Phase { scenario, index, target } => {
                let phase = PhaseNow { index: *index, target: *target, entered_ms: t_ms };
                self.phases.insert(scenario.clone(), phase);
            }
            Event::Load(sample) => self.load = Some(sample.clone()),
            Event::Probe(sample) => {
                Arc::make_mut(&mut self.seen).add(&readings);
                if !self.goals_last {
                    goals::judge(&mut self.goals, &self.seen);
                }
                for (subject, figures) in &sample.subjects {
                    self.history.subject(t_ms, *subject, figures);
                }
                self.probe = Some(sample.clone());
            }
            Event::Goals { results, last } => {
                goals::merge(&mut self.goals, results);
                self.goals_last |= *last;
            }
            Event::Alarm { .. } => self.alarms.tell(stamped),
            Event::Kafka(_) | Event::Redis(_) | Event::Mysql(_) | Event::Stack(_) => {
                self.watched(t_ms, &stamped.event);
            }
            Event::Unreachable { source, why } => {
                // Told once; a second one within the same absence tells a newer reason.
                let away = self.away.entry(source.clone());
                away.or_insert_with(|| Away { since_ms: t_ms, why: String::new() }).why.clone_from(why);
            }
            Event::Act { what, result } => self.act(t_ms, what, result),
            Event::Process { name, state, detail } => {
                if *state == ProcessState::Restarted {
                    *self.restarts.entry(name.clone()).or_default() += 1;
                }
                if *state == ProcessState::Exited && !is_backend(name) {
                    push(&mut self.ended, MOST_ACTS, EndedNow { t_ms, name: name.clone(), how: detail.clone() });
                }
                let now = ProcessNow { state: state.clone(), detail: detail.clone(), t_ms };
                self.processes.insert(name.clone(), now);
            }
            Event::Warning { message } => push(&mut self.warnings, MOST_WARNINGS, message.clone()),
            Event::Check { id, verdict, severity, evidence, rows } => {
                let (verdict, severity) = (*verdict, *severity);
                let (evidence, rows) = (evidence.clone(), rows.clone());
                self.checks.insert(id.clone(), CheckNow { verdict, severity, evidence, rows, t_ms });
            }
            Event::Finished { verdict, exit_code } => {
                self.finished = Some(Finished { verdict: *verdict, exit_code: *exit_code });
            }
        }
    }

    fn enter(&mut self, stage: &Stage, t_ms: u64) {
        if *stage == Stage::Load {
            self.load_began_ms = Some(t_ms);
        } else if self.stage == Some(Stage::Load) {
            self.load_ended_ms = Some(t_ms);
        }
        self.stage = Some(stage.clone());
        // A run has fewer than ten; a file may say anything.
        if self.stages.len() < 64 {
            self.stages.push((stage.clone(), t_ms));
        }
    }

    fn watched(&mut self, t_ms: u64, event: &Event) {
        let source = match event {
            Event::Kafka(sample) => {
                self.kafka = Some(newest(t_ms, sample));
                "kafka"
            }
            Event::Redis(sample) => {
                // Where probes tell of the gates they are the same curve.
                if self.probe.is_none() {
                    for (claim, figures) in &sample.subjects {
                        self.history.subject(t_ms, *claim, figures);
                    }
                }
                self.redis = Some(newest(t_ms, sample));
                "redis"
            }
            Event::Mysql(sample) => {
                self.mysql = Some(newest(t_ms, sample));
                "mysql"
            }
            Event::Stack(sample) => {
                self.stack = Some(newest(t_ms, sample));
                "stack"
            }
            _ => return,
        };
        self.away.remove(source);
    }

    /// An act is told when it is asked for, and again with its result.
    fn act(&mut self, t_ms: u64, what: &str, result: &str) {
        let open = self.acts.iter_mut().rev().find(|act| act.what == what && act.result.is_empty());
        match open.filter(|_| !result.is_empty()) {
            Some(act) => result.clone_into(&mut act.result),
            None => push(&mut self.acts, MOST_ACTS, ActNow { t_ms, what: what.into(), result: result.into() }),
        }
    }
}

fn newest<T: Clone>(t_ms: u64, sample: &T) -> Newest<T> {
    Newest { t_ms, sample: Arc::new(sample.clone()) }
}

fn push<T>(kept: &mut VecDeque<T>, most: usize, one: T) {
    if kept.len() >= most {
        kept.pop_front();
    }
    kept.push_back(one);
}

#[cfg(test)]
mod tests;
