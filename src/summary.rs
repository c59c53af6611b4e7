//! What a run came to: `summary.json`, and what every report is drawn from. `docs/schema/summary.json` describes it.

use std::collections::BTreeMap;

use contract::{claim::Kind, settings::Settings};
use load::PhaseSummary;
use record::{
    event::{AlarmLevel, names::Provider},
    goal::{GoalResult, State},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use verify::{CheckResult, Overall, Sets};

use crate::exit::Exit;

/// Version of `summary.json`.
pub const SCHEMA_VERSION: u32 = 1;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name of the run's folder.
    pub run: String,
    /// Name of the profile.
    pub profile: String,
    /// System under test.
    pub system: String,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// The whole run, in seconds.
    pub duration_s: f64,
    /// The load alone, in seconds: as long as it was scheduled, or until it was stopped; longer only where iterations
    /// under way still sent requests. Rates are over this time.
    pub load_s: f64,
    /// Component → what it was.
    pub stack: BTreeMap<String, StackEntry>,
    /// The backend's settings, with every default.
    pub settings: Settings,
    /// Phases of the load.
    pub phases: Vec<PhaseSummary>,
    /// Requests by name.
    pub requests: Vec<Request>,
    /// Name → type and values, as k6 gives them; durations in milliseconds.
    pub metrics: BTreeMap<String, Value>,
    /// Outcome class → requests. Their sum is `metrics.http_reqs`.
    pub outcomes: BTreeMap<String, u64>,
    /// What requests came to by what they claim; a request with several claims counts with each.
    #[serde(default)]
    pub claims: Vec<ClaimFigures>,
    /// Goals.
    pub goals: Vec<GoalResult>,
    /// Alarms that the profile configures, raised or not. They change no exit code.
    #[serde(default)]
    pub alarms: Vec<Alarm>,
    /// Consumer lag.
    pub lag: Lag,
    /// The sets that were compared, one by one, under the name of their kind.
    #[serde(flatten)]
    pub sets: Sets,
    /// Checks.
    pub checks: Vec<CheckResult>,
    /// Backend processes that ended unasked → how often they were started again.
    pub restarts: BTreeMap<String, u32>,
    /// Set when the generator was the bottleneck: why. Goals then prove nothing; the consistency verdict stands.
    pub bottleneck: Option<String>,
    /// Why the run was broken off, where it was: its files could not be written, for example. What was measured until
    /// then stands here; nothing is proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// Did data hold?
    pub verdict: Overall,
    /// Exit code.
    pub exit_code: u8,
}

/// One component of the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StackEntry {
    /// `docker`, `native` or `external`.
    pub provider: Provider,
    /// As the server gives it.
    pub version: String,
    /// `host:port`
    pub address: String,
}

/// Requests of one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// Scenario.
    pub scenario: String,
    /// Name.
    pub name: String,
    /// Requests that began.
    pub sent: u64,
    /// Outcome class → requests; the sum is `sent`.
    pub outcomes: BTreeMap<String, u64>,
    /// HTTP status → answers.
    pub statuses: BTreeMap<u16, u64>,
    /// HTTP status of outcome ERROR or UNKNOWN → answers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub error_statuses: BTreeMap<u16, u64>,
    /// Why there was no answer → requests: `refused`, `unreachable`, `connect time-out`, `connect`, `time-out`, `reset`,
    /// `closed early`, `TLS`, `not HTTP`.
    pub failures: BTreeMap<String, u64>,
    /// The same kinds → what was said at the first such request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failure_examples: BTreeMap<String, String>,
    /// Percentiles of the duration in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th.
    pub p95_ms: Option<f64>,
    /// 99th.
    pub p99_ms: Option<f64>,
    /// Longest.
    pub max_ms: Option<f64>,
    /// `hit` and `miss`: answers that say whether they came from a cache; absent where none says so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cache: BTreeMap<String, CacheFigures>,
}

/// Requests that claim one thing, or each its own of a kind. `sent` = `done` + `refused` + `unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimFigures {
    /// What kind of thing.
    pub kind: Kind,
    /// Kind and id, as in `seat:1`; or the kind alone, as in `point`, where each request claims its own.
    pub claim: String,
    /// Requests that began.
    pub sent: u64,
    /// Outcome class → requests.
    pub outcomes: BTreeMap<String, u64>,
    /// Those that it was promised.
    pub done: u64,
    /// Those that it was refused, for whatever reason.
    pub refused: u64,
    /// HTTP status → refusals.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refusals: BTreeMap<u16, u64>,
    /// Those of which nobody knows.
    pub unknown: u64,
    /// Promises that were to give an id and gave none; absent where the profile asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts_missing: Option<u64>,
}

/// Answers from a cache, or past it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct CacheFigures {
    /// How many there were.
    pub answers: u64,
    /// Percentiles of their duration in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th.
    pub p95_ms: Option<f64>,
    /// 99th.
    pub p99_ms: Option<f64>,
    /// Longest.
    pub max_ms: Option<f64>,
}

/// What became of an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alarm {
    /// Metric, as in the profile.
    pub metric: String,
    /// Value from which it is a warning.
    pub warning: Option<f64>,
    /// Value from which it is critical.
    pub critical: Option<f64>,
    /// Seconds for which the value must stay there.
    pub for_s: f64,
    /// The worst level that counted.
    pub worst: AlarmLevel,
    /// Seconds from the beginning of the run until a level counted for the first time; none when none did.
    pub first_raised_s: Option<f64>,
    /// Seconds for which the value was seen at or above the lowest level.
    pub above_s: f64,
    /// Highest value, in the metric's unit; none when there was no value.
    pub highest: Option<f64>,
    /// Component that the highest value is of, where there are several.
    pub component: Option<String>,
    /// What the profile says to do about it.
    pub act: Option<String>,
}

/// Consumer lag.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Lag {
    /// Largest Σ lag that was seen.
    pub max: Option<u64>,
    /// Σ lag at the end.
    #[serde(rename = "final")]
    pub last: Option<u64>,
    /// Seconds from the end of the load until everything was consumed; none when that did not happen in time.
    pub drain_s: Option<f64>,
    /// Partition by partition, at the end.
    pub per_partition: Vec<PartitionLag>,
}

/// Lag of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionLag {
    /// Number.
    pub partition: i32,
    /// Offset of the next record.
    pub end: i64,
    /// Offset that the group committed.
    pub committed: Option<i64>,
    /// Records between the two; unknown without a commit.
    pub lag: Option<i64>,
}

impl Summary {
    /// The run was broken off because of `why`; the first reason stays.
    pub fn break_off(&mut self, why: &str) {
        self.broken.get_or_insert_with(|| why.to_owned());
        self.exit_code = self.exit(None).code();
    }

    /// The exit code that the figures ask for; `interrupted` is what a signal asked for.
    pub fn exit(&self, interrupted: Option<Exit>) -> Exit {
        let verdict = match self.verdict {
            Overall::Consistent | Overall::NothingToProve => None,
            Overall::Violated => Some(Exit::Violated),
            Overall::Unproven => Some(Exit::Unproven),
        };
        let broken = self.broken.as_ref().map(|_| Exit::Failed);
        let bottleneck = self.bottleneck.as_ref().map(|_| Exit::Unproven);
        let missed = self.goals.iter().any(|goal| goal.state != State::Met).then_some(Exit::Missed);
        Exit::worst([verdict, broken, bottleneck, missed, interrupted].into_iter().flatten())
    }
}
