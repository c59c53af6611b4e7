//! Dead letters: how many there are, why, and the newest of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use contract::names;
use rdkafka::{Message, consumer::BaseConsumer, message::BorrowedMessage};
use record::event::watch::{DeadLetter, KafkaSample};

use crate::Ranges;

/// Newest letters that are kept.
const NEWEST: usize = 20;
/// Most letters of a partition that one look reads; of more only the newest.
const MOST: i64 = 500;
/// Different reasons that are told apart: some carry ids, and would fill the memory.
const REASONS: usize = 50;
const OTHERS: &str = "other reasons";
const REASON_CHARS: usize = 200;
const KEY_CHARS: usize = 200;
const VALUE_CHARS: usize = 2_000;
/// Longest time that reading takes in one look; the next goes on.
const READING: Duration = Duration::from_millis(700);

/// What was read of the dead-letter topics so far.
#[derive(Debug, Default)]
pub(super) struct DeadLetters {
    /// Topic → partition → offset from which to go on.
    read: BTreeMap<String, BTreeMap<i32, i64>>,
    count: Option<u64>,
    reasons: BTreeMap<String, u64>,
    newest: Vec<DeadLetter>,
}

impl DeadLetters {
    /// Counts the letters on `topics` and reads those that are new.
    pub fn look(
        &mut self,
        client: &BaseConsumer,
        topics: &BTreeMap<String, Vec<i32>>,
        left: impl Fn() -> Result<Duration, String>,
    ) -> Result<(), String> {
        self.count = None;
        let mut count = None;
        for (topic, partitions) in topics {
            let ends = crate::ends(client, topic, partitions, &left)?;
            let sum: u64 = ends.values().map(|(start, end)| (end - start).max(0) as u64).sum();
            count = Some(count.unwrap_or(0) + sum);
            let from = self.read.entry(topic.clone()).or_default();
            if ends.iter().any(|(partition, (_, end))| from.get(partition).is_some_and(|read| read > end)) {
                // The topic was made anew.
                from.clear();
            }
            let ranges: Ranges = ends
                .iter()
                .map(|(p, (start, end))| {
                    (*p, (from.get(p).copied().unwrap_or(0).max(*start).max(end.saturating_sub(MOST)), *end))
                })
                .filter(|(_, (from, end))| from < end)
                .collect();
            if !ranges.is_empty() {
                self.read(client, topic, &ranges, READING.min(left()?))?;
            }
        }
        self.count = count;
        Ok(())
    }

    fn read(&mut self, client: &BaseConsumer, topic: &str, ranges: &Ranges, limit: Duration) -> Result<(), String> {
        let mut letters: Vec<DeadLetter> = Vec::new();
        let mut reached: BTreeMap<i32, i64> = BTreeMap::new();
        let reading = crate::read(client, topic, ranges, limit, Some(limit), |message| {
            reached.insert(message.partition(), message.offset() + 1);
            letters.push(letter(message));
            true
        })?;
        let unfinished = match reading {
            crate::Reading::Stalled(partitions, _) => partitions,
            _ => BTreeSet::new(),
        };
        let from = self.read.entry(topic.to_owned()).or_default();
        for (partition, (_, end)) in ranges {
            let to = if unfinished.contains(partition) { reached.get(partition) } else { Some(end) };
            from.extend(to.map(|to| (*partition, *to)));
        }
        for letter in letters {
            self.add(letter);
        }
        Ok(())
    }

    fn add(&mut self, letter: DeadLetter) {
        let known = self.reasons.contains_key(&letter.reason) || self.reasons.len() < REASONS;
        let reason = if known { letter.reason.clone() } else { OTHERS.to_owned() };
        *self.reasons.entry(reason).or_default() += 1;
        let place = self.newest.partition_point(|other| age(other) >= age(&letter));
        self.newest.insert(place, letter);
        self.newest.truncate(NEWEST);
    }

    /// Writes what is known into a sample.
    pub fn fill(&self, sample: &mut KafkaSample) {
        sample.dead_letters = self.count;
        if self.count.is_some() {
            sample.dead_reasons.clone_from(&self.reasons);
            sample.newest_dead.clone_from(&self.newest);
        }
    }
}

/// RFC 3339 in UTC sorts as the time does.
fn age(letter: &DeadLetter) -> (&str, i64) {
    (&letter.at, letter.offset)
}

fn letter(message: &BorrowedMessage<'_>) -> DeadLetter {
    let at = message.timestamp().to_millis().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    // Ours, then the one that Spring writes.
    let reason =
        [names::HEADER_ERROR, "kafka_dlt-exception-message"].iter().find_map(|name| crate::header(message, name));
    DeadLetter {
        partition: message.partition(),
        offset: message.offset(),
        at: at.map_or_else(String::new, |at| format!("{at:.3}")),
        reason: reason.map_or_else(|| "no reason given".into(), |reason| text(reason.as_bytes(), REASON_CHARS)),
        key: text(message.key().unwrap_or_default(), KEY_CHARS),
        value: text(message.payload().unwrap_or_default(), VALUE_CHARS),
    }
}

/// The first `most` characters. Whoever wrote the record must not write to the terminal of whoever looks at it.
fn text(bytes: &[u8], most: usize) -> String {
    let bytes = bytes.get(..most * 4).unwrap_or(bytes);
    let shown = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    String::from_utf8_lossy(bytes).chars().take(most).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(at: &str, reason: &str) -> DeadLetter {
        DeadLetter { at: at.into(), reason: reason.into(), ..DeadLetter::default() }
    }

    #[test]
    fn the_newest_come_first_and_reasons_are_counted_without_end() {
        let mut dead = DeadLetters { count: Some(0), ..DeadLetters::default() };
        for n in [5, 1, 9, 3] {
            dead.add(letter(&format!("2026-11-21T10:00:0{n}.000Z"), "a"));
        }
        for n in 0..1_000 {
            dead.add(letter("2026-11-21T09:00:00.000Z", &format!("id {n}")));
        }
        let mut sample = KafkaSample::default();
        dead.fill(&mut sample);
        let seconds: Vec<&str> = sample.newest_dead.iter().take(4).map(|l| l.at.get(17..19).unwrap()).collect();
        assert_eq!((seconds, sample.newest_dead.len()), (vec!["09", "05", "03", "01"], NEWEST));
        assert_eq!((sample.dead_reasons["a"], sample.dead_reasons[OTHERS]), (4, 1_000 - REASONS as u64 + 1));
    }

    #[test]
    fn a_record_cannot_write_to_the_terminal() {
        assert_eq!(text("쿠폰\u{1b}[2J\n\u{9b}x".as_bytes(), 6), "쿠폰\u{fffd}[2J");
        assert_eq!(text(&[0xff, b'a'], 10), "\u{fffd}a");
        assert_eq!(text("가나다".as_bytes(), 2), "가나");
    }
}
