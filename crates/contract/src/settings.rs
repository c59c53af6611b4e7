//! What a profile may tune in the backend (`backend:`). These stand in every report.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{human::HumanDuration, system::System};

/// The profile's `backend:` section, with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Consumer processes; each is one member of the group. The default is the system's.
    pub consumers: u16,
    /// Partitions of the topic of what the gate grants. The default is the system's.
    pub partitions: u16,
    /// How a claim is granted.
    pub gate: GateStrategy,
    /// Runs the backend in containers of this size; none: as child processes.
    pub size: Option<Size>,
    /// Port of the API on 127.0.0.1; 0 takes a free one. None: a free one, and in containers that of the size.
    pub port: Option<u16>,
    /// Connections to MySQL of each process.
    pub db_pool: DbPool,
    /// Connections to Redis of each process; they are shared by pipelining.
    pub redis_pool: RedisPool,
    /// Products that Redis keeps for the API.
    pub product_cache: ProductCache,
    /// The HTTP server.
    pub http: Http,
    /// The Kafka producer of the API.
    pub producer: Producer,
    /// The Kafka consumers.
    pub consumer: Consumer,
    /// The reconciler, which sends what a killed API left behind.
    pub reconciler: Reconciler,
    /// Failures on purpose, for tests of the promises: name → action, e.g. `api.after_gate: kill@100`.
    pub failpoints: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            consumers: 3,
            partitions: 3,
            gate: GateStrategy::RedisLua,
            size: None,
            port: None,
            db_pool: DbPool::default(),
            redis_pool: RedisPool::default(),
            product_cache: ProductCache::default(),
            http: Http::default(),
            producer: Producer::default(),
            consumer: Consumer::default(),
            reconciler: Reconciler::default(),
            failpoints: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// What `system` has where nobody says otherwise.
    pub fn of(system: System) -> Self {
        let of = system.description();
        Self { consumers: of.consumers, partitions: of.claims.partitions, ..Self::default() }
    }

    /// τ: how long a grant stays pending before the reconciler claims it. Always longer than
    /// `delivery_timeout + request_timeout`, so that the API that granted it has certainly given up.
    pub fn reconcile_after(&self) -> std::time::Duration {
        let least = self.closed_for() + std::time::Duration::from_secs(1);
        self.reconciler.after.map_or(least, |after| after.0.max(least))
    }

    /// How long the gate must have been closed before it may be rebuilt: by then no send is on its way.
    pub fn closed_for(&self) -> std::time::Duration {
        self.producer.delivery_timeout.0 + self.http.request_timeout.0
    }
}

/// How much a container of the API may have. Consumers and reconciler have the same in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// 2 CPU, 2 GB, the system's own port.
    App,
    /// 0.5 CPU, 512 MB, port 3001.
    Small,
    /// 1 CPU, 1 GB, port 3002.
    Medium,
    /// 2 CPU, 2 GB, port 3003.
    Large,
}

impl Size {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::App, Self::Small, Self::Medium, Self::Large];

    /// As it is written in a profile.
    pub fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }

    /// Port of the API of `system` where the profile names none.
    pub fn port(self, system: System) -> u16 {
        match self {
            Self::App => system.description().api_port,
            Self::Small => 3001,
            Self::Medium => 3002,
            Self::Large => 3003,
        }
    }
}

/// How a claim is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GateStrategy {
    /// One Lua script in Redis decides, numbers and remembers the grant.
    RedisLua,
}

/// Connections to MySQL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DbPool {
    /// Most connections of one process.
    pub max: u16,
    /// Connections that are kept open when idle.
    pub min_idle: u16,
    /// How long a request waits for a connection before it is answered 503.
    pub timeout: HumanDuration,
}

impl Default for DbPool {
    fn default() -> Self {
        Self { max: 20, min_idle: 10, timeout: HumanDuration::from_secs(10) }
    }
}

/// Connections to Redis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedisPool {
    /// Connections of one process; requests are pipelined over them.
    pub max: u16,
    /// How long one command may take.
    pub timeout: HumanDuration,
}

impl Default for RedisPool {
    fn default() -> Self {
        Self { max: 2, timeout: HumanDuration::from_secs(2) }
    }
}

/// Products that Redis keeps for the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProductCache {
    /// How long a product is kept, and so how old an answer may be; 0s: nothing is kept.
    pub ttl: HumanDuration,
}

impl Default for ProductCache {
    fn default() -> Self {
        Self { ttl: HumanDuration::from_secs(60) }
    }
}

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Worker threads of the API process.
    pub threads: u16,
    /// Longest time a request may take before it is answered 503.
    pub request_timeout: HumanDuration,
    /// Largest body that is read, in bytes; a larger one is answered 413.
    pub body_limit: usize,
    /// Most connections at once; further ones wait in the listen queue.
    pub max_connections: usize,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            threads: 2,
            request_timeout: HumanDuration::from_secs(5),
            body_limit: 16 * 1024,
            max_connections: 20_000,
        }
    }
}

/// The Kafka producer of the API. It is always idempotent with `acks=all`: less could lose what was acknowledged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Producer {
    /// `batch.size`, in bytes.
    pub batch_size: u32,
    /// `linger.ms`.
    pub linger: HumanDuration,
    /// `queue.buffering.max.kbytes`, in bytes.
    pub buffer_memory: u64,
    /// Places in the queue. One is reserved before the gate; with none left the answer is 503 and nothing is granted.
    pub queue: usize,
    /// `retries`.
    pub retries: u32,
    /// `delivery.timeout.ms`: after it a send counts as unknown.
    pub delivery_timeout: HumanDuration,
}

impl Default for Producer {
    fn default() -> Self {
        Self {
            batch_size: 16_384,
            linger: HumanDuration::from_millis(10),
            buffer_memory: 32 * 1024 * 1024,
            queue: 10_000,
            retries: 2_147_483_647,
            delivery_timeout: HumanDuration::from_secs(10),
        }
    }
}

/// The Kafka consumers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Consumer {
    /// Most records in one transaction.
    pub batch: usize,
    /// How long a batch may wait to fill.
    pub batch_wait: HumanDuration,
    /// `session.timeout.ms`.
    pub session_timeout: HumanDuration,
    /// `max.poll.interval.ms`.
    pub max_poll_interval: HumanDuration,
}

impl Default for Consumer {
    fn default() -> Self {
        Self {
            batch: 500,
            batch_wait: HumanDuration::from_millis(10),
            session_timeout: HumanDuration::from_secs(6),
            max_poll_interval: HumanDuration::from_secs(300),
        }
    }
}

/// The reconciler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reconciler {
    /// How often it looks.
    pub interval: HumanDuration,
    /// τ; raised to `delivery_timeout + request_timeout + 1s` where it is shorter. Unset: exactly that.
    pub after: Option<HumanDuration>,
}

impl Default for Reconciler {
    fn default() -> Self {
        Self { interval: HumanDuration::from_secs(1), after: None }
    }
}
