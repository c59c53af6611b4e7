//! What the watchers of the servers see; drawn by the dashboard, and kept in `events.jsonl` for the replay.

use std::collections::BTreeMap;

use contract::claim::Claim;
use serde::{Deserialize, Serialize};

use super::{
    Figures,
    names::{ComponentState, Provider},
};

/// State of a partition's lag; the worst one of a group comes first. See `docs/lag.md` for the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LagStatus {
    /// The committed offset is older than the oldest record: records were lost to the group.
    Lost,
    /// The committed offset is beyond the log's end: the topic was made anew, or lost records. The lag is not known.
    Ahead,
    /// The group has no members.
    Stop,
    /// The committed offset fell.
    Rewind,
    /// Members, lag, and nothing is committed.
    Stall,
    /// The group does not come to rest.
    Rebalancing,
    /// The lag grows.
    Warn,
    /// Nothing was committed yet: the lag is not known.
    NoCommit,
    /// It cannot be told: nobody leads the partition, or it is behind and was not looked at for long enough.
    Unknown,
    /// The lag shrinks.
    CatchingUp,
    /// No lag, or no more than is allowed.
    #[default]
    Ok,
}

impl LagStatus {
    /// Its name, as people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "LOST",
            Self::Ahead => "AHEAD",
            Self::Stop => "STOP",
            Self::Rewind => "REWIND",
            Self::Stall => "STALL",
            Self::Rebalancing => "REBALANCING",
            Self::Warn => "WARN",
            Self::NoCommit => "NO_COMMIT",
            Self::Unknown => "UNKNOWN",
            Self::CatchingUp => "CATCHING_UP",
            Self::Ok => "OK",
        }
    }
}

/// One look at a consumer group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KafkaSample {
    /// Consumer group.
    pub group: String,
    /// State as the coordinator gives it: `Stable`, `Empty`, `PreparingRebalance` …; `Unknown` where it cannot be read.
    pub state: String,
    /// Worst state of all partitions.
    pub status: LagStatus,
    /// Σ lag; absent when a partition's lag is not known.
    pub lag: Option<u64>,
    /// Records per second by which the lag grows (negative: shrinks).
    pub slope: Option<f64>,
    /// Seconds until all is consumed at this pace: the largest over the partitions.
    pub drain_s: Option<f64>,
    /// Age of the oldest unconsumed record in milliseconds.
    pub time_lag_ms: Option<f64>,
    /// Records per second that come in.
    pub produced_per_s: Option<f64>,
    /// Records per second that the group commits.
    pub consumed_per_s: Option<f64>,
    /// Each partition of each topic that the group reads.
    pub partitions: Vec<PartitionLag>,
    /// Topic → why it could not be read; its partitions are missing then, and the sum is not known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unread: BTreeMap<String, String>,
    /// Members; absent where they cannot be read.
    pub members: Option<Vec<Member>>,
    /// Rebalances since the watch began.
    pub rebalances: u32,
    /// Brokers in the metadata.
    pub brokers: Vec<Broker>,
    /// Records on the dead-letter topic; absent where there is none.
    pub dead_letters: Option<u64>,
    /// Reason → dead letters, of those that were read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dead_reasons: BTreeMap<String, u64>,
    /// The newest dead letters, newest first; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub newest_dead: Vec<DeadLetter>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PartitionLag {
    /// Topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// Oldest offset that is still there; while nobody leads the partition as it was last.
    pub start: i64,
    /// Offset of the next record; likewise.
    pub end: i64,
    /// Offset that the group committed; absent where it committed none.
    pub committed: Option<i64>,
    /// Records behind; absent where that is not known, as the state says.
    pub lag: Option<u64>,
    /// Its state.
    pub status: LagStatus,
    /// Records per second by which the lag grows.
    pub slope: Option<f64>,
    /// Seconds until it is consumed.
    pub drain_s: Option<f64>,
    /// Age of its oldest unconsumed record in milliseconds.
    pub time_lag_ms: Option<f64>,
    /// Records per second in.
    pub produced_per_s: Option<f64>,
    /// Records per second committed.
    pub consumed_per_s: Option<f64>,
    /// It gets, or is behind by, far more than the others.
    pub hot: bool,
    /// Broker that leads it; absent where nobody does.
    pub leader: Option<i32>,
    /// Client id of the member that reads it.
    pub member: Option<String>,
}

/// A member of the group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Member {
    /// Client id; with the end of the member's id where several members have the same.
    pub client: String,
    /// Id that the coordinator gave it.
    #[serde(default)]
    pub id: String,
    /// Host it connects from.
    pub host: String,
    /// `topic` → partitions it reads.
    pub partitions: BTreeMap<String, Vec<i32>>,
}

/// A broker.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Broker {
    /// Node id.
    pub id: i32,
    /// `host:port`
    pub address: String,
}

/// A record that no consumer could use.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DeadLetter {
    /// Partition of the dead-letter topic.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// UTC, RFC 3339, as the record has it.
    pub at: String,
    /// Why.
    pub reason: String,
    /// Key, cut at 200 characters.
    pub key: String,
    /// Value, cut at 2,000 characters.
    pub value: String,
}

/// One look at Redis.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RedisSample {
    /// Round trip of a PING in milliseconds.
    pub latency_ms: Option<f64>,
    /// Share of reads that found their key since the last look, 0..1; absent without reads.
    pub hit_rate: Option<f64>,
    /// Bytes in use.
    pub used_memory: u64,
    /// `maxmemory`; 0 is no limit.
    pub max_memory: u64,
    /// `maxmemory-policy`
    pub policy: String,
    /// Keys evicted since the server's start.
    pub evicted: u64,
    /// Keys expired since the server's start.
    pub expired: u64,
    /// Commands per second.
    pub ops_per_s: f64,
    /// Clients that are connected.
    pub clients: u64,
    /// Clients that wait (BLPOP and the like).
    pub blocked: u64,
    /// Commands refused because the memory is full.
    pub oom_errors: u64,
    /// Last background save or AOF write went wrong.
    pub persistence_error: bool,
    /// The newest entries of SLOWLOG, newest first; at most 20.
    pub slow: Vec<SlowCommand>,
    /// Changes whenever the server starts anew.
    #[serde(default)]
    pub run_id: String,
    /// What went wrong with a background save or AOF write; empty while all is well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub persistence: String,
    /// What a gate grants → its figures in Redis; at most 20, found by name.
    #[serde(default, alias = "gates", skip_serializing_if = "BTreeMap::is_empty")]
    pub subjects: BTreeMap<Claim, Figures>,
    /// Commands that this user may not run, `INFO`, `SLOWLOG` …: their figures are missing, not 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<String>,
}

/// An entry of SLOWLOG. Arguments are cut; they may hold data of users.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SlowCommand {
    /// Its id, which only grows.
    pub id: u64,
    /// Seconds since 1970.
    pub at: i64,
    /// Microseconds.
    pub micros: u64,
    /// Command with its first arguments.
    pub command: String,
}

/// One look at MySQL or MariaDB. What the server or the user's rights do not give is absent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MysqlSample {
    /// Round trip of a SELECT 1 in milliseconds.
    pub latency_ms: Option<f64>,
    /// Connections now.
    pub connections: u64,
    /// `max_connections`
    pub max_connections: u64,
    /// Threads that run a statement.
    pub running: u64,
    /// Statements per second.
    pub queries_per_s: Option<f64>,
    /// Connection pools of the backend's processes.
    pub pools: Vec<PoolSample>,
    /// Waits for row locks at this moment, longest first; at most 20.
    pub lock_waits: Option<Vec<LockWait>>,
    /// Waits for row locks since the server's start.
    pub row_lock_waits: u64,
    /// Milliseconds spent in them.
    pub row_lock_time_ms: u64,
    /// Deadlocks since the server's start.
    pub deadlocks: Option<u64>,
    /// Statement shapes that took most time, first the most; at most 10.
    pub digests: Option<Vec<Digest>>,
    /// Slowest statements of the slow log, slowest first; at most 10.
    pub slow: Option<Vec<SlowQuery>>,
    /// Bytes of the buffer pool.
    pub buffer_pool: u64,
    /// Share of it that holds data, 0..1.
    pub buffer_pool_used: Option<f64>,
    /// Share of reads that found their page in memory since the last look, 0..1.
    pub buffer_pool_hits: Option<f64>,
    /// Version, as the server gives it.
    #[serde(default)]
    pub version: String,
    /// What this user may not read, or the server does not keep: `lock_waits`, `digests`, `slow`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<String>,
}

/// The pool of one process of the backend.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PoolSample {
    /// `api-1`, `consumer-2` …
    pub process: String,
    /// Connections that work.
    pub in_use: u64,
    /// Connections that are open and idle.
    pub idle: u64,
    /// Requests that wait for one.
    pub waiting: u64,
    /// Most there may be.
    pub max: u64,
}

/// One transaction that waits for another.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LockWait {
    /// Connection that waits.
    pub waiting: u64,
    /// Its statement.
    pub waiting_sql: String,
    /// Seconds it has waited.
    pub waited_s: f64,
    /// Connection that holds the lock.
    pub blocking: u64,
    /// Its statement; empty while it runs none.
    pub blocking_sql: String,
    /// Seconds since its transaction began.
    pub blocking_age_s: f64,
    /// Table.
    pub table: String,
}

/// One statement shape.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Digest {
    /// The statement with `?` for its values.
    pub text: String,
    /// Executions.
    pub count: u64,
    /// Milliseconds of all of them.
    pub total_ms: f64,
    /// Rows examined.
    pub rows_examined: u64,
    /// Rows sent.
    pub rows_sent: u64,
}

/// One slow statement.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SlowQuery {
    /// UTC, RFC 3339.
    pub at: String,
    /// Milliseconds.
    pub query_ms: f64,
    /// Milliseconds of them spent waiting for locks.
    pub lock_ms: f64,
    /// Rows examined.
    pub rows_examined: u64,
    /// The statement, cut at 500 characters.
    pub sql: String,
}

/// One look at the processes and containers of the stack.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StackSample {
    /// Each component, exited ones too.
    pub components: Vec<ComponentSample>,
}

/// One process or container; also one row of `ecomctl stats`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ComponentSample {
    /// `mysql`, `redis`, `kafka-1`, `api-1` …
    pub name: String,
    /// `docker`, `native` or `external`.
    pub provider: Provider,
    /// `running`, `restarting`, `paused`, `exited`, `external`; `gone` for a container that was removed, `unknown` while
    /// the Engine does not answer.
    pub state: ComponentState,
    /// `healthy`, `starting`, `done` (a job that ended well), or what is wrong; empty where nobody asked.
    pub health: String,
    /// Exit code of one that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// The kernel ended it, or a process in it, because its memory was used up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oom_killed: bool,
    /// How that is known: the kernel's own count, the Engine's flag, or its events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_evidence: Option<String>,
    /// Restarts since `up`.
    pub restarts: u32,
    /// CPU use in percent of one core.
    pub cpu: Option<f64>,
    /// CPU that it may use, in percent of one core as `cpu` is; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit_percent: Option<f64>,
    /// Share of its CPU periods in which it was held back, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<f64>,
    /// Bytes of memory: without page cache (containers), resident (processes).
    pub mem: Option<u64>,
    /// Bytes it may use; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_limit: Option<u64>,
    /// Bytes received and sent over the network since its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<(u64, u64)>,
    /// Bytes read from and written to disks since its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<(u64, u64)>,
    /// Open file descriptors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Published ports, `127.0.0.1:3306->3306/tcp`; for a process where it listens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
}
