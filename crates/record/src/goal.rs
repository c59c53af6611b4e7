//! Goals: thresholds in k6's grammar over any metric.
//!
//! [`check`] tells the reader of profiles whether a goal can be evaluated at all; [`evaluate`] tells after (or during) a
//! run whether it was met. A goal without samples is [`State::Unknown`], and counts as missed: k6 lets it pass.
//!
//! [`metric`] holds the figures, [`fit`] what can be asked of a metric ([`crate::metric`] has them all), [`selector`] reads
//! `metric{tag:value}` and [`expression`] reads `p(95)<100`.

pub mod expression;
pub mod fit;
pub mod metric;
pub mod selector;

use std::{collections::BTreeMap, time::Duration};

use contract::human::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    expression::{Aggregation, Expression, Operator},
    metric::{Metric, Metrics, Trend},
    selector::Selector,
};
use crate::metric::Source;

/// A goal: an expression, or one with k6's options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Goal {
    /// `p(95)<100`
    Expression(String),
    /// The expression with options.
    Full {
        /// `p(95)<100`
        threshold: String,
        /// End the load when it is missed.
        #[serde(default, rename = "abortOnFail", alias = "abort_on_fail")]
        abort_on_fail: bool,
        /// Not before this.
        #[serde(default, rename = "delayAbortEval", alias = "delay", skip_serializing_if = "Option::is_none")]
        delay: Option<HumanDuration>,
    },
}

impl Goal {
    /// The expression as it stands in the profile.
    pub fn expression(&self) -> &str {
        match self {
            Self::Expression(text) | Self::Full { threshold: text, .. } => text,
        }
    }

    /// Whether the load ends when this is missed at time `at` of it.
    pub fn aborts_at(&self, at: Duration) -> bool {
        match self {
            Self::Full { abort_on_fail: true, delay, .. } => delay.is_none_or(|delay| at >= delay.0),
            _ => false,
        }
    }
}

/// Why a goal cannot be evaluated. Columns count characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoalError {
    /// The text does not follow the grammar.
    #[error("`{text}`, column {column}: expected {expected}, found {found}")]
    Syntax {
        /// The expression or selector as written.
        text: String,
        /// Where.
        column: usize,
        /// What may stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// There is no such metric.
    #[error("there is no metric `{name}`{hint}; there are: {allowed}")]
    UnknownMetric {
        /// As written.
        name: String,
        /// The nearest that there is, as a question; or nothing.
        hint: String,
        /// All of them.
        allowed: String,
    },
    /// The metric does not know this tag.
    #[error("`{metric}` cannot be selected by `{tag}`; allowed: {allowed}")]
    UnknownTag {
        /// Metric.
        metric: String,
        /// Tag as written.
        tag: String,
        /// The tags that it knows.
        allowed: String,
    },
    /// The aggregation does not fit the metric's type.
    #[error("`{metric}` is a {kind}: `{aggregation}` cannot be taken of it; allowed: {allowed}")]
    Aggregation {
        /// Metric.
        metric: String,
        /// Its type.
        kind: &'static str,
        /// As written.
        aggregation: String,
        /// What fits.
        allowed: &'static str,
    },
}

/// Checks a goal without evaluating it: the metric exists, it knows the tags, the expression follows the grammar, and
/// its aggregation fits the metric's type. Gives whose word the figures are.
///
/// # Errors
/// Says what is wrong, in which column, and what is allowed.
pub fn check(metric: &str, expression: &str) -> Result<Source, GoalError> {
    let selector = Selector::parse(metric)?;
    let known = fit::find(&selector.metric)?;
    fit::check_tags(known, &selector)?;
    fit::check_aggregation(known, Expression::parse(expression)?.aggregation)?;
    Ok(fit::source(known, &selector))
}

/// What became of a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "GoalState")]
pub enum State {
    /// It holds.
    Met,
    /// It does not hold.
    Missed,
    /// There are no samples, or the metric was not measured: counts as missed.
    Unknown,
}

/// A goal and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GoalResult {
    /// Metric as written in the profile.
    pub metric: String,
    /// Expression as written in the profile.
    pub expression: String,
    /// Met, missed or unknown.
    pub state: State,
    /// The figure that was compared; absent when unknown.
    pub actual: Option<f64>,
}

/// Evaluates each goal of a profile against `metrics`. A goal that cannot be read is unknown ([`check`] says why).
pub fn evaluate(goals: &BTreeMap<String, Vec<Goal>>, metrics: &Metrics) -> Vec<GoalResult> {
    let lookup = |selector: &Selector| metrics.get(&selector.to_string()).cloned();
    goals
        .iter()
        .flat_map(|(metric, goals)| goals.iter().map(move |goal| (metric, goal.expression())))
        .map(|(metric, expression)| evaluate_one(metric, expression, lookup))
        .collect()
}

/// Evaluates one goal; `lookup` gives the metric of a selector.
pub fn evaluate_one(metric: &str, expression: &str, lookup: impl Fn(&Selector) -> Option<Metric>) -> GoalResult {
    let read = Selector::parse(metric).ok().zip(Expression::parse(expression).ok());
    let judged = read.and_then(|(selector, expression)| {
        let actual = lookup(&selector)?.aggregate(expression.aggregation)?;
        let state = if expression.holds(actual) { State::Met } else { State::Missed };
        Some((state, actual))
    });
    let (metric, expression) = (metric.to_owned(), expression.to_owned());
    match judged {
        Some((state, actual)) => GoalResult { metric, expression, state, actual: Some(actual) },
        None => GoalResult { metric, expression, state: State::Unknown, actual: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goals(metric: &str, expression: &str) -> BTreeMap<String, Vec<Goal>> {
        BTreeMap::from([(metric.to_owned(), vec![Goal::Expression(expression.to_owned())])])
    }

    #[test]
    fn a_goal_is_met_missed_or_unknown() {
        let mut trend = Trend::default();
        for millis in 1..=100 {
            trend.record(f64::from(millis));
        }
        let metrics = Metrics::from([
            ("http_req_duration{name:issue}".to_owned(), Metric::Trend(trend)),
            ("http_req_failed".to_owned(), Metric::Rate { passes: 0, fails: 0 }),
        ]);
        for (metric, expression, state) in [
            ("http_req_duration{name:issue}", "p(95)<96", State::Met),
            ("http_req_duration{ name: issue }", "p(95)<90", State::Missed),
            ("http_req_duration{name:other}", "p(95)<90", State::Unknown),
            ("http_req_failed", "rate<0.01", State::Unknown),
            ("http_req_failed", "rate<<0.01", State::Unknown),
        ] {
            let results = evaluate(&goals(metric, expression), &metrics);
            assert_eq!(results[0].state, state, "{metric} {expression}: {results:?}");
            assert_eq!(results[0].actual.is_some(), state != State::Unknown);
        }
    }

    #[test]
    fn a_goal_that_cannot_work_is_an_error_of_the_profile() {
        for (metric, expression, message) in [
            (
                "http_req_duratoin",
                "p(95)<1",
                "there is no metric `http_req_duratoin` (did you mean `http_req_duration`?); there are: ",
            ),
            ("http_req_failed", "p(95)<1", "`http_req_failed` is a rate: `p(95)` cannot be taken of it; allowed: rate"),
            ("vus{name:a}", "value<1", "`vus` cannot be selected by `name`; allowed: none, it has no tags"),
            (
                "http_req_duration{nam:a}",
                "avg<1",
                "`http_req_duration` cannot be selected by `nam`; allowed: name, scenario, outcome, expected_response, phase, cache",
            ),
            (
                "http_req_duration{cache:hit,outcome:OK}",
                "avg<1",
                "`http_req_duration` cannot be selected by `outcome`; allowed: beside `cache` only name and scenario",
            ),
            (
                "http_reqs{cache:stale}",
                "count<1",
                "`http_reqs` cannot be selected by `cache`; allowed: cache with hit or miss",
            ),
            ("http_req_duration", "p(95<1", "`p(95<1`, column 5: expected `)`, found `<`"),
        ] {
            let error = check(metric, expression).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        for (metric, expression, source) in [
            ("http_req_duration{name:issue,outcome:QUEUED}", "p(99.9)<=200", Source::Load),
            ("http_req_duration{name:product,cache:hit}", "p(95)<50", Source::Cache),
            ("http_reqs{cache:miss}", "count<100", Source::Cache),
            ("cache_hit_rate{scenario:read}", "rate>0.95", Source::Cache),
            ("http_reqs", "rate>1000", Source::Load),
            ("http_reqs{status:200}", "count>0", Source::Load),
            ("dropped_iterations", "count==0", Source::Load),
            ("consumer_time_lag", "max<500", Source::Group),
        ] {
            assert_eq!(check(metric, expression), Ok(source));
        }
    }
}
