//! Sends events to Kafka: idempotent, acknowledged by all replicas, each with a delivery report.

use std::{
    sync::{
        RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedHeaders,
    producer::{FutureProducer, FutureRecord, Producer as _},
};

use crate::{sync, telemetry::Metrics};
use contract::{endpoint::KafkaEndpoint, settings};

/// Why it is unknown whether an event is in Kafka (or known that it is not).
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No delivery report said yes.
    #[error("Kafka did not acknowledge a record of {topic}: {source}")]
    Unacknowledged {
        /// Topic.
        topic: String,
        /// What the client says.
        source: Box<KafkaError>,
    },
    /// The client went away with the record in it.
    #[error("the Kafka producer was rebuilt with a record of {0} in it")]
    Dropped(String),
}

/// Why there is no producer.
#[derive(Debug, thiserror::Error)]
#[error("Kafka at {brokers}: the producer's settings are refused: {source}")]
pub struct ProducerError {
    brokers: String,
    source: Box<KafkaError>,
}

/// A record to send.
pub struct Outgoing<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Key, where it has one.
    pub key: Option<&'a [u8]>,
    /// Value, where it has one.
    pub value: Option<&'a [u8]>,
    /// Headers, where it has some.
    pub headers: Option<OwnedHeaders>,
}

/// An idempotent producer that is replaced by a new one after a fatal error.
pub struct EventProducer {
    current: RwLock<FutureProducer>,
    config: rdkafka::ClientConfig,
    rebuilding: AtomicBool,
    give_up: Duration,
    metrics: Metrics,
    brokers: String,
}

impl EventProducer {
    /// A producer for `endpoint`; it connects in the background.
    pub fn new(
        endpoint: &KafkaEndpoint,
        settings: &settings::Producer,
        metrics: Metrics,
    ) -> Result<Self, ProducerError> {
        let mut config = endpoint.client_config();
        // One place of the API's queue is one record; the client's own limit must never be the tighter one.
        let records = (settings.queue * 2).clamp(1_000, 10_000_000);
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", format!("{:.3}", settings.linger.0.as_secs_f64() * 1e3))
            .set("batch.size", settings.batch_size.max(1).to_string())
            .set("queue.buffering.max.messages", records.to_string())
            .set("queue.buffering.max.kbytes", (settings.buffer_memory / 1024).clamp(1, 2_097_151).to_string())
            .set("retries", settings.retries.min(2_147_483_647).to_string())
            .set("message.timeout.ms", settings.delivery_timeout.millis().max(10).to_string());
        let brokers = endpoint.brokers.clone();
        let current =
            config.create().map_err(|source| ProducerError { brokers: brokers.clone(), source: Box::new(source) })?;
        Ok(Self {
            current: RwLock::new(current),
            config,
            rebuilding: AtomicBool::new(false),
            give_up: settings.delivery_timeout.0,
            metrics,
            brokers,
        })
    }

    /// Whether events can be sent: false from a fatal error until there is a new producer.
    pub fn ready(&self) -> bool {
        !self.rebuilding.load(Ordering::Relaxed)
    }

    /// Sends `record` and waits for its delivery report.
    ///
    /// # Errors
    /// It is then unknown whether the record is in the topic.
    pub async fn send(&self, record: Outgoing<'_>) -> Result<(), SendError> {
        let result = self.try_send(record).await;
        self.metrics.delivery(result.is_ok());
        result
    }

    async fn try_send(&self, record: Outgoing<'_>) -> Result<(), SendError> {
        let topic = record.topic;
        let failed = |source: KafkaError| SendError::Unacknowledged { topic: topic.to_owned(), source: source.into() };
        let mut outgoing = FutureRecord::<[u8], [u8]>::to(topic);
        outgoing.key = record.key;
        outgoing.payload = record.value;
        outgoing.headers = record.headers;
        let deadline = tokio::time::Instant::now() + self.give_up;
        let report = loop {
            let sent = sync::read(&self.current).send_result(outgoing);
            match sent {
                Ok(report) => break report,
                Err((error, back)) => {
                    let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                    if !full || tokio::time::Instant::now() >= deadline {
                        self.rebuild_if_fatal();
                        return Err(failed(error));
                    }
                    outgoing = back;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        match report.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, _))) => {
                self.rebuild_if_fatal();
                Err(failed(error))
            }
            Err(_) => Err(SendError::Dropped(topic.to_owned())),
        }
    }

    /// An idempotent producer that met a fatal error never sends again. What is in it fails; it stays in `pending`.
    fn rebuild_if_fatal(&self) {
        let Some((code, reason)) = sync::read(&self.current).client().fatal_error() else { return };
        if self.rebuilding.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::error!(brokers = self.brokers, ?code, reason, "fatal producer error: closed until it is rebuilt");
        match self.config.create() {
            Ok(new) => {
                let old = std::mem::replace(&mut *sync::write(&self.current), new);
                // Dropping joins its polling thread.
                drop(tokio::task::spawn_blocking(move || drop(old)));
                self.metrics.producers_rebuilt.inc();
            }
            Err(error) => tracing::error!(%error, "the producer cannot be rebuilt; the next failure tries again"),
        }
        self.rebuilding.store(false, Ordering::Release);
    }

    /// Waits until everything is delivered or given up.
    pub async fn flush(&self, limit: Duration) -> bool {
        let producer = sync::read(&self.current).clone();
        tokio::task::spawn_blocking(move || producer.flush(limit).is_ok()).await.unwrap_or(false)
    }

    /// Whether `topic` is there, with at least one partition that has a leader.
    pub async fn probe(&self, topic: &'static str, limit: Duration) -> Result<(), String> {
        let producer = sync::read(&self.current).clone();
        let brokers = self.brokers.clone();
        let probe = move || {
            let metadata = producer.client().fetch_metadata(Some(topic), limit);
            let metadata = metadata.map_err(|e| format!("Kafka at {brokers}: {e}"))?;
            let partitions = metadata.topics().first().map_or(&[][..], |t| t.partitions());
            match (partitions.is_empty(), partitions.iter().find(|p| p.leader() < 0)) {
                (true, _) => Err(format!("Kafka at {brokers}: topic {topic} does not exist; create it")),
                (_, Some(p)) => Err(format!("Kafka at {brokers}: {topic}/{} has no leader", p.id())),
                _ => Ok(()),
            }
        };
        tokio::task::spawn_blocking(probe).await.unwrap_or_else(|e| Err(e.to_string()))
    }
}
