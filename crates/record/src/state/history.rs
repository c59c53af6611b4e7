//! Histories of what is drawn over time.

use std::collections::BTreeMap;

use contract::{claim::Claim, figures::Figure};

use super::series::{Point, Series};
use crate::{
    event::Figures,
    metric::{Known, reading::Reading},
};

/// Parts of one metric that are kept: more components than this are not drawn over time.
pub const MOST_KEYS: usize = 64;
/// Figures of all subjects that are kept.
const MOST_FIGURES: usize = 4 * MOST_KEYS;

/// Histories by name.
pub type Keyed<K> = BTreeMap<K, Series>;

/// Histories of a run: of every metric that is read from events while it goes on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Name of a metric → its values.
    metrics: BTreeMap<&'static str, Line>,
    /// Subject and name of a figure → its values.
    figures: Keyed<(Claim, &'static str)>,
}

/// A metric over time.
#[derive(Debug, Clone, Default, PartialEq)]
struct Line {
    whole: Series,
    parts: Keyed<String>,
}

impl History {
    /// The points of a metric as a whole, oldest first.
    pub fn of(&self, metric: &Known) -> &[Point] {
        self.metrics.get(metric.name).map_or(&[], |line| line.whole.points())
    }

    /// The parts of a metric, each with its name.
    pub fn parts(&self, metric: &Known) -> impl Iterator<Item = (&str, &Series)> {
        let line = self.metrics.get(metric.name);
        line.into_iter().flat_map(|line| &line.parts).map(|(name, series)| (name.as_str(), series))
    }

    pub(super) fn see(&mut self, t_ms: u64, reading: &Reading<'_>) {
        let Some(value) = reading.value else { return };
        let line = self.metrics.entry(reading.metric.name).or_default();
        let Some(label) = &reading.label else { return line.whole.push(t_ms, value) };
        if let Some(series) = line.parts.get_mut(label.as_ref()) {
            series.push(t_ms, value);
        } else if line.parts.len() < MOST_KEYS {
            line.parts.entry(label.clone().into_owned()).or_default().push(t_ms, value);
        }
    }

    /// A figure of a subject over time; none where it was never known.
    pub fn figure(&self, subject: Claim, figure: Figure) -> Option<&Series> {
        self.figures.get(&(subject, figure.name))
    }

    pub(super) fn subject(&mut self, t_ms: u64, subject: Claim, figures: &Figures) {
        for (name, value) in figures.iter() {
            if let Some(series) = self.figures.get_mut(&(subject, name)) {
                series.push(t_ms, value as f64);
            } else if self.figures.len() < MOST_FIGURES {
                self.figures.entry((subject, name)).or_default().push(t_ms, value as f64);
            }
        }
    }
}
