//! The log of Kafka as an epoch sees it: where it ended when the epoch was opened, and what was written since.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use serde::{Deserialize, Serialize};

use super::EpochError;
use crate::coupon::event::CouponEvent;
use contract::endpoint::KafkaEndpoint;

/// Longest time of one question to a broker.
const ASK: Duration = Duration::from_secs(10);

/// Topic → partition → offset of the next record that will be written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogEnds(pub BTreeMap<String, BTreeMap<i32, i64>>);

impl LogEnds {
    /// `{"coupon-issue":{"0":123,…},…}`.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".into())
    }

    /// The offset of `topic`/`partition`; 0 for a partition that did not exist yet.
    pub fn of(&self, topic: &str, partition: i32) -> i64 {
        self.0.get(topic).and_then(|partitions| partitions.get(&partition)).copied().unwrap_or(0)
    }
}

/// Where the logs of `topics` end now.
///
/// # Errors
/// When Kafka does not answer, or a topic does not exist.
pub async fn kafka_log_ends(kafka: &KafkaEndpoint, topics: &[&str]) -> Result<LogEnds, EpochError> {
    let (kafka, topics) = (kafka.clone(), topics.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
    let ask = move || {
        let log = Log::new(&kafka)?;
        let mut ends = LogEnds::default();
        for topic in topics {
            let partitions = log.marks(&topic)?.into_iter().map(|(partition, (_, end))| (partition, end)).collect();
            ends.0.insert(topic, partitions);
        }
        Ok(ends)
    };
    tokio::task::spawn_blocking(ask).await.unwrap_or(Err(EpochError::Stopped))
}

/// Every event of `topic` from `starts` to where the log ends now, handed to `take` one after the other.
pub(crate) fn read_since(
    kafka: &KafkaEndpoint,
    topic: &str,
    starts: &LogEnds,
    limit: Duration,
    mut take: impl FnMut(CouponEvent),
) -> Result<(), EpochError> {
    let log = Log::new(kafka)?;
    let slow = || EpochError::Slow { brokers: log.brokers.clone(), what: format!("reading {topic}"), limit };
    let mut assignment = TopicPartitionList::new();
    let mut open = HashMap::new();
    for (partition, (low, end)) in log.marks(topic)? {
        let start = starts.of(topic, partition);
        if start < low {
            // What was removed was consumed long ago: it is known from the rows.
            tracing::warn!(topic, partition, start, low, "the log no longer reaches back to the start of the epoch");
        }
        let from = start.max(low);
        if from < end {
            let added = assignment.add_partition_offset(topic, partition, Offset::Offset(from));
            added.map_err(|e| log.failed("assign", e))?;
            open.insert(partition, end);
        }
    }
    log.consumer.assign(&assignment).map_err(|e| log.failed("assign", e))?;
    let started = Instant::now();
    while !open.is_empty() {
        if started.elapsed() > limit {
            return Err(slow());
        }
        match log.consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(record)) => {
                if let Some(event) = record.payload().and_then(|value| serde_json::from_slice(value).ok())
                    && open.get(&record.partition()).is_some_and(|end| record.offset() < *end)
                {
                    take(event);
                }
                if open.get(&record.partition()).is_some_and(|end| record.offset() + 1 >= *end) {
                    open.remove(&record.partition());
                }
            }
            // A log may end with records that no consumer sees, such as transaction markers.
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
            Some(Err(error)) => tracing::debug!(%error, topic, "reading goes on"),
        }
    }
    Ok(())
}

/// A reader that belongs to no group.
struct Log {
    consumer: BaseConsumer,
    brokers: String,
}

impl Log {
    fn new(kafka: &KafkaEndpoint) -> Result<Self, EpochError> {
        let brokers = kafka.brokers.clone();
        let mut config = kafka.client_config();
        config
            .set("group.id", "ecomctl-log")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest");
        let consumer = config.create();
        let failed = |source: KafkaError| EpochError::Kafka {
            brokers: brokers.clone(),
            what: "settings".into(),
            source: source.into(),
        };
        Ok(Self { consumer: consumer.map_err(failed)?, brokers })
    }

    fn failed(&self, what: &str, source: KafkaError) -> EpochError {
        EpochError::Kafka { brokers: self.brokers.clone(), what: what.into(), source: source.into() }
    }

    /// First and next offset of each partition.
    fn marks(&self, topic: &str) -> Result<BTreeMap<i32, (i64, i64)>, EpochError> {
        let metadata = self.consumer.fetch_metadata(Some(topic), ASK);
        let metadata = metadata.map_err(|e| self.failed(&format!("partitions of {topic}"), e))?;
        let found = metadata.topics().iter().find(|t| t.name() == topic && !t.partitions().is_empty());
        let found = found.ok_or_else(|| {
            let unknown = KafkaError::MetadataFetch(rdkafka::error::RDKafkaErrorCode::UnknownTopicOrPartition);
            self.failed(&format!("topic {topic}"), unknown)
        })?;
        let mut marks = BTreeMap::new();
        for partition in found.partitions() {
            let mark = self.consumer.fetch_watermarks(topic, partition.id(), ASK);
            let mark = mark.map_err(|e| self.failed(&format!("offsets of {topic}/{}", partition.id()), e))?;
            marks.insert(partition.id(), mark);
        }
        Ok(marks)
    }
}
