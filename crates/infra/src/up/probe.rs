//! What each server is asked before it counts as up.

use std::{fs, path::PathBuf, time::Duration};

use contract::endpoint::{KafkaEndpoint, MysqlEndpoint, RedisEndpoint};

use crate::{
    clients::Cluster,
    error::InfraError,
    ready,
    topics::{self, PROBE_TOPIC, TopicPlan},
};

/// A question to a server of our own.
pub(super) enum Probe {
    /// The database over TCP, and whether the data are ours.
    Mysql { endpoint: MysqlEndpoint, data: PathBuf },
    /// PING and `run_id`.
    Redis(RedisEndpoint),
    /// All brokers in the metadata, and a record sent and read back.
    Kafka { endpoint: KafkaEndpoint, brokers: usize, replication: i32, version: String },
}

impl Probe {
    /// Asks; the answer is the server's version.
    pub(super) async fn ask(&self, limit: Duration) -> Result<String, InfraError> {
        match self {
            Self::Mysql { endpoint, data } => {
                let facts = ready::mysql(endpoint, limit).await?;
                let (theirs, ours) = (fs::canonicalize(&facts.data), fs::canonicalize(data));
                if !matches!((&theirs, &ours), (Ok(theirs), Ok(ours)) if theirs == ours) {
                    let why = format!("another server answered: its data are in {}", facts.data);
                    return Err(InfraError::client("mysql", endpoint, "look for the database", why));
                }
                Ok(facts.version)
            }
            Self::Redis(endpoint) => Ok(ready::redis(endpoint, limit).await?.version),
            Self::Kafka { endpoint, brokers, replication, version } => {
                let cluster = ready::kafka(endpoint, *brokers, limit).await?;
                carries(endpoint, &cluster, *replication, limit).await?;
                Ok(version.clone())
            }
        }
    }
}

/// Whether a cluster of our own has a leader for everything and gives a record back; the topic for it is made.
pub(super) async fn carries(
    endpoint: &KafkaEndpoint,
    cluster: &Cluster,
    replication: i32,
    limit: Duration,
) -> Result<(), InfraError> {
    if !cluster.is_led() {
        return Err(InfraError::client("kafka", endpoint, "read metadata", "a partition has no leader yet"));
    }
    if !cluster.has(PROBE_TOPIC) {
        topics::create_all(endpoint, &[TopicPlan::probe()], replication).await?;
    }
    ready::round_trip(endpoint, limit).await
}
