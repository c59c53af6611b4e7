//! The table in the terminal.

use std::fmt::Write;

use base::{
    figure::{count, millis, or_dash, percent, rate},
    table,
};
use record::goal::State;
use verify::{CheckResult, Sets, Severity, Verdict, VerifyReport};

use super::{alarms, classes, rows};
use crate::{exit::Exit, summary::Summary};

/// The whole report as text.
pub fn render(summary: &Summary) -> String {
    let mut text = String::new();
    let sent: u64 = summary.requests.iter().map(|r| r.sent).sum();
    let _ = writeln!(
        text,
        "\n{} · {} · {} requests in {:.1} s of load ({}/s) · run {}",
        summary.profile,
        summary.system,
        count(sent),
        summary.load_s,
        rate(if summary.load_s > 0.0 { sent as f64 / summary.load_s } else { 0.0 }),
        summary.run
    );
    text.push_str(&phases(summary));
    text.push_str(&requests(summary, sent));
    text.push_str(&failures(summary));
    text.push_str(&sets(&summary.sets));
    text.push_str(&claims(summary));
    text.push_str(&goals(summary));
    text.push_str(&checks(&summary.checks));
    for line in alarms::lines(summary) {
        let _ = writeln!(text, "alarm: {line}");
    }
    text.push_str(&closing(summary));
    text
}

fn phases(summary: &Summary) -> String {
    if summary.phases.is_empty() {
        return String::new();
    }
    let mut table = table::new(
        &["phase", "target", "seconds", "requests", "req/s", "p50 ms", "p95 ms", "p99 ms", "max ms"],
        &[1, 2, 3, 4, 5, 6, 7, 8],
    );
    for phase in &summary.phases {
        let name = format!("{} {}", phase.scenario, phase.index + 1);
        table.add_row([name, phase.target.to_string()].into_iter().chain(rows::phase(phase)));
    }
    format!("\n{table}\n")
}

fn requests(summary: &Summary, sent: u64) -> String {
    let mut table = table::new(
        &["request", "outcome", "requests", "share", "p50 ms", "p95 ms", "p99 ms", "max ms"],
        &[2, 3, 4, 5, 6, 7],
    );
    for request in &summary.requests {
        table.add_rows(rows::request(request, sent));
    }
    table.add_row(vec!["sum".into(), String::new(), count(sent), percent(sent, sent)]);
    format!("\n{table}\n")
}

/// Longest example in a row, in characters: the table then fits 120 columns. `summary.json` has all of it.
const EXAMPLE_CHARS: usize = 72;

fn failures(summary: &Summary) -> String {
    let rows: Vec<_> = summary.requests.iter().flat_map(rows::failures).collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut table = table::new(&["failed request", "why", "requests", "the first of them"], &[2]);
    for [name, why, n, example] in rows {
        let cut = example.char_indices().nth(EXAMPLE_CHARS).map(|(at, _)| format!("{}…", &example[..at]));
        table.add_row([name, why, n, cut.unwrap_or(example)]);
    }
    format!("\n{table}\n")
}

fn sets(sets: &Sets) -> String {
    let mut text = String::new();
    for kind in sets.tables() {
        let figures: Vec<usize> = (1..kind.headings.len()).collect();
        let mut table = table::new(kind.headings, &figures);
        table.add_rows(kind.rows.iter().map(rows::set));
        let _ = write!(text, "\n{table}\n");
    }
    text
}

fn claims(summary: &Summary) -> String {
    let rows = rows::claims(summary);
    if rows.is_empty() {
        return String::new();
    }
    let mut table = table::new(&rows::CLAIMS, &[1, 2, 4, 5]);
    table.add_rows(rows);
    format!("\n{table}\n")
}

fn goals(summary: &Summary) -> String {
    if summary.goals.is_empty() {
        return String::new();
    }
    let mut table = table::new(&["goal", "wanted", "found", "state"], &[2]);
    for goal in &summary.goals {
        let state = match goal.state {
            State::Met => "met",
            State::Missed => "MISSED",
            State::Unknown => "UNKNOWN (counts as missed)",
        };
        let actual = goal.actual.map_or_else(|| "-".into(), |v| format!("{v:.4}"));
        table.add_row(vec![goal.metric.clone(), goal.expression.clone(), trim(&actual), state.into()]);
    }
    format!("\n{table}\n")
}

/// `0.5000` says no more than `0.5`.
fn trim(number: &str) -> String {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.').to_owned() } else { number.to_owned() }
}

fn checks(checks: &[CheckResult]) -> String {
    if checks.is_empty() {
        return String::new();
    }
    let mut table = table::new(&["check", "verdict", "evidence"], &[]);
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Holds => "holds",
            Verdict::Violated if check.severity == Severity::Warning => "warning",
            Verdict::Violated => "VIOLATED",
            Verdict::Unknown => "unknown",
            Verdict::NotApplicable => "not applicable",
        };
        table.add_row(vec![check.id.clone(), verdict.into(), check.evidence.clone()]);
        for row in check.rows.iter().take(5) {
            table.add_row(vec![String::new(), String::new(), format!("  {row}")]);
        }
    }
    format!("\n{table}\n")
}

/// From the request's first byte to the row, which is what a person waits for in the end.
fn end_to_end(summary: &Summary) -> String {
    let values = summary.metrics.get("end_to_end_duration").map(|metric| &metric["values"]);
    let ms = |name: &str| millis(values.and_then(|v| v[name].as_f64()));
    format!("request to row: median {} ms, p95 {} ms, most {} ms", ms("med"), ms("p(95)"), ms("max"))
}

fn closing(summary: &Summary) -> String {
    let mut text = String::new();
    let lag = &summary.lag;
    let _ = writeln!(
        text,
        "consumer lag: most {}, at the end {}, drained {}",
        or_dash(lag.max),
        or_dash(lag.last),
        lag.drain_s.map_or_else(|| "NOT in time".into(), |s| format!("in {s:.1} s")),
    );
    let _ = writeln!(text, "{}", end_to_end(summary));
    if !summary.restarts.is_empty() {
        let names: Vec<_> = summary.restarts.iter().map(|(name, n)| format!("{name} × {n}")).collect();
        let _ = writeln!(text, "started again: {}", names.join(", "));
    }
    if let Some(why) = &summary.bottleneck {
        let _ = writeln!(text, "the load generator was the bottleneck ({why}): goals prove nothing");
    }
    for warning in &summary.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    if let Some(why) = &summary.broken {
        let _ = writeln!(text, "BROKEN OFF: {why}; the figures are those until then, and nothing is proven");
    }
    let _ = writeln!(text, "outcomes: {}", classes(&summary.outcomes));
    let _ = writeln!(text, "verdict: {} (exit {})", summary.verdict.name(), summary.exit_code);
    if summary.exit_code == Exit::Missed.code() {
        text.push_str("consistency holds; goals were missed\n");
    }
    text
}

/// A line a run, where several were run in turn.
pub fn several(summaries: &[Summary]) -> String {
    let mut table = table::new(&["run", "requests", "verdict", "goals missed", "exit"], &[1, 3, 4]);
    for summary in summaries {
        let sent: u64 = summary.requests.iter().map(|r| r.sent).sum();
        let missed = summary.goals.iter().filter(|goal| goal.state != State::Met).count();
        table.add_row(vec![
            summary.profile.clone(),
            count(sent),
            summary.verdict.name().to_owned(),
            format!("{missed} of {}", summary.goals.len()),
            summary.exit_code.to_string(),
        ]);
    }
    format!("\n{table}\n")
}

/// What `verify` found.
pub fn verification(report: &VerifyReport) -> String {
    let mut text = format!("{}{}", sets(&Sets::of(&report.sets)), checks(&report.checks));
    for line in &report.notes {
        let _ = writeln!(text, "note: {line}");
    }
    let _ = writeln!(text, "verdict: {}", report.verdict.name());
    text
}
