//! What lies over the panels: keys, a row in full, questions.

use ratatui::layout::Rect;

use super::{
    pen::{Pen, below, centred, piece},
    table::Detail,
};
use crate::{
    acts,
    keys::{self, Mode},
    model::Tone,
    text,
    theme::Role,
    view::{Overlay, View},
};

/// Draws what is open.
pub fn draw(pen: &mut Pen<'_>, screen: Rect, view: &View) {
    match &view.overlay {
        None | Some(Overlay::Search(_)) => {}
        Some(Overlay::Help(at)) => help(pen, screen, *at),
        Some(Overlay::Detail(detail, at)) => self::detail(pen, screen, detail, *at),
        Some(Overlay::Confirm(act)) => question(pen, screen, "Sure?", &acts::question(act), Mode::Confirm),
        Some(Overlay::Number { vus, text }) => {
            let what = if *vus { "virtual users" } else { "iterations per second" };
            question(pen, screen, "How many?", &format!("{what}: {text}_"), Mode::Number);
        }
    }
}

fn help(pen: &mut Pen<'_>, screen: Rect, at: usize) {
    let inside = pen.boxed(centred(screen, 76, screen.height.saturating_sub(2)), "Keys", Tone::Plain);
    let mut lines = Vec::new();
    for mode in Mode::ALL {
        lines.push([piece("", Role::Text), piece("", Role::Text)]);
        lines.push([piece(mode.title(), Role::Title), piece("", Role::Text)]);
        for binding in keys::of(mode) {
            let keys = text::fit(&keys::names(binding), 22, "").into_owned();
            let pad = " ".repeat(24_usize.saturating_sub(text::width(&keys)));
            lines.push([piece(format!("{keys}{pad}"), Role::Accent), piece(binding.words, Role::Text)]);
        }
    }
    let lines = &lines[1..];
    let first = at.min(lines.len().saturating_sub(usize::from(inside.height)));
    for (row, line) in lines[first..].iter().take(usize::from(inside.height)).enumerate() {
        pen.line(inside, row as u16, line);
    }
}

fn detail(pen: &mut Pen<'_>, screen: Rect, detail: &Detail, at: usize) {
    let wide = screen.width.saturating_sub(8).min(120);
    let lines: Vec<String> =
        detail.lines.iter().flat_map(|line| text::wrap(line, usize::from(wide.saturating_sub(4)))).collect();
    let high = (lines.len() as u16).saturating_add(2).min(screen.height.saturating_sub(2));
    let inside = pen.boxed(centred(screen, wide, high), &detail.title, Tone::Plain);
    let first = at.min(lines.len().saturating_sub(usize::from(inside.height)));
    for (row, line) in lines[first..].iter().take(usize::from(inside.height)).enumerate() {
        pen.line(inside, row as u16, &[piece(line.as_str(), Role::Text)]);
    }
}

fn question(pen: &mut Pen<'_>, screen: Rect, title: &str, words: &str, mode: Mode) {
    let lines = text::wrap(words, 56);
    let inside = pen.boxed(centred(screen, 60, lines.len() as u16 + 4), title, Tone::Plain);
    for (row, line) in lines.iter().enumerate() {
        pen.line(inside, row as u16, &[piece(line.as_str(), Role::Text)]);
    }
    let mut hints = Vec::new();
    for binding in keys::of(mode) {
        let Some(hint) = binding.hint else { continue };
        hints.push(piece(keys::names(binding), Role::Accent));
        hints.push(piece(format!(" {hint}   "), Role::Dim));
    }
    pen.line(below(inside, lines.len() as u16 + 1), 0, &hints);
}
