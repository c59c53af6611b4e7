//! Draws the pictures of the README: the dashboard at a made-up moment, as SVG.
//!
//! `cargo run --example pictures` writes `docs/pictures/*.svg`; `-- --check` says whether they are what would be written.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{fmt::Write as _, fs, path::Path, process::ExitCode};

use ratatui::{
    buffer::{Buffer, Cell},
    layout::Rect,
    style::{Color, Modifier},
};
use tui::{
    draw::{self, table::Data},
    model::Board,
    sample,
    theme::Look,
    view::{Origin, View},
};
use unicode_width::UnicodeWidthStr as _;

/// Size of a cell in pixels.
const CELL: (f64, f64) = (8.4, 18.0);
const INK: &str = "#d8dee9";
const PAPER: &str = "#12161c";

fn main() -> ExitCode {
    let check = std::env::args().any(|arg| arg == "--check");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
    let mut stale = Vec::new();
    for (name, tab, board) in [
        ("overview", 0, sample::busy()),
        ("kafka", 1, sample::busy()),
        ("mysql", 3, sample::busy()),
        ("stack", 4, sample::busy()),
        ("redis-away", 2, sample::trouble()),
        ("checks", 5, sample::trouble()),
    ] {
        let path = folder.join(format!("{name}.svg"));
        let picture = svg(&screen(&board, tab));
        if check {
            if fs::read_to_string(&path).ok().as_deref() != Some(&picture) {
                stale.push(path.display().to_string());
            }
        } else if let Err(error) = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, picture)) {
            eprintln!("cannot write {}: {error}", path.display());
            return ExitCode::FAILURE;
        } else {
            println!("{}", path.display());
        }
    }
    if stale.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("stale: {}; cargo run --example pictures", stale.join(", "));
    ExitCode::FAILURE
}

fn screen(board: &Board, tab: usize) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, 120, 34));
    let view = View { tab, origin: Origin::Run, ..View::new(Look::default()) };
    draw::screen(&mut buffer, &Data { board, logs: &sample::logs() }, &view);
    buffer
}

/// The buffer as a picture: one `text` for each run of cells that look alike.
fn svg(buffer: &Buffer) -> String {
    let (width, height) = (f64::from(buffer.area.width) * CELL.0, f64::from(buffer.area.height) * CELL.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {:.0}\" font-family=\"ui-monospace, \
         'DejaVu Sans Mono', 'D2Coding', monospace\" font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" rx=\"6\" \
         fill=\"{PAPER}\"/>\n",
        width + 16.0,
        height + 16.0
    );
    for y in 0..buffer.area.height {
        let mut x = 0;
        while x < buffer.area.width {
            let first = &buffer[(x, y)];
            let (start, mut text) = (x, String::new());
            while x < buffer.area.width && alike(first, &buffer[(x, y)]) {
                let symbol = buffer[(x, y)].symbol();
                text.push_str(symbol);
                let wide = symbol.width() as u16;
                x += wide.max(1);
                // A wide character ends the run: fonts differ in how wide they draw it.
                if wide > 1 {
                    break;
                }
            }
            run(&mut svg, first, (start, y), x - start, &text);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn alike(a: &Cell, b: &Cell) -> bool {
    a.fg == b.fg && a.bg == b.bg && a.modifier == b.modifier && (b.symbol().width() == 1 || std::ptr::eq(a, b))
}

fn run(svg: &mut String, cell: &Cell, (x, y): (u16, u16), cells: u16, text: &str) {
    let (left, top) = (8.0 + f64::from(x) * CELL.0, 8.0 + f64::from(y) * CELL.1);
    let wide = f64::from(cells) * CELL.0;
    let reversed = cell.modifier.contains(Modifier::REVERSED);
    let (ink, paper) = (colour(cell.fg, INK), colour(cell.bg, PAPER));
    let (ink, paper) = if reversed { (paper, ink) } else { (ink, paper) };
    if paper != PAPER {
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{}\" fill=\"{paper}\"/>",
            CELL.1
        );
    }
    if text.trim().is_empty() {
        return;
    }
    let bold = if cell.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
    let line = if cell.modifier.contains(Modifier::UNDERLINED) { " text-decoration=\"underline\"" } else { "" };
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{wide:.1}\" fill=\"{ink}\"{bold}{line} xml:space=\"preserve\">{text}</text>",
        top + 13.5
    );
}

fn colour(colour: Color, otherwise: &'static str) -> &'static str {
    match colour {
        Color::Green => "#8fbc6f",
        Color::Yellow => "#e5c07b",
        Color::Red => "#e06c75",
        Color::Cyan => "#56b6c2",
        Color::Magenta => "#c678dd",
        Color::DarkGray => "#6b7480",
        _ => otherwise,
    }
}
