//! What the dashboard draws: plain data, made from the run's state by [`super::board`] and nowhere else.

use std::sync::Arc;

use crate::{
    event::{
        names::Stage,
        plan::AlarmPlan,
        watch::{KafkaSample, MysqlSample, RedisSample, StackSample},
    },
    infra::logs::said::{Level, said},
    run::state::Funnel,
};

/// Everything that can be seen at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Board {
    /// Milliseconds since the run (or the watching) began.
    pub at_ms: u64,
    /// Name of the profile; empty without a run.
    pub profile: String,
    /// Stage the run is in; none without a run.
    pub stage: Option<Stage>,
    /// Scenarios with the phase that each is in.
    pub phases: Vec<Phase>,
    /// Share of the planned load that is over, 0..1.
    pub progress: Option<f64>,
    /// What the generator does.
    pub load: Option<Load>,
    /// Newest points of what is drawn as a line; oldest first.
    pub series: Series,
    /// Goals.
    pub goals: Vec<Goal>,
    /// Alarms, the worst first.
    pub alarms: Vec<Alarm>,
    /// From request to row.
    pub funnel: Funnel,
    /// Coupons.
    pub coupons: Vec<Coupon>,
    /// The verdict so far.
    pub verdict: Verdict,
    /// What needs attention, the most urgent first. Empty when nothing does.
    pub attention: Vec<Word>,
    /// The consumer group.
    pub kafka: Source<KafkaSample>,
    /// Redis.
    pub redis: Source<RedisSample>,
    /// MySQL.
    pub mysql: Source<MysqlSample>,
    /// Processes and containers.
    pub stack: Source<StackSample>,
    /// Consistency checks.
    pub checks: Vec<Check>,
    /// Warnings, acts and what became of processes; newest last.
    pub happenings: Vec<Word>,
}

/// How urgent something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Neither good nor bad.
    #[default]
    Plain,
    /// Look at it.
    Warn,
    /// Wrong.
    Bad,
}

/// Something that is said, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    /// Milliseconds since the beginning, where it is known.
    pub at_ms: Option<u64>,
    /// How urgent it is.
    pub tone: Tone,
    /// What.
    pub text: String,
}

/// A server that is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Source<T> {
    /// The newest sample; it stays when the source goes away.
    pub newest: Option<Arc<T>>,
    /// Set while it cannot be read.
    pub away: Option<Away>,
}

impl<T> Default for Source<T> {
    fn default() -> Self {
        Self { newest: None, away: None }
    }
}

/// Since when a source cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Away {
    /// Milliseconds since the beginning.
    pub since_ms: u64,
    /// Why.
    pub why: String,
}

/// A scenario's phase.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Phase {
    /// Scenario.
    pub scenario: String,
    /// Number of the phase from 1.
    pub number: usize,
    /// How many there are, where the plan is known.
    pub of: Option<usize>,
    /// What it aims at: virtual users, or iterations per second.
    pub target: f64,
    /// Share of the phase that is over, 0..1.
    pub progress: Option<f64>,
}

/// What the generator does.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Load {
    /// Virtual users that are active.
    pub vus: u32,
    /// Requests per second.
    pub rps: f64,
    /// Requests since the start.
    pub sent: u64,
    /// Latencies of the last second in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// Outcome class → requests since the start.
    pub outcomes: Vec<(String, u64)>,
    /// Requests that failed: time-outs, resets, 5xx.
    pub errors: u64,
    /// Iterations that were dropped.
    pub dropped: u64,
    /// Answers from the cache and past it: name, answers, p95 in milliseconds. Empty where nothing is cached.
    pub cache: Vec<(String, u64, Option<f64>)>,
}

/// Lines. A point that is absent could not be measured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Requests per second.
    pub rps: Vec<Option<f64>>,
    /// Median in milliseconds.
    pub p50: Vec<Option<f64>>,
    /// 95th percentile.
    pub p95: Vec<Option<f64>>,
    /// 99th percentile.
    pub p99: Vec<Option<f64>>,
    /// Σ lag.
    pub lag: Vec<Option<f64>>,
    /// Commands of Redis per second.
    pub redis_ops: Vec<Option<f64>>,
    /// Memory of Redis in bytes.
    pub redis_memory: Vec<Option<f64>>,
    /// Connections to MySQL.
    pub connections: Vec<Option<f64>>,
    /// Statements per second.
    pub queries: Vec<Option<f64>>,
}

/// State of a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GoalState {
    /// It holds.
    Met,
    /// It does not hold.
    Missed,
    /// It cannot be told yet.
    #[default]
    Unknown,
}

/// A goal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Goal {
    /// Metric.
    pub metric: String,
    /// Threshold.
    pub expression: String,
    /// What it is now.
    pub actual: Option<f64>,
    /// Its state now.
    pub state: GoalState,
}

/// State of an alarm. The worse comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum AlarmState {
    /// Its metric was never measured.
    #[default]
    Unknown,
    /// Below its levels.
    Ok,
    /// At or above a level, and not yet for long enough.
    Pending,
    /// The warning level counts.
    Warning,
    /// The critical level counts.
    Critical,
}

impl AlarmState {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Pending => "pending",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// How urgent it is.
    pub const fn tone(self) -> Tone {
        match self {
            Self::Unknown | Self::Pending => Tone::Plain,
            Self::Ok => Tone::Good,
            Self::Warning => Tone::Warn,
            Self::Critical => Tone::Bad,
        }
    }
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Alarm {
    /// Metric, levels, and what to do.
    pub plan: AlarmPlan,
    /// Its state now.
    pub state: AlarmState,
    /// The metric's value now; absent where it cannot be measured.
    pub value: Option<f64>,
    /// The component that the value is of, where there are several.
    pub component: Option<String>,
    /// Since when its level counts, or is over; absent while none ever counted.
    pub since_ms: Option<u64>,
    /// Highest value so far.
    pub highest: Option<f64>,
}

/// A coupon.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coupon {
    /// Its id.
    pub id: u64,
    /// Its name; empty where it is not known.
    pub name: String,
    /// How many there are.
    pub quantity: Option<u64>,
    /// Left in Redis.
    pub stock: Option<i64>,
    /// Grants in Redis.
    pub grants: Option<u64>,
    /// Granted, not yet acknowledged by Kafka.
    pub pending: Option<u64>,
    /// Rows in MySQL.
    pub rows: Option<u64>,
}

/// The verdict so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// How it looks.
    pub tone: Tone,
    /// In words; empty without a run.
    pub text: String,
    /// The run has ended with this exit code.
    pub exit_code: Option<u8>,
}

/// A consistency check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Check {
    /// `CP5`
    pub id: String,
    /// What it says.
    pub verdict: crate::event::names::Verdict,
    /// Figures, or why there are none.
    pub evidence: String,
    /// Offending users or rows.
    pub rows: Vec<String>,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogLine {
    /// UTC, RFC 3339; empty where the line has no time.
    pub at: String,
    /// Component that wrote it.
    pub component: String,
    /// How urgent it is, where it says so.
    pub level: Option<Level>,
    /// The line as it was written.
    pub text: String,
    /// Byte of `text` at which the message begins, behind time and level.
    pub message: usize,
}

impl LogLine {
    /// The line `text` of `component`, written `at`.
    pub fn new(at: String, component: String, text: String) -> Self {
        let (level, message) = said(&text);
        Self { at, component, level, text, message }
    }

    /// What it says behind time and level.
    pub fn message(&self) -> &str {
        self.text.get(self.message..).unwrap_or(&self.text)
    }
}
