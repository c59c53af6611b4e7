//! Puts a record that MySQL will never take into the dead-letter topic, unchanged, with where it came from.

use std::sync::Arc;

use rdkafka::message::{Header, OwnedHeaders};

use super::Record;
use crate::producer::{EventProducer, Outgoing, SendError};
use contract::names::{HEADER_ERROR, HEADER_OFFSET, HEADER_PARTITION, HEADER_TOPIC, dead_letter_topic};

/// The dead-letter topic of one topic.
pub struct DeadLetters {
    producer: Arc<EventProducer>,
    from: String,
    to: String,
}

impl DeadLetters {
    /// Dead letters of `topic`.
    pub fn new(producer: impl Into<Arc<EventProducer>>, topic: &str) -> Self {
        Self { producer: producer.into(), from: topic.to_owned(), to: dead_letter_topic(topic) }
    }

    /// Writes one record there and waits until it is acknowledged.
    pub async fn put(&self, record: &Record, reason: &str) -> Result<(), SendError> {
        let (partition, offset) = (record.partition.to_string(), record.offset.to_string());
        let headers = [
            (HEADER_TOPIC, self.from.as_str()),
            (HEADER_PARTITION, &partition),
            (HEADER_OFFSET, &offset),
            (HEADER_ERROR, reason),
        ];
        let headers = headers.into_iter().fold(OwnedHeaders::new_with_capacity(4), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let record = Outgoing {
            topic: &self.to,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: Some(headers),
        };
        self.producer.send(record).await
    }
}
