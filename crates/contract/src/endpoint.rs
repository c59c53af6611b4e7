//! Where MySQL, Redis, Kafka and an API are, and how a client gets in.
//!
//! Every address that a person gives (flag, variable, file, profile) goes through the `FromStr` of its type, and so
//! through one parser (`parse`, with the parameters of `params`). Its errors never repeat what was given: an address may
//! hold a password wherever it was mistyped.

mod api;
mod kafka;
mod mask;
mod mysql;
mod params;
mod parse;
mod redis;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::{
    api::ApiEndpoint,
    kafka::{KafkaEndpoint, KafkaSecurity, Sasl},
    mask::{mask, mask_argument},
    mysql::MysqlEndpoint,
    redis::RedisEndpoint,
};

/// The three servers of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoints {
    /// MySQL or MariaDB.
    pub mysql: MysqlEndpoint,
    /// Redis or Valkey.
    pub redis: RedisEndpoint,
    /// Kafka.
    pub kafka: KafkaEndpoint,
}

/// TLS of a client connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tls {
    /// PEM file with the certificate authority; unset: the public ones.
    pub ca: Option<PathBuf>,
    /// How much of the server's certificate is looked at.
    #[serde(default, skip_serializing_if = "Verify::is_full")]
    pub verify: Verify,
}

/// How much of a server's certificate is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// Who signed it, and whose name it bears.
    #[default]
    Full,
    /// Who signed it.
    Authority,
    /// Nothing: the way is encrypted, whoever is at its end.
    Nothing,
}

impl Verify {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_full(&self) -> bool {
        *self == Self::Full
    }
}

/// Why an address cannot be used. What was given is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no address of {server}: {why}; write it as {form} (what was given is not shown: it may hold a password)"
)]
pub struct EndpointError {
    server: &'static str,
    why: String,
    form: &'static str,
}

/// `HOST:PORT`, with brackets around an IPv6 address.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
