//! Offsets of what is processed, on their way to Kafka.
//!
//! They are committed beside the writing of rows: a broker keeps each commit waiting for some milliseconds
//! (`group.coordinator.append.linger.ms`), longer than it takes to write a batch. One commit is under way at a time, so
//! that an older one never comes last. It blocks a thread of the runtime, because the client library tells nobody what
//! became of an asynchronous commit.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::KafkaError,
};
use tokio::{runtime::Handle, task::JoinHandle};

/// Most time that offsets wait behind the rows, apart from the commit before them that is still under way.
pub(super) const COMMIT_WITHIN: Duration = Duration::from_millis(50);
/// Least time before a commit that failed is tried again.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

/// Partition → offset to commit.
type Positions = BTreeMap<i32, i64>;

/// A commit that the broker has not answered yet.
struct UnderWay {
    positions: Positions,
    answer: JoinHandle<Result<(), KafkaError>>,
}

/// Offsets that Kafka does not have yet.
pub(super) struct Offsets {
    topic: String,
    handle: Handle,
    open: Positions,
    sent: Instant,
    under_way: Option<UnderWay>,
    failed: bool,
}

impl Offsets {
    /// Offsets in `topic`; commits run on `handle`.
    pub(super) fn new(topic: &str, handle: Handle) -> Self {
        Self {
            topic: topic.to_owned(),
            handle,
            open: Positions::new(),
            sent: Instant::now(),
            under_way: None,
            failed: false,
        }
    }

    /// Whether something waits to be committed or confirmed.
    pub(super) fn waiting(&self) -> bool {
        !self.open.is_empty()
    }

    /// The record at `offset`, and all before it, are processed.
    pub(super) fn passed(&mut self, partition: i32, offset: i64) {
        let next = self.open.entry(partition).or_insert(0);
        *next = (*next).max(offset + 1);
    }

    /// Drops what belongs to other members now: their own commits must not be set back.
    pub(super) fn forget(&mut self, partitions: &[i32]) {
        self.open.retain(|partition, _| !partitions.contains(partition));
    }

    /// Takes the answer to the last commit, and sends the next one when it is due. Does not wait.
    pub(super) fn go_on<C: ConsumerContext + 'static>(&mut self, consumer: &Arc<BaseConsumer<C>>) {
        if self.under_way.as_ref().is_some_and(|commit| commit.answer.is_finished()) {
            self.settle();
        }
        let pause = if self.failed { COMMIT_AGAIN } else { COMMIT_WITHIN };
        if self.under_way.is_some() || self.open.is_empty() || self.sent.elapsed() < pause {
            return;
        }
        self.send(consumer);
    }

    /// Commits all that is left and waits for it. A failure is no harm: the records are read once more.
    pub(super) fn finish<C: ConsumerContext + 'static>(&mut self, consumer: &Arc<BaseConsumer<C>>) {
        let tried = self.under_way.is_some();
        self.settle();
        // A broker that has just failed to answer would only hold up the end once more.
        if self.waiting() && !(tried && self.failed) {
            self.send(consumer);
            self.settle();
        }
    }

    fn send<C: ConsumerContext + 'static>(&mut self, consumer: &Arc<BaseConsumer<C>>) {
        self.sent = Instant::now();
        let positions = self.open.clone();
        let list = list(&self.topic, &positions);
        let consumer = consumer.clone();
        let answer = self.handle.spawn_blocking(move || consumer.commit(&list, CommitMode::Sync));
        self.under_way = Some(UnderWay { positions, answer });
    }

    /// Waits for the commit that is under way, if one is.
    fn settle(&mut self) {
        let Some(UnderWay { positions, answer }) = self.under_way.take() else { return };
        let error = match self.handle.block_on(answer) {
            Ok(Ok(())) => return self.confirmed(&positions),
            Ok(Err(error)) => error.to_string(),
            // The runtime ends, and the process with it.
            Err(error) => error.to_string(),
        };
        self.failed = true;
        tracing::warn!(error, topic = self.topic, "offsets not committed yet");
    }

    fn confirmed(&mut self, done: &Positions) {
        self.failed = false;
        // What was passed since stays.
        self.open.retain(|partition, open| done.get(partition).is_none_or(|done| done < open));
    }
}

fn list(topic: &str, positions: &Positions) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for (partition, offset) in positions {
        // Only a negative offset could fail, and Kafka gives none.
        let _ = list.add_partition_offset(topic, *partition, Offset::Offset(*offset));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_confirmed_and_not_passed_since_is_done() {
        let mut offsets = Offsets::new("t", Handle::current());
        for (partition, offset) in [(0, 4), (1, 9), (2, 1), (0, 2)] {
            offsets.passed(partition, offset);
        }
        let sent = offsets.open.clone();
        assert_eq!(sent, Positions::from([(0, 5), (1, 10), (2, 2)]));
        offsets.passed(1, 10);
        offsets.forget(&[2]);
        offsets.confirmed(&sent);
        assert_eq!(offsets.open, Positions::from([(1, 11)]));
        assert!(offsets.waiting());
    }
}
