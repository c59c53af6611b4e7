//! `run`: profiles in turn, one table and one exit code.

use std::time::Duration;

use anyhow::Context as _;
use backend::{human::HumanDuration, settings::Size};
use serde_json::json;

use super::{
    args::RunArgs,
    common::{Context, note, out},
    exit::UsageError,
    progress::Progress,
    signals::Signals,
};
use crate::{
    cli::args::Format,
    exit::Exit,
    profile::{Loaded, model::ProviderChoice},
    report,
    run::{execute, summary::Summary, walk},
};

/// Runs the profiles that were named.
pub async fn run(context: &Context, args: &RunArgs) -> anyhow::Result<Exit> {
    let settle: HumanDuration = args.settle.parse().map_err(|e| UsageError(format!("--settle: {e}")))?;
    let duration = args.duration.as_deref().map(str::parse::<HumanDuration>).transpose();
    let duration = duration.map_err(|e| UsageError(format!("--duration: {e}")))?;
    // Every profile is read before anything is started.
    let mut loaded = args
        .profiles
        .iter()
        .map(|name| {
            context.profile_with(name, |overrides| {
                overrides.vus = args.vus;
                overrides.duration = duration;
                overrides.rps = args.rps;
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(size) = args.size {
        for loaded in &mut loaded {
            sized(loaded, size.into())?;
        }
    }
    let signals = Signals::listen().context("cannot listen for Ctrl-C")?;
    let mut summaries = Vec::new();
    let mut failed = Vec::new();
    for (i, profile) in loaded.iter().enumerate() {
        if i > 0 && !pause(settle.0, &signals).await {
            break;
        }
        // Between profiles the stack stays; only the last one takes it down.
        let keep = args.keep || i + 1 < loaded.len();
        match one(context, profile, keep, &signals).await {
            Ok(summary) => summaries.push(summary),
            Err(error) if signals.exit().is_some() => note(&format!("{}: {error:#}", profile.name)),
            Err(error) => {
                super::common::complain(&format!("{}: {error:#}", profile.name));
                failed.push(super::exit::of_error(&error));
            }
        }
        if signals.exit().is_some() {
            break;
        }
    }
    let exits = summaries.iter().map(|s| s.exit(signals.exit())).chain(failed).chain(signals.exit());
    let exit = Exit::worst(exits.collect::<Vec<_>>());
    print(context, &summaries, loaded.len(), exit)?;
    Ok(exit)
}

/// Puts the backend into containers of this size.
///
/// # Errors
/// Where the servers are processes of this machine.
pub fn sized(loaded: &mut Loaded, size: Size) -> Result<(), UsageError> {
    if loaded.profile.stack.provider == ProviderChoice::Native {
        let why = "containers cannot reach native servers on this machine's loopback; take --provider docker";
        return Err(UsageError(format!("--size {}: {why}", size.name())));
    }
    loaded.profile.backend.size = Some(size);
    Ok(())
}

/// One profile.
pub async fn one(context: &Context, loaded: &Loaded, keep: bool, signals: &Signals) -> anyhow::Result<Summary> {
    let state = context.state()?;
    let progress = Progress::new(context.draw);
    let request = walk::Request {
        loaded,
        state: &state,
        keep,
        pull: context.global.pull,
        yes: context.global.yes,
        interrupted: &|| signals.exit(),
        cancel: signals.stop.clone(),
    };
    execute::run(&request, &progress).await
}

/// Pauses, unless a signal comes first.
async fn pause(settle: Duration, signals: &Signals) -> bool {
    if settle.is_zero() {
        return true;
    }
    note(&format!("settling for {}", HumanDuration(settle)));
    tokio::select! {
        () = tokio::time::sleep(settle) => true,
        () = signals.stop.cancelled() => false,
    }
}

fn print(context: &Context, summaries: &[Summary], asked: usize, exit: Exit) -> anyhow::Result<()> {
    match context.global.format {
        Format::Json if asked == 1 => match summaries {
            [summary] => out(&serde_json::to_string_pretty(summary)?),
            _ => Ok(()),
        },
        Format::Json => out(&serde_json::to_string_pretty(&json!({"runs": summaries, "exit_code": exit.code()}))?),
        Format::Table => {
            for summary in summaries {
                out(&report::terminal::render(summary))?;
            }
            if asked > 1 {
                out(&report::terminal::several(summaries))?;
            }
            Ok(())
        }
    }
}
