//! Tables for people. No row is wider than 120 columns, on a terminal or not: what is longer goes on below, in its column.

use std::borrow::Cow;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Widest row, in cells of a terminal.
pub const WIDTH: usize = 120;
/// What stands where something was cut off.
const CUT: &str = "…";
/// A line under the header and nothing else: a report has many rows.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table with `header`; columns in `right` (numbers) are aligned to the right.
pub fn new(header: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH as u16);
    table.set_header(header.to_vec());
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            // Figures are never broken.
            column.set_cell_alignment(CellAlignment::Right);
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

/// A table that is no wider than [`WIDTH`], whatever its cells hold: columns that may be cut give up their ends.
#[derive(Debug)]
pub struct Fitted {
    header: Vec<String>,
    right: Vec<usize>,
    /// Column → cells that it keeps at least.
    flexible: Vec<(usize, usize)>,
    rows: Vec<Vec<String>>,
}

/// What was cut off in a table: the first cell of its row, the column, and the whole value.
pub type CutOff = (String, String, String);

impl Fitted {
    /// With `header`; columns in `right` (numbers) are aligned to the right, those in `flexible` may be cut down to the
    /// cells that stand beside them.
    pub fn new(header: &[&str], right: &[usize], flexible: &[(usize, usize)]) -> Self {
        let header = header.iter().map(|&name| name.to_owned()).collect();
        Self { header, right: right.to_vec(), flexible: flexible.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; control characters are none of a table's business.
    pub fn add(&mut self, row: Vec<String>) {
        let plain = |cell: String| cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.rows.push(row.into_iter().map(plain).collect());
    }

    /// The table, and what was cut off in it.
    pub fn draw(self) -> (Table, Vec<CutOff>) {
        let widest = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
        let mut widths: Vec<usize> =
            self.header.iter().enumerate().map(|(n, name)| name.width().max(widest(n).unwrap_or(0))).collect();
        // A gap of one cell between the columns.
        let gaps = widths.len().saturating_sub(1);
        let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(WIDTH);
        while excess > 0 {
            let wider = self.flexible.iter().filter(|(column, least)| widths.get(*column) > Some(least));
            // The widest gives way first, so that no column pays for another one.
            let Some((column, _)) = wider.max_by_key(|(column, _)| widths.get(*column)) else { break };
            if let Some(width) = widths.get_mut(*column) {
                *width -= 1;
            }
            excess -= 1;
        }
        let names: Vec<&str> = self.header.iter().map(String::as_str).collect();
        let mut table = new(&names, &self.right);
        table.set_content_arrangement(ContentArrangement::Disabled);
        for column in table.column_iter_mut() {
            column.set_padding((0, 0));
        }
        let mut cut = Vec::new();
        for row in self.rows {
            let name = row.first().cloned().unwrap_or_default();
            let cells: Vec<String> = row
                .into_iter()
                .zip(&widths)
                .zip(&self.header)
                .map(|((cell, width), column)| {
                    if cell.width() <= *width {
                        return cell;
                    }
                    let short = fit(&cell, *width, CUT).into_owned();
                    cut.push((name.clone(), column.clone(), cell));
                    short
                })
                .collect();
            table.add_row(cells);
        }
        (table, cut)
    }
}

/// `text` in no more than `most` cells; what was cut off is told by `mark` (`…`).
pub fn fit<'a>(text: &'a str, most: usize, mark: &str) -> Cow<'a, str> {
    if text.width() <= most {
        return Cow::Borrowed(text);
    }
    let mark = if mark.width() <= most { mark } else { "" };
    let room = most - mark.width();
    let mut used = 0;
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let wide = c.width().unwrap_or(0);
        if used + wide > room {
            break;
        }
        used += wide;
        end = at + c.len_utf8();
    }
    // A sign that changes the one before it (U+FE0F) may widen that.
    while end > 0 && text[..end].width() > room {
        end = text[..end].char_indices().next_back().map_or(0, |(at, _)| at);
    }
    Cow::Owned(format!("{}{mark}", &text[..end]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_words_go_on_below_and_figures_stay_whole() {
        let mut table = new(&["check", "figure", "what to do"], &[1]);
        let long = "컨테이너를 지우고 다시 시작하십시오 ".repeat(20);
        table.add_row(["short", "1,234,567,890", long.as_str()]);
        table.add_row(["/a/path/without/any/blank/".repeat(12).as_str(), "7", "x"]);
        let text = table.to_string();
        assert!(text.lines().all(|line| line.width() <= 120), "{text}");
        assert!(text.contains("1,234,567,890") && text.matches("시작하십시오").count() == 20, "{text}");
        let mut narrow = new(&["a", "b"], &[]);
        narrow.add_row(["one", "two"]);
        assert_eq!(narrow.to_string().lines().count(), 3);
    }

    proptest! {
        /// No name, address or image is too long, and none is lost.
        #[test]
        fn it_fits_and_says_what_was_cut(rows in proptest::collection::vec(("[a-z가-힣 -]{0,200}", "[가-힣a-z./:-]{0,300}"), 0..5)) {
            let mut table = Fitted::new(&["name", "figure", "address"], &[1], &[(0, 8), (2, 10)]);
            for (name, address) in &rows {
                table.add(vec![name.clone(), "12,345".into(), address.clone()]);
            }
            let (table, cut) = table.draw();
            for line in table.lines() {
                prop_assert!(line.width() <= WIDTH, "{} columns: {}", line.width(), line);
            }
            for (name, address) in rows.iter().filter(|(_, address)| address.width() > WIDTH) {
                prop_assert!(cut.contains(&(name.clone(), "address".into(), address.clone())));
            }
        }
    }
}
