//! The screen, drawn from a [`Board`] and a [`View`] and nothing else.
//!
//! ```text
//! ecomctl  flash-sale  load 00:25                      running     header
//! 1 Overview  2 Kafka ▲  3 Redis ✗  4 MySQL  5 Stack  6 Checks       tabs
//! ▲ redis away since 00:12: connection refused                       attention, if there is something to say
//! VUs 500   RPS 2,310/s   p95 12.1 ms                                the panel's figures
//! ── Partitions ───────────────────────────────────────── 1/3 ──     its tables; the one in focus has the keys
//! ▶ 00:12 ━━━●──────── 00:35                                         slider, in a replay
//! q leave  ? these keys  Tab next table                              keys, or what was just said
//! ```

mod checks;
pub mod frame;
mod gauge;
mod goals;
mod kafka;
mod layout;
mod mysql;
mod overlay;
mod overview;
pub mod panel;
pub mod panels;
pub mod pen;
mod redis;
mod stack;
mod start;
pub mod table;

use ratatui::{buffer::Buffer, layout::Rect};

use self::{
    pen::{Pen, below, top},
    table::{Data, Standing},
};
use super::{theme::Role, view::View};

/// Smallest screen that is drawn.
pub const SMALLEST: (u16, u16) = (80, 24);

/// Draws the whole screen; gives the rows of its body.
pub fn screen(buffer: &mut Buffer, data: &Data<'_>, view: &View) -> u16 {
    let area = buffer.area;
    let mut pen = Pen::new(buffer, view.look);
    pen.clear(area);
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        too_small(&mut pen, area);
        return 0;
    }
    let mut body = below(area, frame::header(&mut pen, area, data.board, view));
    body.height -= frame::footer(&mut pen, body, view);
    if view.launching {
        start::draw(&mut pen, body, view);
    } else {
        self::body(&mut pen, body, data, view);
    }
    overlay::draw(&mut pen, area, view);
    body.height
}

fn body(pen: &mut Pen<'_>, area: Rect, data: &Data<'_>, view: &View) {
    let panel = view.panel();
    let away = (panel.away)(data.board);
    let mut rest = area;
    if let Some(away) = away {
        frame::away(pen, area, panel.name, away);
        rest = below(rest, 1);
        // What was seen last stays, and is seen to be old.
        pen.dim = true;
    }
    let (focused, _) = view.focus();
    // The figures get what the tables do not wish for, and some rows in any case; the tables keep a quarter.
    let unwished = rest.height.saturating_sub(layout::wished(panel, rest.width, data));
    let room = top(rest, unwished.max(panel.rows).min(rest.height - rest.height / 4));
    let used = (panel.summary)(pen, room, data);
    rest = below(rest, used);
    for (at, place) in layout::sections(panel, rest, data, focused) {
        let section = &panel.sections[at];
        let standing =
            Standing { focused: at == focused, cursor: view.row_of(at, section, data), search: &view.search };
        table::draw(pen, place, section, data, standing);
    }
    pen.dim = false;
}

fn too_small(pen: &mut Pen<'_>, area: Rect) {
    let words = [
        format!("{} x {} is too small", area.width, area.height),
        format!("ecomctl needs {} x {}", SMALLEST.0, SMALLEST.1),
        "make the window larger".into(),
        "q leaves".into(),
    ];
    let first = area.height.saturating_sub(words.len() as u16) / 2;
    for (i, words) in words.iter().enumerate() {
        let left = area.left() + area.width.saturating_sub(words.len() as u16) / 2;
        pen.put(left, area.top() + first + i as u16, area.right(), words, if i == 0 { Role::Bad } else { Role::Text });
    }
}
