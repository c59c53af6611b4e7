//! One member of the consumer group: polls, hands batches to the sink, and commits offsets after the rows.
//!
//! It runs on a thread of its own. Kafka tells of a rebalance only inside a poll, so nothing is taken away in the
//! middle of a transaction; what is taken away while a batch waits for a server is dropped from the batch, and the
//! next owner reads it again.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::KafkaError,
    message::BorrowedMessage,
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    Record, Sink,
    dead_letter::DeadLetters,
    offsets::{COMMIT_WITHIN, Offsets},
};
use crate::{health::Health, sync, telemetry::Metrics};
use contract::{endpoint::KafkaEndpoint, settings};

/// Longest wait in one poll: how soon a stop is noticed.
const POLL: Duration = Duration::from_millis(100);
/// Shortest and longest pause before a batch is tried again.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Why a member had to end.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// Its settings are refused.
    #[error("Kafka at {brokers}: consumer of {topic}: {source}")]
    Client {
        /// `host:port,…`.
        brokers: String,
        /// Topic.
        topic: String,
        /// What the client says.
        source: Box<KafkaError>,
    },
    /// The client cannot go on; a new process can.
    #[error("Kafka at {brokers}: fatal consumer error: {reason}")]
    Fatal {
        /// `host:port,…`.
        brokers: String,
        /// What the client says.
        reason: String,
    },
}

/// What a rebalance tells the thread.
#[derive(Default)]
struct News {
    /// Partitions that were taken away since the last look.
    revoked: Mutex<Vec<i32>>,
    any: AtomicBool,
    joined: AtomicBool,
    /// While set, new partitions are paused at once.
    stalled: AtomicBool,
}

struct Context(Arc<News>);

impl ClientContext for Context {}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let mut revoked = sync::lock(&self.0.revoked);
        match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::info!(partitions = ?numbers(partitions), "assigned");
                self.0.joined.store(true, Ordering::Release);
                return;
            }
            Rebalance::Revoke(partitions) => {
                tracing::info!(partitions = ?numbers(partitions), "revoked");
                revoked.extend(numbers(partitions));
            }
            // Everything is taken away then.
            Rebalance::Error(error) => {
                tracing::warn!(%error, "rebalance failed");
                revoked.extend(consumer.assignment().iter().flat_map(numbers));
            }
        }
        self.0.any.store(true, Ordering::Release);
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance
            && self.0.stalled.load(Ordering::Acquire)
            && let Err(error) = consumer.pause(partitions)
        {
            // Then their records come in, and wait behind the batch.
            tracing::debug!(%error, "new partitions not paused");
        }
    }
}

fn numbers(partitions: &TopicPartitionList) -> Vec<i32> {
    partitions.elements().iter().map(rdkafka::topic_partition_list::TopicPartitionListElem::partition).collect()
}

/// A batch on its way.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    dead: Vec<(Record, String)>,
}

/// What a member needs.
pub struct Parts<S> {
    /// Name under which the group's members are listed.
    pub name: String,
    /// Kafka.
    pub kafka: KafkaEndpoint,
    /// Topic to read.
    pub topic: String,
    /// Group to join.
    pub group: String,
    /// Tuning.
    pub settings: settings::Consumer,
    /// Writes rows.
    pub sink: S,
    /// Puts bad records aside.
    pub dead: DeadLetters,
    /// Counters.
    pub metrics: Metrics,
    /// Where `group` and `progress` are reported.
    pub health: Arc<Health>,
}

/// One member of the group.
pub struct Member<S> {
    consumer: Arc<BaseConsumer<Context>>,
    news: Arc<News>,
    parts: Parts<S>,
    handle: Handle,
    stop: CancellationToken,
    /// Records that came in while a batch was waiting.
    carry: Vec<Record>,
    offsets: Offsets,
}

impl<S: Sink> Member<S> {
    /// Joins the group. `handle` runs what waits for MySQL and for dead letters.
    pub fn join(parts: Parts<S>, handle: Handle, stop: CancellationToken) -> Result<Self, GroupError> {
        let settings = &parts.settings;
        let session = settings.session_timeout.millis().max(1_000);
        let mut config = parts.kafka.client_config();
        config
            .set("client.id", &parts.name)
            .set("group.id", &parts.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", session.to_string())
            .set("heartbeat.interval.ms", (session / 3).clamp(1, 3_000).to_string())
            .set("max.poll.interval.ms", settings.max_poll_interval.millis().max(session).to_string())
            .set("fetch.wait.max.ms", "100")
            .set("queued.min.messages", (settings.batch * 20).clamp(1_000, 100_000).to_string())
            .set("queued.max.messages.kbytes", "16384")
            // Once the queue is full, fetching rests for a second by default: more than it takes to empty the queue.
            .set("fetch.queue.backoff.ms", "5");
        let news = Arc::new(News::default());
        let failed = |source: KafkaError| GroupError::Client {
            brokers: parts.kafka.brokers.clone(),
            topic: parts.topic.clone(),
            source: source.into(),
        };
        let consumer: BaseConsumer<Context> = config.create_with_context(Context(news.clone())).map_err(failed)?;
        consumer.subscribe(&[&parts.topic]).map_err(failed)?;
        let offsets = Offsets::new(&parts.topic, handle.clone());
        Ok(Self { consumer: Arc::new(consumer), news, parts, handle, stop, carry: Vec::new(), offsets })
    }

    /// Consumes until it is told to stop; then finishes the batch, commits and leaves the group. Blocks.
    pub fn run(mut self) -> Result<(), GroupError> {
        let done = self.consume();
        // No commit may still hold the client when it goes: its end is what leaves the group.
        self.offsets.finish(&self.consumer);
        done
    }

    fn consume(&mut self) -> Result<(), GroupError> {
        let mut joined = false;
        self.parts.health.set("group", Err("not a member of the group yet".into()));
        self.parts.health.set("progress", Ok(()));
        while !self.stop.is_cancelled() {
            let mut batch = self.collect();
            if !joined && self.news.joined.load(Ordering::Acquire) {
                joined = true;
                self.parts.health.set("group", Ok(()));
            }
            self.process(&mut batch);
            self.offsets.go_on(&self.consumer);
            if let Some((_, reason)) = self.consumer.client().fatal_error() {
                return Err(GroupError::Fatal { brokers: self.parts.kafka.brokers.clone(), reason });
            }
        }
        Ok(())
    }

    /// Gathers a batch: until it is full, or `batch_wait` after its first record.
    fn collect(&mut self) -> Batch {
        let mut batch = Batch { records: std::mem::take(&mut self.carry), dead: Vec::new() };
        let wait = self.parts.settings.batch_wait.0;
        // Without records, the answer to a commit or the time for the next one is what is waited for.
        let idle = if self.offsets.waiting() { COMMIT_WITHIN } else { POLL };
        let mut until = (!batch.records.is_empty()).then(|| Instant::now() + wait);
        while batch.records.len() < self.parts.settings.batch.max(1) && !self.stop.is_cancelled() {
            let patience = until.map_or(idle, |until| until.saturating_duration_since(Instant::now()));
            match self.poll(patience, &mut batch) {
                Some(record) => {
                    batch.records.push(record);
                    until.get_or_insert_with(|| Instant::now() + wait);
                }
                None if until.is_none_or(|until| Instant::now() >= until) => break,
                None => {}
            }
        }
        batch
    }

    /// One poll. What a rebalance takes away in it goes out of `batch` before the record that comes back is looked at:
    /// the same partition may come back later, and then from its committed offset.
    fn poll(&mut self, patience: Duration, batch: &mut Batch) -> Option<Record> {
        let polled = self.consumer.poll(patience.min(POLL));
        let record = match polled {
            None => None,
            Some(Ok(message)) => Some(owned(&message)),
            Some(Err(error)) => {
                tracing::warn!(%error, topic = self.parts.topic, "polling goes on");
                std::thread::sleep(BACK_OFF.0);
                None
            }
        };
        self.forget_revoked(batch);
        record
    }

    fn forget_revoked(&mut self, batch: &mut Batch) {
        // Once a record: reading is cheaper than writing.
        if !self.news.any.load(Ordering::Acquire) || !self.news.any.swap(false, Ordering::AcqRel) {
            return;
        }
        let gone = std::mem::take(&mut *sync::lock(&self.news.revoked));
        let kept = |record: &Record| !gone.contains(&record.partition);
        batch.records.retain(kept);
        batch.dead.retain(|(record, _)| kept(record));
        self.carry.retain(kept);
        self.offsets.forget(&gone);
    }

    /// Rows, then dead letters, then offsets. Waits for as long as it takes, and keeps its place in the group.
    fn process(&mut self, batch: &mut Batch) {
        if batch.records.is_empty() {
            return;
        }
        let done = self.write(batch) && self.bury(batch);
        self.go_on();
        if !done {
            return;
        }
        for record in &batch.records {
            self.offsets.passed(record.partition, record.offset);
        }
        self.parts.metrics.batches.inc();
    }

    /// Writes the batch; false when there is no batch any more, or no time.
    fn write(&mut self, batch: &mut Batch) -> bool {
        let mut pause = BACK_OFF.0;
        loop {
            match self.handle.block_on(self.parts.sink.write(&batch.records)) {
                Ok(written) => {
                    self.parts.metrics.rows.inc_by(written.rows);
                    self.parts.metrics.redelivered.inc_by(written.there);
                    self.parts.metrics.skipped.inc_by(written.skipped);
                    let dead = written.dead.into_iter();
                    batch.dead = dead.map(|(i, reason)| (batch.records[i].clone(), reason)).collect();
                    return true;
                }
                Err(error) => {
                    if !self.wait(&mut pause, batch, &error.to_string()) {
                        return false;
                    }
                }
            }
        }
    }

    /// Puts the batch's bad records into the dead-letter topic. The offset does not pass one before it is there.
    fn bury(&mut self, batch: &mut Batch) -> bool {
        let mut pause = BACK_OFF.0;
        while let Some((record, reason)) = batch.dead.last() {
            match self.handle.block_on(self.parts.dead.put(record, reason)) {
                Ok(()) => {
                    tracing::warn!(partition = record.partition, offset = record.offset, reason, "dead letter");
                    self.parts.metrics.dead.inc();
                    batch.dead.pop();
                }
                Err(error) => {
                    if !self.wait(&mut pause, batch, &error.to_string()) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Pauses, and polls all the while, so that the group does not take this member for dead.
    fn wait(&mut self, pause: &mut Duration, batch: &mut Batch, reason: &str) -> bool {
        if self.stop.is_cancelled() {
            tracing::warn!(reason, records = batch.records.len(), "stopped with a batch unwritten; it is read again");
            return false;
        }
        tracing::warn!(reason, records = batch.records.len(), ?pause, "the batch waits");
        self.parts.metrics.retries.inc();
        self.parts.metrics.stalled.set(1);
        self.parts.health.set("progress", Err(reason.to_owned()));
        if !self.news.stalled.swap(true, Ordering::AcqRel) {
            self.each_assigned("pause", BaseConsumer::pause);
        }
        let until = Instant::now() + *pause;
        *pause = (*pause * 2).min(BACK_OFF.1);
        while Instant::now() < until && !self.stop.is_cancelled() {
            if let Some(record) = self.poll(until.saturating_duration_since(Instant::now()), batch) {
                self.carry.push(record);
            }
            self.offsets.go_on(&self.consumer);
        }
        !batch.records.is_empty()
    }

    /// Ends a wait, if there was one.
    fn go_on(&mut self) {
        if self.news.stalled.swap(false, Ordering::AcqRel) {
            self.each_assigned("resume", BaseConsumer::resume);
            self.parts.metrics.stalled.set(0);
            self.parts.health.set("progress", Ok(()));
        }
    }

    fn each_assigned(
        &self,
        what: &str,
        act: impl Fn(&BaseConsumer<Context>, &TopicPartitionList) -> Result<(), KafkaError>,
    ) {
        let done = self.consumer.assignment().and_then(|partitions| act(&self.consumer, &partitions));
        if let Err(error) = done {
            tracing::debug!(%error, what, "not done for all partitions");
        }
    }
}

fn owned(message: &BorrowedMessage<'_>) -> Record {
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
    }
}
