//! `lag`: how far a consumer group is behind, once or again and again.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use base::{
    figure::{count, or_dash},
    table::Fitted,
};
use contract::human::HumanDuration;
use kafka::lag::{History, LagPlan, Rules, Sampler};
use record::event::watch::{KafkaSample, LagStatus, PartitionLag};
use tokio::sync::mpsc;

use super::{
    args::{Format, LagArgs},
    common::{Context, note},
    exit::UsageError,
    out::{out_if_read, reader_gone},
    signals::Signals,
};
use crate::exit::Exit;

/// Looks without `--watch`: the fewest that have a slope.
const LOOKS: u32 = 3;
/// Dead letters that the table names.
const DEAD_SHOWN: usize = 3;

/// `lag`
pub async fn run(context: &Context, args: &LagArgs) -> anyhow::Result<Exit> {
    let plan = plan(context, args)?;
    let patience = patience(&plan);
    let signals = Signals::listen().context("cannot listen for Ctrl-C")?;
    // A reader that does not keep up makes the sampler wait; nothing piles up.
    let (send, mut samples) = mpsc::channel(1);
    let running = Sampler::start(plan, move |sample| drop(send.blocking_send(sample)));
    let looks = args.samples.or((!args.watch).then_some(LOOKS));
    let begun = Instant::now();
    let mut show = Show { format: context.global.format, redraw: context.redraws(), drawn: 0 };
    let (mut seen, mut last) = (0, None);
    while looks.is_none_or(|looks| {
        let undecided = || last.as_ref().is_some_and(|last: &KafkaSample| last.status == LagStatus::Unknown);
        seen < looks || (args.samples.is_none() && undecided() && begun.elapsed() < patience)
    }) {
        let sample = tokio::select! {
            sample = samples.recv() => sample.context("the sampler has ended")?,
            () = reader_gone(), if args.watch => break,
            () = signals.stop.cancelled() => break,
        };
        match sample {
            Ok(sample) if args.watch => {
                if !show.sample(&sample)? {
                    break;
                }
            }
            Ok(sample) => last = Some(sample),
            // It comes back by itself, and what did not come is no look.
            Err(why) if args.watch => {
                note(&format!("{why} (since {:.0})", jiff::Timestamp::now()));
                continue;
            }
            Err(why) => bail!(why),
        }
        seen += 1;
    }
    // The channel goes first, or it might wait for its reader.
    drop(samples);
    drop(running);
    match last {
        Some(sample) if signals.exit().is_none() => context.print(&text(&sample), &sample)?,
        _ => {}
    }
    Ok(signals.exit().unwrap_or(Exit::Done))
}

fn plan(context: &Context, args: &LagArgs) -> anyhow::Result<LagPlan> {
    let duration = |flag: &str, text: &str, least: Duration| {
        let duration: HumanDuration = text.parse().map_err(|e| UsageError(format!("{flag}: {e}")))?;
        let short = || UsageError(format!("{flag}: {text} is too short: at least {}", HumanDuration(least)));
        if duration.0 < least { Err(short()) } else { Ok(duration.0) }
    };
    let rules = Rules {
        allowed: args.allowed,
        commit_interval: duration("--commit-interval", &args.commit_interval, Duration::ZERO)?,
    };
    let claims = context.system().claims();
    // The topic belongs to its group also before anything was committed.
    let topics = match (&args.group, args.topic.is_empty()) {
        (None, true) => vec![claims.name.to_owned()],
        _ => args.topic.clone(),
    };
    Ok(LagPlan {
        endpoint: context.kafka()?,
        group: args.group.clone().unwrap_or_else(|| claims.group.to_owned()),
        topics,
        search: args.topic.is_empty(),
        interval: duration("--interval", &args.interval, Duration::from_millis(100))?,
        rules,
    })
}

/// How long it looks for, where it stands still and nothing else is known: then that is a stall.
fn patience(plan: &LagPlan) -> Duration {
    Duration::from_secs_f64(History::patience_s(plan.rules)) + plan.interval * 2
}

/// Where samples go while it watches.
struct Show {
    format: Format,
    redraw: bool,
    /// Lines of the last drawing.
    drawn: usize,
}

impl Show {
    /// False when nobody reads any more.
    fn sample(&mut self, sample: &KafkaSample) -> anyhow::Result<bool> {
        if self.format == Format::Json {
            return out_if_read(&serde_json::to_string(sample)?);
        }
        let text = format!("{:.0} {}", jiff::Timestamp::now(), text(sample));
        let up = std::mem::replace(&mut self.drawn, text.trim_end_matches('\n').lines().count());
        if !self.redraw {
            return out_if_read(&text);
        }
        // Up to where the last one began, and away with it. A line that wraps would count twice: it is cut instead.
        let back = if up > 0 { format!("\x1b[{up}A\r\x1b[J") } else { String::new() };
        out_if_read(&format!("{back}\x1b[?7l{}\x1b[?7h", text.trim_end_matches('\n')))
    }
}

/// A head line and a row for each partition.
fn text(sample: &KafkaSample) -> String {
    let header = [
        "topic",
        "part.",
        "start",
        "committed",
        "end",
        "lag",
        "status",
        "slope /s",
        "drain s",
        "lag ms",
        "in /s",
        "out /s",
        "leader",
        "member",
    ];
    let mut table = Fitted::new(&header, &[1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12], &[(0, 12), (13, 8)]);
    for p in &sample.partitions {
        table.add(row(p));
    }
    let (table, cut) = table.draw();
    let mut text = format!("{}\n{table}\n", head(sample));
    let cut: BTreeSet<_> = cut.into_iter().map(|(_, column, whole)| format!("{column} {whole}")).collect();
    for line in cut {
        let _ = writeln!(text, "{line}");
    }
    for (topic, why) in &sample.unread {
        let _ = writeln!(text, "{}: not read: {}", one_line(topic), one_line(why));
    }
    if let Some(dead) = sample.dead_letters.filter(|dead| *dead > 0) {
        let _ = writeln!(text, "dead letters: {}", count(dead));
        for (reason, n) in &sample.dead_reasons {
            let _ = writeln!(text, "  {} × {}", count(*n), one_line(reason));
        }
        for letter in sample.newest_dead.iter().take(DEAD_SHOWN) {
            let (at, key) = (&letter.at, one_line(&letter.key));
            let _ = writeln!(
                text,
                "  {at} partition {} offset {} key {key}: {}",
                letter.partition,
                letter.offset,
                one_line(&letter.value)
            );
        }
    }
    text
}

fn head(sample: &KafkaSample) -> String {
    let members = sample.members.as_ref().map_or_else(
        || "members unknown".into(),
        |m| format!("{} member{}", m.len(), if m.len() == 1 { "" } else { "s" }),
    );
    let lag = sample.lag.map_or_else(|| "unknown".into(), count);
    let mut text = format!("{}: {}, {members}, lag {lag}, {}", sample.group, sample.state, sample.status.name());
    if let Some(drain) = sample.drain_s.filter(|drain| *drain > 0.0) {
        let _ = write!(text, ", drained in {drain:.0} s");
    }
    if let Some(age) = sample.time_lag_ms.filter(|age| *age > 0.0) {
        let _ = write!(text, ", oldest record {:.1} s", age / 1_000.0);
    }
    if sample.rebalances > 0 {
        let _ = write!(text, ", {} rebalances", sample.rebalances);
    }
    text
}

fn row(p: &PartitionLag) -> Vec<String> {
    let rate = |value: Option<f64>| or_dash(value.map(|value| format!("{value:.1}")));
    vec![
        p.topic.clone(),
        p.partition.to_string(),
        p.start.to_string(),
        or_dash(p.committed),
        p.end.to_string(),
        p.lag.map_or_else(|| "unknown".into(), count),
        format!("{}{}", p.status.name(), if p.hot { " HOT" } else { "" }),
        rate(p.slope),
        rate(p.drain_s),
        or_dash(p.time_lag_ms.map(|ms| format!("{ms:.0}"))),
        rate(p.produced_per_s),
        rate(p.consumed_per_s),
        p.leader.map_or_else(|| "none".into(), |leader| leader.to_string()),
        or_dash(p.member.as_deref().map(one_line)),
    ]
}

/// A record's text on one line, and not much of it.
fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = text.chars().take(100).map(plain).collect();
    if text.chars().nth(100).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::event::watch::{DeadLetter, Member};

    #[test]
    fn the_table_says_what_is_known_and_what_is_not() {
        let known = PartitionLag {
            topic: "orders-ready".into(),
            start: 10,
            end: 12_345,
            committed: Some(345),
            lag: Some(12_000),
            status: LagStatus::CatchingUp,
            slope: Some(-120.04),
            drain_s: Some(99.97),
            time_lag_ms: Some(1_234.5),
            produced_per_s: Some(80.0),
            consumed_per_s: Some(200.0),
            hot: true,
            leader: Some(1),
            member: Some("consumer-1".into()),
            ..PartitionLag::default()
        };
        let unknown = PartitionLag {
            topic: "orders-ready".into(),
            partition: 1,
            status: LagStatus::NoCommit,
            ..PartitionLag::default()
        };
        let letter = DeadLetter {
            at: "2026-11-21T10:00:00.000Z".into(),
            key: "42".into(),
            value: "{\n\"쿠폰\": 1}".into(),
            ..DeadLetter::default()
        };
        let sample = KafkaSample {
            group: "orders-ready-group".into(),
            state: "Stable".into(),
            status: LagStatus::NoCommit,
            time_lag_ms: Some(1_234.5),
            members: Some(vec![Member::default()]),
            rebalances: 2,
            partitions: vec![known, unknown],
            dead_letters: Some(1),
            dead_reasons: [("data too long".to_owned(), 1)].into(),
            newest_dead: vec![letter],
            ..KafkaSample::default()
        };
        insta::assert_snapshot!(text(&sample));
    }
}
