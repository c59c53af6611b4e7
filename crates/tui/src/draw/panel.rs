//! What a tab is made of.

use ratatui::layout::Rect;
use record::state::Away;

use super::{
    pen::Pen,
    table::{Data, Section},
};
use crate::model::{Board, Tone};

/// Draws the figures above the tables; gives how many rows it took.
pub(super) type Summary = fn(&mut Pen<'_>, Rect, &Data<'_>) -> u16;

/// A tab.
pub struct Panel {
    /// Its name.
    pub name: &'static str,
    /// Its tables.
    pub sections: &'static [Section],
    /// Tables that stand side by side where there is room; groups stand below each other.
    pub(super) groups: &'static [&'static [usize]],
    pub(super) summary: Summary,
    /// Rows that the figures above the tables get in any case.
    pub(super) rows: u16,
    pub(super) away: fn(&Board) -> Option<&Away>,
    pub(super) tone: fn(&Board) -> Tone,
}
