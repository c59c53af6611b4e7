//! `stats`: what each component uses.

use std::{fmt::Write as _, time::Duration};

use anyhow::Context as _;
use base::{
    figure::{bytes, or_dash},
    table,
};
use infra::stats::{self, Sampler, Stats};
use record::event::watch::ComponentSample;

use super::{
    args::{Format, StatsArgs},
    common::Context,
    out::{out_if_read, reader_gone},
    signals::Signals,
};
use crate::exit::Exit;

/// Home, and nothing below: what was shown before is written over.
const CLEAR: &str = "\x1b[H\x1b[J";

/// `stats [COMPONENT…] [--watch]`
pub async fn run(context: &Context, args: &StatsArgs) -> anyhow::Result<Exit> {
    let state = context.require_state()?;
    if !args.watch {
        let look = stats::stats(&state, &args.components).await?;
        context.print(&text(&look.components), &look)?;
        return Ok(Exit::Done);
    }
    let signals = Signals::listen().context("cannot listen for Ctrl-C")?;
    let mut sampler = Sampler::default();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    // Paces need two looks: the first is not shown.
    sampler.stats(&state, &args.components).await?;
    tick.tick().await;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = reader_gone() => return Ok(Exit::Done),
            // Ctrl-C is how one stops looking: nothing was interrupted.
            () = signals.stop.cancelled() => return Ok(Exit::Done),
        }
        let look = sampler.stats(&state, &args.components).await?;
        if !out_if_read(&shown(context, &look)?)? {
            return Ok(Exit::Done);
        }
    }
}

/// One look in the form that was asked for; JSON on one line each.
fn shown(context: &Context, look: &Stats) -> anyhow::Result<String> {
    if context.global.format == Format::Json {
        return Ok(serde_json::to_string(look)?);
    }
    let clear = if context.redraws() { CLEAR } else { "" };
    Ok(format!("{clear}{}\n", text(&look.components)))
}

/// The table, and below it in full what is wrong: no row is wider than 120 columns.
pub fn text(components: &[ComponentSample]) -> String {
    let header = ["component", "state", "health", "restarts", "cpu %", "thr. %", "memory", "network", "disk", "ports"];
    let mut table = table::new(&header, &[3, 4, 5, 6, 7, 8]);
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    let mut wrong = String::new();
    for c in components {
        let long = c.health.len() > 9;
        if long {
            let _ = write!(wrong, "\n{}: {}", c.name, c.health);
        }
        if let Some(evidence) = &c.oom_evidence {
            let _ = write!(wrong, "\n{}: a process was killed because its memory was used up ({evidence})", c.name);
        }
        table.add_row(vec![
            cut(&c.name, 14),
            state(c),
            if long {
                "see below".into()
            } else {
                or_dash(Some(c.health.as_str()).filter(|health| !health.is_empty()))
            },
            c.restarts.to_string(),
            // What it may use stands behind the stroke.
            of(c.cpu.map(|cpu| format!("{cpu:.1}")), c.cpu_limit_percent.map(|limit| format!("{limit:.0}"))),
            or_dash(c.throttled.map(|throttled| format!("{throttled:.0}"))),
            of(c.mem.map(bytes), c.mem_limit.map(bytes)),
            or_dash(c.network.map(|(received, sent)| format!("{}/{}", bytes(received), bytes(sent)))),
            or_dash(c.disk.map(|(read, written)| format!("{}/{}", bytes(read), bytes(written)))),
            ports(&c.ports),
        ]);
    }
    format!("{table}{wrong}")
}

/// State with how it ended.
pub fn state(c: &ComponentSample) -> String {
    let mut state = c.state.to_string();
    if let Some(code) = c.exit_code {
        let _ = write!(state, " {code}");
    }
    if c.oom_killed {
        state.push_str(" OOM");
    }
    state
}

fn of(used: Option<String>, limit: Option<String>) -> String {
    match (used, limit) {
        (Some(used), Some(limit)) => format!("{used}/{limit}"),
        (used, _) => or_dash(used),
    }
}

/// The first one without what goes without saying; of further ones how many there are.
fn ports(all: &[String]) -> String {
    let Some(first) = all.first() else { return "-".into() };
    let first = first.strip_prefix("127.0.0.1:").unwrap_or(first).trim_end_matches("/tcp");
    match all.len() {
        1 => cut(first, 12),
        more => format!("{} +{}", cut(first.split("->").next().unwrap_or(first), 8), more - 1),
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::event::names::{ComponentState, Provider};

    fn wide() -> ComponentSample {
        ComponentSample {
            name: "monitoring-redis-exporter-1".into(),
            provider: Provider::Docker,
            state: ComponentState::Exited,
            health: "mysql at 127.0.0.1:3306: SELECT 1: no answer within 3 s".into(),
            exit_code: Some(137),
            oom_killed: true,
            oom_evidence: Some("its cgroup counts 1 OOM kill(s)".into()),
            restarts: 12,
            cpu: Some(199.9),
            cpu_limit_percent: Some(200.0),
            throttled: Some(100.0),
            mem: Some(1_020 << 20),
            mem_limit: Some(999 << 30),
            network: Some((999 << 20, 999 << 30)),
            disk: Some((999 << 20, 999 << 20)),
            open_files: Some(7),
            ports: vec!["127.0.0.1:19092->19092/tcp".into(), "127.0.0.1:19093->19093/tcp".into()],
        }
    }

    #[test]
    fn the_widest_row_fits_on_120_columns_and_says_the_rest_below() {
        let text = text(&[wide(), ComponentSample::default()]);
        let table: Vec<_> = text.lines().take(4).collect();
        for line in &table {
            assert!(unicode_width::UnicodeWidthStr::width(*line) <= 120, "{} columns: {line}", line.chars().count());
        }
        for word in ["exited 137 OOM", "199.9/200", " 100 ", "1.0G/999G", "see below", "19092 +1"] {
            assert!(text.contains(word), "{word} is not in:\n{text}");
        }
        assert!(text.contains("no answer within 3 s") && text.contains("its cgroup counts 1"), "{text}");
    }
}
