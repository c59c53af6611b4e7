//! Tables for people. No row is wider than 120 columns, on a terminal or not: what is longer goes on below, in its column.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};

/// Widest row.
const WIDTH: u16 = 120;
/// A line under the header and nothing else: a report has many rows.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table of many columns of figures, set close: each row is one line. Whoever makes it sees to its width.
pub fn dense(header: &[&str], right: &[usize]) -> Table {
    let mut table = new(header, right);
    table.set_content_arrangement(ContentArrangement::Disabled);
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    table
}

/// A table with `header`; columns in `right` (numbers) are aligned to the right.
pub fn new(header: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
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

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

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
}
