//! Colours of key cells, by theme.

use ratatui::style::{Color, Modifier};

use super::*;
use crate::theme::Theme;

/// Foreground and modifiers of the first cell of `needle` on the screen.
fn cell(buffer: &Buffer, needle: &str) -> (Color, Modifier) {
    let text = export::text(buffer);
    for (y, line) in text.lines().enumerate() {
        if let Some(at) = line.find(needle) {
            let x = unicode_width::UnicodeWidthStr::width(&line[..at]) as u16;
            let cell = &buffer[(x, y as u16)];
            return (cell.fg, cell.modifier);
        }
    }
    panic!("{needle} is not on the screen:\n{text}");
}

/// A compact dump: `needle colour modifiers`, one a line.
fn dump(theme: Theme, tab: usize, board: &Board, needles: &[&str]) -> String {
    let look = Look { theme, ascii: false };
    let buffer = drawn(board, &sample::logs(), &View { tab, look, ..view() }, (120, 40));
    let line = |needle: &&str| {
        let (colour, modifier) = cell(&buffer, needle);
        format!("{needle:<24} {colour:?} {modifier:?}\n")
    };
    format!("{}\n{}", theme.name(), needles.iter().map(line).collect::<String>())
}

#[test]
fn states_have_their_colours_in_every_theme() {
    let mut all = String::new();
    for theme in Theme::ALL {
        all += &dump(
            theme,
            0,
            &sample::busy(),
            &["+ http_req", "x consumer_lag   ", "? http_reqs", "16 (0.04 %)", "87.6 ms"],
        );
        all += &dump(
            theme,
            0,
            &sample::busy(),
            &[
                "critical 00:31",
                "warning 00:40",
                "pending >= 90 %",
                "ok < 80 %",
                "unknown < 10 %",
                "consumer_lag critical",
            ],
        );
        all += &dump(theme, 1, &sample::busy(), &["WARN  ", "CATCHING_UP", "NO_COMMIT", "OK  ", "HOT"]);
        all += &dump(theme, 4, &sample::busy(), &["97.2 %", "11.4 %", "restarting (137)", "healthy"]);
        all += &dump(theme, 5, &sample::trouble(), &["violated  ", "unknown  ", "holds  "]);
    }
    insta::assert_snapshot!("colours", all);
}

#[test]
fn figures_of_a_source_that_is_away_are_dim_and_its_title_is_not() {
    let buffer = drawn(&sample::trouble(), &Logs::default(), &View { tab: 2, ..view() }, (80, 24));
    assert_eq!(cell(&buffer, "allkeys-lru").0, Color::DarkGray);
    assert_eq!(cell(&buffer, "✗ Redis away since 01:12").0, Color::Red);
}

#[test]
fn no_cell_has_a_colour_without_colours() {
    let look = Look { theme: Theme::None, ascii: false };
    for tab in 0..6 {
        let buffer = drawn(&sample::trouble(), &sample::logs(), &View { tab, look, ..view() }, (200, 60));
        assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset), "{tab}");
    }
}
