//! The metrics that exist, their types, and by which tags their samples can be chosen. Names are k6's where k6 has one.

use super::{Aggregation, GoalError, Selector};

/// Type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Values with percentiles.
    Trend,
    /// Number of events.
    Counter,
    /// Last value, smallest and largest.
    Gauge,
    /// Share of samples that are true.
    Rate,
}

impl Kind {
    /// Its name in messages and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trend => "trend",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Rate => "rate",
        }
    }

    /// The aggregations that fit it, for messages.
    pub const fn aggregations(self) -> &'static str {
        match self {
            Self::Trend => "avg, min, max, med, p(N)",
            Self::Counter => "count, rate",
            Self::Gauge => "value",
            Self::Rate => "rate",
        }
    }

    /// Whether `aggregation` fits it.
    pub fn fits(self, aggregation: Aggregation) -> bool {
        use Aggregation::{Avg, Count, Max, Med, Min, Percentile, Rate, Value};
        match self {
            Self::Trend => matches!(aggregation, Avg | Min | Max | Med | Percentile(_)),
            Self::Counter => matches!(aggregation, Count | Rate),
            Self::Gauge => matches!(aggregation, Value),
            Self::Rate => matches!(aggregation, Rate),
        }
    }
}

/// A metric that exists.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Tags by which its samples can be chosen.
    pub tags: &'static [&'static str],
    /// What it says, with the unit.
    pub about: &'static str,
}

const REQUEST: &[&str] = &["name", "scenario"];
const SCENARIO: &[&str] = &["scenario"];

const fn known(name: &'static str, kind: Kind, tags: &'static [&'static str], about: &'static str) -> Known {
    Known { name, kind, tags, about }
}

/// All metrics. Those of the generator come first, then those of the probes.
pub const METRICS: &[Known] = &[
    known(
        "http_reqs",
        Kind::Counter,
        &["name", "scenario", "outcome", "status", "expected_response", "phase", "cache"],
        "requests sent",
    ),
    known(
        "http_req_failed",
        Kind::Rate,
        &["name", "scenario", "phase"],
        "share of requests with outcome UNKNOWN: time-out, reset, no connection, 5xx. A refusal is not a failure",
    ),
    known(
        "http_req_duration",
        Kind::Trend,
        &["name", "scenario", "outcome", "expected_response", "phase", "cache"],
        "ms: sending + waiting + receiving; in an open model from the intended start",
    ),
    known(
        "cache_hit_rate",
        Kind::Rate,
        REQUEST,
        "share of answers from a cache among those that say whether they are (X-Cache, Cache-Status)",
    ),
    known("http_req_blocked", Kind::Trend, REQUEST, "ms from the wish to send until a connection was at hand or begun"),
    known("http_req_connecting", Kind::Trend, REQUEST, "ms to connect; 0 on a connection that is kept"),
    known("http_req_sending", Kind::Trend, REQUEST, "ms to write the request"),
    known("http_req_waiting", Kind::Trend, REQUEST, "ms until the answer's first byte"),
    known("http_req_receiving", Kind::Trend, REQUEST, "ms from the answer's first byte to its last"),
    known("iterations", Kind::Counter, SCENARIO, "iterations completed"),
    known("iteration_duration", Kind::Trend, SCENARIO, "ms of an iteration, with the pauses between its requests"),
    known("dropped_iterations", Kind::Counter, SCENARIO, "iterations that found no virtual user free (open model)"),
    known("vus", Kind::Gauge, &[], "virtual users that are active"),
    known("vus_max", Kind::Gauge, &[], "virtual users that were allotted"),
    known("data_sent", Kind::Counter, &[], "bytes sent"),
    known("data_received", Kind::Counter, &[], "bytes received"),
    known("consumer_lag", Kind::Trend, &[], "records not yet consumed, sampled each second"),
    known("consumer_time_lag", Kind::Trend, &[], "ms: age of the oldest record not yet consumed, sampled each second"),
    known("redis_duration", Kind::Trend, &[], "ms of the probe's own read in Redis, sampled each second"),
    known("mysql_connections", Kind::Trend, &[], "connections to MySQL of all programs, sampled each second"),
    known(
        "end_to_end_duration",
        Kind::Trend,
        &[],
        "ms from a request's first byte to its row in MySQL, by MySQL's clock",
    ),
    known("dead_letters", Kind::Counter, &[], "records that were dead-lettered"),
];

/// Finds a metric by name.
///
/// # Errors
/// With the nearest name and all that there are.
pub fn find(name: &str) -> Result<&'static Known, GoalError> {
    METRICS.iter().find(|known| known.name == name).ok_or_else(|| {
        let nearest = METRICS.iter().map(|known| (distance(name, known.name), known.name)).min();
        GoalError::UnknownMetric {
            name: name.to_owned(),
            suggestion: nearest.filter(|(far, _)| *far <= 1 + name.len() / 3).map(|(_, name)| name.to_owned()),
            allowed: METRICS.iter().map(|known| known.name).collect::<Vec<_>>().join(", "),
        }
    })
}

impl Known {
    /// Whether the selector's tags are known, and can be combined: a phase is measured per scenario only, and cache hits
    /// and misses per request only.
    pub(super) fn check_tags(&self, selector: &Selector) -> Result<(), GoalError> {
        let fail = |tag: &str, allowed: String| {
            Err(GoalError::UnknownTag { metric: self.name.to_owned(), tag: tag.to_owned(), allowed })
        };
        for tag in selector.tags.keys() {
            if !self.tags.contains(&tag.as_str()) {
                let none = self.tags.is_empty();
                return fail(tag, if none { "none, it has no tags".to_owned() } else { self.tags.join(", ") });
            }
            if selector.tag("phase").is_some() && tag != "phase" && tag != "scenario" {
                return fail(tag, "beside `phase` only scenario".to_owned());
            }
            if selector.tag("cache").is_some() && !matches!(tag.as_str(), "cache" | "name" | "scenario") {
                return fail(tag, "beside `cache` only name and scenario".to_owned());
            }
        }
        if selector.tag("phase").is_some_and(|phase| phase.parse::<usize>().is_err()) {
            return fail("phase", "phase with a number from 0".to_owned());
        }
        if selector.tag("expected_response").is_some_and(|value| value != "true" && value != "false") {
            return fail("expected_response", "expected_response with true or false".to_owned());
        }
        if selector.tag("cache").is_some_and(|value| value != "hit" && value != "miss") {
            return fail("cache", "cache with hit or miss".to_owned());
        }
        Ok(())
    }

    pub(super) fn check_aggregation(&self, metric: &str, aggregation: Aggregation) -> Result<(), GoalError> {
        if self.kind.fits(aggregation) {
            return Ok(());
        }
        Err(GoalError::Aggregation {
            metric: metric.to_owned(),
            kind: self.kind.name(),
            aggregation: aggregation.to_string(),
            allowed: self.kind.aggregations(),
        })
    }
}

/// Levenshtein distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("vus", "vus"), 0);
        assert_eq!(distance("vsu", "vus"), 2);
        assert_eq!(distance("", "vus"), 3);
        assert_eq!(distance("iteration", "iterations"), 1);
    }

    #[test]
    fn each_name_stands_once() {
        let mut names: Vec<_> = METRICS.iter().map(|m| m.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
    }
}
