//! `runs`, `report`, `stop`: runs that are over, and the one that is under way.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use base::{figure, table};
use contract::cause;
use infra::{
    StateDir,
    owned::{Removal, remove_tree},
    process,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Serialize;

use super::{
    args::{Format, ReportArgs, RunsAction, RunsArgs, StopArgs},
    common::{Context, note, out},
    exit::UsageError,
};
use crate::{
    exit::Exit,
    report,
    run::folder::{RunFile, RunFolder},
    summary::{self, Summary},
};

/// How long a run may take to come to its end after `stop`.
const ENDS_WITHIN: Duration = Duration::from_secs(120);

/// `runs list|rm`
pub fn run(context: &Context, args: &RunsArgs) -> anyhow::Result<Exit> {
    match &args.action {
        RunsAction::List => list(context),
        RunsAction::Rm { keep: Some(keep), .. } => remove_older(context, *keep),
        RunsAction::Rm { runs, keep: None } => remove(context, runs),
    }
}

fn list(context: &Context) -> anyhow::Result<Exit> {
    let mut rows = Vec::new();
    let mut table = table::new(&["run", "profile", "state", "verdict", "exit"], &[4]);
    for run in RunFolder::list(&context.runs()?)? {
        let row = Row::of(&run);
        let dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
        table.add_row(vec![
            row.run.clone(),
            dash(row.profile.as_deref()),
            row.state.to_owned(),
            dash(row.verdict),
            figure::or_dash(row.exit_code),
        ]);
        rows.push(row);
    }
    context.print(&table.to_string(), &rows)?;
    for row in &rows {
        if let Some(why) = &row.unreadable {
            note(&format!("{}: {why}", row.run));
        }
    }
    tell_size(context);
    Ok(Exit::Done)
}

/// A run in the list.
#[derive(Debug, Serialize)]
struct Row {
    run: String,
    profile: Option<String>,
    started_at: Option<String>,
    state: &'static str,
    verdict: Option<&'static str>,
    exit_code: Option<u8>,
    /// Why the run, or its summary, cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
}

impl Row {
    /// What can be read of a run: one that cannot be is no reason not to list the others.
    fn of(run: &RunFolder) -> Self {
        let (file, why) = halves(run.read().map_err(|error| cause::chain(&error)));
        let (summary, no_summary) = halves(summary(run).map_err(|error| cause::chain(error.as_ref())));
        let summary = summary.flatten();
        let unreadable = why.or(no_summary);
        let state = match (&file, &summary) {
            (Some(file), _) if under_way(file) => "under way",
            _ if unreadable.is_some() => "unreadable",
            (_, Some(_)) => "ended",
            (_, None) => "broken off",
        };
        Self {
            run: run.name(),
            profile: file.as_ref().map(|file| file.profile.clone()),
            started_at: file.map(|file| file.started_at),
            state,
            verdict: summary.as_ref().map(|summary| summary.verdict.name()),
            exit_code: summary.map(|summary| summary.exit_code),
            unreadable,
        }
    }
}

fn halves<T>(result: Result<T, String>) -> (Option<T>, Option<String>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(why) => (None, Some(why)),
    }
}

/// Says so when the runs take more room than the settings allow.
pub fn tell_size(context: &Context) {
    let limit = context.global.runs_limit;
    let Some(runs) = context.runs().ok().filter(|_| limit > 0) else { return };
    let size = RunFolder::size(&runs);
    if size > limit {
        note(&format!(
            "warning: the runs in {} take {}, more than {} (--runs-limit, ECOMCTL_RUNS_LIMIT): \
             `ecomctl runs rm --keep N` removes all but the newest N",
            runs.display(),
            figure::bytes(size),
            figure::bytes(limit)
        ));
    }
}

/// `runs rm --keep N`
fn remove_older(context: &Context, keep: usize) -> anyhow::Result<Exit> {
    let all = RunFolder::list(&context.runs()?)?;
    let older = &all[..all.len().saturating_sub(keep)];
    // What cannot be read may be a newer ecomctl's, and what is a link lies elsewhere: both are somebody's own affair.
    let own = |run: &&RunFolder| match run.read() {
        Ok(file) => !run.path().is_symlink() && !under_way(&file),
        Err(error) => {
            note(&format!("{} stays: {}", run.name(), cause::chain(&error)));
            false
        }
    };
    let names: Vec<_> = older.iter().filter(own).map(RunFolder::name).collect();
    if names.is_empty() {
        note(&format!("nothing to remove: there are {} runs", all.len()));
        return Ok(Exit::Done);
    }
    remove(context, &names)
}

fn remove(context: &Context, names: &[String]) -> anyhow::Result<Exit> {
    let Some(state) = context.existing_state()? else {
        let why = format!("there is no run in {}", context.runs()?.display());
        return Err(UsageError(why).into());
    };
    let mut runs = names.iter().map(|name| to_delete(&state, name)).collect::<anyhow::Result<Vec<_>>>()?;
    runs.sort_by_key(RunFolder::name);
    runs.dedup();
    for run in &runs {
        // Whether one that cannot be read is under way nobody can say.
        let file = run.read().with_context(|| format!("{} was not deleted, nor any other", run.name()))?;
        if under_way(&file) {
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
    if let (Some(run), true) = (all.pop(), all.is_empty()) {
        return Ok(run);
    }
    let runs = state.path("runs");
    let why = format!("no run in {}, or more than one, is called `{name}`: see `ecomctl runs list`", runs.display());
    Err(UsageError(why).into())
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

/// The run that is under way. One that cannot be read may be it: that is said.
pub fn active(context: &Context) -> anyhow::Result<Option<RunFolder>> {
    for run in RunFolder::list(&context.runs()?)?.into_iter().rev() {
        match run.read() {
            Ok(file) if under_way(&file) => return Ok(Some(run)),
            Ok(_) => {}
            Err(error) => {
                note(&format!("whether {} is under way is not known: {}", run.name(), cause::chain(&error)));
            }
        }
    }
    Ok(None)
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

/// The summary of a run that came to its end.
///
/// # Errors
/// Also where there is none. The run is named.
pub fn read_summary(run: &RunFolder) -> anyhow::Result<Summary> {
    summary(run)?.with_context(|| match run.read() {
        Ok(file) if under_way(&file) => format!("{} has no summary yet: it is under way", run.name()),
        _ => format!("{} has no summary: it was broken off", run.name()),
    })
}

/// The summary of a run; none where it wrote none.
fn summary(run: &RunFolder) -> anyhow::Result<Option<Summary>> {
    let path = run.summary();
    let bytes = match std::fs::read(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("{} cannot be read", path.display()))?,
    };
    let version: serde_json::Value =
        serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))?;
    if version["schema_version"].as_u64().is_some_and(|v| v > u64::from(summary::SCHEMA_VERSION)) {
        bail!("{} was written by a newer ecomctl: use that one", path.display());
    }
    serde_json::from_value(version).map(Some).with_context(|| format!("{} is damaged", path.display()))
}

#[cfg(test)]
mod tests;
