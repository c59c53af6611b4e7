//! Kafka.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    EndpointError, Tls, Verify, authority,
    parse::{Grammar, host_and_port},
};
use crate::human::Secret;

/// Kafka.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KafkaEndpoint {
    /// `host:port[,host:port…]`.
    pub brokers: String,
    /// Transport encryption and login, where they are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<KafkaSecurity>,
}

/// Transport encryption and login of Kafka.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct KafkaSecurity {
    /// TLS, where it is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// SASL login, where it is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
}

/// SASL login.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sasl {
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: String,
    /// User.
    pub username: String,
    /// Password.
    pub password: Secret,
}

/// `parse` reads no URL here, but the error is the same.
const GRAMMAR: Grammar = Grammar {
    server: "Kafka",
    form: "HOST:9092[,HOST:9092…]",
    scheme: |_| false,
    path: |_| None,
    bare_is_password: false,
};

impl FromStr for KafkaEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let brokers = text.split(',').enumerate().map(|(index, broker)| {
            // By its number: what stands there may be a login.
            let fail = |why: &str| GRAMMAR.error(format!("broker {}: {why}", index + 1));
            let broker = broker.trim();
            if broker.contains("://") {
                return Err(fail(
                    "it has a scheme; TLS and a login are asked for by --kafka-tls and --kafka-mechanism",
                ));
            }
            let (host, port) = host_and_port(broker).map_err(fail)?;
            Ok(authority(&host, port.ok_or_else(|| fail("it has no port"))?))
        });
        Ok(Self { brokers: brokers.collect::<Result<Vec<_>, _>>()?.join(","), security: None })
    }
}

impl fmt::Display for KafkaEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.brokers)
    }
}

impl KafkaEndpoint {
    /// Settings of a librdkafka client: addresses, login, and short socket time-outs.
    pub fn client_config(&self) -> rdkafka::ClientConfig {
        let mut config = rdkafka::ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "ecomctl")
            .set("allow.auto.create.topics", "false")
            .set("socket.timeout.ms", "10000")
            .set("socket.nagle.disable", "true")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000");
        let Some(security) = &self.security else { return config };
        let protocol = match (&security.tls, &security.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(tls) = &security.tls {
            if let Some(ca) = &tls.ca {
                config.set("ssl.ca.location", ca.to_string_lossy());
            }
            if tls.verify != Verify::Full {
                config.set("ssl.endpoint.identification.algorithm", "none");
            }
            if tls.verify == Verify::Nothing {
                config.set("enable.ssl.certificate.verification", "false");
            }
        }
        if let Some(sasl) = &security.sasl {
            config
                .set("sasl.mechanism", &sasl.mechanism)
                .set("sasl.username", &sasl.username)
                .set("sasl.password", sasl.password.expose());
        }
        config
    }
}
