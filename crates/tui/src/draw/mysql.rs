//! MySQL: connections, pools, locks with their blockers, and the statements that take the time.

use std::borrow::Cow;

use ratatui::layout::Rect;
use record::event::watch::MysqlSample;

use super::{
    gauge::{gauge, lines},
    panel::Panel,
    pen::{Pen, below, figure, piece},
    table::{Data, Detail, Section, col, headline, no_detail, num},
};
use crate::{model::Tone, text, theme::Role};

pub const PANEL: Panel = Panel {
    name: "MySQL",
    sections: &[POOLS, LOCKS, DIGESTS, SLOW],
    groups: &[&[0, 1], &[2], &[3]],
    summary,
    rows: 6,
    away: |board| board.mysql.away.as_ref(),
    tone: |board| board.mysql.newest.as_ref().map_or(Tone::Plain, |m| tone(m)),
};

fn connected(mysql: &MysqlSample) -> Option<f64> {
    (mysql.max_connections > 0).then(|| mysql.connections as f64 / mysql.max_connections as f64)
}

fn tone(mysql: &MysqlSample) -> Tone {
    let waiting = mysql.pools.iter().any(|pool| pool.waiting > 0);
    let locked = mysql.lock_waits.as_ref().is_some_and(|waits| waits.iter().any(|wait| wait.waited_s >= 1.0));
    match connected(mysql) {
        Some(share) if share >= 0.9 => Tone::Bad,
        Some(share) if share >= 0.7 => Tone::Warn,
        _ if waiting || locked => Tone::Warn,
        _ => Tone::Good,
    }
}

fn sample<'a>(data: &Data<'a>) -> Option<&'a MysqlSample> {
    data.board.mysql.newest.as_deref()
}

const POOLS: Section = Section {
    name: |_| "Pools",
    columns: |_| {
        Cow::Borrowed(
            const { &[col("process", 0), num("in use", 6), num("idle", 5), num("waiting", 7), num("max", 5)] },
        )
    },
    len: |data| sample(data).map_or(0, |m| m.pools.len()),
    row: |data, at| {
        let Some(pool) = sample(data).and_then(|m| m.pools.get(at)) else { return Vec::new() };
        let full = if pool.max > 0 && pool.in_use >= pool.max { Role::Warn } else { Role::Text };
        vec![
            piece(pool.process.as_str(), Role::Text),
            piece(pool.in_use.to_string(), full),
            piece(pool.idle.to_string(), Role::Text),
            piece(pool.waiting.to_string(), if pool.waiting > 0 { Role::Warn } else { Role::Text }),
            piece(pool.max.to_string(), Role::Dim),
        ]
    },
    detail: no_detail,
    empty: |data| if sample(data).is_some() { "no process of the backend tells of its pool" } else { "not read yet" },
};

const LOCKS: Section = Section {
    name: |_| "Row locks",
    columns: |_| {
        Cow::Borrowed(
            const {
                &[
                    num("waits", 8),
                    num("for", 8),
                    num("behind", 8),
                    col("table", 20).from(90),
                    col("blocker's statement", 0),
                ]
            },
        )
    },
    len: |data| sample(data).and_then(|m| m.lock_waits.as_ref()).map_or(0, Vec::len),
    row: |data, at| {
        let Some(wait) = sample(data).and_then(|m| m.lock_waits.as_ref()?.get(at)) else { return Vec::new() };
        let role = if wait.waited_s >= 1.0 { Role::Bad } else { Role::Warn };
        let idle = wait.blocking_sql.is_empty();
        vec![
            piece(wait.waiting.to_string(), Role::Text),
            piece(text::seconds(Some(wait.waited_s)), role),
            piece(wait.blocking.to_string(), Role::Accent),
            piece(wait.table.as_str(), Role::Text),
            if idle {
                piece("none: it holds the lock and does nothing", Role::Warn)
            } else {
                piece(wait.blocking_sql.as_str(), Role::Text)
            },
        ]
    },
    detail: |data, at| {
        let wait = sample(data)?.lock_waits.as_ref()?.get(at)?;
        Some(Detail {
            title: format!("Connection {} waits for {}", wait.waiting, wait.blocking),
            lines: vec![
                format!("table {}, for {}", wait.table, text::seconds(Some(wait.waited_s))),
                format!("waiting: {}", wait.waiting_sql),
                format!("blocker's transaction is {} old", text::seconds(Some(wait.blocking_age_s))),
                format!(
                    "blocker: {}",
                    if wait.blocking_sql.is_empty() { "(no statement)" } else { &wait.blocking_sql }
                ),
            ],
        })
    },
    empty: |data| match sample(data) {
        None => "not read yet",
        Some(m) if m.lock_waits.is_none() => "may not be read by this user",
        Some(_) => "nobody waits",
    },
};

const DIGESTS: Section = Section {
    name: |_| "Statements by time",
    columns: |_| {
        Cow::Borrowed(
            const {
                &[
                    num("count", 9),
                    num("total", 10),
                    num("mean", 9),
                    num("examined", 11).from(90),
                    num("sent", 9).from(90),
                    col("statement", 0),
                ]
            },
        )
    },
    len: |data| sample(data).and_then(|m| m.digests.as_ref()).map_or(0, Vec::len),
    row: |data, at| {
        let Some(d) = sample(data).and_then(|m| m.digests.as_ref()?.get(at)) else { return Vec::new() };
        let mean = (d.count > 0).then(|| d.total_ms / d.count as f64);
        // Rows that were read and not asked for: an index is missing.
        let wasteful = d.rows_examined > 100 * d.rows_sent.max(1);
        vec![
            piece(base::figure::count(d.count), Role::Text),
            piece(text::seconds(Some(d.total_ms / 1_000.0)), Role::Accent),
            piece(text::ms(mean), Role::Text),
            piece(base::figure::count(d.rows_examined), if wasteful { Role::Warn } else { Role::Text }),
            piece(base::figure::count(d.rows_sent), Role::Text),
            piece(d.text.as_str(), Role::Text),
        ]
    },
    detail: |data, at| {
        let d = sample(data)?.digests.as_ref()?.get(at)?;
        let rows = format!(
            "{} rows examined, {} sent",
            base::figure::count(d.rows_examined),
            base::figure::count(d.rows_sent)
        );
        let times =
            format!("{} times, {} in all", base::figure::count(d.count), text::seconds(Some(d.total_ms / 1_000.0)));
        Some(Detail { title: headline(&d.text), lines: vec![times, rows, d.text.clone()] })
    },
    empty: |data| match sample(data) {
        None => "not read yet",
        Some(m) if m.digests.is_none() => "not kept by this server, or may not be read by this user",
        Some(_) => "none",
    },
};

const SLOW: Section = Section {
    name: |_| "Slowest queries",
    columns: |_| {
        Cow::Borrowed(
            const { &[col("at", 24).from(90), num("took", 10), num("locked", 10), num("examined", 11), col("statement", 0)] },
        )
    },
    len: |data| sample(data).and_then(|m| m.slow.as_ref()).map_or(0, Vec::len),
    row: |data, at| {
        let Some(slow) = sample(data).and_then(|m| m.slow.as_ref()?.get(at)) else { return Vec::new() };
        vec![
            piece(slow.at.as_str(), Role::Dim),
            piece(text::ms(Some(slow.query_ms)), Role::Warn),
            piece(text::ms(Some(slow.lock_ms)), Role::Text),
            piece(base::figure::count(slow.rows_examined), Role::Text),
            piece(slow.sql.as_str(), Role::Text),
        ]
    },
    detail: |data, at| {
        let slow = sample(data)?.slow.as_ref()?.get(at)?;
        let times =
            format!("{}, of them {} waiting for locks", text::ms(Some(slow.query_ms)), text::ms(Some(slow.lock_ms)));
        let rows = format!("{} rows examined", base::figure::count(slow.rows_examined));
        Some(Detail {
            title: headline(&slow.sql),
            lines: vec![format!("at {}", slow.at), times, rows, slow.sql.clone()],
        })
    },
    empty: |data| match sample(data) {
        None => "not read yet",
        Some(m) if m.slow.is_none() => "no slow log that this user may read",
        Some(_) => "none",
    },
};

fn summary(pen: &mut Pen<'_>, area: Rect, data: &Data<'_>) -> u16 {
    let Some(m) = sample(data) else { return 0 };
    let deadlocks = if m.deadlocks.unwrap_or(0) > 0 { Role::Warn } else { Role::Text };
    let hits = m.buffer_pool_hits.map_or(Role::Dim, |h| if h < 0.99 { Role::Warn } else { Role::Good });
    let (in_use, waiting) = m.pools.iter().fold((0, 0), |(a, b), pool| (a + pool.in_use, b + pool.waiting));
    let figures = [
        figure("latency", text::ms(m.latency_ms), Role::Accent),
        figure("queries", text::rate(m.queries_per_s), Role::Accent),
        figure("running", base::figure::count(m.running), Role::Text),
        figure("pools in use", base::figure::count(in_use), Role::Text),
        figure("waiting", base::figure::count(waiting), if waiting > 0 { Role::Warn } else { Role::Good }),
        figure("lock waits", base::figure::count(m.row_lock_waits), Role::Text),
        figure("in them", text::seconds(Some(m.row_lock_time_ms as f64 / 1_000.0)), Role::Text),
        figure("deadlocks", text::count(m.deadlocks), deadlocks),
        figure("buffer pool", text::bytes(m.buffer_pool), Role::Text),
        figure("filled", text::share(m.buffer_pool_used), Role::Text),
        figure("found in it", text::share(m.buffer_pool_hits), hits),
    ];
    let mut used = pen.flow(area, &figures);
    let words = format!("{} of {}", m.connections, m.max_connections);
    used += gauge(pen, below(area, used), "connections", connected(m), &words);
    let series = &data.board.series;
    used += lines(pen, below(area, used), &[("queries", &series.queries), ("connected", &series.connections)]);
    used
}
