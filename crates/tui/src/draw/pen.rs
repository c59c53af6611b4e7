//! What panels draw with: text by role, rules, sparks and bars. Nothing is ever drawn outside the area that was given.

use std::borrow::Cow;

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    model::Tone,
    text,
    theme::{Glyphs, Look, Role},
};

/// Text with its role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Piece<'a> {
    /// What stands there.
    pub text: Cow<'a, str>,
    /// What it says.
    pub role: Role,
}

/// Makes a [`Piece`].
pub fn piece<'a>(text: impl Into<Cow<'a, str>>, role: Role) -> Piece<'a> {
    Piece { text: text.into(), role }
}

/// A figure with its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure<'a> {
    /// What it is.
    pub label: &'a str,
    /// How much it is.
    pub value: Piece<'a>,
}

/// Makes a [`Figure`].
pub fn figure<'a>(label: &'a str, value: impl Into<Cow<'a, str>>, role: Role) -> Figure<'a> {
    Figure { label, value: piece(value, role) }
}

/// The role of something so urgent.
pub fn role_of(tone: Tone) -> Role {
    match tone {
        Tone::Good => Role::Good,
        Tone::Plain => Role::Text,
        Tone::Warn => Role::Warn,
        Tone::Bad => Role::Bad,
    }
}

/// How high a value stands in a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// From 0 to this.
    Linear(f64),
    /// By its logarithm, between these: one slow second does not flatten all that comes after it.
    Log(f64, f64),
}

impl Scale {
    /// From 0 to the largest of `values`.
    pub fn linear(values: &[Option<f64>]) -> Self {
        Self::Linear(values.iter().flatten().copied().filter(|v| v.is_finite()).fold(0.0, f64::max))
    }

    /// From half of the smallest to the largest of all values that are above 0, over four decades at most.
    pub fn log(all: &[&[Option<f64>]]) -> Self {
        let values = all.iter().flat_map(|v| v.iter().flatten()).copied().filter(|v| v.is_finite() && *v > 0.0);
        let (least, most) = values.fold((f64::INFINITY, 0.0), |(least, most), v| (v.min(least), v.max(most)));
        Self::Log((least / 2.0).max(most / 1e4), most)
    }

    /// 0..1
    fn share(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear(most) => value / most,
            Self::Log(least, most) => (value / least).ln() / (most / least).ln(),
        };
        // Of a scale without a width, and of 0, nothing is seen but that it was measured.
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// Cells between two figures of a line.
const GAP: usize = 3;

/// Draws.
pub struct Pen<'a> {
    buffer: &'a mut Buffer,
    look: Look,
    /// Everything is drawn dim: the figures are old.
    pub dim: bool,
}

impl<'a> Pen<'a> {
    /// A pen for `buffer`.
    pub fn new(buffer: &'a mut Buffer, look: Look) -> Self {
        Self { buffer, look, dim: false }
    }

    /// The signs to draw with.
    pub fn glyphs(&self) -> &'static Glyphs {
        self.look.glyphs()
    }

    /// The whole screen.
    pub fn screen(&self) -> Rect {
        self.buffer.area
    }

    fn style(&self, role: Role) -> Style {
        let role =
            if self.dim && !matches!(role, Role::Title | Role::Frame | Role::FrameFocused) { Role::Dim } else { role };
        self.look.theme.style(role)
    }

    /// Fills `area` with the plain background.
    pub fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        let style = self.look.theme.style(Role::Text);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                let cell = &mut self.buffer[(x, y)];
                cell.reset();
                cell.set_style(style);
            }
        }
    }

    /// Changes how `area` looks, not what stands there.
    pub fn paint(&mut self, area: Rect, role: Role) {
        self.buffer.set_style(area.intersection(self.buffer.area), self.look.theme.style(role));
    }

    /// Puts `text` at `x`, `y`, left of `right`; gives where it ends.
    pub fn put(&mut self, x: u16, y: u16, right: u16, text: &str, role: Role) -> u16 {
        let area = self.buffer.area;
        let right = right.min(area.right());
        if x >= right || x < area.left() || y < area.top() || y >= area.bottom() {
            return x;
        }
        let text = text::clean(text);
        let text = text::fit(&text, usize::from(right - x), self.glyphs().cut);
        let style = self.style(role);
        self.buffer.set_stringn(x, y, text, usize::from(right - x), style).0
    }

    /// Puts `text` so that it ends left of `right`.
    pub fn put_right(&mut self, left: u16, y: u16, right: u16, text: &str, role: Role) {
        let width = text::width(text) as u16;
        self.put(right.saturating_sub(width).max(left), y, right, text, role);
    }

    /// Puts pieces one behind the other on row `row` of `area`; gives where they end.
    pub fn line(&mut self, area: Rect, row: u16, pieces: &[Piece<'_>]) -> u16 {
        let mut x = area.left();
        if row < area.height {
            for piece in pieces {
                x = self.put(x, area.top() + row, area.right(), &piece.text, piece.role);
            }
        }
        x
    }

    /// `── Title ─────`, with `right` at its end; gives what is below it.
    pub fn rule(&mut self, area: Rect, title: &[Piece<'_>], right: &str, focused: bool) -> Rect {
        if area.is_empty() {
            return area;
        }
        let frame = if focused { Role::FrameFocused } else { Role::Frame };
        let line = self.glyphs().frame.horizontal_top;
        let (y, style) = (area.top(), self.style(frame));
        for x in area.left()..area.right().min(self.buffer.area.right()) {
            if y < self.buffer.area.bottom() {
                self.buffer[(x, y)].set_symbol(line).set_style(style);
            }
        }
        let mut end = area.right();
        if !right.is_empty() && usize::from(area.width) > text::width(right) + 12 {
            end = area.right() - text::width(right) as u16 - 3;
            self.put(end, y, area.right(), &format!(" {right} "), Role::Dim);
        }
        let mut x = area.left() + 2.min(area.width);
        if !title.is_empty() {
            x = self.put(x, y, end, " ", frame);
            for piece in title {
                x = self.put(x, y, end.saturating_sub(1), &piece.text, piece.role);
            }
            self.put(x, y, end, " ", frame);
        }
        below(area, 1)
    }

    /// A box with a title over whatever is there; gives its inside.
    pub fn boxed(&mut self, area: Rect, title: &str, tone: Tone) -> Rect {
        let area = area.intersection(self.buffer.area);
        self.clear(area);
        if area.width < 2 || area.height < 2 {
            return Rect { width: 0, height: 0, ..area };
        }
        let set = self.glyphs().frame;
        let role = if tone == Tone::Bad { Role::Bad } else { Role::FrameFocused };
        let style = self.style(role);
        let (l, r, t, b) = (area.left(), area.right() - 1, area.top(), area.bottom() - 1);
        for x in l..=r {
            self.buffer[(x, t)].set_symbol(set.horizontal_top).set_style(style);
            self.buffer[(x, b)].set_symbol(set.horizontal_bottom).set_style(style);
        }
        for y in t..=b {
            self.buffer[(l, y)].set_symbol(set.vertical_left).set_style(style);
            self.buffer[(r, y)].set_symbol(set.vertical_right).set_style(style);
        }
        for (x, y, corner) in
            [(l, t, set.top_left), (r, t, set.top_right), (l, b, set.bottom_left), (r, b, set.bottom_right)]
        {
            self.buffer[(x, y)].set_symbol(corner).set_style(style);
        }
        self.put(l + 2, t, r, &format!(" {title} "), Role::Title);
        inset(area, 2, 1)
    }

    /// Figures one behind the other, in as many lines as they need; gives how many were drawn.
    pub fn flow(&mut self, area: Rect, figures: &[Figure<'_>]) -> u16 {
        let places = flow(area.width, figures);
        for ((x, row), figure) in places.iter().zip(figures) {
            if *row < area.height {
                let y = area.top() + row;
                let x = self.put(area.left() + x, y, area.right(), figure.label, Role::Dim);
                let x = self.put(x, y, area.right(), " ", Role::Text);
                self.put(x, y, area.right(), &figure.value.text, figure.value.role);
            }
        }
        places.last().map_or(0, |(_, row)| row + 1).min(area.height)
    }

    /// A line of values from the left edge on, as high as the area; older values are merged where there are too many.
    pub fn spark(&mut self, area: Rect, values: &[Option<f64>], scale: Scale, role: Role) {
        let area = area.intersection(self.buffer.area);
        if area.is_empty() || values.is_empty() {
            return;
        }
        let style = self.style(role);
        let levels = &self.glyphs().levels;
        let steps = u32::from(area.height) * 8;
        let columns = usize::from(area.width);
        let shown = values.len().min(columns);
        for column in 0..shown {
            let (from, to) = (column * values.len() / shown, (column + 1) * values.len() / shown);
            let Some(value) = values[from..to].iter().flatten().copied().reduce(f64::max) else { continue };
            let share = scale.share(value);
            // What was measured is seen, even if it is next to nothing.
            let mut level = ((share * f64::from(steps)).round() as u32).max(1);
            let x = area.left() + column as u16;
            for y in (area.top()..area.bottom()).rev() {
                let here = level.min(8);
                level -= here;
                if here > 0 {
                    self.buffer[(x, y)].set_symbol(levels[here as usize]).set_style(style);
                }
            }
        }
    }

    /// A bar that is full to `share`.
    pub fn bar(&mut self, x: u16, y: u16, width: u16, share: f64, role: Role) -> u16 {
        let area = self.buffer.area;
        let right = x.saturating_add(width).min(area.right());
        if y < area.top() || y >= area.bottom() || x < area.left() {
            return x;
        }
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let full = (share * f64::from(width)).round() as u16;
        let ([on, off], good, rest) = (self.glyphs().bar, self.style(role), self.style(Role::Frame));
        for at in x..right {
            let (symbol, style) = if at - x < full { (on, good) } else { (off, rest) };
            self.buffer[(at, y)].set_symbol(symbol).set_style(style);
        }
        right.max(x)
    }
}

/// Where each figure goes: column and row.
fn flow(width: u16, figures: &[Figure<'_>]) -> Vec<(u16, u16)> {
    let (mut x, mut row) = (0_usize, 0_u16);
    let mut places = Vec::with_capacity(figures.len());
    for figure in figures {
        let wide = text::width(figure.label) + 1 + text::width(&figure.value.text);
        if x > 0 && x + wide > usize::from(width) {
            x = 0;
            row += 1;
        }
        places.push((x.min(usize::from(u16::MAX)) as u16, row));
        x += wide + GAP;
    }
    places
}

/// `area` without its first `rows`.
pub fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// The first `rows` of `area`.
pub fn top(area: Rect, rows: u16) -> Rect {
    Rect { height: rows.min(area.height), ..area }
}

/// `area` without `x` columns at both sides and `y` rows above and below.
pub fn inset(area: Rect, x: u16, y: u16) -> Rect {
    Rect {
        x: area.x + x.min(area.width),
        y: area.y + y.min(area.height),
        width: area.width.saturating_sub(2 * x),
        height: area.height.saturating_sub(2 * y),
    }
}

/// Left and right half of `area`, with a column between them.
pub fn halves(area: Rect) -> [Rect; 2] {
    let left = area.width.saturating_sub(2) / 2;
    let gap = 2.min(area.width);
    let right = area.width - left - gap;
    [Rect { width: left, ..area }, Rect { x: area.x + left + gap, width: right, ..area }]
}

/// A box of no more than `width` × `height` in the middle of `area`.
pub fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::Look;

    /// One slow second at the beginning left flat lines for the rest of a run.
    #[test]
    fn after_one_slow_second_a_later_change_is_still_seen() {
        let values = [2_000.0, 10.0, 12.0, 20.0, 40.0].map(Some);
        let scale = Scale::log(&[&values]);
        let heights: Vec<_> = values.iter().flatten().map(|v| (scale.share(*v) * 16.0).round() as u32).collect();
        assert_eq!(heights[0], 16);
        assert!(heights[1..].is_sorted() && heights[4] >= heights[1] + 3, "{heights:?}");
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!((0.0..=1.0).contains(&scale.share(value)), "{value}");
        }
        assert!(Scale::log(&[&[None]]).share(1.0) <= 0.0);
        assert!(Scale::log(&[&[Some(3.0)]]).share(3.0) >= 1.0);
    }

    #[test]
    fn a_line_begins_at_the_left_edge() {
        let area = Rect::new(0, 0, 6, 1);
        let mut buffer = Buffer::empty(area);
        let values = [Some(1.0), None, Some(2.0)];
        Pen::new(&mut buffer, Look::default()).spark(area, &values, Scale::linear(&values), Role::Text);
        let seen: Vec<_> = (0..6).map(|x| buffer[(x, 0)].symbol() != " ").collect();
        assert_eq!(seen, [true, false, true, false, false, false]);
    }
}
