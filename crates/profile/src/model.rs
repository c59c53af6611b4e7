//! A profile as it is resolved: every default filled in. See `docs/profile.md` for the same in words.

use std::{collections::BTreeMap, fmt};

use contract::system::Step;
pub use contract::system::System;
use contract::{claim::Kind, endpoint::mask, human::HumanDuration, settings::Settings};
use record::{goal::Goal, invariant::Invariant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::claim::{ClaimSpec, Claims, IdSpec};

/// One profile: what to run, on which stack, and what must hold afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// One line that says what it is for.
    #[serde(default)]
    pub about: String,
    /// The system under test.
    pub system: System,
    /// The servers.
    #[serde(default)]
    pub stack: StackSpec,
    /// The backend and its tuning.
    #[serde(default)]
    pub backend: Settings,
    /// The data that exist before the load.
    #[serde(default)]
    pub seed: SeedSpec,
    /// Loads, all of them started together.
    pub scenarios: BTreeMap<String, Scenario>,
    /// Thresholds in k6's grammar: metric, or `metric{tag:value}` → expressions.
    #[serde(default)]
    pub goals: BTreeMap<String, Vec<Goal>>,
    /// Levels that metrics should not stay at: metric → levels.
    #[serde(default)]
    pub alarms: BTreeMap<String, AlarmSpec>,
    /// Consistency checks.
    #[serde(default)]
    pub checks: CheckSpec,
    /// Consistency checks of one's own: id → what offends.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub invariants: BTreeMap<String, Invariant>,
    /// How long the consumers may take to come to rest after the load.
    #[serde(default)]
    pub drain: DrainSpec,
}

/// The servers of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StackSpec {
    /// Who runs the servers.
    pub provider: ProviderChoice,
    /// Kafka brokers: 1 or 3.
    pub brokers: u8,
    /// Ports on 127.0.0.1 of servers in Docker.
    pub ports: PortSpec,
    /// Prometheus, Grafana and exporters beside the servers; in Docker only.
    pub monitoring: bool,
    /// The teams' own stack: MySQL 8.0, Kafka with `ZooKeeper`, Redis with `allkeys-lru`; in Docker only.
    pub original: bool,
    /// URLs of servers that are there already; each makes its component external.
    pub external: ExternalSpec,
}

impl Default for StackSpec {
    fn default() -> Self {
        Self {
            provider: ProviderChoice::Auto,
            brokers: 1,
            ports: PortSpec::default(),
            monitoring: false,
            original: false,
            external: ExternalSpec::default(),
        }
    }
}

/// Ports on 127.0.0.1 of servers in Docker; 0 takes a free one, which is kept as long as the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PortSpec {
    /// MySQL.
    pub mysql: u16,
    /// Redis.
    pub redis: u16,
    /// The first broker; the others take the next ones.
    pub kafka: u16,
}

impl PortSpec {
    /// Those of `system`.
    pub fn of(system: System) -> Self {
        let of = system.description();
        Self { mysql: of.mysql_port, redis: of.redis_port, kafka: of.kafka_port }
    }
}

impl Default for PortSpec {
    fn default() -> Self {
        Self::of(System::default())
    }
}

/// Who runs the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderChoice {
    /// The best that this machine has; says which and why.
    Auto,
    /// Containers of a Docker Engine.
    Docker,
    /// Private child processes on loopback.
    Native,
    /// The user's own; nothing is started.
    External,
}

/// Servers that are there already. `…_file` keys name a file that holds the secret.
// An address may hold a password, also where it was meant for another key: what is printed of a profile has none of them.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExternalSpec {
    /// `mysql://user:password@host:3306/database?tls=true&ca=FILE`
    #[serde(serialize_with = "masked")]
    pub mysql_url: Option<String>,
    /// File with that URL.
    #[serde(serialize_with = "masked_address")]
    pub mysql_url_file: Option<String>,
    /// `rediss://user:password@host:6379/0?ca=FILE`
    #[serde(serialize_with = "masked")]
    pub redis_url: Option<String>,
    /// File with that URL.
    #[serde(serialize_with = "masked_address")]
    pub redis_url_file: Option<String>,
    /// `host:9092,host:9092`
    #[serde(serialize_with = "masked_address")]
    pub kafka_brokers: Option<String>,
    /// Transport encryption and login of Kafka.
    pub kafka: KafkaLogin,
    /// URL of an API that runs already; no backend is started then.
    #[serde(serialize_with = "masked_address")]
    pub api_url: Option<String>,
}

impl fmt::Debug for ExternalSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalSpec(***)")
    }
}

/// Shows that there is a value, and no more.
#[expect(clippy::ref_option, reason = "serde gives the field as it is")]
fn masked<S: Serializer>(value: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(|_| "***").serialize(serializer)
}

/// Shows what is no login.
#[expect(clippy::ref_option, reason = "serde gives the field as it is")]
fn masked_address<S: Serializer>(value: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_deref().map(mask).serialize(serializer)
}

/// Transport encryption and login of an external Kafka.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaLogin {
    /// Encrypt.
    pub tls: bool,
    /// PEM file of the certificate authority.
    pub ca: Option<String>,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: Option<String>,
    /// User.
    pub username: Option<String>,
    /// Password.
    #[serde(serialize_with = "masked")]
    pub password: Option<String>,
    /// File with the password.
    pub password_file: Option<String>,
}

impl fmt::Debug for KafkaLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KafkaLogin(***)")
    }
}

/// The data that exist before the load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeedSpec {
    /// Fixture that gives names and values: `fixtures/<name>.yaml`.
    pub fixture: String,
    /// Users, with ids 1..=users.
    pub users: u64,
    /// Products, with ids 1..=products.
    pub products: u64,
    /// Coupons; empty: those of the fixture.
    pub coupons: Vec<CouponSeed>,
}

impl SeedSpec {
    /// Users and products where nobody says how many.
    const ROWS: u64 = 1_000;

    /// That of `system`, whose name its fixture has.
    pub fn of(system: System) -> Self {
        let products = if system.has(Step::Products) { Self::ROWS } else { 0 };
        Self { fixture: system.name().into(), users: Self::ROWS, products, coupons: Vec::new() }
    }
}

impl Default for SeedSpec {
    fn default() -> Self {
        Self::of(System::default())
    }
}

/// One coupon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CouponSeed {
    /// Its id.
    pub id: u64,
    /// T: how many there are.
    pub quantity: u64,
    /// Name that people see.
    #[serde(default)]
    pub name: Option<String>,
    /// Discount in won.
    #[serde(default)]
    pub discount_amount: Option<u64>,
}

/// One load. Unknown keys are found by the reader of profiles: serde cannot deny them beside `flatten`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scenario {
    /// How requests are paced.
    #[serde(flatten)]
    pub executor: Executor,
    /// Pause of a virtual user after each request (closed executors).
    #[serde(default)]
    pub think: Option<HumanDuration>,
    /// Which user a virtual user is.
    #[serde(default)]
    pub user: UserPick,
    /// What one iteration sends, in this order.
    pub requests: Vec<RequestSpec>,
    /// Longest wait for an answer; after it the outcome is unknown.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(10)
}

/// How requests are paced; names and meaning are k6's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "executor", rename_all = "kebab-case")]
pub enum Executor {
    /// The number of virtual users moves from stage to stage, linearly.
    RampingVus {
        /// Virtual users at the start.
        #[serde(default, rename = "startVUs", alias = "start_vus")]
        start_vus: u32,
        /// Where the number goes, one after the other.
        stages: Vec<Stage>,
    },
    /// A fixed number of virtual users.
    ConstantVus {
        /// Virtual users.
        vus: u32,
        /// For how long.
        duration: HumanDuration,
    },
    /// A fixed rate of iterations, whatever the answers take (open model).
    ConstantArrivalRate {
        /// Iterations per second.
        rate: f64,
        /// For how long.
        duration: HumanDuration,
        /// Most iterations under way at once; one that finds no room is dropped and counted.
        #[serde(rename = "maxVUs", alias = "max_vus")]
        max_vus: u32,
    },
}

/// One stage of a ramp.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// How long it takes.
    pub duration: HumanDuration,
    /// Where it ends.
    pub target: u32,
}

/// Which user a virtual user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UserPick {
    /// Each virtual user is one person and stays that person.
    #[default]
    PerVu,
    /// Each iteration is the next person; after the last the first comes again.
    Sequential,
    /// Each iteration is anybody.
    Random,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    /// Name in metrics and reports.
    pub name: String,
    /// `GET`, `POST`, `PUT` or `DELETE`.
    #[serde(default = "default_method")]
    pub method: String,
    /// Path; `${user.id}`, `${user.publicId}` and `${uuid}` are filled in.
    pub path: String,
    /// Header → value, with the same variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// JSON body with the same variables; the text `"${user.id}"` becomes the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
    /// Status → outcome class. Others: 2xx OK, 4xx ERROR, 5xx UNKNOWN; time-out and reset are UNKNOWN.
    #[serde(default)]
    pub outcomes: BTreeMap<u16, String>,
    /// Only in a virtual user's first iteration.
    #[serde(default)]
    pub once: bool,
    /// What this request claims: its answers go into the ledger, from which consistency is proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claims>,
    /// Short for `claim: {kind: coupon, id: …}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<u64>,
}

impl RequestSpec {
    /// All that it claims, in short form or not.
    pub fn claims(&self) -> Vec<ClaimSpec> {
        let short = self.coupon.map(|id| ClaimSpec { kind: Kind::Coupon, id: IdSpec::Number(id) });
        short.into_iter().chain(self.claim.iter().flat_map(Claims::list).cloned()).collect()
    }
}

/// Methods that a request may have.
pub const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

fn default_method() -> String {
    "GET".into()
}

/// Levels of one metric. At least one of them is given; with both the critical one is the higher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlarmSpec {
    /// Value from which it is a warning, in the metric's unit.
    #[serde(default)]
    pub warning: Option<f64>,
    /// Value from which it is critical.
    #[serde(default)]
    pub critical: Option<f64>,
    /// How long the value must stay at or above a level before it counts.
    #[serde(default = "default_hold", rename = "for")]
    pub hold: HumanDuration,
    /// What to do about it, for people.
    #[serde(default)]
    pub act: Option<String>,
}

fn default_hold() -> HumanDuration {
    HumanDuration::from_secs(10)
}

/// Consistency checks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckSpec {
    /// Checks that must hold; where one of them is unknown the run proved nothing (exit 4).
    pub require: Vec<String>,
}

/// How the run comes to rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DrainSpec {
    /// Longest wait until everything is consumed and nothing is pending.
    pub timeout: HumanDuration,
}

impl Default for DrainSpec {
    fn default() -> Self {
        Self { timeout: HumanDuration::from_secs(60) }
    }
}
