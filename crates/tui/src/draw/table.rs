//! Tables: every list of the dashboard is a [`Section`], so that moving, searching and opening a row are written once.

use std::borrow::Cow;

use ratatui::layout::Rect;

use super::pen::{Pen, Piece, piece, top};
use crate::{logs::Logs, model::Board, text, theme::Role};

/// What sections are made from.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// Figures.
    pub board: &'a Board,
    /// Logs.
    pub logs: &'a Logs,
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its title.
    pub title: &'static str,
    /// Its width; 0 takes what the others leave.
    pub width: u16,
    /// Figures stand at the right.
    pub right: bool,
    /// It is left out where the table is narrower than this.
    pub from: u16,
}

/// A column of text.
pub const fn col(title: &'static str, width: u16) -> Column {
    Column { title, width, right: false, from: 0 }
}

/// A column of figures.
pub const fn num(title: &'static str, width: u16) -> Column {
    Column { title, width, right: true, from: 0 }
}

impl Column {
    /// The same, left out where the table is narrower than `width`.
    #[must_use]
    pub const fn from(self, width: u16) -> Self {
        Self { from: width, ..self }
    }
}

/// A row in full.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Detail {
    /// Title.
    pub title: String,
    /// Paragraphs.
    pub lines: Vec<String>,
}

/// A list.
pub struct Section {
    /// Its title.
    pub name: fn(&Data<'_>) -> &'static str,
    /// Columns.
    pub columns: fn(&Data<'_>) -> Cow<'static, [Column]>,
    /// How many rows it has.
    pub len: fn(&Data<'_>) -> usize,
    /// A row; one piece for each column.
    pub row: for<'a> fn(&Data<'a>, usize) -> Vec<Piece<'a>>,
    /// A row in full, where there is more to say.
    pub detail: fn(&Data<'_>, usize) -> Option<Detail>,
    /// What stands there without rows.
    pub empty: fn(&Data<'_>) -> &'static str,
}

/// For sections whose rows say all there is.
pub fn no_detail(_: &Data<'_>, _: usize) -> Option<Detail> {
    None
}

impl std::fmt::Debug for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Section").finish_non_exhaustive()
    }
}

impl Section {
    /// Does row `at` hold `needle`, whatever the case?
    pub fn holds(&self, data: &Data<'_>, at: usize, needle: &str) -> bool {
        let needle = needle.to_lowercase();
        !needle.is_empty() && (self.row)(data, at).iter().any(|p| p.text.to_lowercase().contains(&needle))
    }
}

/// How a section stands on the screen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing<'a> {
    /// It has the keys.
    pub focused: bool,
    /// Row under the cursor.
    pub cursor: usize,
    /// What is searched for.
    pub search: &'a str,
}

/// Draws a section: its rule, its head, and the rows around the cursor.
pub fn draw(pen: &mut Pen<'_>, area: Rect, section: &Section, data: &Data<'_>, standing: Standing<'_>) {
    let len = (section.len)(data);
    let cursor = standing.cursor.min(len.saturating_sub(1));
    let place = match len {
        0 => String::new(),
        _ if standing.focused => format!("{}/{len}", cursor + 1),
        _ => len.to_string(),
    };
    let title = [piece((section.name)(data), if standing.focused { Role::Title } else { Role::Text })];
    let mut rest = pen.rule(area, &title, &place, standing.focused);
    if len == 0 {
        pen.line(rest, 0, &[piece((section.empty)(data), Role::Dim)]);
        return;
    }
    let columns = (section.columns)(data);
    let places = places(&columns, rest.width);
    if rest.height >= 3 || (rest.height == 2 && len == 1) {
        for (column, (x, width)) in columns.iter().zip(&places) {
            cell(pen, rest, (*x, *width), 0, &piece(column.title, Role::Dim), column.right);
        }
        rest = super::pen::below(rest, 1);
    }
    let shown = usize::from(rest.height);
    // The cursor stays near the middle, so that its surroundings are seen.
    let first = cursor.saturating_sub(shown / 2).min(len.saturating_sub(shown));
    for (row, at) in (first..len.min(first + shown)).enumerate() {
        let row = row as u16;
        for ((content, column), place) in (section.row)(data, at).iter().zip(columns.iter()).zip(&places) {
            cell(pen, rest, *place, row, content, column.right);
        }
        let line = top(super::pen::below(rest, row), 1);
        if standing.focused && at == cursor {
            pen.paint(line, Role::Selected);
        } else if section.holds(data, at, standing.search) {
            pen.paint(line, Role::Found);
        }
    }
}

fn cell(pen: &mut Pen<'_>, area: Rect, (x, width): (u16, u16), row: u16, content: &Piece<'_>, right: bool) {
    if width == 0 || row >= area.height {
        return;
    }
    let (left, end) = (area.left() + x, area.left() + x + width);
    if right {
        pen.put_right(left, area.top() + row, end, &content.text, content.role);
    } else {
        pen.put(left, area.top() + row, end, &content.text, content.role);
    }
}

/// Where each column begins, and its width; 0 of one that is left out.
fn places(columns: &[Column], width: u16) -> Vec<(u16, u16)> {
    let shown = |c: &Column| c.from <= width;
    let fixed: u16 = columns.iter().filter(|c| shown(c)).map(|c| c.width + 1).sum();
    let open = columns.iter().filter(|c| shown(c) && c.width == 0).count().max(1) as u16;
    let share = width.saturating_sub(fixed.saturating_sub(1)) / open;
    let mut x = 0;
    columns
        .iter()
        .map(|column| {
            if !shown(column) || x >= width {
                return (x, 0);
            }
            let wide = if column.width == 0 { share } else { column.width }.min(width - x);
            let place = (x, wide);
            x += wide + 1;
            place
        })
        .collect()
}

/// A title for details: cut, in one line.
pub fn headline(words: &str) -> String {
    text::fit(&text::clean(words), 60, "…").into_owned()
}
