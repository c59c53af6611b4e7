//! The form that is offered where nothing runs.

use ratatui::layout::Rect;

use super::pen::{Pen, below, piece, top};
use crate::{
    launch::{LINES, Line},
    theme::Role,
    view::View,
};

/// Draws the form.
pub fn draw(pen: &mut Pen<'_>, area: Rect, view: &View) {
    let Some(form) = &view.form else { return };
    let rest = pen.rule(area, &[piece("Nothing runs yet. What shall be started?", Role::Title)], "", true);
    let mut row = 1;
    for (at, line) in LINES.iter().enumerate() {
        if matches!(line, Line::Do(_)) && !matches!(LINES[at.saturating_sub(1)], Line::Do(_)) {
            row += 1;
        }
        let (label, value) = form.show(*line);
        let here = at == form.line;
        let mark = if here { ">" } else { " " };
        let label = format!("{mark} {label:<12}");
        let value = match line {
            Line::System | Line::Profile | Line::Provider => format!("< {value} >"),
            Line::Users | Line::Products if here => format!("{value}_"),
            _ => value,
        };
        let role = if here { Role::Title } else { Role::Text };
        pen.line(rest, row, &[piece(label, role), piece(value, if here { Role::Accent } else { Role::Text })]);
        if here {
            pen.paint(top(below(rest, row), 1), Role::Selected);
        }
        row += 1;
    }
    if let Some(profile) = form.chosen() {
        pen.line(rest, row + 1, &[piece(profile.about.as_str(), Role::Dim)]);
    }
    if let Some(busy) = form.busy {
        pen.line(rest, row + 2, &[piece(format!("{} is under way", busy.name()), Role::Warn)]);
    }
}
