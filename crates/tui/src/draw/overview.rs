//! Overview: what the generator does, goals and alarms, and how far requests have come on their way to rows.

use std::borrow::Cow;

use contract::figures::{self, Table, Wrong};
use ratatui::layout::Rect;
use record::{event::LoadSample, state::Funnel};

use super::{
    goals,
    panel::Panel,
    pen::{Pen, Piece, Scale, below, figure, halves, piece, role_of, top},
    table::{Column, Data, Detail, Section, col, no_detail, num},
};
use crate::{
    model::{Board, Subject},
    text,
    theme::Role,
};

pub const PANEL: Panel = Panel {
    name: "Overview",
    sections: &[GOALS, SUBJECTS, HAPPENINGS],
    groups: &[&[0, 1], &[2]],
    summary,
    rows: 12,
    away: |_| None,
    tone: |board| board.alarms.first().map_or(board.verdict.tone, |worst| worst.state.tone().max(board.verdict.tone)),
};

/// Goals, and the alarms under them.
const GOALS: Section = Section {
    name: |_| "Goals and alarms",
    columns: |_| Cow::Borrowed(const { &[col("", 1), col("metric", 0), col("goal, level", 16), num("now", 10)] }),
    len: |data| data.board.goals.len() + data.board.alarms.len(),
    row: |data, at| match data.board.goals.get(at) {
        Some(goal) => goals::goal_row(goal),
        None => goals::alarm_row(&data.board.alarms[at - data.board.goals.len()]),
    },
    detail: |data, at| match data.board.goals.get(at) {
        Some(goal) => Some(goals::goal_detail(goal)),
        None => data.board.alarms.get(at - data.board.goals.len()).map(goals::alarm_detail),
    },
    empty: |_| "no goals, no alarms",
};

fn subject_columns(data: &Data<'_>) -> Cow<'static, [Column]> {
    let Table { heading, columns, .. } = figures::table(data.board.kind);
    let figures = columns.iter().map(|column| num(column.heading, column.width).from(column.from));
    [num(heading, 6), col("name", 0).from(60), num("of", 8)].into_iter().chain(figures).collect()
}

fn subject_row<'a>(data: &Data<'a>, at: usize) -> Vec<Piece<'a>> {
    let Subject { claim, name, total, figures } = &data.board.subjects[at];
    let figure = |column: &figures::Column| {
        let value = figures.get(column.figure);
        let is_wrong = match column.wrong {
            Wrong::Never => false,
            Wrong::BelowZero => value.is_some_and(|n| n < 0),
            Wrong::AboveTotal => value.zip(*total).is_some_and(|(n, of)| i128::from(n) > i128::from(of)),
        };
        let words = match column.wrong {
            Wrong::BelowZero => value.map_or_else(|| "-".into(), |n| n.to_string()),
            _ => text::count(figures.count(column.figure)),
        };
        piece(words, if is_wrong { Role::Bad } else { Role::Text })
    };
    let id = claim.id.map_or_else(String::new, |id| id.to_string());
    let of = [piece(id, Role::Text), piece(name.as_str(), Role::Text), piece(text::count(*total), Role::Dim)];
    of.into_iter().chain(figures::table(data.board.kind).columns.iter().map(figure)).collect()
}

/// What is claimed; the panel of Redis has it too.
pub const SUBJECTS: Section = Section {
    name: |data| figures::table(data.board.kind).title,
    columns: subject_columns,
    len: |data| data.board.subjects.len(),
    row: subject_row,
    detail: no_detail,
    empty: |data| figures::table(data.board.kind).none,
};

const HAPPENINGS: Section = Section {
    name: |_| "What happened",
    columns: |_| Cow::Borrowed(const { &[col("at", 7), col("", 0)] }),
    len: |data| data.board.happenings.len(),
    row: |data, at| {
        let happenings = &data.board.happenings;
        let word = &happenings[happenings.len() - 1 - at]; // newest first
        vec![
            piece(word.at_ms.map_or_else(String::new, text::clock), Role::Dim),
            piece(word.text.as_str(), role_of(word.tone)),
        ]
    },
    detail: |data, at| {
        let happenings = &data.board.happenings;
        let word = happenings.get(happenings.len().checked_sub(at + 1)?)?;
        Some(Detail {
            title: word.at_ms.map_or_else(|| "What happened".into(), text::clock),
            lines: vec![word.text.clone()],
        })
    },
    empty: |_| "nothing yet",
};

fn summary(pen: &mut Pen<'_>, area: Rect, data: &Data<'_>) -> u16 {
    let board = data.board;
    let mut used = phases(pen, area, board);
    if let Some(load) = &board.load {
        used += figures(pen, below(area, used), board, load);
        used += outcomes(pen, below(area, used), load);
    } else {
        used += pen.line(below(area, used), 0, &[piece("no load yet", Role::Dim)]).min(1);
    }
    used += funnel(pen, below(area, used), &board.funnel);
    if !board.verdict.text.is_empty() {
        let mut pieces =
            vec![piece("so far ", Role::Dim), piece(board.verdict.text.as_str(), role_of(board.verdict.tone))];
        pieces.extend(goals::raised(&board.alarms));
        pen.line(below(area, used), 0, &pieces);
        used += 1;
    }
    // Lines come last: they take what is left.
    if let Some(load) = &board.load {
        used += sparks(pen, below(area, used), board, load);
    }
    used.min(area.height)
}

fn phases(pen: &mut Pen<'_>, area: Rect, board: &Board) -> u16 {
    let shown = board.phases.len().min(3).min(usize::from(area.height));
    for (row, phase) in board.phases.iter().take(shown).enumerate() {
        let y = area.top() + row as u16;
        let of = phase.of.map_or_else(String::new, |of| format!("/{of}"));
        let words = format!(" phase {}{of}, target {} ", phase.number, phase.target);
        let x = pen.put(area.left(), y, area.right(), &phase.scenario, Role::Accent);
        let x = pen.put(x, y, area.right(), &words, Role::Text).max(area.left() + 34.min(area.width));
        if let Some(progress) = phase.progress {
            let width = area.right().saturating_sub(x + 6).min(40);
            let x = pen.bar(x, y, width, progress, Role::Good);
            pen.put(x, y, area.right(), &format!(" {:.0} %", progress.clamp(0.0, 1.0) * 100.0), Role::Text);
        }
    }
    shown as u16
}

fn figures(pen: &mut Pen<'_>, area: Rect, board: &Board, load: &LoadSample) -> u16 {
    // A refusal (SOLD_OUT, DUPLICATE) is an answer; these two are none.
    let errors: u64 = ["ERROR", "UNKNOWN"].iter().filter_map(|class| load.outcomes.get(*class)).sum();
    let failing = if errors > 0 { Role::Bad } else { Role::Good };
    let dropped = if load.dropped > 0 { Role::Warn } else { Role::Text };
    let errors = format!("{} ({})", base::figure::count(errors), base::figure::percent(errors, load.sent));
    let mut all = vec![
        figure("VUs", base::figure::count(u64::from(load.vus)), Role::Accent),
        figure("RPS", text::rate(Some(load.rps)), Role::Accent),
        figure("requests", base::figure::count(load.sent), Role::Text),
        figure("p50", text::ms(load.p50_ms), Role::First),
        figure("p95", text::ms(load.p95_ms), Role::Second),
        figure("p99", text::ms(load.p99_ms), Role::Third),
        figure("errors", errors, failing),
        figure("dropped", base::figure::count(load.dropped), dropped),
    ];
    // What has no subjects that could be listed is counted at least.
    let listed = |kind: &String| board.subjects.iter().any(|subject| subject.claim.kind.name() == kind);
    for (kind, n) in load.claims.iter().filter(|(kind, n)| **n > 0 && !listed(kind)) {
        all.push(figure(kind, format!("{} claimed", base::figure::count(*n)), Role::Text));
    }
    for (name, of) in &load.cache {
        all.push(figure(name, format!("{} p95 {}", base::figure::count(of.answers), text::ms(of.p95_ms)), Role::Text));
    }
    pen.flow(area, &all)
}

fn outcomes(pen: &mut Pen<'_>, area: Rect, load: &LoadSample) -> u16 {
    let all: Vec<_> = load
        .outcomes
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(class, n)| {
            let bad = matches!(class.as_str(), "ERROR" | "UNKNOWN" | "TIMEOUT");
            figure(class, base::figure::count(*n), if bad { Role::Warn } else { Role::Text })
        })
        .collect();
    pen.flow(top(area, 2), &all)
}

fn sparks(pen: &mut Pen<'_>, area: Rect, board: &Board, load: &LoadSample) -> u16 {
    // Where there is room for two rows or three, two lines beside each other leave the tables the others.
    let wide = area.width >= 120 || area.height < 4;
    let high = (area.height / if wide { 2 } else { 4 }).clamp(1, 6);
    let series = &board.series;
    // One scale for all three, so that they can be compared.
    let latency = Scale::log(&[&series.p50, &series.p95, &series.p99]);
    let rps = Scale::linear(&series.rps);
    let rows = [
        ("RPS", &series.rps, rps, Role::Accent, text::rate(Some(load.rps))),
        ("p50", &series.p50, latency, Role::First, text::ms(load.p50_ms)),
        ("p95", &series.p95, latency, Role::Second, text::ms(load.p95_ms)),
        ("p99", &series.p99, latency, Role::Third, text::ms(load.p99_ms)),
    ];
    let mut used = 0;
    for (i, (label, values, scale, role, now)) in rows.into_iter().enumerate() {
        let mut cell = top(below(area, used), high);
        if wide {
            cell = halves(cell)[i % 2];
        }
        if cell.is_empty() {
            break;
        }
        pen.put(cell.left(), cell.top(), cell.right(), label, Role::Dim);
        if matches!(scale, Scale::Log(..)) && high > 1 {
            pen.put(cell.left(), cell.top() + 1, cell.right(), "log", Role::Dim);
        }
        pen.put_right(cell.right().saturating_sub(10), cell.top(), cell.right(), &now, role);
        let spark = Rect { x: cell.x + 4.min(cell.width), width: cell.width.saturating_sub(15), ..cell };
        pen.spark(spark, values, scale, role);
        if !wide || i % 2 == 1 {
            used += high;
        }
    }
    used
}

fn funnel(pen: &mut Pen<'_>, area: Rect, funnel: &Funnel) -> u16 {
    let arrow = format!(" {} ", pen.glyphs().arrow);
    let dead = if funnel.dead_letters.unwrap_or(0) > 0 { Role::Bad } else { Role::Text };
    let flight = funnel.in_flight().map_or(Role::Dim, |n| if n > 0 { Role::Accent } else { Role::Good });
    let mut pieces = Vec::new();
    for (i, (label, came)) in funnel.steps.iter().enumerate() {
        if i > 0 {
            pieces.push(piece(arrow.clone(), Role::Dim));
        }
        pieces.push(piece(format!("{label} "), Role::Dim));
        let role = if i + 1 == funnel.steps.len() { Role::Accent } else { Role::Text };
        pieces.push(piece(text::count(*came), role));
    }
    let ends = [
        piece("   dead letters ", Role::Dim),
        piece(text::count(funnel.dead_letters), dead),
        piece("   in flight ", Role::Dim),
        piece(text::count(funnel.in_flight()), flight),
    ];
    let width = |pieces: &[Piece<'_>]| pieces.iter().map(|p| text::width(&p.text)).sum::<usize>();
    let one = width(&pieces) + width(&ends) <= usize::from(area.width);
    if one {
        pieces.extend(ends);
        pen.line(area, 0, &pieces);
        return 1.min(area.height);
    }
    pen.line(area, 0, &pieces);
    pen.line(area, 1, &ends);
    2.min(area.height)
}
