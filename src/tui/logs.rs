//! The newest lines of the logs, in bounded memory.

use std::collections::VecDeque;

use super::model::LogLine;

/// Lines that are kept.
pub const MOST_LINES: usize = 5_000;

/// Longest line that is kept, in bytes.
const MOST_BYTES: usize = 2_000;

/// The newest lines, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Logs {
    lines: VecDeque<LogLine>,
}

impl Logs {
    /// Adds a line; gives whether the oldest one had to go for it.
    pub fn push(&mut self, mut line: LogLine) -> bool {
        if line.text.len() > MOST_BYTES {
            let end = (0..=MOST_BYTES).rev().find(|at| line.text.is_char_boundary(*at)).unwrap_or(0);
            line.text.truncate(end);
        }
        let full = self.lines.len() == MOST_LINES;
        if full {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
        full
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
            let full = logs.push(LogLine { text: format!("{i} {}", "선".repeat(5_000)), ..LogLine::default() });
            assert_eq!(full, i >= MOST_LINES);
        }
        assert_eq!(logs.len(), MOST_LINES);
        assert!(logs.get(0).is_some_and(|l| l.text.starts_with("10 ") && l.text.len() <= MOST_BYTES));
    }
}
