//! Redis: stock and grants, memory, hit rate, slow commands.

use std::borrow::Cow;

use contract::figures;
use ratatui::layout::Rect;
use record::event::watch::RedisSample;

use super::{
    gauge::{gauge, lines},
    overview::SUBJECTS,
    panel::Panel,
    pen::{Pen, below, figure, piece},
    table::{Data, Detail, Section, col, headline, num},
};
use crate::{model::Tone, text, theme::Role};

pub const PANEL: Panel = Panel {
    name: "Redis",
    sections: &[Section { name: |data| figures::table(data.board.kind).in_redis, ..SUBJECTS }, SLOW],
    groups: &[&[0], &[1]],
    summary,
    rows: 5,
    away: |board| board.redis.away.as_ref(),
    tone: |board| board.redis.newest.as_ref().map_or(Tone::Plain, |r| tone(r)),
};

fn tone(redis: &RedisSample) -> Tone {
    if redis.persistence_error || redis.oom_errors > 0 {
        return Tone::Bad;
    }
    if redis.evicted > 0 || filled(redis).is_some_and(|f| f >= 0.9) { Tone::Warn } else { Tone::Good }
}

fn filled(redis: &RedisSample) -> Option<f64> {
    (redis.max_memory > 0).then(|| redis.used_memory as f64 / redis.max_memory as f64)
}

fn sample<'a>(data: &Data<'a>) -> Option<&'a RedisSample> {
    data.board.redis.newest.as_deref()
}

const SLOW: Section = Section {
    name: |_| "Slow commands",
    columns: |_| Cow::Borrowed(const { &[num("id", 6), num("took", 9), col("command", 0)] }),
    len: |data| sample(data).map_or(0, |r| r.slow.len()),
    row: |data, at| {
        let Some(slow) = sample(data).and_then(|r| r.slow.get(at)) else { return Vec::new() };
        vec![
            piece(slow.id.to_string(), Role::Dim),
            piece(text::ms(Some(slow.micros as f64 / 1_000.0)), Role::Warn),
            piece(slow.command.as_str(), Role::Text),
        ]
    },
    detail: |data, at| {
        let slow = sample(data)?.slow.get(at)?;
        let took = text::ms(Some(slow.micros as f64 / 1_000.0));
        let at = jiff::Timestamp::from_second(slow.at).map_or_else(|_| slow.at.to_string(), |t| t.to_string());
        Some(Detail { title: headline(&slow.command), lines: vec![format!("{took} at {at}"), slow.command.clone()] })
    },
    empty: |data| if sample(data).is_some() { "none" } else { "not read yet" },
};

fn summary(pen: &mut Pen<'_>, area: Rect, data: &Data<'_>) -> u16 {
    let Some(r) = sample(data) else { return 0 };
    let bad = |n: u64, role| if n > 0 { role } else { Role::Good };
    let hits = r.hit_rate.map_or(Role::Dim, |h| if h < 0.8 { Role::Warn } else { Role::Good });
    let mut figures = vec![
        figure("latency", text::ms(r.latency_ms), Role::Accent),
        figure("ops", text::rate(Some(r.ops_per_s)), Role::Accent),
        figure("hit rate", text::share(r.hit_rate), hits),
        figure("evicted", base::figure::count(r.evicted), bad(r.evicted, Role::Warn)),
        figure("expired", base::figure::count(r.expired), Role::Text),
        figure("refused for memory", base::figure::count(r.oom_errors), bad(r.oom_errors, Role::Bad)),
        figure("clients", base::figure::count(r.clients), Role::Text),
        figure("blocked", base::figure::count(r.blocked), Role::Text),
        figure("policy", r.policy.as_str(), Role::Text),
    ];
    if r.persistence_error {
        figures.push(figure("saving", "FAILED", Role::Bad));
    }
    let mut used = pen.flow(area, &figures);
    let of = if r.max_memory == 0 { "no limit".into() } else { text::bytes(r.max_memory) };
    used += gauge(pen, below(area, used), "memory", filled(r), &format!("{} of {of}", text::bytes(r.used_memory)));
    let series = &data.board.series;
    used += lines(pen, below(area, used), &[("ops/s", &series.redis_ops), ("memory", &series.redis_memory)]);
    used
}
