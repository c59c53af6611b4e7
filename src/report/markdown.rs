//! `report.md`.

use std::fmt::Write;

use base::figure::{count, or_dash};
use record::goal::State;
use verify::{Severity, Verdict};

use super::rows;
use crate::summary::Summary;

/// The whole report as Markdown.
pub fn render(summary: &Summary) -> String {
    let mut text = String::new();
    let sent: u64 = summary.requests.iter().map(|r| r.sent).sum();
    let _ = writeln!(text, "# {} — {}\n", summary.profile, summary.verdict.name());
    let _ = writeln!(
        text,
        "Run `{}`, begun {}, {:.1} s in all, {:.1} s of load, {} requests, exit {}.\n",
        summary.run,
        summary.started_at,
        summary.duration_s,
        summary.load_s,
        count(sent),
        summary.exit_code
    );
    if let Some(why) = &summary.broken {
        let _ = writeln!(text, "**Broken off**: {why}. The figures are those until then, and nothing is proven.\n");
    }
    checks(&mut text, summary);
    sets(&mut text, summary);
    claims(&mut text, summary);
    goals(&mut text, summary);
    alarms(&mut text, summary);
    requests(&mut text, summary, sent);
    phases(&mut text, summary);
    environment(&mut text, summary);
    text
}

fn table(text: &mut String, header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let _ = writeln!(text, "| {} |", header.join(" | "));
    let _ = writeln!(text, "|{}", " --- |".repeat(header.len()));
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text.push('\n');
}

fn checks(text: &mut String, summary: &Summary) {
    text.push_str("## Checks\n\n");
    table(
        text,
        &["check", "verdict", "evidence"],
        summary.checks.iter().map(|check| {
            let verdict = match check.verdict {
                Verdict::Holds => "holds",
                Verdict::Violated if check.severity == Severity::Warning => "warning",
                Verdict::Violated => "**violated**",
                Verdict::Unknown => "unknown",
                Verdict::NotApplicable => "not applicable",
            };
            let rows = if check.rows.is_empty() { String::new() } else { format!(" — {}", check.rows.join("; ")) };
            vec![check.id.clone(), verdict.into(), format!("{}{rows}", check.evidence)]
        }),
    );
}

fn sets(text: &mut String, summary: &Summary) {
    for kind in summary.sets.tables() {
        let _ = writeln!(text, "## {}\n\n{}\n", kind.title, kind.legend);
        table(text, kind.letters, kind.rows.iter().map(rows::set));
    }
}

fn claims(text: &mut String, summary: &Summary) {
    let rows = rows::claims(summary);
    if !rows.is_empty() {
        text.push_str("## Claims\n\n");
        table(text, &rows::CLAIMS, rows.into_iter().map(Vec::from));
    }
}

fn goals(text: &mut String, summary: &Summary) {
    text.push_str("## Goals\n\n");
    if let Some(why) = &summary.bottleneck {
        let _ = writeln!(text, "**The load generator was the bottleneck** ({why}): the goals prove nothing.\n");
    }
    table(
        text,
        &["metric", "wanted", "found", "state"],
        summary.goals.iter().map(|goal| {
            let state = match goal.state {
                State::Met => "met",
                State::Missed => "**missed**",
                State::Unknown => "unknown (counts as missed)",
            };
            let actual = goal.actual.map_or_else(|| "-".into(), |v| format!("{v:.4}"));
            vec![goal.metric.clone(), format!("`{}`", goal.expression), actual, state.into()]
        }),
    );
}

fn alarms(text: &mut String, summary: &Summary) {
    if summary.alarms.is_empty() {
        return;
    }
    text.push_str("## Alarms\n\n");
    let raised = super::alarms::lines(summary);
    if raised.is_empty() {
        let watched: Vec<_> = summary.alarms.iter().map(|alarm| format!("`{}`", alarm.metric)).collect();
        let _ = writeln!(text, "None was raised; watched: {}.", watched.join(", "));
    }
    for line in raised {
        let _ = writeln!(text, "- {line}");
    }
    text.push('\n');
}

fn requests(text: &mut String, summary: &Summary, sent: u64) {
    text.push_str("## Requests\n\n");
    let rows = summary.requests.iter().flat_map(|request| rows::request(request, sent));
    table(text, &["request", "outcome", "requests", "share", "p50 ms", "p95 ms", "p99 ms", "max ms"], rows);
    let failed: Vec<_> = summary.requests.iter().flat_map(rows::failures).map(Vec::from).collect();
    if !failed.is_empty() {
        text.push_str("## Failures\n\n");
        table(text, &["request", "why", "requests", "the first of them"], failed.into_iter());
    }
}

fn phases(text: &mut String, summary: &Summary) {
    text.push_str("## Phases\n\n");
    table(
        text,
        &["scenario", "phase", "target", "s", "requests", "req/s", "p50 ms", "p95 ms", "p99 ms", "max ms"],
        summary.phases.iter().map(|p| {
            [p.scenario.clone(), (p.index + 1).to_string(), p.target.to_string()]
                .into_iter()
                .chain(rows::phase(p))
                .collect()
        }),
    );
}

fn environment(text: &mut String, summary: &Summary) {
    text.push_str("## Consumers\n\n");
    let lag = &summary.lag;
    let drained = lag.drain_s.map_or_else(|| "not drained in time".into(), |s| format!("drained in {s:.1} s"));
    let _ = writeln!(text, "Lag: most {}, at the end {}, {drained}.\n", or_dash(lag.max), or_dash(lag.last));
    table(
        text,
        &["partition", "end", "committed", "lag"],
        lag.per_partition
            .iter()
            .map(|p| vec![p.partition.to_string(), p.end.to_string(), or_dash(p.committed), or_dash(p.lag)]),
    );
    for (name, n) in &summary.restarts {
        let _ = writeln!(text, "- `{name}` ended unasked and was started again {n} times");
    }
    for warning in &summary.warnings {
        let _ = writeln!(text, "- warning: {warning}");
    }
    text.push_str("\n## Stack\n\n");
    table(
        text,
        &["component", "provider", "version", "address"],
        summary
            .stack
            .iter()
            .map(|(name, c)| vec![name.clone(), c.provider.to_string(), c.version.clone(), c.address.clone()]),
    );
    text.push_str("## Settings of the backend\n\n```json\n");
    text.push_str(&serde_json::to_string_pretty(&summary.settings).unwrap_or_default());
    text.push_str("\n```\n");
}
