//! A history that never grows beyond a fixed number of points: when it is full, neighbours are merged in pairs.

use std::sync::Arc;

/// Points that are kept at most.
pub const MOST_POINTS: usize = 512;

/// One point: what was seen from `t_ms` on, until the next point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Milliseconds since the run began.
    pub t_ms: u64,
    /// Mean of the samples in it.
    pub mean: f64,
    /// Smallest of them.
    pub min: f64,
    /// Largest of them: a peak stays visible however long the run is.
    pub max: f64,
}

/// A history. Cloning it is cheap: the points are shared until one of the two is changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    points: Arc<Vec<Point>>,
    /// Samples in a whole point.
    per_point: u32,
    /// Samples in the last point.
    in_last: u32,
    newest: Option<f64>,
}

impl Default for Series {
    fn default() -> Self {
        Self { points: Arc::default(), per_point: 1, in_last: 0, newest: None }
    }
}

impl Series {
    /// Adds a sample. What is no number is left out.
    pub fn push(&mut self, t_ms: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.newest = Some(value);
        let points = Arc::make_mut(&mut self.points);
        if let Some(last) = points.last_mut().filter(|_| self.in_last < self.per_point) {
            self.in_last += 1;
            last.mean += (value - last.mean) / f64::from(self.in_last);
            last.min = last.min.min(value);
            last.max = last.max.max(value);
            return;
        }
        if points.len() >= MOST_POINTS {
            let merge = |pair: &[Point]| {
                let (first, last) = (pair[0], pair[pair.len() - 1]);
                Point {
                    t_ms: first.t_ms,
                    mean: f64::midpoint(first.mean, last.mean),
                    min: first.min.min(last.min),
                    max: first.max.max(last.max),
                }
            };
            let merged = points.chunks(2).map(merge).collect();
            *points = merged;
            self.per_point = self.per_point.saturating_mul(2);
        }
        points.push(Point { t_ms, mean: value, min: value, max: value });
        self.in_last = 1;
    }

    /// Adds a sample if there is one.
    pub fn extend(&mut self, t_ms: u64, value: Option<f64>) {
        if let Some(value) = value {
            self.push(t_ms, value);
        }
    }

    /// The points, oldest first.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The newest sample as it was.
    pub fn newest(&self) -> Option<f64> {
        self.newest
    }

    /// Largest sample of all.
    pub fn max(&self) -> Option<f64> {
        self.points.iter().map(|point| point.max).reduce(f64::max)
    }

    /// The last `columns` columns of time, oldest first, for a sparkline that shows the span `from_ms..=to_ms`: the
    /// largest value of each column, none where nothing was seen.
    pub fn columns(&self, from_ms: u64, to_ms: u64, columns: usize) -> Vec<Option<f64>> {
        let mut all = vec![None; columns];
        let span = to_ms.saturating_sub(from_ms).max(1);
        for point in self.points.iter().filter(|point| (from_ms..=to_ms).contains(&point.t_ms)) {
            let column = (u128::from(point.t_ms - from_ms) * columns as u128 / (u128::from(span) + 1)) as usize;
            if let Some(cell) = all.get_mut(column) {
                *cell = Some(cell.map_or(point.max, |value: f64| value.max(point.max)));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_stays_bounded_in_order_and_keeps_peaks_and_the_newest(
            values in proptest::collection::vec(-1e6_f64..1e6, 1..6_000),
        ) {
            let mut series = Series::default();
            for (i, value) in values.iter().enumerate() {
                series.push(i as u64 * 1_000, *value);
            }
            prop_assert!(series.points().len() <= MOST_POINTS);
            prop_assert!(series.points().windows(2).all(|pair| pair[0].t_ms < pair[1].t_ms));
            prop_assert_eq!(series.points()[0].t_ms, 0);
            let largest = values.iter().copied().reduce(f64::max);
            prop_assert_eq!(series.max(), largest);
            prop_assert_eq!(series.newest(), values.last().copied());
            prop_assert!(series.points().iter().all(|p| p.min <= p.mean + 1e-6 && p.mean <= p.max + 1e-6));
        }
    }

    #[test]
    fn a_clone_does_not_see_what_comes_later() {
        let mut series = Series::default();
        series.push(0, 1.0);
        let before = series.clone();
        series.push(1, 2.0);
        series.push(2, f64::NAN);
        assert_eq!((before.points().len(), series.points().len()), (1, 2));
    }

    #[test]
    fn columns_show_the_largest_value_and_gaps() {
        let mut series = Series::default();
        for (t, value) in [(0, 1.0), (500, 9.0), (3_000, 4.0)] {
            series.push(t, value);
        }
        assert_eq!(series.columns(0, 3_999, 4), [Some(9.0), None, None, Some(4.0)]);
        assert_eq!(series.columns(0, 0, 1), [Some(1.0)]);
        assert!(series.columns(0, 10, 0).is_empty());
    }
}
