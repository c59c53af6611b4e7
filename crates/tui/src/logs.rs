//! The newest lines of the logs, in bounded memory.

use std::collections::VecDeque;

use super::model::LogLine;

/// Lines that are kept.
pub const MOST_LINES: usize = 5_000;

/// Longest line that is kept, in bytes.
const MOST_BYTES: usize = 2_000;

/// What adding a line came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// Where the line stands.
    pub at: usize,
    /// The oldest line had to go for it.
    pub gone: bool,
}

/// The newest lines, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Logs {
    lines: VecDeque<LogLine>,
}

impl Logs {
    /// Adds a line where its time belongs, but never before an older line of the same component: lines of a component that
    /// was just found come late.
    pub fn push(&mut self, mut line: LogLine) -> Pushed {
        if line.text.len() > MOST_BYTES {
            let end = (0..=MOST_BYTES).rev().find(|at| line.text.is_char_boundary(*at)).unwrap_or(0);
            line.text.truncate(end);
        }
        let gone = self.lines.len() == MOST_LINES;
        if gone {
            self.lines.pop_front();
        }
        let before = |other: &LogLine| other.component == line.component || line.at.is_empty() || other.at <= line.at;
        let at = self.lines.iter().rposition(before).map_or(0, |at| at + 1);
        self.lines.insert(at, line);
        Pushed { at, gone }
    }

    /// Lines that are there.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Line `at`, oldest first.
    pub fn get(&self, at: usize) -> Option<&LogLine> {
        self.lines.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_long_lines_stays_bounded() {
        let mut logs = Logs::default();
        for i in 0..MOST_LINES + 10 {
            let pushed = logs.push(LogLine { text: format!("{i} {}", "선".repeat(5_000)), ..LogLine::default() });
            assert_eq!(pushed.gone, i >= MOST_LINES);
        }
        assert_eq!(logs.len(), MOST_LINES);
        assert!(logs.get(0).is_some_and(|l| l.text.starts_with("10 ") && l.text.len() <= MOST_BYTES));
    }

    /// When a run begins its components are found one after the other, and their first lines come behind younger ones of
    /// others.
    #[test]
    fn lines_that_come_late_stand_where_their_time_belongs() {
        let mut logs = Logs::default();
        let mut push = |at: &str, component: &str| {
            logs.push(LogLine::new(at.into(), component.into(), format!("{component} {at}"))).at
        };
        assert_eq!((push("03", "mysql"), push("05", "mysql"), push("04", "api-1")), (0, 1, 1));
        assert_eq!(push("02", "mysql"), 3, "a log keeps its own order, also when its clock was set back");
        assert_eq!(push("", "api-1"), 4, "what has no time comes last");
        let order: Vec<_> = (0..logs.len()).filter_map(|at| logs.get(at)).map(|line| line.text.as_str()).collect();
        assert_eq!(order, ["mysql 03", "api-1 04", "mysql 05", "mysql 02", "api-1 "]);
    }
}
