//! Several logs as one, in the order of their times. Each log keeps its own order, whatever its stamps say.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::LogLine;

/// Merges logs that are there as a whole.
pub(super) fn by_time(logs: Vec<Vec<LogLine>>) -> Vec<LogLine> {
    let mut merged = Vec::with_capacity(logs.iter().map(Vec::len).sum());
    let mut logs: Vec<VecDeque<LogLine>> = logs.into_iter().map(VecDeque::from).collect();
    let mut heads: BinaryHeap<_> =
        logs.iter().enumerate().filter_map(|(n, log)| Some(Reverse((log.front()?.at, n)))).collect();
    while let Some(Reverse((_, n))) = heads.pop() {
        merged.extend(logs[n].pop_front());
        heads.extend(logs[n].front().map(|line| Reverse((line.at, n))));
    }
    merged
}

/// Merges logs that are being written: a line is held back for a moment, in case an older one of another log is still on
/// its way.
#[derive(Debug)]
pub(super) struct Merger {
    hold: Duration,
    most: usize,
    held: BinaryHeap<Reverse<Held>>,
    /// Component → time of its newest line.
    newest: BTreeMap<String, Timestamp>,
    count: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    key: Timestamp,
    count: u64,
    arrived: Instant,
    line: (Timestamp, String, String),
}

impl Merger {
    /// Holds each line for `hold`, and no more than `most` of them.
    pub fn new(hold: Duration, most: usize) -> Self {
        Self { hold, most, held: BinaryHeap::new(), newest: BTreeMap::new(), count: 0 }
    }

    /// Takes a line that has arrived `now`.
    pub fn push(&mut self, line: LogLine, now: Instant) {
        let newest = self.newest.entry(line.component.clone()).or_insert(line.at);
        *newest = (*newest).max(line.at);
        self.count += 1;
        let (key, count) = (*newest, self.count);
        self.held.push(Reverse(Held { key, count, arrived: now, line: (line.at, line.component, line.text) }));
    }

    /// The next line that is due.
    pub fn pop(&mut self, now: Instant) -> Option<LogLine> {
        let Reverse(first) = self.held.peek()?;
        if self.held.len() <= self.most && now.duration_since(first.arrived) < self.hold {
            return None;
        }
        let Reverse(Held { line: (at, component, text), .. }) = self.held.pop()?;
        Some(LogLine { at, component, text })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(component: &str, second: i64, text: &str) -> LogLine {
        LogLine { at: Timestamp::from_second(second).unwrap(), component: component.into(), text: text.into() }
    }

    fn texts(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn logs_are_merged_by_time_and_keep_their_own_order() {
        let a = vec![line("a", 1, "a1"), line("a", 5, "a5"), line("a", 3, "a, whose clock was set back")];
        let b = vec![line("b", 2, "b2"), line("b", 4, "b4")];
        assert_eq!(texts(&by_time(vec![a, b, vec![]])), ["a1", "b2", "b4", "a5", "a, whose clock was set back"]);
    }

    #[test]
    fn a_line_waits_a_moment_for_an_older_one() {
        let (hold, begun) = (Duration::from_millis(300), Instant::now());
        let mut merger = Merger::new(hold, 3);
        merger.push(line("a", 5, "a5"), begun);
        assert_eq!(merger.pop(begun), None);
        merger.push(line("b", 4, "b4"), begun + hold / 2);
        assert_eq!(merger.pop(begun + hold), None, "b4 is older and may not have waited long enough");
        let later = begun + hold * 2;
        assert_eq!(merger.pop(later).unwrap().text, "b4");
        assert_eq!(merger.pop(later).unwrap().text, "a5");
        assert_eq!(merger.pop(later), None);
        // A flood is not held.
        for n in 0..5 {
            merger.push(line("a", n, "flood"), later);
        }
        assert!(merger.pop(later).is_some() && merger.pop(later).is_some());
        assert_eq!(merger.pop(later), None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_each_log_stays_in_order(times in prop::collection::vec((0_u8..4, 0_i64..50), 0..100)) {
            let mut logs = vec![Vec::new(); 4];
            let mut merger = Merger::new(Duration::ZERO, 10);
            for (n, (log, second)) in times.iter().enumerate() {
                let line = line(&log.to_string(), *second, &format!("{n:03}"));
                merger.push(line.clone(), Instant::now());
                logs[usize::from(*log)].push(line);
            }
            let whole = by_time(logs);
            let live: Vec<_> = std::iter::from_fn(|| merger.pop(Instant::now())).collect();
            for merged in [&whole, &live] {
                prop_assert_eq!(merged.len(), times.len());
                for log in 0..4_u8 {
                    let own: Vec<_> = merged.iter().filter(|line| line.component == log.to_string()).collect();
                    prop_assert!(own.is_sorted_by(|a, b| a.text < b.text));
                }
            }
        }
    }
}
