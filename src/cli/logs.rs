//! `logs`: of servers and backend, merged by time.

use anyhow::Context as _;
use infra::logs::{self, LogLine, Range};
use jiff::Timestamp;

use super::{
    args::{Format, LogsArgs},
    common::Context,
    out::{out_if_read, reader_gone},
    signals::Signals,
};
use crate::exit::Exit;

/// Lines of each component, where nothing else is said.
const LINES: usize = 100;

/// `logs [COMPONENT…]`
pub async fn run(context: &Context, args: &LogsArgs) -> anyhow::Result<Exit> {
    let since = match args.since.as_deref().map(|text| since(text, Timestamp::now())).transpose() {
        Ok(since) => since,
        Err(why) => {
            super::common::complain(&why);
            return Ok(Exit::Usage);
        }
    };
    let state = context.require_state()?;
    let lines = args.lines.or(if since.is_some() { None } else { Some(LINES) });
    let range = Range { lines, since };
    let show = |line: &LogLine| out_if_read(&shown(context, args, line)?);
    if !args.follow {
        for line in logs::tail_merged(&state, &args.components, range).await? {
            if !show(&line)? {
                break;
            }
        }
        return Ok(Exit::Done);
    }
    let signals = Signals::listen().context("cannot listen for Ctrl-C")?;
    let mut lines = logs::follow_merged(&state, &args.components, range).await?;
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) if show(&line)? => {}
                _ => return Ok(Exit::Done),
            },
            () = reader_gone() => return Ok(Exit::Done),
            // Ctrl-C is how one stops looking: nothing was interrupted.
            () = signals.stop.cancelled() => return Ok(Exit::Done),
        }
    }
}

/// For programs an object a line.
fn shown(context: &Context, args: &LogsArgs, line: &LogLine) -> anyhow::Result<String> {
    if context.global.format == Format::Json {
        return Ok(serde_json::to_string(line)?);
    }
    let LogLine { at, component, text } = line;
    Ok(if args.timestamps { format!("{at:.3} {component:<12} | {text}") } else { format!("{component:<12} | {text}") })
}

/// A time, or how long ago.
fn since(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(duration) = text.parse::<contract::human::HumanDuration>() {
        // Longer ago than there is time: from the beginning.
        return Ok(now.checked_sub(duration.0).unwrap_or(Timestamp::MIN));
    }
    let why = |_| format!("--since: `{text}` is neither a duration (5m, 1h30m) nor a time (2026-11-21T10:00:00Z)");
    text.parse().map_err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_duration_or_a_time() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let at = |text: &str| since(text, now).map(|at| at.to_string());
        assert_eq!(at("5m").unwrap(), "2026-11-21T09:55:00Z");
        assert_eq!(at("2026-11-21T18:30:00+09:00").unwrap(), "2026-11-21T09:30:00Z");
        assert!(at("999999999h").is_ok());
        for text in ["yesterday", "", "5", "-5m"] {
            assert!(at(text).unwrap_err().contains("is neither"), "{text}");
        }
    }
}
