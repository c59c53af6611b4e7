//! Metrics: four types, as k6 has them, of which memory does not grow with the number of samples.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::Aggregation;
use crate::metric::Kind;

/// Metrics by name; sub-metrics stand under `metric{tag:value}` as [`super::Selector`] writes it.
pub type Metrics = BTreeMap<String, Metric>;

/// Thousandths in one unit: a trend in milliseconds is kept in microseconds.
const SCALE: f64 = 1_000.0;
/// Largest value, in thousandths: an hour in microseconds. What is larger is counted as this large in percentiles.
const LARGEST: u64 = 3_600_000_000;
/// Percentiles are right to this many digits.
const DIGITS: u8 = 3;

/// Values with percentiles: an HDR histogram of three digits over thousandths of the unit (microseconds, where the unit
/// is the millisecond), with exact sum, smallest and largest value. Merging two trends gives the trend of all samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trend {
    /// Made with the first sample: most trends of a run stay empty.
    histogram: Option<Histogram<u64>>,
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

impl Trend {
    /// Adds a value in the metric's unit. What is negative or no number counts as 0.
    pub fn record(&mut self, value: f64) {
        self.record_thousandths((value * SCALE).round() as u64);
    }

    /// Adds a value in thousandths of the metric's unit: microseconds, for times.
    pub fn record_thousandths(&mut self, value: u64) {
        if self.histogram.is_none() {
            self.histogram = Histogram::new(DIGITS).ok();
        }
        if let Some(histogram) = &mut self.histogram {
            // The histogram grows as needed; with the value bounded this cannot fail.
            let _ = histogram.record(value.min(LARGEST));
        }
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// Adds all samples of `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        match (&mut self.histogram, &other.histogram) {
            (Some(own), Some(others)) => {
                let _ = own.add(others);
            }
            (None, others) => self.histogram.clone_from(others),
            (Some(_), None) => {}
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Forgets all samples and keeps the memory for the next ones.
    pub fn clear(&mut self) {
        if let Some(histogram) = &mut self.histogram {
            histogram.clear();
        }
        (self.count, self.sum, self.min, self.max) = (0, 0, 0, 0);
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Percentile `p` (0 to 100) in the metric's unit; none without samples.
    pub fn percentile(&self, p: f64) -> Option<f64> {
        let histogram = self.histogram.as_ref().filter(|_| self.count > 0)?;
        // A bucket answers with its upper end, which may lie beyond what was ever seen.
        let value = histogram.value_at_quantile(p / 100.0).clamp(self.min, self.max);
        Some(if p >= 100.0 { self.max } else { value } as f64 / SCALE)
    }

    /// Number of samples above `value`, which is in the metric's unit, as far as three digits tell.
    pub fn count_above(&self, value: f64) -> u64 {
        let limit = (value * SCALE).max(0.0) as u64;
        let Some(histogram) = self.histogram.as_ref().filter(|_| self.max > limit) else { return 0 };
        let above = |step: &u64| histogram.lowest_equivalent(*step) > limit;
        let steps = histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()));
        steps.filter(|(step, _)| above(step)).map(|(_, count)| count).sum()
    }

    /// Mean in the metric's unit; none without samples.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64 / SCALE)
    }

    /// Smallest value.
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then(|| self.min as f64 / SCALE)
    }

    /// Largest value.
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then(|| self.max as f64 / SCALE)
    }

    /// Sum of all values.
    pub fn sum(&self) -> f64 {
        self.sum as f64 / SCALE
    }

    /// `count`, and with samples `avg`, `min`, `med`, `max`, `p(90)`, `p(95)`, `p(99)`.
    pub fn values(&self) -> BTreeMap<&'static str, Figure> {
        let mut values = BTreeMap::from([("count", Figure(self.count as f64))]);
        for (name, value) in [
            ("avg", self.mean()),
            ("min", self.min()),
            ("med", self.percentile(50.0)),
            ("max", self.max()),
            ("p(90)", self.percentile(90.0)),
            ("p(95)", self.percentile(95.0)),
            ("p(99)", self.percentile(99.0)),
        ] {
            values.extend(value.map(|v| (name, Figure(v))));
        }
        values
    }
}

impl Serialize for Trend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values().serialize(serializer)
    }
}

/// A metric.
#[derive(Debug, Clone)]
pub enum Metric {
    /// Values with percentiles.
    Trend(Trend),
    /// Number of events, and how many per second of the load.
    Counter {
        /// Events.
        count: u64,
        /// Per second.
        rate: f64,
    },
    /// Last value, smallest and largest.
    Gauge {
        /// Last.
        value: f64,
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// How many samples were true. For `http_req_failed` `passes` are the failed ones, as in k6's files.
    Rate {
        /// True.
        passes: u64,
        /// False.
        fails: u64,
    },
}

impl Metric {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Trend(_) => Kind::Trend,
            Self::Counter { .. } => Kind::Counter,
            Self::Gauge { .. } => Kind::Gauge,
            Self::Rate { .. } => Kind::Rate,
        }
    }

    /// What `aggregation` comes to; none without samples, or where it does not fit the type.
    pub fn aggregate(&self, aggregation: Aggregation) -> Option<f64> {
        match (self, aggregation) {
            (Self::Trend(trend), Aggregation::Avg) => trend.mean(),
            (Self::Trend(trend), Aggregation::Min) => trend.min(),
            (Self::Trend(trend), Aggregation::Max) => trend.max(),
            (Self::Trend(trend), Aggregation::Med) => trend.percentile(50.0),
            (Self::Trend(trend), Aggregation::Percentile(p)) => trend.percentile(p),
            (Self::Counter { count, .. }, Aggregation::Count) => Some(*count as f64),
            (Self::Counter { rate, .. }, Aggregation::Rate) => Some(*rate),
            (Self::Gauge { value, .. }, Aggregation::Value) => Some(*value),
            (Self::Rate { passes, fails }, Aggregation::Rate) => share(*passes, *fails),
            _ => None,
        }
    }

    /// The figures under their names in k6's files.
    pub fn values(&self) -> BTreeMap<&'static str, Figure> {
        match self {
            Self::Trend(trend) => trend.values(),
            Self::Counter { count, rate } => {
                BTreeMap::from([("count", Figure(*count as f64)), ("rate", Figure(*rate))])
            }
            Self::Gauge { value, min, max } => {
                BTreeMap::from([("value", Figure(*value)), ("min", Figure(*min)), ("max", Figure(*max))])
            }
            Self::Rate { passes, fails } => {
                let mut values = BTreeMap::from([("passes", Figure(*passes as f64)), ("fails", Figure(*fails as f64))]);
                values.extend(share(*passes, *fails).map(|rate| ("rate", Figure(rate))));
                values
            }
        }
    }
}

fn share(passes: u64, fails: u64) -> Option<f64> {
    (passes + fails > 0).then(|| passes as f64 / (passes + fails) as f64)
}

impl Serialize for Metric {
    /// `{"type": "trend", "values": {…}}`
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut metric = serializer.serialize_struct("Metric", 2)?;
        metric.serialize_field("type", self.kind().name())?;
        metric.serialize_field("values", &self.values())?;
        metric.end()
    }
}

/// A number in a file: whole ones are written without a fraction.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Figure(pub f64);

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 9e15 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_metric_is_type_and_values() {
        let text = |metric: Metric| serde_json::to_string(&metric).unwrap();
        assert_eq!(
            text(Metric::Counter { count: 86, rate: 41.25 }),
            r#"{"type":"counter","values":{"count":86,"rate":41.25}}"#
        );
        assert_eq!(
            text(Metric::Gauge { value: 3.0, min: 2.0, max: 3.0 }),
            r#"{"type":"gauge","values":{"max":3,"min":2,"value":3}}"#
        );
        assert_eq!(
            text(Metric::Rate { passes: 1, fails: 3 }),
            r#"{"type":"rate","values":{"fails":3,"passes":1,"rate":0.25}}"#
        );
        assert_eq!(text(Metric::Trend(Trend::default())), r#"{"type":"trend","values":{"count":0}}"#);
    }

    #[test]
    fn values_beyond_an_hour_and_no_numbers_do_no_harm() {
        let mut trend = Trend::default();
        for value in [f64::NAN, -1.0, f64::INFINITY, 1e12] {
            trend.record(value);
        }
        assert_eq!((trend.count(), trend.min()), (4, Some(0.0)));
        assert!(trend.percentile(99.0).is_some());
    }

    fn of(values: &[u64]) -> Trend {
        let mut trend = Trend::default();
        for value in values {
            trend.record_thousandths(*value);
        }
        trend
    }

    proptest! {
        #[test]
        fn merged_trends_are_the_trend_of_all(
            a in prop::collection::vec(0_u64..20_000_000, 0..60),
            b in prop::collection::vec(0_u64..20_000_000, 0..60),
        ) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let all = of(&[a, b].concat());
            prop_assert_eq!(merged.values(), all.values());
            for p in 0..=100 {
                prop_assert_eq!(merged.percentile(f64::from(p)), all.percentile(f64::from(p)));
            }
        }

        #[test]
        fn samples_above_a_value_are_counted(values in prop::collection::vec(0_u64..2_000_000, 0..200), limit in 0_u64..2_000_000) {
            let counted = of(&values).count_above(limit as f64 / SCALE);
            // Values that share a bucket with the limit may fall on either side.
            let above = |limit: f64| values.iter().filter(|value| **value as f64 > limit).count() as u64;
            let limit = limit as f64;
            prop_assert!((above(limit * 1.001 + 1.0)..=above(limit * 0.999 - 1.0)).contains(&counted));
        }

        #[test]
        fn percentiles_are_right_to_three_digits(mut values in prop::collection::vec(1_u64..20_000_000, 1..200)) {
            let trend = of(&values);
            values.sort_unstable();
            for p in [1.0, 50.0, 90.0, 99.0, 100.0] {
                let rank = ((p / 100.0 * values.len() as f64).ceil() as usize).clamp(1, values.len());
                let exact = values[rank - 1] as f64 / 1_000.0;
                let got = trend.percentile(p).unwrap();
                prop_assert!((got - exact).abs() <= exact * 0.001 + 0.001, "p({p}) {got} against {exact}");
            }
        }
    }
}
