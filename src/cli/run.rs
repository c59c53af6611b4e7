//! `run`: profiles in turn, one table and one exit code.

use std::time::Duration;

use ::tui::{source::Source, view::Origin};
use anyhow::Context as _;
use contract::{cause, human::HumanDuration, settings::Size};
use profile::{Loaded, model::ProviderChoice};
use serde_json::json;

use super::{
    args::RunArgs,
    common::{Context, note, out},
    exit::UsageError,
    progress::Progress,
    signals::Signals,
    single::{self, Turn},
    tui,
};
use crate::{cli::args::Format, exit::Exit, report, run::walk::Show, summary::Summary};

/// Runs the profiles that were named.
pub async fn run(context: &Context, args: &RunArgs) -> anyhow::Result<Exit> {
    if args.tui {
        tui::possible(context)?;
    }
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
    let (summaries, failed) = if args.tui {
        let dashboard =
            tui::Dashboard::open(args.look, (Source::Idle, Origin::Run), None, Some(tui::stack_logs(context)))?;
        let show = tui::RunShow::new(&dashboard, context);
        let work = Box::pin(all(context, &loaded, (args.keep, settle.0), &signals, &show));
        let ((summaries, mut failed), drawn) = Box::pin(tui::beside(dashboard, &show, &signals, work)).await;
        if let Err(error) = drawn {
            super::common::complain(&format!("the dashboard failed: {error}"));
            failed.push(Exit::Failed);
        }
        (summaries, failed)
    } else {
        let progress = Progress::new(context.draw);
        Box::pin(all(context, &loaded, (args.keep, settle.0), &signals, &progress)).await
    };
    let exits = summaries.iter().map(|s| s.exit(signals.exit())).chain(failed).chain(signals.exit());
    let exit = Exit::worst(exits.collect::<Vec<_>>());
    print(context, &summaries, loaded.len(), exit)?;
    Ok(exit)
}

/// The profiles in turn: what came of those that ran, and the exit codes of those that could not.
async fn all(
    context: &Context,
    loaded: &[Loaded],
    (keep, settle): (bool, Duration),
    signals: &Signals,
    show: &dyn Show,
) -> (Vec<Summary>, Vec<Exit>) {
    let mut summaries = Vec::new();
    let mut failed = Vec::new();
    for (i, profile) in loaded.iter().enumerate() {
        if i > 0 && !pause(settle, signals).await {
            break;
        }
        // Between profiles the stack stays; only the last one takes it down.
        let turn = Turn { keep: keep || i + 1 < loaded.len(), swap: i > 0 };
        match single::shown(context, profile, turn, signals, show).await {
            Ok(summary) => summaries.push(summary),
            Err(error) if signals.exit().is_some() => {
                note(&format!("{}: {}", profile.name, cause::chain(error.as_ref())));
            }
            Err(error) => {
                super::common::complain(&format!("{}: {}", profile.name, cause::chain(error.as_ref())));
                failed.push(super::exit::of_error(&error));
            }
        }
        if signals.exit().is_some() {
            break;
        }
    }
    (summaries, failed)
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
