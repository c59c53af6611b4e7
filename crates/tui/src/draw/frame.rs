//! What is around the panels: header, tabs, attention, slider, keys.

use ratatui::layout::Rect;
use record::{event::names::Stage, state::Away};

use super::{
    panels::panel,
    pen::{Pen, Piece, below, piece, role_of},
};
use crate::{
    keys::{self, Mode},
    model::{Board, Tone},
    text,
    theme::Role,
    view::{Origin, Overlay, TABS, View},
};

/// Draws header, tabs and what needs attention; gives the rows it took.
pub fn header(pen: &mut Pen<'_>, area: Rect, board: &Board, view: &View) -> u16 {
    let dot = format!(" {} ", pen.glyphs().dot);
    let mut pieces = vec![piece("ecomctl", Role::Title)];
    let stage = board.stage.as_ref().map_or("", Stage::name);
    for words in [board.profile.as_str(), stage].into_iter().filter(|w| !w.is_empty()) {
        pieces.extend([piece(dot.as_str(), Role::Dim), piece(words, Role::Accent)]);
    }
    pieces.extend([piece(dot.as_str(), Role::Dim), piece(text::clock(board.at_ms), Role::Text)]);
    if let Some(progress) = board.progress {
        pieces.push(piece(format!("  {:.0} % of the load", progress.clamp(0.0, 1.0) * 100.0), Role::Dim));
    }
    pen.line(area, 0, &pieces);
    let (words, role) = origin(board, view);
    pen.put_right(area.right().saturating_sub(30), area.top(), area.right(), &words, role);
    tabs(pen, below(area, 1), board, view);
    2 + attention(pen, below(area, 2), board)
}

fn origin(board: &Board, view: &View) -> (String, Role) {
    if view.frozen {
        return (format!("{} FROZEN", pen_pause(view)), Role::Warn);
    }
    if let Some(code) = board.verdict.exit_code {
        return (format!("ended, exit {code}"), role_of(board.verdict.tone));
    }
    match view.origin {
        Origin::Idle => ("nothing runs".into(), Role::Dim),
        Origin::Run => ("running".into(), Role::Good),
        Origin::Attached => ("attached".into(), Role::Good),
        Origin::Watching => ("watching, no run".into(), Role::Accent),
        Origin::Replay => ("replay".into(), Role::Accent),
        Origin::Ended => ("ended".into(), Role::Accent),
    }
}

fn pen_pause(view: &View) -> &'static str {
    view.look.glyphs().pause
}

fn tabs(pen: &mut Pen<'_>, area: Rect, board: &Board, view: &View) {
    let glyphs = pen.glyphs();
    let mut x = area.left();
    for tab in 0..TABS {
        let panel = panel(tab);
        let shown = tab == view.tab && !view.launching;
        let (sign, role) = match ((panel.away)(board), (panel.tone)(board)) {
            (Some(_), _) | (None, Tone::Bad) => (glyphs.bad, Role::Bad),
            (None, Tone::Warn) => (glyphs.warn, Role::Warn),
            (None, Tone::Good) => (glyphs.good, Role::Good),
            (None, Tone::Plain) => ("", Role::Dim),
        };
        let from = x;
        let words = format!(" {} {} ", tab + 1, panel.name);
        x = pen.put(x, area.top(), area.right(), &words, if shown { Role::Title } else { Role::Text });
        let end = pen.put(x, area.top(), area.right(), sign, role);
        if shown {
            pen.paint(Rect { x: from, width: x - from, height: 1, ..area }, Role::Selected);
        }
        x = end + 1;
    }
}

/// One line: what is most urgent, and how much more there is.
fn attention(pen: &mut Pen<'_>, area: Rect, board: &Board) -> u16 {
    let Some(first) = board.attention.first() else { return 0 };
    let sign = if first.tone == Tone::Bad { pen.glyphs().bad } else { pen.glyphs().warn };
    let more = match board.attention.len() {
        1 => String::new(),
        n => format!("  (+{})", n - 1),
    };
    let right = area.right().saturating_sub(text::width(&more) as u16);
    let role = role_of(first.tone);
    let x = pen.put(area.left(), area.top(), right, &format!("{sign} "), role);
    let x = pen.put(x, area.top(), right, &first.text, role);
    pen.put(x, area.top(), area.right(), &more, Role::Dim);
    1
}

/// The line of a panel whose source is away.
pub fn away(pen: &mut Pen<'_>, area: Rect, name: &str, away: &Away) {
    let sign = pen.glyphs().bad;
    let words = format!("{sign} {name} away since {}: ", text::clock(away.since_ms));
    pen.line(area, 0, &[piece(words, Role::Bad), piece(away.why.as_str(), Role::Bad)]);
}

/// Draws slider and keys at the end of `area`; gives the rows it took.
pub fn footer(pen: &mut Pen<'_>, area: Rect, view: &View) -> u16 {
    let last = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
    keys_line(pen, last, view);
    let Some(slider) = &view.slider else { return 1 };
    let glyphs = pen.glyphs();
    let row = Rect { y: area.bottom().saturating_sub(2), height: 1, ..area };
    let sign = if slider.playing { glyphs.play } else { glyphs.pause };
    let x =
        pen.put(row.left(), row.top(), row.right(), &format!("{sign} {} ", text::clock(slider.at_ms)), Role::Accent);
    let end = format!(" {} x{}", text::clock(slider.total_ms), slider.speed);
    let width = row.right().saturating_sub(x + text::width(&end) as u16);
    let share = if slider.total_ms == 0 { 1.0 } else { slider.at_ms as f64 / slider.total_ms as f64 };
    let after = pen.bar(x, row.top(), width, share, Role::First);
    let knob = x + (share.clamp(0.0, 1.0) * f64::from(width.saturating_sub(1))).round() as u16;
    pen.put(knob, row.top(), after, glyphs.knob, Role::Title);
    pen.put(after, row.top(), row.right(), &end, Role::Dim);
    2
}

fn keys_line(pen: &mut Pen<'_>, area: Rect, view: &View) {
    if let Some(Overlay::Search(text)) = &view.overlay {
        pen.line(area, 0, &[piece("search: ", Role::Dim), piece(text.as_str(), Role::Accent), piece("_", Role::Title)]);
        return;
    }
    if let Some(notice) = &view.notice {
        pen.line(area, 0, &[piece(notice.text.as_str(), role_of(notice.tone))]);
        return;
    }
    let mode = view.mode();
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    if !view.search.is_empty() {
        pieces.push(piece(format!("/{}", view.search), Role::Warn));
    }
    let mut room = usize::from(area.width).saturating_sub(pieces.iter().map(|piece| text::width(&piece.text)).sum());
    let also = (mode == Mode::Replay).then_some(Mode::Look);
    for binding in [Some(mode), also].into_iter().flatten().flat_map(keys::of) {
        let (Some(key), Some(hint)) = (binding.keys.first(), binding.hint) else { continue };
        // Half a hint is none; the help has them all.
        let gap = if pieces.is_empty() { "" } else { "  " };
        let (key, hint) = (format!("{gap}{}", key.name()), format!(" {hint}"));
        let width = text::width(&key) + text::width(&hint);
        if width > room {
            break;
        }
        room -= width;
        pieces.extend([piece(key, Role::Accent), piece(hint, Role::Dim)]);
    }
    pen.line(area, 0, &pieces);
}
