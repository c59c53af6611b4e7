//! `runs`, `report`, `stop`: runs that are over, and the one that is under way.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use super::{
    args::{Format, ReportArgs, RunsAction, RunsArgs, StopArgs},
    common::{Context, note, out},
    exit::UsageError,
};
use crate::{
    exit::Exit,
    figure,
    infra::{
        StateDir,
        owned::{Removal, remove_tree},
        process,
    },
    report,
    run::folder::{RunFile, RunFolder},
    summary::{self, Summary},
    table,
};

/// How long a run may take to come to its end after `stop`.
const ENDS_WITHIN: Duration = Duration::from_secs(120);

/// `runs list|rm`
pub fn run(context: &Context, args: &RunsArgs) -> anyhow::Result<Exit> {
    match &args.action {
        RunsAction::List => list(context),
        RunsAction::Rm { runs } => remove(context, runs),
    }
}

fn list(context: &Context) -> anyhow::Result<Exit> {
    let mut rows = Vec::new();
    let mut table = table::new(&["run", "profile", "state", "verdict", "exit"], &[4]);
    for run in RunFolder::list(&context.runs()?)? {
        let file = run.read()?;
        let summary = read_summary(&run).ok();
        let state = match (&summary, under_way(&file)) {
            (_, true) => "under way",
            (Some(_), false) => "ended",
            (None, false) => "broken off",
        };
        let verdict = summary.as_ref().map(|s| s.verdict.name());
        let exit = summary.as_ref().map(|s| s.exit_code);
        table.add_row(vec![
            run.name(),
            file.profile.clone(),
            state.to_owned(),
            verdict.unwrap_or("-").to_owned(),
            figure::or_dash(exit),
        ]);
        rows.push(json!({"run": run.name(), "profile": file.profile, "started_at": file.started_at, "state": state, "verdict": verdict, "exit_code": exit}));
    }
    context.print(&table.to_string(), &rows)?;
    Ok(Exit::Done)
}

fn remove(context: &Context, names: &[String]) -> anyhow::Result<Exit> {
    let state = context.require_state()?;
    let mut runs = names.iter().map(|name| to_delete(&state, name)).collect::<anyhow::Result<Vec<_>>>()?;
    runs.sort_by_key(RunFolder::name);
    runs.dedup();
    for run in &runs {
        if under_way(&run.read()?) {
            bail!("{} is under way: `ecomctl stop {}` first", run.name(), run.name());
        }
    }
    if !context.global.yes {
        let list: Vec<_> = runs.iter().map(RunFolder::name).collect();
        return Err(UsageError(format!("this deletes {}: say --yes", list.join(", "))).into());
    }
    for run in runs {
        let name = run.name();
        match remove_tree(state.root(), &Path::new("runs").join(&name))? {
            Removal::Link { link, target } => bail!(
                "{name} was not deleted: {} is a link to {}; delete what is behind it and the link yourself",
                link.display(),
                target.display()
            ),
            Removal::Gone => note(&format!("deleted {name}")),
            Removal::Absent => note(&format!("{name} was gone already")),
        }
    }
    Ok(Exit::Done)
}

/// The run of this state folder that is called `name`, or the only one that begins so. A path is no name: what is
/// deleted lies in the folder of the runs.
fn to_delete(state: &StateDir, name: &str) -> anyhow::Result<RunFolder> {
    let mut all = RunFolder::list(&state.path("runs"))?;
    all.retain(|run| run.name() == name || (!name.is_empty() && run.name().starts_with(name)));
    if let Some(exact) = all.iter().position(|run| run.name() == name) {
        all.swap(0, exact);
        all.truncate(1);
    }
    match (all.pop(), all.is_empty()) {
        (Some(run), true) => Ok(run),
        _ => {
            let runs = state.path("runs");
            let why =
                format!("no run in {}, or more than one, is called `{name}`: see `ecomctl runs list`", runs.display());
            Err(UsageError(why).into())
        }
    }
}

/// `report [RUN]`
pub fn report(context: &Context, args: &ReportArgs) -> anyhow::Result<Exit> {
    let run = find(context, args.run.as_deref())?;
    let summary = read_summary(&run)?;
    match context.global.format {
        Format::Json => out(&serde_json::to_string_pretty(&summary)?)?,
        Format::Table => out(&report::terminal::render(&summary))?,
    }
    Ok(Exit::Done)
}

/// `stop [RUN]`
pub async fn stop(context: &Context, args: &StopArgs) -> anyhow::Result<Exit> {
    let run = if let Some(name) = &args.run {
        find(context, Some(name))?
    } else {
        active(context)?.context("no run is under way")?
    };
    let Some(target) = run.read()?.process.filter(|p| process::is_alive(*p)) else {
        bail!("{} is not under way", run.name());
    };
    kill(Pid::from_raw(target.pid), Signal::SIGTERM).with_context(|| format!("cannot signal pid {}", target.pid))?;
    note(&format!("asked {} to stop", run.name()));
    let since = Instant::now();
    while process::is_alive(target) {
        if since.elapsed() > ENDS_WITHIN {
            bail!("{} (pid {}) is still there after {} s", run.name(), target.pid, ENDS_WITHIN.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    note(&format!("{} has stopped", run.name()));
    Ok(Exit::Done)
}

fn under_way(file: &RunFile) -> bool {
    file.process.is_some_and(process::is_alive)
}

/// The run that is under way.
pub fn active(context: &Context) -> anyhow::Result<Option<RunFolder>> {
    let all = RunFolder::list(&context.runs()?)?;
    Ok(all.into_iter().rev().find(|run| run.read().is_ok_and(|file| under_way(&file))))
}

/// The run called `name`, or the last one.
pub fn find(context: &Context, name: Option<&str>) -> anyhow::Result<RunFolder> {
    let runs = context.runs()?;
    match name {
        Some(name) => RunFolder::find(&runs, name)?.ok_or_else(|| {
            UsageError(format!("no run, or more than one, is called {name}: see `ecomctl runs list`")).into()
        }),
        None => RunFolder::list(&runs)?
            .pop()
            .with_context(|| format!("there is no run in {}: `ecomctl run PROFILE` makes one", runs.display())),
    }
}

fn read_summary(run: &RunFolder) -> anyhow::Result<Summary> {
    let path = run.summary();
    let bytes = std::fs::read(&path).with_context(|| format!("{} has no summary: it was broken off", run.name()))?;
    let version: serde_json::Value =
        serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))?;
    if version["schema_version"].as_u64().is_some_and(|v| v > u64::from(summary::SCHEMA_VERSION)) {
        bail!("{} was written by a newer ecomctl: use that one", path.display());
    }
    serde_json::from_value(version).with_context(|| format!("{} is damaged", path.display()))
}
