//! Readiness, asked as a client would: a server that listens may still be an init server, an empty one, or another's.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use contract::endpoint::{KafkaEndpoint, MysqlEndpoint, RedisEndpoint};
use mysql_async::prelude::Queryable as _;
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaError,
    producer::{FutureProducer, FutureRecord},
};

use super::{
    clients::{self, Cluster, within},
    error::InfraError,
    topics::PROBE_TOPIC,
};

/// What a MySQL server says about itself.
#[derive(Debug, Clone)]
pub struct MysqlFacts {
    /// As the server gives it.
    pub version: String,
    /// Data folder: tells our server from another one.
    pub data: String,
}

/// Asks for the database over TCP.
pub async fn mysql(endpoint: &MysqlEndpoint, limit: Duration) -> Result<MysqlFacts, InfraError> {
    let error = |why: String| InfraError::client("mysql", endpoint, "look for the database", why);
    let mut conn = clients::mysql(endpoint, limit).await?;
    let query = conn.exec_first::<(u8, String, String), _, _>(
        "SELECT 1, VERSION(), @@datadir FROM information_schema.schemata WHERE schema_name = ?",
        (&endpoint.database,),
    );
    let row = within(limit, error, query).await?;
    let _ = tokio::time::timeout(Duration::from_secs(1), conn.disconnect()).await;
    let (_, version, data) = row.ok_or_else(|| error(format!("there is no database `{}`", endpoint.database)))?;
    Ok(MysqlFacts { version, data })
}

/// What a Redis server says about itself.
#[derive(Debug, Clone)]
pub struct RedisFacts {
    /// Name and version: `7.0.15`, `valkey 8.1.1`.
    pub version: String,
    /// Changes with each start.
    pub run_id: String,
    /// Its pid.
    pub pid: Option<i32>,
}

/// PING, and the `run_id`.
pub async fn redis(endpoint: &RedisEndpoint, limit: Duration) -> Result<RedisFacts, InfraError> {
    let error = |operation| move |why: String| InfraError::client("redis", endpoint, operation, why);
    let mut conn = clients::redis(endpoint, limit).await?;
    within(limit, error("PING"), redis::cmd("PING").query_async::<String>(&mut conn)).await?;
    let info = redis::cmd("INFO").arg("server").to_owned();
    let info: String = within(limit, error("INFO server"), info.query_async(&mut conn)).await?;
    let field = |name: &str| info_field(&info, name);
    let run_id = field("run_id").ok_or_else(|| error("INFO server")("it gives no run_id".into()))?;
    let version = match field("valkey_version") {
        Some(version) => format!("valkey {version}"),
        None => field("redis_version").unwrap_or_else(|| "unknown".into()),
    };
    Ok(RedisFacts { version, run_id, pid: field("process_id").and_then(|pid| pid.parse().ok()) })
}

/// A field of an INFO answer.
pub fn info_field(info: &str, name: &str) -> Option<String> {
    info.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
}

/// Metadata with at least `brokers` brokers.
pub async fn kafka(endpoint: &KafkaEndpoint, brokers: usize, limit: Duration) -> Result<Cluster, InfraError> {
    let cluster = clients::kafka_cluster(endpoint, limit).await?;
    if cluster.brokers.len() < brokers {
        let why = format!("{} of {brokers} brokers are in the metadata", cluster.brokers.len());
        return Err(InfraError::client("kafka", endpoint, "read metadata", why));
    }
    Ok(cluster)
}

/// Sends a record to [`PROBE_TOPIC`] and reads it back, and beside that asks the coordinator of a group for its offsets. On
/// a new cluster this makes Kafka create its offsets topic, so that the first consumers of a run need not wait for it. To
/// join the group as well would prove no more, and cost a new cluster half a second.
pub async fn round_trip(endpoint: &KafkaEndpoint, limit: Duration) -> Result<(), InfraError> {
    let id = uuid::Uuid::now_v7().to_string();
    let error = |why: String| InfraError::client("kafka", endpoint, "produce and consume a record", why);
    let create = |e: KafkaError| error(e.to_string());
    let mut config = endpoint.client_config();
    // Not idempotent: asking for a producer id can cost a second, and one record needs no order.
    config.set("acks", "all").set("linger.ms", "0");
    let producer: FutureProducer = config.create().map_err(create)?;
    let mut config = endpoint.client_config();
    config
        .set("group.id", format!("{PROBE_TOPIC}-{id}"))
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", "6000")
        .set("fetch.wait.max.ms", "100")
        .set("topic.metadata.refresh.fast.interval.ms", "50");
    let consumer: StreamConsumer = config.create().map_err(create)?;
    let mut partition = TopicPartitionList::new();
    partition.add_partition_offset(PROBE_TOPIC, 0, Offset::Beginning).map_err(create)?;
    consumer.assign(&partition).map_err(create)?;
    let consumer = Arc::new(consumer);
    let coordinator = {
        let consumer = consumer.clone();
        tokio::task::spawn_blocking(move || kafka::committed_offsets(&*consumer, &partition, limit).map(drop))
    };
    let coordinator = async {
        match coordinator.await {
            Ok(answer) => answer.map_err(|e| format!("the group's coordinator: {e}")),
            Err(e) => Err(e.to_string()),
        }
    };

    let send = async {
        let record = FutureRecord::to(PROBE_TOPIC).key(&id).payload(&id);
        producer.send(record, limit).await.map(drop).map_err(|(e, _)| e.to_string())
    };
    let last = std::sync::Mutex::new("the record did not come back".to_owned());
    let receive = async {
        loop {
            match consumer.recv().await {
                Ok(message) if message.payload() == Some(id.as_bytes()) => return Ok::<(), String>(()),
                Ok(_) => {}
                // The coordinator of a new cluster needs a moment; the time limit decides.
                Err(e) => {
                    if let Ok(mut last) = last.lock() {
                        *last = e.to_string();
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    };
    let result = tokio::time::timeout(limit, async { tokio::try_join!(send, receive, coordinator) }).await;
    // Both clients end threads of their own, which blocks.
    drop(tokio::task::spawn_blocking(move || drop((producer, consumer))));
    if let Ok(result) = result {
        return result.map(drop).map_err(error);
    }
    let last = last.into_inner().unwrap_or_default();
    Err(error(format!("no answer within {:.1} s: {last}", limit.as_secs_f64())))
}

/// Whether somebody accepts connections on 127.0.0.1:`port`: cheaper than a client, and without its back-off.
pub async fn accepts(port: u16) -> bool {
    let connect = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    matches!(tokio::time::timeout(Duration::from_millis(500), connect).await, Ok(Ok(_)))
}

/// Whether a server stands behind 127.0.0.1:`port`. The Engine's proxy accepts for a container that does not listen
/// yet, and hangs up at once; a server waits for the client, or greets it.
pub async fn answers(port: u16) -> bool {
    const HANGS_UP_WITHIN: Duration = Duration::from_millis(50);
    let connect = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(500), connect).await else { return false };
    let mut byte = [0];
    match tokio::time::timeout(HANGS_UP_WITHIN, stream.peek(&mut byte)).await {
        Ok(read) => read.is_ok_and(|length| length > 0),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_info_are_found_by_their_whole_name() {
        let info = "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\nrun_id_x:no\r\nprocess_id:42\r\n";
        assert_eq!(info_field(info, "run_id").as_deref(), Some("abc"));
        assert_eq!(info_field(info, "process_id").as_deref(), Some("42"));
        assert_eq!(info_field(info, "process"), None);
    }
}
