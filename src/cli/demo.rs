//! `demo`: everything at once, on servers of its own.

use anyhow::Context as _;
use base::figure::count;
use contract::{cause, system::System};

use super::{
    args::DemoArgs,
    common::{Context, note, out},
    signals::Signals,
    single,
};
use crate::{cli::args::Format, exit::Exit, report, run::execute, seed::SeedPlan};

/// Up, seed, the quick profile of the first system, verify, report, down.
pub async fn run(context: &Context, args: &DemoArgs) -> anyhow::Result<Exit> {
    let mut loaded = context.profile(System::default().description().profile)?;
    if context.global.provider.is_none() {
        loaded.profile.stack.provider = profile::model::ProviderChoice::Native;
    }
    note("ecomctl demo: a real MySQL-family server, a real Redis and a real Kafka on this machine's loopback;");
    let seed = SeedPlan::new(loaded.profile.system, &loaded.profile.seed)?;
    for subject in execute::proven(&loaded.profile, &seed).subjects {
        let (many, name) = (count(subject.total), subject.claim.kind);
        note(&format!("{many} {name}s, first come, first served, and thousands of people who want one.\n"));
    }
    let signals = Signals::listen().context("cannot listen for Ctrl-C")?;
    let summary = match (single::run(context, &loaded, args.keep, &signals).await, signals.exit()) {
        (Ok(summary), _) => summary,
        (Err(error), Some(exit)) => {
            note(&cause::chain(error.as_ref()));
            return Ok(exit);
        }
        (Err(error), None) => return Err(error),
    };
    let exit = summary.exit(signals.exit());
    match context.global.format {
        Format::Json => out(&serde_json::to_string_pretty(&summary)?)?,
        Format::Table => {
            out(&report::terminal::render(&summary))?;
            let state = context.global.state_dir.display();
            if args.keep {
                note(&format!(
                    "\nThe stack is still up: `ecomctl status`, `ecomctl verify`, `ecomctl down` (state in {state})"
                ));
            } else {
                note(&format!("\nThe stack is down; the run's files are in {state}/runs/{}", summary.run));
            }
        }
    }
    Ok(exit)
}
