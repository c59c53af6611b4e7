//! Events of a run: one line each in `events.jsonl`, and the only thing from which progress and reports are drawn.

mod claims;
mod figures;
pub mod names;
pub mod plan;
pub mod watch;

use std::collections::BTreeMap;

use contract::{claim::Claim, figures::Figure};
use serde::{Deserialize, Serialize};

pub use self::figures::Figures;
use self::names::{Overall, ProcessState, Severity, Stage, Verdict};
use crate::goal::GoalResult;

/// Version of `events.jsonl`.
pub const SCHEMA_VERSION: u32 = 2;

/// One event with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Milliseconds since the run began.
    pub t_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The run began.
    RunStarted {
        /// Version of this format.
        schema_version: u32,
        /// Name of the profile.
        profile: String,
        /// UTC, RFC 3339.
        at: String,
        /// What it means to do; absent in files of older versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Box<plan::RunPlan>>,
    },
    /// The run entered a stage.
    Stage {
        /// Name of the stage.
        name: Stage,
    },
    /// A scenario entered a phase.
    Phase {
        /// Scenario.
        scenario: String,
        /// Number from 0.
        index: usize,
        /// What it aims at: virtual users, or iterations per second.
        target: f64,
    },
    /// What the generator did in the last second.
    Load(LoadSample),
    /// What the servers said in the last second.
    Probe(ProbeSample),
    /// How goals stand. Those that are not named stand as before.
    Goals {
        /// Each with its figure.
        results: Vec<GoalResult>,
        /// These are the last word, over all metrics of the run.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        last: bool,
    },
    /// An alarm came to another level.
    Alarm {
        /// Metric, as in the profile.
        metric: String,
        /// The level that counts now.
        level: AlarmLevel,
        /// The metric's value at this moment.
        value: f64,
        /// The level that was reached; of `ok` the lowest, which was left.
        threshold: f64,
        /// The component that the value is of, where there are several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        component: Option<String>,
        /// What the profile says to do about it; absent with `ok`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        act: Option<String>,
    },
    /// The consumer group, seen by its watcher.
    Kafka(watch::KafkaSample),
    /// Redis, seen by its watcher.
    Redis(watch::RedisSample),
    /// MySQL, seen by its watcher.
    Mysql(watch::MysqlSample),
    /// Processes and containers, seen by their watcher.
    Stack(watch::StackSample),
    /// A watcher cannot read its source. Told once when it begins; the next sample ends it.
    Unreachable {
        /// `kafka`, `redis`, `mysql`, `stack`.
        source: String,
        /// Why.
        why: String,
    },
    /// Somebody did something to the run by hand.
    Act {
        /// What, as in `vus 200`, `add consumer`, `restart redis`.
        what: String,
        /// What came of it; empty when it was only asked for.
        result: String,
    },
    /// A backend process started, ended or was started again.
    Process {
        /// `api-1`, `consumer-2` …
        name: String,
        /// What became of it.
        state: ProcessState,
        /// Exit status in words, or the pid.
        detail: String,
    },
    /// Something a person should know: where, and what it means.
    Warning {
        /// Text.
        message: String,
    },
    /// A check's verdict.
    Check {
        /// `CP5`
        id: String,
        /// What it says.
        verdict: Verdict,
        /// What it means where it is false.
        #[serde(default, skip_serializing_if = "Severity::is_violation")]
        severity: Severity,
        /// Figures.
        evidence: String,
        /// Offending users or rows; 20 at most.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rows: Vec<String>,
    },
    /// The run ended.
    Finished {
        /// What all checks together say.
        verdict: Overall,
        /// Exit code.
        exit_code: u8,
    },
}

/// Level of an alarm. The worse comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlarmLevel {
    /// None of its levels counts.
    #[default]
    Ok,
    /// The warning level counts.
    Warning,
    /// The critical level counts.
    Critical,
}

impl AlarmLevel {
    /// Its name in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One second of load.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LoadSample {
    /// Virtual users that are active.
    pub vus: u32,
    /// Requests sent since the start.
    pub sent: u64,
    /// Kind of claim → requests that claim such a thing, of those that were sent.
    #[serde(default, alias = "coupon_requests", deserialize_with = "claims::read")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, u64>,
    /// Requests sent in this second, per second.
    pub rps: f64,
    /// Outcome class → requests since the start.
    pub outcomes: BTreeMap<String, u64>,
    /// Kind of failure → requests without an answer since the start; absent where every request was answered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<String, u64>,
    /// Latencies of this second in milliseconds; none without an answer.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// Mean of the latencies of this second in milliseconds; absent in files of older versions.
    #[serde(default)]
    pub mean_ms: Option<f64>,
    /// Iterations dropped since the start.
    pub dropped: u64,
    /// `hit` and `miss`: answers that came from a cache, and that say they did not; empty where none says so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cache: BTreeMap<String, CacheSample>,
}

/// Answers from a cache, or past it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CacheSample {
    /// Answers since the start.
    pub answers: u64,
    /// 95th percentile of their latencies of this second in milliseconds; none without an answer.
    pub p95_ms: Option<f64>,
}

/// One look at the servers. Rows are read before Kafka, and Kafka before Redis: the sets only grow, so that
/// rows ≤ events ≤ grants holds without a pause. What could not be read is absent, and `errors` says why.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProbeSample {
    /// Subject → its figures. Older versions knew coupons only, and called them by their numbers.
    #[serde(alias = "coupons")]
    pub subjects: BTreeMap<Claim, Figures>,
    /// Partitions of the topic of claims.
    pub partitions: Vec<PartitionSample>,
    /// Σ lag; absent when a partition's lag is not known (nothing read, or nothing committed yet).
    pub lag: Option<u64>,
    /// Age of the oldest unconsumed record in milliseconds; 0 when all is consumed.
    pub time_lag_ms: Option<f64>,
    /// Dead letters since the run began.
    pub dead_letters: Option<u64>,
    /// Round trip of the probe's own read in Redis, in milliseconds.
    pub redis_ms: Option<f64>,
    /// Connections to MySQL, of all programs.
    pub mysql_connections: Option<u64>,
    /// Component → why it could not be read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, String>,
}

impl ProbeSample {
    /// The sum of `figure` over all subjects that have it; unknown where one of them is.
    pub fn sum(&self, figure: Figure) -> Option<i64> {
        let has = |claim: &Claim| contract::figures::of(claim.kind).contains(&figure);
        self.subjects.iter().filter(|(claim, _)| has(claim)).map(|(_, figures)| figures.get(figure)).sum()
    }
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PartitionSample {
    /// Its number.
    pub partition: i32,
    /// Oldest offset that is still there.
    pub start: i64,
    /// Offset of the next record.
    pub end: i64,
    /// Offset that the group committed; absent where it committed none.
    pub committed: Option<i64>,
}
