//! Kafka: lag by partition, members, dead letters.

use std::borrow::Cow;

use ratatui::layout::Rect;
use record::event::watch::{KafkaSample, LagStatus};

use super::{
    panel::Panel,
    pen::{Figure, Pen, Scale, below, figure, piece, role_of, top},
    table::{Data, Detail, Section, col, headline, no_detail, num},
};
use crate::{model::Tone, text, theme::Role};

pub const PANEL: Panel = Panel {
    name: "Kafka",
    sections: &[PARTITIONS, MEMBERS, DEAD, REASONS],
    groups: &[&[0], &[1, 3], &[2]],
    summary,
    rows: 4,
    away: |board| board.kafka.away.as_ref(),
    tone: |board| board.kafka.newest.as_ref().map_or(Tone::Plain, |k| tone_of(k.status)),
};

/// How urgent a state of lag is.
pub fn tone_of(status: LagStatus) -> Tone {
    match status {
        LagStatus::Lost | LagStatus::Ahead | LagStatus::Stop | LagStatus::Rewind | LagStatus::Stall => Tone::Bad,
        LagStatus::Rebalancing | LagStatus::Warn | LagStatus::NoCommit | LagStatus::Unknown => Tone::Warn,
        LagStatus::CatchingUp => Tone::Plain,
        LagStatus::Ok => Tone::Good,
    }
}

fn sample<'a>(data: &Data<'a>) -> Option<&'a KafkaSample> {
    data.board.kafka.newest.as_deref()
}

const PARTITIONS: Section = Section {
    name: |_| "Partitions",
    columns: |_| {
        Cow::Borrowed(
            const {
                &[
                    col("topic", 0),
                    num("part", 4),
                    col("status", 11),
                    num("lag", 9),
                    num("trend", 9),
                    num("drain", 7),
                    num("age", 9),
                    num("in", 9).from(100),
                    num("out", 9).from(100),
                    num("leader", 6).from(120),
                    num("committed", 11).from(140),
                    num("end", 11).from(140),
                    col("member", 22).from(170),
                    col("hot", 3),
                ]
            },
        )
    },
    len: |data| sample(data).map_or(0, |k| k.partitions.len()),
    row: |data, at| {
        let Some(p) = sample(data).and_then(|k| k.partitions.get(at)) else { return Vec::new() };
        let role = role_of(tone_of(p.status));
        vec![
            piece(p.topic.as_str(), Role::Text),
            piece(p.partition.to_string(), Role::Text),
            piece(p.status.name(), role),
            piece(text::count(p.lag), role),
            piece(trend(p.slope), Role::Text),
            piece(text::seconds(p.drain_s), Role::Text),
            piece(text::age(p.time_lag_ms), Role::Text),
            piece(text::rate(p.produced_per_s), Role::Text),
            piece(text::rate(p.consumed_per_s), Role::Text),
            p.leader.map_or_else(|| piece("none", Role::Bad), |id| piece(id.to_string(), Role::Dim)),
            piece(p.committed.map_or_else(|| "-".into(), |n| n.to_string()), Role::Dim),
            piece(p.end.to_string(), Role::Dim),
            piece(p.member.as_deref().unwrap_or("-"), Role::Dim),
            piece(if p.hot { "HOT" } else { "" }, Role::Warn),
        ]
    },
    detail: |data, at| {
        let p = sample(data)?.partitions.get(at)?;
        let offset = |n: Option<i64>| n.map_or_else(|| "none".into(), |n| n.to_string());
        Some(Detail {
            title: headline(&format!("{} {}", p.topic, p.partition)),
            lines: vec![
                format!("status {}{}", p.status.name(), if p.hot { ", hot: far more than its share" } else { "" }),
                format!(
                    "lag {}, trend {}, consumed in {}",
                    text::count(p.lag),
                    trend(p.slope),
                    text::seconds(p.drain_s)
                ),
                format!("oldest unconsumed record {}", text::age(p.time_lag_ms)),
                format!("in {}, out {}", text::rate(p.produced_per_s), text::rate(p.consumed_per_s)),
                format!("start {}, committed {}, end {}", p.start, offset(p.committed), p.end),
                format!("leader {}", p.leader.map_or_else(|| "none".into(), |id| id.to_string())),
                format!("member {}", p.member.as_deref().unwrap_or("-")),
            ],
        })
    },
    empty: |data| if sample(data).is_some() { "the group reads nothing" } else { "not read yet" },
};

const MEMBERS: Section = Section {
    name: |_| "Members",
    columns: |_| Cow::Borrowed(const { &[col("client", 0), col("host", 16).from(60), col("reads", 0)] }),
    len: |data| sample(data).and_then(|k| k.members.as_ref()).map_or(0, Vec::len),
    row: |data, at| {
        let Some(member) = sample(data).and_then(|k| k.members.as_ref()?.get(at)) else { return Vec::new() };
        let reads = reads(&member.partitions);
        let idle = reads.is_empty();
        vec![
            piece(member.client.as_str(), Role::Text),
            piece(member.host.as_str(), Role::Dim),
            if idle { piece("nothing", Role::Warn) } else { piece(reads, Role::Text) },
        ]
    },
    detail: no_detail,
    empty: |data| match sample(data) {
        None => "not read yet",
        Some(k) if k.members.is_none() => "members cannot be read here",
        Some(_) => "the group has no members",
    },
};

/// `orders 0 1 2`
fn reads(partitions: &std::collections::BTreeMap<String, Vec<i32>>) -> String {
    let list = |numbers: &[i32]| numbers.iter().map(i32::to_string).collect::<Vec<_>>().join(" ");
    let all = partitions.iter().filter(|(_, numbers)| !numbers.is_empty());
    all.map(|(topic, numbers)| format!("{topic} {}", list(numbers))).collect::<Vec<_>>().join(", ")
}

const DEAD: Section = Section {
    name: |_| "Dead letters",
    columns: |_| Cow::Borrowed(const { &[col("at", 24).from(90), num("offset", 8), col("reason", 0), col("key", 0)] }),
    len: |data| sample(data).map_or(0, |k| k.newest_dead.len()),
    row: |data, at| {
        let Some(dead) = sample(data).and_then(|k| k.newest_dead.get(at)) else { return Vec::new() };
        vec![
            piece(dead.at.as_str(), Role::Dim),
            piece(dead.offset.to_string(), Role::Text),
            piece(dead.reason.as_str(), Role::Bad),
            piece(dead.key.as_str(), Role::Text),
        ]
    },
    detail: |data, at| {
        let dead = sample(data)?.newest_dead.get(at)?;
        Some(Detail {
            title: format!("Dead letter, partition {} offset {}", dead.partition, dead.offset),
            lines: vec![
                format!("at {}", dead.at),
                format!("reason: {}", dead.reason),
                format!("key: {}", dead.key),
                "value:".into(),
                dead.value.clone(),
            ],
        })
    },
    empty: |data| match sample(data) {
        Some(k) if k.dead_letters.is_none() => "there is no dead-letter topic",
        Some(_) => "none",
        None => "not read yet",
    },
};

const REASONS: Section = Section {
    name: |_| "Reasons",
    columns: |_| Cow::Borrowed(const { &[col("reason", 0), num("dead letters", 12)] }),
    len: |data| sample(data).map_or(0, |k| k.dead_reasons.len()),
    row: |data, at| {
        let Some((reason, n)) = sample(data).and_then(|k| k.dead_reasons.iter().nth(at)) else { return Vec::new() };
        vec![piece(reason.as_str(), Role::Text), piece(base::figure::count(*n), Role::Bad)]
    },
    detail: |data, at| {
        let (reason, n) = sample(data)?.dead_reasons.iter().nth(at)?;
        Some(Detail { title: format!("{n} dead letters"), lines: vec![reason.clone()] })
    },
    empty: |_| "none",
};

fn trend(slope: Option<f64>) -> String {
    match slope {
        Some(s) if s > 0.05 => format!("+{}", text::rate(Some(s))),
        Some(s) if s.abs() <= 0.05 => "0/s".into(),
        other => text::rate(other),
    }
}

fn summary(pen: &mut Pen<'_>, area: Rect, data: &Data<'_>) -> u16 {
    let Some(k) = sample(data) else { return 0 };
    let mut used = pen.flow(area, &figures(k));
    let spark = top(below(area, used), area.height.saturating_sub(used).clamp(1, 6));
    let lag = &data.board.series.lag;
    let most = lag.iter().flatten().copied().filter(|v| v.is_finite()).fold(0.0, f64::max);
    if !lag.is_empty() && !spark.is_empty() {
        pen.put(spark.left(), spark.top(), spark.right(), "lag", Role::Dim);
        let peak = format!("peak {}", base::figure::count(most as u64));
        pen.put_right(spark.right().saturating_sub(16), spark.top(), spark.right(), &peak, Role::Dim);
        let line = Rect { x: spark.x + 4.min(spark.width), width: spark.width.saturating_sub(22), ..spark };
        pen.spark(line, lag, Scale::Linear(most), role_of(tone_of(k.status)));
        used += spark.height;
    }
    used
}

fn figures(k: &KafkaSample) -> Vec<Figure<'_>> {
    let role = role_of(tone_of(k.status));
    let dead = if k.dead_letters.unwrap_or(0) > 0 { Role::Bad } else { Role::Text };
    let members = k.members.as_ref().map_or_else(|| "-".into(), |m| m.len().to_string());
    let mut all = vec![
        figure("group", k.group.as_str(), Role::Accent),
        figure("state", k.state.as_str(), Role::Text),
        figure("status", k.status.name(), role),
        figure("lag", text::count(k.lag), role),
        figure("trend", trend(k.slope), Role::Text),
        figure("consumed in", text::seconds(k.drain_s), Role::Text),
        figure("age", text::age(k.time_lag_ms), Role::Text),
        figure("in", text::rate(k.produced_per_s), Role::Text),
        figure("out", text::rate(k.consumed_per_s), Role::Text),
        figure("members", members, Role::Text),
        figure("rebalances", k.rebalances.to_string(), Role::Text),
        figure("dead letters", text::count(k.dead_letters), dead),
    ];
    let brokers: Vec<_> = k.brokers.iter().map(|b| format!("{}={}", b.id, b.address)).collect();
    let none = brokers.is_empty();
    all.push(figure(
        "brokers",
        if none { "none".into() } else { brokers.join(" ") },
        if none { Role::Bad } else { Role::Dim },
    ));
    all
}
