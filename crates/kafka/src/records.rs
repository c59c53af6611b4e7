//! Reading records: the oldest that are not consumed, and whole ranges of a log.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::BorrowedMessage,
};

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
