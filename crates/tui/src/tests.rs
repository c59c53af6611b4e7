//! What is seen: panels and whole screens, colours of key cells, and what keys do to them.

mod app;
mod colours;
mod flows;
mod robust;
mod screens;

use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};

use super::{
    draw::{self, table::Data},
    export,
    logs::Logs,
    model::Board,
    sample,
    theme::Look,
    view::{Origin, View},
};

/// A view of a run of this process.
fn view() -> View {
    View { origin: Origin::Run, ..View::new(Look::default()) }
}

/// Draws as the dashboard does, on a terminal of this size.
fn drawn(board: &Board, logs: &Logs, view: &View, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            draw::screen(frame.buffer_mut(), &Data { board, logs }, view);
        })
        .unwrap();
    terminal.backend().buffer().clone()
}

fn text(board: &Board, view: &View, size: (u16, u16)) -> String {
    export::text(&drawn(board, &sample::logs(), view, size))
}
