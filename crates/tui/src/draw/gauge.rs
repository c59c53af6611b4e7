//! Bars and lines above the tables.

use ratatui::layout::Rect;

use super::pen::{Pen, Scale, below, top};
use crate::theme::Role;

/// `memory ████░░░░ 128 MiB of 256 MiB`; gives the rows it took.
pub(super) fn gauge(pen: &mut Pen<'_>, area: Rect, label: &str, share: Option<f64>, words: &str) -> u16 {
    if area.is_empty() {
        return 0;
    }
    let role = match share {
        Some(share) if share >= 0.9 => Role::Bad,
        Some(share) if share >= 0.7 => Role::Warn,
        _ => Role::Good,
    };
    let y = area.top();
    let mut x = pen.put(area.left(), y, area.right(), label, Role::Dim) + 1;
    if let Some(share) = share {
        x = pen.bar(x, y, (area.width / 3).min(40), share, role) + 1;
    }
    pen.put(x, y, area.right(), words, if role == Role::Good { Role::Text } else { role });
    1
}

/// Lines below each other, each to its own height; gives the rows they took.
pub(super) fn lines(pen: &mut Pen<'_>, area: Rect, all: &[(&str, &Vec<Option<f64>>)]) -> u16 {
    let high = (area.height / all.len().max(1) as u16).clamp(1, 4);
    let mut used = 0;
    for (label, values) in all.iter().filter(|(_, values)| !values.is_empty()) {
        let row = top(below(area, used), high);
        if row.is_empty() {
            break;
        }
        pen.put(row.left(), row.top(), row.right(), label, Role::Dim);
        let left = 10.min(row.width);
        pen.spark(Rect { x: row.x + left, width: row.width - left, ..row }, values, Scale::linear(values), Role::First);
        used += row.height;
    }
    used
}
