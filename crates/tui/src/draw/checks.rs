//! Checks: each with its verdict, evidence and rows.

use std::borrow::Cow;

use ratatui::layout::Rect;
use record::event::names::{Severity, Verdict};

use super::{
    panel::Panel,
    pen::{Pen, figure, piece},
    table::{Data, Detail, Section, col, num},
};
use crate::{
    model::{Check, Tone},
    theme::Role,
};

pub const PANEL: Panel = Panel {
    name: "Checks",
    sections: &[CHECKS],
    groups: &[&[0]],
    summary,
    rows: 2,
    away: |_| None,
    tone: |board| board.checks.iter().map(tone).max().unwrap_or(Tone::Plain),
};

fn tone(check: &Check) -> Tone {
    match check.verdict {
        Verdict::NotApplicable => Tone::Plain,
        Verdict::Holds => Tone::Good,
        Verdict::Unknown => Tone::Warn,
        Verdict::Violated if check.severity == Severity::Warning => Tone::Warn,
        Verdict::Violated => Tone::Bad,
    }
}

/// The verdict in a narrow column.
const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotApplicable => "n/a",
        known => known.name(),
    }
}

const CHECKS: Section = Section {
    name: |_| "Checks",
    columns: |_| Cow::Borrowed(const { &[col("check", 6), col("verdict", 9), num("rows", 5), col("evidence", 0)] }),
    len: |data| data.board.checks.len(),
    row: |data, at| {
        let check = &data.board.checks[at];
        let rows = if check.rows.is_empty() { String::new() } else { check.rows.len().to_string() };
        vec![
            piece(check.id.as_str(), Role::Accent),
            piece(word(check.verdict), super::pen::role_of(tone(check))),
            piece(rows, Role::Bad),
            piece(check.evidence.as_str(), Role::Text),
        ]
    },
    detail: |data, at| {
        let check = data.board.checks.get(at)?;
        let mut lines = vec![format!("{}: {}", check.verdict.name(), check.evidence)];
        lines.extend(check.rows.iter().cloned());
        Some(Detail { title: check.id.clone(), lines })
    },
    empty: |_| "not run yet; V runs them now, and a run ends with them",
};

fn summary(pen: &mut Pen<'_>, area: Rect, data: &Data<'_>) -> u16 {
    let count = |verdict: Verdict| data.board.checks.iter().filter(|c| c.verdict == verdict).count();
    let (holds, violated, unknown) = (count(Verdict::Holds), count(Verdict::Violated), count(Verdict::Unknown));
    if data.board.checks.is_empty() {
        return 0;
    }
    let mut figures = vec![
        figure("holds", holds.to_string(), Role::Good),
        figure("violated", violated.to_string(), if violated > 0 { Role::Bad } else { Role::Good }),
        figure("unknown", unknown.to_string(), if unknown > 0 { Role::Warn } else { Role::Good }),
        figure("verdict", data.board.verdict.text.as_str(), super::pen::role_of(data.board.verdict.tone)),
    ];
    let not_applicable = count(Verdict::NotApplicable);
    if not_applicable > 0 {
        figures.push(figure("n/a", not_applicable.to_string(), Role::Text));
    }
    pen.flow(area, &figures)
}
