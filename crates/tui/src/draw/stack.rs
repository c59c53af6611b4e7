//! Stack: processes and containers, and their logs in order of time.

use std::borrow::Cow;

use base::log_line::Level;
use ratatui::layout::Rect;
use record::event::{
    names::ComponentState,
    watch::{ComponentSample, StackSample},
};

use super::{
    panel::Panel,
    pen::{Pen, figure, piece},
    table::{Data, Detail, Section, col, num},
};
use crate::{
    model::{LogLine, Tone},
    text,
    theme::Role,
};

pub const PANEL: Panel = Panel {
    name: "Stack",
    sections: &[COMPONENTS, LOGS],
    groups: &[&[0], &[1]],
    summary,
    rows: 2,
    away: |board| board.stack.away.as_ref(),
    tone: |board| {
        board.stack.newest.as_ref().map_or(Tone::Plain, |s| s.components.iter().map(tone).max().unwrap_or(Tone::Plain))
    },
};

/// The section of logs.
pub const LOG_SECTION: usize = 1;

fn sample<'a>(data: &Data<'a>) -> Option<&'a StackSample> {
    data.board.stack.newest.as_deref()
}

fn tone(component: &ComponentSample) -> Tone {
    if component.oom_killed || matches!(component.state, ComponentState::Dead | ComponentState::Restarting) {
        return Tone::Bad;
    }
    match (&component.state, component.health.as_str()) {
        // A container that did what it was made for has ended well.
        (ComponentState::Exited, _) if component.exit_code == Some(0) => Tone::Plain,
        (ComponentState::Exited, _) => Tone::Bad,
        (ComponentState::Paused, _) | (_, "starting") => Tone::Warn,
        (_, "healthy" | "") => Tone::Good,
        _ => Tone::Bad,
    }
}

fn health(component: &ComponentSample) -> String {
    let mut words = component.state.to_string();
    if let Some(code) = component.exit_code {
        words = format!("{words} ({code})");
    }
    if component.oom_killed {
        words.push_str(", memory used up");
    }
    if !component.health.is_empty() && component.state == ComponentState::Running {
        words.clone_from(&component.health);
    }
    words
}

fn of_limit(value: Option<f64>, limit: Option<f64>, warn: f64, bad: f64) -> Role {
    match value.zip(limit.filter(|l| *l > 0.0)).map(|(value, limit)| value / limit) {
        Some(share) if share >= bad => Role::Bad,
        Some(share) if share >= warn => Role::Warn,
        _ => Role::Text,
    }
}

const COMPONENTS: Section = Section {
    name: |_| "Components",
    columns: |_| {
        Cow::Borrowed(
            const {
                &[
                    col("component", 16),
                    col("provider", 8).from(90),
                    col("health", 0),
                    num("CPU", 7),
                    num("of", 5).from(70),
                    num("throttled", 9).from(100),
                    num("memory", 9),
                    num("of", 9).from(70),
                    num("restarts", 8),
                    num("files", 6).from(120),
                    num("net in", 9).from(140),
                    num("out", 9).from(140),
                    num("read", 9).from(160),
                    num("written", 9).from(160),
                    col("ports", 28).from(180),
                ]
            },
        )
    },
    len: |data| sample(data).map_or(0, |s| s.components.len()),
    row: |data, at| {
        let Some(c) = sample(data).and_then(|s| s.components.get(at)) else { return Vec::new() };
        let pair = |pair: Option<(u64, u64)>, first: bool| {
            piece(pair.map_or_else(|| "-".into(), |(a, b)| text::bytes(if first { a } else { b })), Role::Dim)
        };
        let throttled = if c.throttled.unwrap_or(0.0) > 5.0 { Role::Warn } else { Role::Text };
        let percent = |n: Option<f64>| n.map_or_else(|| "-".into(), |n| format!("{n:.1} %"));
        let memory = of_limit(c.mem.map(|n| n as f64), c.mem_limit.map(|n| n as f64), 0.8, 0.9);
        vec![
            piece(c.name.as_str(), Role::Accent),
            piece(c.provider.name(), Role::Dim),
            piece(health(c), super::pen::role_of(tone(c))),
            piece(percent(c.cpu), of_limit(c.cpu, c.cpu_limit_percent, 0.7, 0.9)),
            piece(c.cpu_limit_percent.map_or_else(|| "-".into(), |n| (n / 100.0).to_string()), Role::Dim),
            piece(percent(c.throttled), throttled),
            piece(c.mem.map_or_else(|| "-".into(), text::bytes), memory),
            piece(c.mem_limit.map_or_else(|| "-".into(), text::bytes), Role::Dim),
            piece(c.restarts.to_string(), if c.restarts > 0 { Role::Warn } else { Role::Text }),
            piece(text::count(c.open_files), Role::Dim),
            pair(c.network, true),
            pair(c.network, false),
            pair(c.disk, true),
            pair(c.disk, false),
            piece(c.ports.join(" "), Role::Dim),
        ]
    },
    detail: |data, at| {
        let c = sample(data)?.components.get(at)?;
        let bytes = |n: Option<u64>| n.map_or_else(|| "-".into(), text::bytes);
        let pair = |p: Option<(u64, u64)>| {
            p.map_or_else(|| "-".into(), |(a, b)| format!("{} / {}", text::bytes(a), text::bytes(b)))
        };
        let limit = c.cpu_limit_percent.map_or_else(|| "no limit".into(), |n| format!("{} CPU", n / 100.0));
        Some(Detail {
            title: c.name.clone(),
            lines: vec![
                format!("{}, {}", c.provider, health(c)),
                format!("CPU {} of {limit}", c.cpu.map_or_else(|| "-".into(), |n| format!("{n:.1} %"))),
                format!("memory {} of {}", bytes(c.mem), c.mem_limit.map_or_else(|| "no limit".into(), text::bytes)),
                format!("restarts {}", c.restarts),
                format!("network in / out {}", pair(c.network)),
                format!("disk read / written {}", pair(c.disk)),
                format!("open files {}", text::count(c.open_files)),
                format!("ports {}", if c.ports.is_empty() { "-".into() } else { c.ports.join(" ") }),
            ],
        })
    },
    empty: |data| if sample(data).is_some() { "nothing runs" } else { "not read yet" },
};

const LOGS: Section = Section {
    name: |_| "Logs",
    columns: |_| Cow::Borrowed(const { &[col("at", 12), col("level", 5), col("component", 12), col("", 0)] }),
    len: |data| data.logs.len(),
    row: |data, at| {
        let Some(line) = data.logs.get(at) else { return Vec::new() };
        let role = role(line);
        vec![
            piece(time_of_day(&line.at), Role::Dim),
            piece(line.level.map_or("", Level::name), if role == Role::Text { Role::Dim } else { role }),
            piece(line.component.as_str(), Role::Accent),
            piece(line.message(), role),
        ]
    },
    detail: |data, at| {
        let line = data.logs.get(at)?;
        Some(Detail { title: format!("{} {}", line.component, line.at), lines: vec![line.text.clone()] })
    },
    empty: |_| "no lines yet",
};

/// `09:12:33.123` of a time in RFC 3339.
fn time_of_day(at: &str) -> &str {
    let time = at.split_once('T').map_or(at, |(_, time)| time).trim_end_matches('Z');
    time.get(..12).unwrap_or(time)
}

/// Errors and warnings stand out: as the line itself says, else by the words that servers use.
fn role(line: &LogLine) -> Role {
    match line.level {
        Some(Level::Error) => return Role::Bad,
        Some(Level::Warn) => return Role::Warn,
        Some(Level::Info | Level::Debug) => return Role::Text,
        None => {}
    }
    let head: String = line.text.chars().take(120).collect::<String>().to_ascii_lowercase();
    if ["error", "fatal", "panic"].iter().any(|word| head.contains(word)) {
        Role::Bad
    } else if head.contains("warn") {
        Role::Warn
    } else {
        Role::Text
    }
}

fn summary(pen: &mut Pen<'_>, area: Rect, data: &Data<'_>) -> u16 {
    let Some(s) = sample(data) else { return 0 };
    let all = &s.components;
    let running = all.iter().filter(|c| matches!(c.state, ComponentState::Running | ComponentState::External)).count();
    let bad = all.iter().filter(|c| tone(c) == Tone::Bad).count();
    // The sum of nothing is not a figure, and of floats it is -0.
    let cpu = all.iter().filter_map(|c| c.cpu).reduce(|sum, cpu| sum + cpu);
    let memory = all.iter().filter_map(|c| c.mem).reduce(|sum, bytes| sum + bytes);
    let figures = [
        figure("components", all.len().to_string(), Role::Accent),
        figure("running", running.to_string(), Role::Text),
        figure("in trouble", bad.to_string(), if bad > 0 { Role::Bad } else { Role::Good }),
        figure("CPU", cpu.map_or_else(|| "-".into(), |cpu| format!("{cpu:.0} %")), Role::Text),
        figure("memory", memory.map_or_else(|| "-".into(), text::bytes), Role::Text),
    ];
    pen.flow(area, &figures)
}
