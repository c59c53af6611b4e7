//! Reading Kafka without taking part: no group is joined, nothing is committed, no topic is created.
//!
//! Invariant: reading leaves no trace.
//! Border: on `contract` and `record`.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use contract::endpoint::KafkaEndpoint;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    groups::{GroupInfo, GroupList},
    message::{BorrowedMessage, Headers as _},
    metadata::Metadata,
};

pub mod lag;

mod group;
mod records;

pub use self::{
    group::{GroupReader, Offsets, Unknown},
    records::{Oldest, Ranges, Reading, oldest, read},
};

/// A header of a record as text.
pub fn header(message: &BorrowedMessage<'_>, name: &str) -> Option<String> {
    let value = message.headers()?.iter().find(|header| header.key == name)?.value?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// How much a reader fetches at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchSize {
    /// The first record of many partitions, again and again: fetches as little as holds a batch of usual size.
    Minimal,
    /// One record now and then: fetches little and answers soon.
    Small,
    /// Whole partitions.
    Bulk,
}

/// A consumer that can read offsets of `group`, but neither joins it nor commits.
///
/// # Errors
/// When the client cannot be made from these settings.
pub fn reader(endpoint: &KafkaEndpoint, group: &str, fetch: FetchSize) -> Result<BaseConsumer, String> {
    let mut config = quiet(endpoint);
    config
        .set("group.id", group)
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "50");
    if fetch != FetchSize::Bulk {
        // A full queue postpones the next fetch; by the default it would outlast the next look. And a partition whose
        // next batch is larger than a fetch may take is served alone, the others wait for a turn of their own.
        config
            .set("queued.min.messages", "1")
            .set("queued.max.messages.kbytes", "1024")
            .set("fetch.queue.backoff.ms", "1")
            .set("fetch.message.max.bytes", if fetch == FetchSize::Minimal { "65536" } else { "1048576" });
    }
    config.create().map_err(|e| failed(endpoint, &e))
}

/// A consumer for ends of logs that counts records of open transactions too.
fn uncommitted(endpoint: &KafkaEndpoint) -> Result<BaseConsumer, String> {
    quiet(endpoint).set("isolation.level", "read_uncommitted").create().map_err(|e| failed(endpoint, &e))
}

/// Settings of a client that changes nothing, and whose own log nobody wants.
fn quiet(endpoint: &KafkaEndpoint) -> ClientConfig {
    let mut config = endpoint.client_config();
    config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false").set("log_level", "0");
    config
}

/// "Kafka at host:port: why"
pub fn failed(endpoint: &KafkaEndpoint, error: &dyn std::fmt::Display) -> String {
    format!("Kafka at {endpoint}: {error}")
}

/// What a cluster says of a group.
pub enum Described<'l> {
    /// There is no such group.
    Absent,
    /// There is one, and nobody tells its members: groups of the newer protocol are listed, but this request says of
    /// them that they are dead.
    Untold,
    /// Its state and members.
    Told(&'l GroupInfo),
}

impl<'l> Described<'l> {
    /// What `list` says of `group`.
    pub fn of(list: &'l GroupList, group: &str) -> Self {
        match list.groups().iter().find(|found| found.name() == group) {
            None => Self::Absent,
            Some(found) if found.members().is_empty() && matches!(found.state(), "" | "Dead") => Self::Untold,
            Some(found) => Self::Told(found),
        }
    }
}

/// Client ids and hosts of the members of `group`; `None` where the cluster does not tell them. Blocks for at most
/// `limit` for each broker.
///
/// # Errors
/// When the cluster does not answer in time, or refuses.
pub fn clients_of(
    endpoint: &KafkaEndpoint,
    group: &str,
    limit: Duration,
) -> Result<Option<Vec<(String, String)>>, String> {
    let client = reader(endpoint, group, FetchSize::Small)?;
    let list = client.fetch_group_list(Some(group), limit).map_err(|e| failed(endpoint, &explain(&e)))?;
    Ok(match Described::of(&list, group) {
        Described::Absent => Some(Vec::new()),
        Described::Untold => None,
        Described::Told(found) => Some(
            { found.members().iter() }
                .map(|member| (member.client_id().to_owned(), member.client_host().trim_start_matches('/').to_owned()))
                .collect(),
        ),
    })
}

/// A topic as the cluster's metadata have it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicMetadata {
    /// Partition → broker that leads it, where one does.
    pub leaders: BTreeMap<i32, Option<i32>>,
    /// Broker → `host:port`.
    pub brokers: BTreeMap<i32, String>,
}

impl TopicMetadata {
    /// Partitions that somebody leads: of the others nobody knows anything at the moment.
    fn led(&self) -> Vec<i32> {
        self.leaders.iter().filter(|(_, leader)| leader.is_some()).map(|(partition, _)| *partition).collect()
    }
}

/// Reads brokers, and the topic's partitions with their leaders.
///
/// # Errors
/// When no broker answers in time or the topic does not exist.
pub fn metadata(consumer: &BaseConsumer, topic: &str, limit: Duration) -> Result<TopicMetadata, String> {
    describe(consumer, topic, limit)?
}

/// As [`metadata`]; the inner error is about this topic alone: it does not exist, or may not be described.
///
/// # Errors
/// When no broker answers in time.
pub fn describe(
    consumer: &BaseConsumer,
    topic: &str,
    limit: Duration,
) -> Result<Result<TopicMetadata, String>, String> {
    let metadata = consumer.fetch_metadata(Some(topic), limit).map_err(|e| explain(&e))?;
    Ok(topic_of(&metadata, topic))
}

/// A topic out of the cluster's metadata.
///
/// # Errors
/// When it does not exist, or may not be described.
pub fn topic_of(metadata: &Metadata, topic: &str) -> Result<TopicMetadata, String> {
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

/// Offsets that the group of `consumer` committed on the partitions of `list`. It blocks. A coordinator that is moving
/// to another broker is asked again: after the loss of one an answer is a moment away.
///
/// # Errors
/// When no coordinator has answered within `limit`.
pub fn committed_offsets<C: ConsumerContext>(
    consumer: &impl Consumer<C>,
    list: &TopicPartitionList,
    limit: Duration,
) -> KafkaResult<TopicPartitionList> {
    const AGAIN: Duration = Duration::from_millis(100);
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match consumer.committed_offsets(list.clone(), left) {
            Err(error) if is_moving(&error) && left > AGAIN => std::thread::sleep(AGAIN),
            answer => return answer,
        }
    }
}

/// Whether the coordinator is just being taken over by another broker.
fn is_moving(error: &KafkaError) -> bool {
    let moving = [
        RDKafkaErrorCode::NotCoordinator,
        RDKafkaErrorCode::CoordinatorNotAvailable,
        RDKafkaErrorCode::CoordinatorLoadInProgress,
    ];
    error.rdkafka_error_code().is_some_and(|code| moving.contains(&code))
}

/// librdkafka answers "broker transport failure" for everything that happens before the first request.
pub fn explain(error: &KafkaError) -> String {
    let hint = match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown) => {
            " (nobody listens there, or TLS or login are refused)"
        }
        _ => "",
    };
    format!("{error}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker was killed and `up` failed with `NotCoordinator`, which was over a moment later.
    #[test]
    fn a_coordinator_that_moves_is_told_from_one_that_refuses() {
        for code in [RDKafkaErrorCode::NotCoordinator, RDKafkaErrorCode::CoordinatorLoadInProgress] {
            assert!(is_moving(&KafkaError::MetadataFetch(code)), "{code}");
        }
        assert!(!is_moving(&KafkaError::MetadataFetch(RDKafkaErrorCode::GroupAuthorizationFailed)));
        assert!(!is_moving(&KafkaError::Canceled));
    }
}
