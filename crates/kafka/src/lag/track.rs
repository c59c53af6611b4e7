//! One partition over the last looks.

use std::{collections::VecDeque, time::Duration};

use super::look::PartitionLook;

/// Looks that are kept.
pub(super) const WINDOW: usize = 15;
/// Looks over which rates are taken: few, so that they follow what happens.
const RATE_WINDOW: usize = 6;
/// Looks without which a slope says nothing.
const SLOPE_LOOKS: usize = 3;
/// Shortest time in which nothing is committed that is a stall.
const STALL_S: f64 = 5.0;
/// As many intervals between commits may pass before nothing was committed.
const STALL_COMMITS: f64 = 3.0;

#[derive(Debug, Clone, Copy)]
struct Point {
    at_s: f64,
    end: i64,
    committed: Option<i64>,
    lag: Option<u64>,
}

/// A partition's course.
#[derive(Debug, Default)]
pub(super) struct Track {
    points: VecDeque<Point>,
    /// Since when there was lag all the time and the committed offset stood still.
    still_since: Option<f64>,
    /// Since when its share of the produced records was too large.
    pub crowded_since: Option<f64>,
}

impl Track {
    pub fn push(&mut self, at_s: f64, look: &PartitionLook) {
        if self.points.back().is_some_and(|last| last.end > look.end || last.at_s > at_s) {
            // A log never gets shorter: the topic was made anew.
            *self = Self::default();
        }
        let lag = look.lag().ok();
        let stood = self.points.back().is_some_and(|last| last.committed == look.committed);
        let since = self.still_since.filter(|_| stood).unwrap_or(at_s);
        self.still_since = lag.filter(|lag| *lag > 0).map(|_| since);
        if self.points.len() >= WINDOW {
            self.points.pop_front();
        }
        self.points.push_back(Point { at_s, end: look.end, committed: look.committed, lag });
    }

    /// Nothing was seen for a while: what must hold without a pause begins anew.
    pub fn gap(&mut self) {
        self.still_since = None;
        self.crowded_since = None;
    }

    /// The committed offset fell within the window.
    pub fn fell(&self) -> bool {
        self.last_fall() > 0
    }

    /// It fell with the newest look.
    pub fn just_fell(&self) -> bool {
        self.fell() && self.last_fall() + 1 == self.points.len()
    }

    /// First point after the committed offset last fell.
    fn last_fall(&self) -> usize {
        let fell = |(a, b): (&Point, &Point)| matches!((a.committed, b.committed), (Some(a), Some(b)) if a > b);
        self.points.iter().zip(self.points.iter().skip(1)).rposition(fell).map_or(0, |at| at + 1)
    }

    /// Lag, and nothing was committed for longer than commits take to come.
    pub fn is_stalled(&self, at_s: f64, commit_interval: Duration) -> bool {
        self.still_since.is_some_and(|since| at_s - since >= patience_s(commit_interval))
    }

    /// Something was committed since the offset last fell.
    pub fn moves(&self) -> bool {
        let committed = |point: Option<&Point>| point.and_then(|point| point.committed);
        committed(self.points.get(self.last_fall())) < committed(self.points.back())
    }

    /// Records per second by which the lag grows; what was before the offset fell says nothing about it.
    pub fn slope(&self) -> Option<f64> {
        let points = self.points.iter().skip(self.last_fall());
        slope(points.filter_map(|point| Some((point.at_s, point.lag? as f64))))
    }

    /// Records per second that come in.
    pub fn produced_per_s(&self) -> Option<f64> {
        let points = self.points.iter().skip(self.points.len().saturating_sub(RATE_WINDOW));
        rate(points.map(|point| (point.at_s, point.end)))
    }

    /// Records per second that the group commits.
    pub fn consumed_per_s(&self) -> Option<f64> {
        let from = self.last_fall().max(self.points.len().saturating_sub(RATE_WINDOW));
        rate(self.points.iter().skip(from).filter_map(|point| Some((point.at_s, point.committed?))))
    }

    /// Records that came in within the window.
    pub fn produced(&self) -> u64 {
        match (self.points.front(), self.points.back()) {
            (Some(first), Some(last)) => last.end.saturating_sub(first.end).max(0) as u64,
            _ => 0,
        }
    }
}

/// Seconds for which nothing may be committed.
pub(super) fn patience_s(commit_interval: Duration) -> f64 {
    STALL_S.max(STALL_COMMITS * commit_interval.as_secs_f64())
}

/// Least squares; absent for too few points, or for points that are all at one time.
pub(super) fn slope(points: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let points: Vec<(f64, f64)> = points.collect();
    if points.len() < SLOPE_LOOKS {
        return None;
    }
    let n = points.len() as f64;
    let (mean_x, mean_y) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let joint: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    Some(joint / spread).filter(|slope| slope.is_finite())
}

fn rate(mut points: impl Iterator<Item = (f64, i64)>) -> Option<f64> {
    let first = points.next()?;
    let last = points.last()?;
    let rate = last.1.saturating_sub(first.1) as f64 / (last.0 - first.0);
    Some(rate).filter(|rate| rate.is_finite())
}
