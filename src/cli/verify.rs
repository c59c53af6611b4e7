//! `verify`: the proof again, on the servers as they are now or from a run's files alone.

use std::collections::BTreeMap;

use anyhow::Context as _;
use contract::system::System;
use infra::process;
use profile::model::Profile;
use record::{
    epoch::{OfRun, Opened},
    event::names::Provider,
    invariant,
};
use verify::{self, LogBefore, Overall, VerifyPlan, VerifyReport, invariants::InvariantPlan};

use super::{
    args::VerifyArgs,
    common::{Context, same_system},
    runs,
};
use crate::{
    exit::Exit,
    report,
    run::{
        execute,
        folder::{self, RunFolder},
    },
    seed::SeedPlan,
};

/// `verify [PROFILE] [--run R | --history R]`
pub async fn run(context: &Context, args: &VerifyArgs) -> anyhow::Result<Exit> {
    let report = match &args.history {
        Some(name) => history(&runs::find(context, Some(name))?)?,
        None => online(context, args).await?,
    };
    context.print(&report::terminal::verification(&report), &report)?;
    Ok(match report.verdict {
        Overall::Consistent | Overall::NothingToProve => Exit::Done,
        Overall::Violated => Exit::Violated,
        Overall::Unproven => Exit::Unproven,
    })
}

/// A run that ended before its sets were written is judged too: all that needs them is unknown, and says why.
fn history(run: &RunFolder) -> anyhow::Result<VerifyReport> {
    if verify::has_sets(run.path()) {
        return Ok(verify::offline(run.path(), None)?);
    }
    let file = run.read()?;
    let broken = runs::read_summary(run).ok().and_then(|summary| summary.broken);
    let why = broken.unwrap_or_else(|| "the run ended before anything was compared".into());
    let why = format!("no sets were kept: {why}");
    Ok(verify::without_sets(run.path(), &folder::subjects(&file.proven), &file.invariants, &file.require, &why))
}

async fn online(context: &Context, args: &VerifyArgs) -> anyhow::Result<VerifyReport> {
    let stack = context.stack()?;
    let system = stack.system;
    // Servers that are named by their addresses alone may be any system's.
    let up = stack.components.values().any(|c| c.provider != Provider::External).then_some(system);
    let mut plan = VerifyPlan {
        topic: system.claims().name.to_owned(),
        group: system.claims().group.to_owned(),
        endpoints: stack.endpoints,
        system,
        subjects: Vec::new(),
        ledger: None,
        sent: BTreeMap::new(),
        sets_dir: None,
        require: Vec::new(),
        origin_unix_ns: None,
        of_run: None,
        before: LogBefore::default(),
        running: None,
        invariants: InvariantPlan::default(),
    };
    let runs = RunFolder::list(&context.runs()?)?;
    match (&args.profile, &args.run, runs.last()) {
        (Some(profile), None, _) => of_profile(context, profile, &mut plan, up)?,
        // The run's ledger and epochs, and the profile's invariants as they are now.
        (profile, Some(name), _) => {
            of_run(&runs::find(context, Some(name))?, &runs, &mut plan)?;
            if let Some(profile) = profile {
                plan.invariants = invariants(&context.profile(profile)?.profile);
            }
        }
        (None, None, Some(last)) => of_run(last, &runs, &mut plan)?,
        (None, None, None) => of_profile(context, system.description().profile, &mut plan, up)?,
    }
    verify::run(&plan).await.context("the sets could not be compared")
}

/// Without a run nobody knows what people were told: checks on the ledger are unknown.
fn of_profile(context: &Context, name: &str, plan: &mut VerifyPlan, up: Option<System>) -> anyhow::Result<()> {
    let profile = context.profile(name)?.profile;
    if let Some(up) = up {
        same_system(&profile, up, &context.global.state_dir)?;
    }
    let claims = profile.system.claims();
    (plan.topic, plan.group) = (claims.name.to_owned(), claims.group.to_owned());
    let seed = SeedPlan::new(profile.system, &profile.seed)?;
    plan.system = profile.system;
    plan.subjects = folder::subjects(&execute::proven(&profile, &seed));
    plan.invariants = invariants(&profile);
    plan.require = profile.checks.require;
    Ok(())
}

/// The invariants of a profile and of its system.
fn invariants(profile: &Profile) -> InvariantPlan {
    let listed = invariant::listed(profile.system, &profile.invariants);
    InvariantPlan { listed, ..InvariantPlan::default() }
}

/// `runs` are all there are: one of them may have taken over what was claimed.
fn of_run(run: &RunFolder, runs: &[RunFolder], plan: &mut VerifyPlan) -> anyhow::Result<()> {
    let file = run.read()?;
    let recorded = verify::recorded(&run.sets());
    plan.running = { file.process.filter(|process| process::is_alive(*process)) }.map(|process| {
        format!("run {} still goes on (pid {}): its own verdict comes at its end", run.name(), process.pid)
    });
    let sets = recorded.as_ref().ok();
    plan.before = sets.map(|sets| sets.log.clone()).unwrap_or_default();
    plan.of_run = Some(OfRun {
        run: run.name(),
        // A run of version 0.1 kept its epochs with the sets alone.
        opened: file.epochs.or_else(|| sets.map(|sets| sets.epochs.clone())).ok_or_else(|| {
            format!(
                "run {} does not say which epochs it opened: an older ecomctl made it, and it has no sets",
                run.name()
            )
        }),
        history: sets.is_some(),
        openers: openers(runs),
    });
    plan.subjects = folder::subjects(&file.proven);
    plan.require = file.require;
    plan.ledger = Some(run.ledger());
    plan.origin_unix_ns = Some(file.origin_unix_ns);
    plan.sent = file.sent;
    plan.invariants.listed = file.invariants;
    Ok(())
}

/// Epoch → the run that opened it. A run that cannot be read names none: it is only for the message.
fn openers(runs: &[RunFolder]) -> BTreeMap<String, String> {
    let opened = |run: &RunFolder| -> Vec<(String, String)> {
        let epochs: Opened = run.read().ok().and_then(|file| file.epochs).unwrap_or_default();
        epochs.into_values().map(|epoch| (epoch, run.name())).collect()
    };
    runs.iter().flat_map(opened).collect()
}
