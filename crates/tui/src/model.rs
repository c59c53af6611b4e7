//! What the dashboard draws, made from the run's state by [`super::board`] and nowhere else. What is drawn as it is
//! (samples, goals, the funnel, who is away) keeps the state's type; a type of its own is for what is put together here.

use std::sync::Arc;

use base::log_line::{Level, said};
use contract::claim::{Claim, Kind};
use record::{
    event::{
        Figures, LoadSample,
        names::Stage,
        watch::{KafkaSample, MysqlSample, RedisSample, StackSample},
    },
    goal::GoalResult,
    state::{AlarmNow, Away, Funnel},
};

/// Everything that can be seen at one moment.
#[derive(Debug, Clone, PartialEq)]
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
    pub load: Option<LoadSample>,
    /// Newest points of what is drawn as a line; oldest first.
    pub series: Series,
    /// Goals.
    pub goals: Vec<GoalResult>,
    /// Alarms, the worst first.
    pub alarms: Vec<Alarm>,
    /// From request to row.
    pub funnel: Funnel,
    /// The kind of what is claimed.
    pub kind: Kind,
    /// What is claimed.
    pub subjects: Vec<Subject>,
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
    /// Its level and figures.
    pub now: AlarmNow,
    /// What they come to.
    pub state: AlarmState,
}

/// A subject: what is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Which.
    pub claim: Claim,
    /// Its name; empty where it is not known.
    pub name: String,
    /// How many there are.
    pub total: Option<u64>,
    /// What is counted of it.
    pub figures: Figures,
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
    pub verdict: record::event::names::Verdict,
    /// What it means where it is false.
    pub severity: record::event::names::Severity,
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
