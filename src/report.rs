//! Reports of a run, for people and for programs. All are drawn from [`crate::summary::Summary`] and nothing else,
//! so that no two of them can differ.

mod alarms;
pub mod markdown;
mod rows;
pub mod schema;
pub mod terminal;

use std::fmt::Write;

use base::figure::count;

/// `QUEUED 1,000 · SOLD_OUT 4,000`
pub fn classes(outcomes: &std::collections::BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    for (class, n) in outcomes.iter().filter(|(_, n)| **n > 0) {
        let gap = if text.is_empty() { "" } else { " · " };
        let _ = write!(text, "{gap}{class} {}", count(*n));
    }
    text
}

#[cfg(test)]
mod tests;
