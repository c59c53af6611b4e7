//! Rows that stand in more than one report.

use base::figure::{count, millis, or_dash, percent, rate};
use load::PhaseSummary;

use crate::summary::{ClaimFigures, Request, Summary};

/// What a row is called, and its counts.
pub fn set((name, counts): &(String, Vec<Option<i64>>)) -> Vec<String> {
    let counts = counts.iter().map(|value| or_dash(value.map(grouped)));
    std::iter::once(name.clone()).chain(counts).collect()
}

/// A count; what lies below 0, which a broken stock may, keeps its sign.
fn grouped(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", count(value.unsigned_abs()))
}

/// Header of [`claims`].
pub const CLAIMS: [&str; 6] = ["claim", "sent", "done", "refused", "unknown", "receipts missing"];

/// Claim, requests, done, refused with the statuses that said so, unknown, and receipts that are missing, where they are asked
/// for; of kinds that have no table of their own.
pub fn claims(summary: &Summary) -> Vec<[String; 6]> {
    let row = |of: &ClaimFigures| {
        let statuses: Vec<_> = of.refusals.iter().map(|(status, n)| format!("{status} × {}", count(*n))).collect();
        let why = if statuses.is_empty() { String::new() } else { format!(" ({})", statuses.join(", ")) };
        [
            of.claim.clone(),
            count(of.sent),
            count(of.done),
            format!("{}{why}", count(of.refused)),
            count(of.unknown),
            or_dash(of.receipts_missing),
        ]
    };
    // A kind with a table of its own says the same there, and more.
    let tables = summary.sets.tables();
    let is_listed = |of: &&ClaimFigures| tables.iter().all(|table| table.kind != of.kind);
    summary.claims.iter().filter(is_listed).map(row).collect()
}

/// Seconds, requests, requests per second, p50, p95, p99 and longest of a phase.
pub fn phase(phase: &PhaseSummary) -> [String; 7] {
    [
        format!("{:.1}", phase.duration_s),
        count(phase.sent),
        rate(phase.rps),
        millis(phase.p50_ms),
        millis(phase.p95_ms),
        millis(phase.p99_ms),
        millis(phase.max_ms),
    ]
}

/// Rows of request, outcome, requests, share of `sent`, p50, p95, p99 and longest: all of a request, then hits and misses
/// of a cache, then each outcome, for which there are no times.
pub fn request(request: &Request, sent: u64) -> Vec<Vec<String>> {
    let row = |name: &str, what: String, n: u64, times: [Option<f64>; 4]| {
        let figures = [name.to_owned(), what, count(n), percent(n, sent)];
        figures.into_iter().chain(times.map(millis)).collect()
    };
    let times = [request.p50_ms, request.p95_ms, request.p99_ms, request.max_ms];
    let mut rows: Vec<Vec<String>> = vec![row(&request.name, "all".into(), request.sent, times)];
    for (name, cached) in &request.cache {
        let times = [cached.p50_ms, cached.p95_ms, cached.p99_ms, cached.max_ms];
        rows.push(row("", format!("cache {name}"), cached.answers, times));
    }
    for (class, n) in request.outcomes.iter().filter(|(_, n)| **n > 0) {
        let none = std::iter::repeat_n(String::new(), times.len());
        rows.push([String::new(), class.clone(), count(*n), percent(*n, sent)].into_iter().chain(none).collect());
    }
    rows
}

/// Most rows of failures of one request.
const MOST_FAILURES: usize = 10;

/// Rows of request, why it failed, requests, and what was said at the first one: kinds of missing answers and statuses of
/// outcome ERROR or UNKNOWN, the most frequent first.
pub fn failures(request: &Request) -> Vec<[String; 4]> {
    let example = |kind: &String| request.failure_examples.get(kind).cloned().unwrap_or_default();
    let unanswered = request.failures.iter().map(|(kind, n)| (*n, kind.clone(), example(kind)));
    let statuses = request.error_statuses.iter().map(|(status, n)| (*n, format!("status {status}"), String::new()));
    let mut all: Vec<_> = unanswered.chain(statuses).collect();
    all.sort_by_key(|(n, ..)| std::cmp::Reverse(*n));
    let more = all.split_off(all.len().min(MOST_FAILURES));
    if !more.is_empty() {
        all.push((more.iter().map(|(n, ..)| n).sum(), format!("{} more kinds", more.len()), String::new()));
    }
    all.into_iter().map(|(n, why, example)| [request.name.clone(), why, count(n), example]).collect()
}
