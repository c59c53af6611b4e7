//! What Kafka says of itself and of the backend's group, asked by one client within one time limit.

use std::time::{Duration, Instant};

use contract::{endpoint::KafkaEndpoint, system::Topic};
use futures_util::future::select_ok;
use kafka::{self, FetchSize, GroupReader};
use rdkafka::consumer::Consumer as _;
use serde::Serialize;
use tokio::net::TcpStream;

use crate::{
    clients::{self, Cluster},
    error::InfraError,
};

/// Lag of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct LagRow {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Committed offset; none where the group never committed.
    pub committed: Option<i64>,
    /// Offset of the next record; none while no broker leads the partition.
    pub end: Option<i64>,
    /// Records that are not consumed yet; none where that is not known.
    pub lag: Option<u64>,
    /// Why the lag is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// What Kafka says.
pub(super) struct KafkaLook {
    pub cluster: Cluster,
    /// The backend's lag, or why it is not known.
    pub lag: Result<Vec<LagRow>, String>,
}

/// Looks once at the cluster and at who reads `claims`, for `limit` at most.
pub(super) async fn look(
    endpoint: &KafkaEndpoint,
    claims: &'static Topic,
    limit: Duration,
) -> Result<KafkaLook, InfraError> {
    let deadline = Instant::now() + limit;
    let failed = |endpoint: &KafkaEndpoint, why: String| InfraError::client("kafka", endpoint, "read metadata", why);
    // The library tries an address where nobody listens until the time is over.
    listens(endpoint, limit).await.map_err(|why| failed(endpoint, why))?;
    let endpoint = endpoint.clone();
    clients::blocking("kafka", move || {
        let left = || match deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(format!("no answer within {:.1} s", limit.as_secs_f64())),
            left => Ok(left),
        };
        let look = || {
            let mut reader = GroupReader::new(&endpoint, claims.group, FetchSize::Small)?;
            let metadata = reader.client().fetch_metadata(None, left()?).map_err(|e| kafka::explain(&e))?;
            let cluster = clients::cluster_of(&metadata);
            let lag = kafka::topic_of(&metadata, claims.name)
                .and_then(|topic| reader.offsets(&[(claims.name.to_owned(), topic)].into(), left))
                .and_then(|mut all| all.remove(claims.name).unwrap_or_else(|| Ok([].into())))
                .map(|offsets| offsets.into_iter().map(|found| row(claims.name, found)).collect());
            // Its threads take up to 100 ms to end, which nobody has to wait for.
            std::thread::spawn(move || drop((metadata, reader)));
            Ok(KafkaLook { cluster, lag })
        };
        look().map_err(|why| failed(&endpoint, why))
    })
    .await
}

fn row(topic: &str, (partition, offsets): (i32, kafka::Offsets)) -> LagRow {
    let lag = offsets.lag();
    LagRow {
        topic: topic.to_owned(),
        partition,
        committed: offsets.committed,
        end: offsets.log.map(|(_, end)| end),
        lag: lag.ok(),
        unknown: lag.err().map(|unknown| unknown.why().to_owned()),
    }
}

/// Whether anybody accepts connections at one of the brokers' addresses.
async fn listens(endpoint: &KafkaEndpoint, limit: Duration) -> Result<(), String> {
    let brokers: Vec<_> = endpoint.brokers.split(',').map(str::trim).filter(|broker| !broker.is_empty()).collect();
    if brokers.is_empty() {
        return Ok(());
    }
    let connects = brokers
        .into_iter()
        .map(|broker| Box::pin(async move { TcpStream::connect(broker).await.map_err(|e| format!("{broker}: {e}")) }));
    match tokio::time::timeout(limit, select_ok(connects)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(why)) => Err(why),
        Err(_) => Err(format!("no answer within {:.1} s", limit.as_secs_f64())),
    }
}
