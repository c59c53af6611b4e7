//! Short ways to a server, each with a time limit and an error that names component, address and operation.

use std::{future::Future, time::Duration};

use contract::endpoint::{KafkaEndpoint, MysqlEndpoint, RedisEndpoint};
use kafka::explain;
use rdkafka::{
    admin::AdminClient,
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    metadata::Metadata,
};

use super::error::InfraError;

/// Time that an answer may take where nobody says otherwise.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Runs a request for at most `limit`.
pub async fn within<T, E: std::fmt::Display>(
    limit: Duration,
    error: impl Fn(String) -> InfraError,
    request: impl Future<Output = Result<T, E>>,
) -> Result<T, InfraError> {
    match tokio::time::timeout(limit, request).await {
        Ok(answer) => answer.map_err(|e| error(e.to_string())),
        Err(_) => Err(error(format!("no answer within {:.1} s", limit.as_secs_f64()))),
    }
}

/// A pool of `min`..=`max` connections, after one of them was opened.
pub async fn mysql_pool(
    endpoint: &MysqlEndpoint,
    min: usize,
    max: usize,
    limit: Duration,
) -> Result<mysql_async::Pool, InfraError> {
    let pool = mysql_async::Pool::new(endpoint.opts(min, max));
    let error = |why| InfraError::client("mysql", endpoint, "connect", why);
    within(limit, error, pool.get_conn()).await?;
    Ok(pool)
}

/// One connection.
pub async fn mysql(endpoint: &MysqlEndpoint, limit: Duration) -> Result<mysql_async::Conn, InfraError> {
    let error = |why| InfraError::client("mysql", endpoint, "connect", why);
    within(limit, error, mysql_async::Conn::new(endpoint.opts(0, 1))).await
}

/// One connection, shared by pipelining; `limit` holds for opening it and for each command.
pub async fn redis(endpoint: &RedisEndpoint, limit: Duration) -> Result<redis::aio::MultiplexedConnection, InfraError> {
    let error = |why| InfraError::client("redis", endpoint, "connect", why);
    let client = endpoint.client().map_err(|e| error(e.to_string()))?;
    let config =
        redis::AsyncConnectionConfig::new().set_connection_timeout(Some(limit)).set_response_timeout(Some(limit));
    within(limit, error, client.get_multiplexed_async_connection_with_config(&config)).await
}

/// An administrative client. It keeps a thread: make one and keep it.
pub fn kafka_admin(endpoint: &KafkaEndpoint) -> Result<AdminClient<DefaultClientContext>, InfraError> {
    endpoint.client_config().create().map_err(|e| InfraError::client("kafka", endpoint, "connect", e))
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Topic {
    /// Name.
    pub name: String,
    /// Partitions.
    pub partitions: Vec<Partition>,
}

/// A partition as it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Partition {
    /// Number.
    pub id: i32,
    /// Broker that leads it; −1 where none does.
    pub leader: i32,
    /// Brokers that hold it.
    pub replicas: Vec<i32>,
    /// Brokers that hold all of it.
    pub in_sync: Vec<i32>,
}

/// What a cluster says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Broker id → `host:port` that it advertises.
    pub brokers: Vec<(i32, String)>,
    /// Topics, without Kafka's own.
    pub topics: Vec<Topic>,
}

impl Cluster {
    /// Whether there is this topic.
    pub fn has(&self, topic: &str) -> bool {
        self.topics.iter().any(|t| t.name == topic)
    }

    /// Whether every partition of every topic has a leader. A client that asks earlier backs off for seconds.
    pub fn is_led(&self) -> bool {
        self.topics.iter().flat_map(|topic| &topic.partitions).all(|partition| partition.leader >= 0)
    }
}

/// Reads brokers and topics.
pub async fn kafka_cluster(endpoint: &KafkaEndpoint, limit: Duration) -> Result<Cluster, InfraError> {
    let endpoint = endpoint.clone();
    blocking("kafka", move || {
        let error = |e| InfraError::client("kafka", &endpoint, "read metadata", explain(&e));
        let client: BaseConsumer = endpoint.client_config().create().map_err(error)?;
        Ok(cluster_of(&client.fetch_metadata(None, limit).map_err(error)?))
    })
    .await
}

/// Brokers and topics of a client's metadata.
pub(super) fn cluster_of(metadata: &Metadata) -> Cluster {
    let brokers = metadata.brokers().iter().map(|b| (b.id(), format!("{}:{}", b.host(), b.port()))).collect();
    let topics = metadata.topics().iter().filter(|topic| !topic.name().starts_with("__"));
    let topics = topics.map(|topic| Topic {
        name: topic.name().to_owned(),
        partitions: topic.partitions().iter().map(partition).collect(),
    });
    Cluster { brokers, topics: topics.collect() }
}

fn partition(partition: &rdkafka::metadata::MetadataPartition) -> Partition {
    Partition {
        id: partition.id(),
        leader: partition.leader(),
        replicas: partition.replicas().to_vec(),
        in_sync: partition.isr().to_vec(),
    }
}

/// Runs a call that blocks away from the tasks.
pub async fn blocking<T: Send + 'static>(
    component: &'static str,
    call: impl FnOnce() -> Result<T, InfraError> + Send + 'static,
) -> Result<T, InfraError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(e) => Err(InfraError::client(component, "this process", "run a request", e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The library says its own name for the error twice, which helps nobody.
    #[tokio::test]
    async fn a_server_that_is_not_there_says_its_cause_once() {
        let port = crate::ports::free(&std::collections::BTreeSet::new()).unwrap();
        let endpoint: MysqlEndpoint = format!("mysql://u:p@127.0.0.1:{port}/d").parse().unwrap();
        let error = mysql(&endpoint, LIMIT).await.map(drop).unwrap_err().to_string();
        assert_eq!(error.matches("Input/output error").count(), 1, "{error}");
        assert_eq!(error.matches("os error").count(), 1, "{error}");
    }
}
