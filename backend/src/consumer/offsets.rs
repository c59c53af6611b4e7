//! Offsets of what is processed, on their way to Kafka.
//!
//! They are committed in the background: a broker keeps each commit waiting for some milliseconds
//! (`group.coordinator.append.linger.ms`), longer than it takes to write a batch. One commit is under way at a time, so
//! that an older one never comes last.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::KafkaError,
};

use crate::sync;

/// Most time that offsets wait behind the rows, apart from the commit before them that is still under way.
pub(super) const COMMIT_WITHIN: Duration = Duration::from_millis(50);
/// Least time before a commit that failed is tried again.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);
/// A commit without an answer is given up then. The client answers every one, within its own limits; if it ever did
/// not, commits would stop for good.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Partition → offset that was committed, or why not.
type Committed = Result<Vec<(i32, i64)>, String>;

/// The answer to a commit, left by the client's callback.
#[derive(Default)]
pub(super) struct Answer(Mutex<Option<Committed>>);

impl Answer {
    /// Keeps what the broker says of each partition.
    pub(super) fn put(&self, result: Result<(), KafkaError>, offsets: &TopicPartitionList) {
        let elements = offsets.elements();
        let refused = elements.iter().find_map(|part| part.error().err());
        let answer = match result.err().or(refused) {
            Some(error) => Err(error.to_string()),
            None => Ok(elements.iter().filter_map(|part| Some((part.partition(), part.offset().to_raw()?))).collect()),
        };
        *sync::lock(&self.0) = Some(answer);
    }

    fn take(&self) -> Option<Result<Vec<(i32, i64)>, String>> {
        sync::lock(&self.0).take()
    }
}

/// Offsets that Kafka does not have yet.
pub(super) struct Offsets {
    topic: String,
    /// Partition → offset to commit.
    open: BTreeMap<i32, i64>,
    sent: Instant,
    under_way: bool,
    failed: bool,
}

impl Offsets {
    pub(super) fn new(topic: &str) -> Self {
        Self { topic: topic.to_owned(), open: BTreeMap::new(), sent: Instant::now(), under_way: false, failed: false }
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
    pub(super) fn go_on<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>, answer: &Answer) {
        match answer.take() {
            Some(Ok(done)) => self.confirmed(&done),
            Some(Err(error)) => self.refused(&error),
            None => {}
        }
        if self.under_way && self.sent.elapsed() >= GIVE_UP {
            self.refused("no answer");
        }
        let pause = if self.failed { COMMIT_AGAIN } else { COMMIT_WITHIN };
        if self.under_way || self.open.is_empty() || self.sent.elapsed() < pause {
            return;
        }
        self.sent = Instant::now();
        match consumer.commit(&self.list(), CommitMode::Async) {
            Ok(()) => self.under_way = true,
            Err(error) => self.refused(&error.to_string()),
        }
    }

    /// Commits what is left and waits for it. A failure is no harm: the records are read once more.
    pub(super) fn finish<C: ConsumerContext>(&mut self, consumer: &BaseConsumer<C>) {
        if self.open.is_empty() {
            return;
        }
        match consumer.commit(&self.list(), CommitMode::Sync) {
            Ok(()) => self.open.clear(),
            Err(error) => self.refused(&error.to_string()),
        }
    }

    fn confirmed(&mut self, done: &[(i32, i64)]) {
        (self.under_way, self.failed) = (false, false);
        for (partition, offset) in done {
            if self.open.get(partition).is_some_and(|open| open <= offset) {
                self.open.remove(partition);
            }
        }
    }

    fn refused(&mut self, error: &str) {
        (self.under_way, self.failed) = (false, true);
        tracing::warn!(error, topic = self.topic, "offsets not committed yet");
    }

    fn list(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(self.open.len());
        for (partition, offset) in &self.open {
            // Only a negative offset could fail, and Kafka gives none.
            let _ = list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset));
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_confirmed_and_not_passed_since_is_done() {
        let mut offsets = Offsets::new("t");
        for (partition, offset) in [(0, 4), (1, 9), (2, 1), (0, 2)] {
            offsets.passed(partition, offset);
        }
        let mut list = offsets.list();
        offsets.passed(1, 10);
        offsets.forget(&[2]);
        let answer = Answer::default();
        answer.put(Ok(()), &list);
        offsets.confirmed(&answer.take().expect("there").expect("good"));
        assert_eq!(offsets.open, BTreeMap::from([(1, 11)]));
        list = offsets.list();
        answer.put(Err(KafkaError::Canceled), &list);
        assert!(answer.take().expect("there").is_err());
        assert!(answer.take().is_none());
        offsets.refused("test");
        assert!(offsets.failed && offsets.waiting());
    }
}
