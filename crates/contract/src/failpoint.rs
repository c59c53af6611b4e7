//! Failures on purpose: a process that ends itself, as if it were killed, at a place that a signal from outside
//! would hardly ever hit.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

/// Places where a process can be told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The gate has granted, nothing was sent to Kafka yet.
    ApiAfterGate,
    /// The rows are in the transaction, which is not committed.
    ConsumerBeforeCommit,
    /// The transaction is committed, the offsets are not.
    ConsumerAfterCommit,
}

const NAMES: [(&str, Point); 3] = [
    ("api.after_gate", Point::ApiAfterGate),
    ("consumer.before_commit", Point::ConsumerBeforeCommit),
    ("consumer.after_commit", Point::ConsumerAfterCommit),
];

/// Names of all places, as in `backend.failpoints`.
pub fn names() -> [&'static str; NAMES.len()] {
    NAMES.map(|(name, _)| name)
}

/// Why `backend.failpoints` cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FailpointError {
    /// No such place.
    #[error("backend.failpoints: there is no `{0}`; there are {known}", known = names().join(", "))]
    Name(String),
    /// No such action.
    #[error("backend.failpoints.{name}: `{action}` is no action; write kill@N (N = 1, 2, …: at the Nth pass)")]
    Action {
        /// The place.
        name: String,
        /// What stands there.
        action: String,
    },
}

/// The process's failpoints. Unset ones cost one comparison.
#[derive(Debug, Default)]
pub struct Failpoints([Option<Kill>; NAMES.len()]);

#[derive(Debug)]
struct Kill {
    at: u64,
    passes: AtomicU64,
}

impl Failpoints {
    /// Reads the profile's `backend.failpoints`.
    pub fn parse(given: &BTreeMap<String, String>) -> Result<Self, FailpointError> {
        let mut points = Self::default();
        for (name, action) in given {
            let place = NAMES.iter().find(|(known, _)| known == name);
            let (_, point) = place.ok_or_else(|| FailpointError::Name(name.clone()))?;
            let at = action.strip_prefix("kill@").and_then(|n| n.parse().ok()).filter(|n| *n > 0);
            let at = at.ok_or_else(|| FailpointError::Action { name: name.clone(), action: action.clone() })?;
            points.0[*point as usize] = Some(Kill { at, passes: AtomicU64::new(0) });
        }
        Ok(points)
    }

    /// Counts one pass through `point`; does not return from the pass that was named.
    pub fn pass(&self, point: Point) {
        if let Some(kill) = &self.0[point as usize]
            && kill.passes.fetch_add(1, Ordering::Relaxed) + 1 == kill.at
        {
            // No destructor, no flush, no exit handler runs: the nearest to SIGKILL that a process can do to itself.
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, action: &str) -> Result<Failpoints, FailpointError> {
        Failpoints::parse(&BTreeMap::from([(name.to_owned(), action.to_owned())]))
    }

    #[test]
    fn places_and_actions_are_checked() {
        for (name, point) in NAMES {
            let points = parse(name, "kill@3").expect("a known place");
            assert_eq!(points.0[point as usize].as_ref().map(|kill| kill.at), Some(3));
        }
        assert!(parse("api.before_gate", "kill@1").is_err_and(|e| e.to_string().contains("api.after_gate")));
        for action in ["", "kill", "kill@", "kill@0", "kill@-1", "kill@x", "sleep@3", "kill@1 "] {
            assert!(parse("api.after_gate", action).is_err(), "{action} was taken");
        }
    }

    #[test]
    fn a_pass_that_was_not_named_goes_on() {
        let points = parse("consumer.before_commit", "kill@3").expect("parses");
        points.pass(Point::ConsumerBeforeCommit);
        points.pass(Point::ConsumerBeforeCommit);
        for _ in 0..10 {
            points.pass(Point::ApiAfterGate);
        }
    }
}
