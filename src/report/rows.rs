//! Rows that stand in more than one report.

use super::{count, figure, millis};
use crate::{load::PhaseSummary, verify::SetSizes};

/// Coupon, total, granted, events, rows, dead, left, told QUEUED, unknown, refused.
pub fn coupon(sizes: &SetSizes) -> Vec<String> {
    let n = |value: Option<u64>| value.map_or_else(|| "-".into(), count);
    vec![
        sizes.coupon.to_string(),
        count(sizes.total),
        n(sizes.grants),
        n(sizes.events),
        n(sizes.rows),
        n(sizes.dead),
        figure(sizes.stock),
        n(sizes.acknowledged),
        n(sizes.uncertain),
        n(sizes.refused),
    ]
}

/// Seconds, requests, requests per second, p50, p95, p99 and longest of a phase.
pub fn phase(phase: &PhaseSummary) -> [String; 7] {
    [
        format!("{:.1}", phase.duration_s),
        count(phase.sent),
        format!("{:.0}", phase.rps),
        millis(phase.p50_ms),
        millis(phase.p95_ms),
        millis(phase.p99_ms),
        millis(phase.max_ms),
    ]
}
