//! Reading Kafka without taking part: no group is joined, nothing is committed, no topic is created.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use backend::endpoint::KafkaEndpoint;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};

/// Which kind of reader is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appetite {
    /// One record now and then: fetches little and answers soon.
    Sip,
    /// Whole partitions.
    Gulp,
}

/// A consumer that can read offsets of `group`, but neither joins it nor commits.
///
/// # Errors
/// When the client cannot be made from these settings.
pub fn reader(endpoint: &KafkaEndpoint, group: &str, appetite: Appetite) -> Result<BaseConsumer, String> {
    let mut config = endpoint.client_config();
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "50")
        .set("log_level", "0");
    if appetite == Appetite::Sip {
        // A full queue postpones the next fetch; by the default it would outlast the next look. And a partition whose
        // next batch is larger than a fetch may take is served alone, the others wait for a turn of their own.
        config
            .set("queued.min.messages", "1")
            .set("queued.max.messages.kbytes", "1024")
            .set("fetch.queue.backoff.ms", "1")
            .set("fetch.message.max.bytes", "1048576");
    }
    config.create().map_err(|e| failed(endpoint, &e))
}

/// "Kafka at host:port: why"
pub fn failed(endpoint: &KafkaEndpoint, error: &dyn std::fmt::Display) -> String {
    format!("Kafka at {endpoint}: {error}")
}

/// Numbers of the topic's partitions.
///
/// # Errors
/// When no broker answers in time or the topic does not exist.
pub fn partitions(consumer: &BaseConsumer, topic: &str, limit: Duration) -> Result<Vec<i32>, String> {
    let metadata = consumer.fetch_metadata(Some(topic), limit).map_err(|e| e.to_string())?;
    let found = metadata.topics().iter().find(|t| t.name() == topic);
    let missing = || format!("topic {topic} does not exist");
    let found = found.ok_or_else(missing)?;
    if let Some(error) = found.error() {
        let code = RDKafkaErrorCode::from(error);
        let unknown = matches!(code, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic);
        return Err(if unknown { missing() } else { format!("topic {topic}: {code}") });
    }
    let mut numbers: Vec<i32> = found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect();
    numbers.sort_unstable();
    if numbers.is_empty() { Err(missing()) } else { Ok(numbers) }
}

/// Partition → offset that the consumer's group committed. Partitions without one are absent.
///
/// # Errors
/// When the coordinator does not answer in time.
pub fn committed(
    consumer: &BaseConsumer,
    topic: &str,
    partitions: &[i32],
    limit: Duration,
) -> Result<BTreeMap<i32, i64>, String> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, *partition);
    }
    let list = consumer.committed_offsets(list, limit).map_err(|e| e.to_string())?;
    let mut offsets = BTreeMap::new();
    for element in list.elements() {
        element.error().map_err(|e| e.to_string())?;
        if let Offset::Offset(offset) = element.offset() {
            offsets.insert(element.partition(), offset);
        }
    }
    Ok(offsets)
}

/// Partition → offset where reading begins and where it ends (exclusive).
pub type Ranges = BTreeMap<i32, (i64, i64)>;

/// How reading of ranges came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Every range was read to its end (control records are passed over silently).
    Complete,
    /// `visit` had enough.
    Enough,
    /// Nothing came for too long; the partitions that are not finished, and the last error.
    Stalled(BTreeSet<i32>, String),
}

/// Reads `ranges` of `topic` and hands each record to `visit` until it returns false for a partition: then that
/// partition is finished. Gives up when nothing comes for `patience`, or `limit` is over.
///
/// # Errors
/// When the partitions cannot be assigned.
pub fn read(
    consumer: &BaseConsumer,
    topic: &str,
    ranges: &Ranges,
    patience: Duration,
    limit: Option<Duration>,
    mut visit: impl FnMut(&BorrowedMessage<'_>) -> bool,
) -> Result<Reading, String> {
    let mut open: BTreeMap<i32, i64> =
        ranges.iter().filter(|(_, (from, to))| from < to).map(|(p, (_, to))| (*p, *to)).collect();
    if open.is_empty() {
        return Ok(Reading::Complete);
    }
    let mut list = TopicPartitionList::new();
    for partition in open.keys() {
        let from = ranges.get(partition).map_or(0, |(from, _)| *from);
        list.add_partition_offset(topic, *partition, Offset::Offset(from)).map_err(|e| e.to_string())?;
    }
    consumer.assign(&list).map_err(|e| e.to_string())?;
    let began = Instant::now();
    let (mut heard, mut error, mut enough) = (began, "no record came".to_owned(), false);
    while !open.is_empty() {
        if heard.elapsed() > patience || limit.is_some_and(|limit| began.elapsed() > limit) {
            break;
        }
        match consumer.poll(Duration::from_millis(50)) {
            None => {}
            Some(Ok(message)) => {
                heard = Instant::now();
                let (partition, offset) = (message.partition(), message.offset());
                let Some(end) = open.get(&partition).copied() else { continue };
                let more = offset >= end || visit(&message);
                enough |= !more;
                if !more || offset + 1 >= end {
                    open.remove(&partition);
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                heard = Instant::now();
                open.remove(&partition);
            }
            Some(Err(e)) => error = e.to_string(),
        }
    }
    // What is still in the fetch queue belongs to this reading, not to the next one.
    consumer.unassign().map_err(|e| e.to_string())?;
    Ok(match (open.is_empty(), enough) {
        (false, _) => Reading::Stalled(open.into_keys().collect(), error),
        (true, true) => Reading::Enough,
        (true, false) => Reading::Complete,
    })
}
