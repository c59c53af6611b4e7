//! `stack:`, the servers of a run.

use std::fmt;

use contract::{endpoint::mask, system::System};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

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
