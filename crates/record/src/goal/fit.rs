//! Which tags and aggregations fit a metric.

use super::{Aggregation, GoalError, Selector};
use crate::metric::{self, Kind, Known, Source};
use base::yaml::suggest::did_you_mean;

/// Finds a metric that a goal can be over.
///
/// # Errors
/// With the nearest name and all that there are.
pub fn find(name: &str) -> Result<&'static Known, GoalError> {
    metric::goals().find(|known| known.name == name).ok_or_else(|| {
        let names: Vec<_> = metric::goals().map(|known| known.name).collect();
        GoalError::UnknownMetric {
            name: name.to_owned(),
            hint: did_you_mean(name, names.iter().copied()),
            allowed: names.join(", "),
        }
    })
}

/// Whose word the samples are that `selector` chooses among those of `known`.
pub(super) fn source(known: &Known, selector: &Selector) -> Source {
    if selector.tag("cache").is_some() { Source::Cache } else { known.source }
}

impl Kind {
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

/// Whether the selector's tags are known, and can be combined: a phase is measured per scenario only, and cache hits and
/// misses per request only.
pub(super) fn check_tags(known: &Known, selector: &Selector) -> Result<(), GoalError> {
    let fail = |tag: &str, allowed: String| {
        Err(GoalError::UnknownTag { metric: known.name.to_owned(), tag: tag.to_owned(), allowed })
    };
    for tag in selector.tags.keys() {
        if !known.tags.contains(&tag.as_str()) {
            let none = known.tags.is_empty();
            return fail(tag, if none { "none, it has no tags".to_owned() } else { known.tags.join(", ") });
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

pub(super) fn check_aggregation(known: &Known, aggregation: Aggregation) -> Result<(), GoalError> {
    if known.kind.fits(aggregation) {
        return Ok(());
    }
    Err(GoalError::Aggregation {
        metric: known.name.to_owned(),
        kind: known.kind.name(),
        aggregation: aggregation.to_string(),
        allowed: known.kind.aggregations(),
    })
}
