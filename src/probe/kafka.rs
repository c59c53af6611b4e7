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
    message::{BorrowedMessage, Headers as _},
};

use crate::infra::clients::{committed_offsets, explain};

/// A header of a record as text.
pub fn header(message: &BorrowedMessage<'_>, name: &str) -> Option<String> {
    let value = message.headers()?.iter().find(|header| header.key == name)?.value?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Which kind of reader is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appetite {
    /// The first record of many partitions, again and again: fetches as little as holds a batch of usual size.
    Taste,
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
    if appetite != Appetite::Gulp {
        // A full queue postpones the next fetch; by the default it would outlast the next look. And a partition whose
        // next batch is larger than a fetch may take is served alone, the others wait for a turn of their own.
        config
            .set("queued.min.messages", "1")
            .set("queued.max.messages.kbytes", "1024")
            .set("fetch.queue.backoff.ms", "1")
            .set("fetch.message.max.bytes", if appetite == Appetite::Taste { "65536" } else { "1048576" });
    }
    config.create().map_err(|e| failed(endpoint, &e))
}

/// "Kafka at host:port: why"
pub fn failed(endpoint: &KafkaEndpoint, error: &dyn std::fmt::Display) -> String {
    format!("Kafka at {endpoint}: {error}")
}

/// A topic as the cluster's metadata have it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicMetadata {
    /// Partition → broker that leads it, where one does.
    pub leaders: BTreeMap<i32, Option<i32>>,
    /// Broker → `host:port`.
    pub brokers: BTreeMap<i32, String>,
}

/// Reads brokers, and the topic's partitions with their leaders.
///
/// # Errors
/// When no broker answers in time or the topic does not exist.
pub fn metadata(consumer: &BaseConsumer, topic: &str, limit: Duration) -> Result<TopicMetadata, String> {
    let metadata = consumer.fetch_metadata(Some(topic), limit).map_err(|e| explain(&e))?;
    let found = metadata.topics().iter().find(|t| t.name() == topic);
    let missing = || format!("topic {topic} does not exist");
    let found = found.ok_or_else(missing)?;
    if let Some(error) = found.error() {
        let code = RDKafkaErrorCode::from(error);
        let unknown = matches!(code, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic);
        return Err(if unknown { missing() } else { format!("topic {topic}: {code}") });
    }
    if found.partitions().is_empty() {
        return Err(missing());
    }
    let leaders = found.partitions().iter().map(|p| (p.id(), Some(p.leader()).filter(|leader| *leader >= 0)));
    let brokers = metadata.brokers().iter().map(|b| (b.id(), format!("{}:{}", b.host(), b.port())));
    Ok(TopicMetadata { leaders: leaders.collect(), brokers: brokers.collect() })
}

/// Numbers of the topic's partitions.
///
/// # Errors
/// When no broker answers in time or the topic does not exist.
pub fn partitions(consumer: &BaseConsumer, topic: &str, limit: Duration) -> Result<Vec<i32>, String> {
    Ok(metadata(consumer, topic, limit)?.leaders.into_keys().collect())
}

/// Topic → its partitions: all of the cluster's, but Kafka's own.
///
/// # Errors
/// When no broker answers in time.
pub fn topics(consumer: &BaseConsumer, limit: Duration) -> Result<BTreeMap<String, Vec<i32>>, String> {
    let metadata = consumer.fetch_metadata(None, limit).map_err(|e| explain(&e))?;
    let theirs = metadata.topics().iter().filter(|topic| topic.error().is_none() && !topic.name().starts_with("__"));
    let numbers = |topic: &rdkafka::metadata::MetadataTopic| {
        topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect()
    };
    Ok(theirs.map(|topic| (topic.name().to_owned(), numbers(topic))).collect())
}

/// Topic → partition → offset that the consumer's group committed. What has none is absent.
///
/// # Errors
/// When the coordinator does not answer in time.
pub fn committed(
    consumer: &BaseConsumer,
    topics: &BTreeMap<String, Vec<i32>>,
    limit: Duration,
) -> Result<BTreeMap<String, BTreeMap<i32, i64>>, String> {
    let mut list = TopicPartitionList::new();
    for (topic, partitions) in topics {
        for partition in partitions {
            list.add_partition(topic, *partition);
        }
    }
    let mut offsets: BTreeMap<String, BTreeMap<i32, i64>> = BTreeMap::new();
    if list.count() == 0 {
        return Ok(offsets);
    }
    let list = committed_offsets(consumer, &list, limit).map_err(|e| e.to_string())?;
    for element in list.elements() {
        element.error().map_err(|e| e.to_string())?;
        if let Offset::Offset(offset) = element.offset() {
            offsets.entry(element.topic().to_owned()).or_default().insert(element.partition(), offset);
        }
    }
    Ok(offsets)
}

/// The same of one topic.
///
/// # Errors
/// When the coordinator does not answer in time.
pub fn committed_of(
    consumer: &BaseConsumer,
    topic: &str,
    partitions: &[i32],
    limit: Duration,
) -> Result<BTreeMap<i32, i64>, String> {
    let topics = BTreeMap::from([(topic.to_owned(), partitions.to_vec())]);
    Ok(committed(consumer, &topics, limit)?.remove(topic).unwrap_or_default())
}

/// Partition → oldest offset that is still there, and the log's end; one request to each leader for either.
///
/// # Errors
/// When a leader does not answer in time.
pub fn ends(
    consumer: &BaseConsumer,
    topic: &str,
    partitions: &[i32],
    left: impl Fn() -> Result<Duration, String>,
) -> Result<BTreeMap<i32, (i64, i64)>, String> {
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ask = |place: Offset| {
        let failed = |e: KafkaError| format!("ends of {topic}: {e}");
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition_offset(topic, *partition, place).map_err(failed)?;
        }
        // In the protocol as in the library, −2 and −1 stand for the oldest record and for the next one.
        let list = consumer.offsets_for_times(list, left()?).map_err(failed)?;
        let mut found = BTreeMap::new();
        for element in list.elements() {
            element.error().map_err(failed)?;
            match element.offset() {
                Offset::Offset(offset) => found.insert(element.partition(), offset),
                other => return Err(format!("ends of {topic}-{}: not told ({other:?})", element.partition())),
            };
        }
        Ok(found)
    };
    let starts = ask(Offset::Beginning)?;
    let ends = ask(Offset::End)?;
    Ok(ends
        .into_iter()
        .map(|(partition, end)| (partition, (starts.get(&partition).copied().unwrap_or(end), end)))
        .collect())
}

/// The oldest record of a partition that is not consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oldest {
    /// There is one.
    Record {
        /// When it was produced, milliseconds since 1970.
        timestamp_ms: Option<i64>,
    },
    /// There is none: only control records are left.
    NoData,
    /// It could not be read in time.
    Unread,
}

/// Longest wait for the records at the committed offsets.
const OLDEST: Duration = Duration::from_millis(700);

/// Reads the one record where each range begins; empty ranges are left out.
///
/// # Errors
/// When the partitions cannot be assigned.
pub fn oldest(consumer: &BaseConsumer, topic: &str, ranges: &Ranges) -> Result<BTreeMap<i32, Oldest>, String> {
    let mut found: BTreeMap<i32, Oldest> = BTreeMap::new();
    let reading = read(consumer, topic, ranges, OLDEST, Some(OLDEST), |message| {
        found.insert(message.partition(), Oldest::Record { timestamp_ms: message.timestamp().to_millis() });
        false
    })?;
    for (partition, _) in ranges.iter().filter(|(_, (from, end))| from < end) {
        let unread = matches!(&reading, Reading::Stalled(open, _) if open.contains(partition));
        found.entry(*partition).or_insert(if unread { Oldest::Unread } else { Oldest::NoData });
    }
    Ok(found)
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
