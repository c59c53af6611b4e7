//! `up`, `down`, `restart`, `doctor`: the servers.

use std::{fmt::Write as _, io::IsTerminal as _, path::Path};

use anyhow::Context as _;
use base::table;
use contract::system::System;
use infra::{self, Down, DownReport, UpEvent, UpReport, UpRequest, env::Env, preflight};
use profile::model::{ProviderChoice, StackSpec};
use serde_json::json;

use super::{
    args::{DoctorArgs, DownArgs, RestartArgs, UpArgs},
    common::{Context, note},
    exit::UsageError,
    out::{self, Stream},
    signals::Signals,
};
use crate::exit::Exit;

/// `up [PROFILE]`
pub async fn up(context: &Context, args: &UpArgs) -> anyhow::Result<Exit> {
    let mut loaded = context.profile(&args.profile)?;
    only_in_docker(&mut loaded.profile.stack, args)?;
    let signals = Signals::listen().context("cannot listen for Ctrl-C")?;
    let mut request = UpRequest::for_profile(context.state()?, &loaded.profile);
    request.yes = context.global.yes;
    request.keep_failed = args.keep;
    request.pull = context.global.pull;
    let result = Box::pin(infra::up(&request, &|event| note(&event.to_string()), signals.stop.clone())).await;
    let report = match result {
        Ok(report) => report,
        Err(error) => match signals.exit() {
            Some(exit) => {
                note(&format!("{error}"));
                return Ok(exit);
            }
            None => return Err(error.into()),
        },
    };
    context.print(
        &up_table(&report),
        &json!({
            "components": report.components, "topics": report.topics, "took_ms": report.took_ms
        }),
    )?;
    Ok(Exit::Done)
}

/// `--monitoring` and `--original`, which are containers.
fn only_in_docker(stack: &mut StackSpec, args: &UpArgs) -> Result<(), UsageError> {
    stack.monitoring |= args.monitoring;
    stack.original |= args.original;
    if !stack.monitoring && !stack.original {
        return Ok(());
    }
    if stack.original && stack.brokers != 1 {
        return Err(UsageError("the teams' own stack (--original) has one broker: set stack.brokers: 1".into()));
    }
    match stack.provider {
        // Nothing else could be meant.
        ProviderChoice::Auto => stack.provider = ProviderChoice::Docker,
        ProviderChoice::Docker => {}
        ProviderChoice::Native | ProviderChoice::External => {
            let why = "--monitoring and --original are containers: take --provider docker";
            return Err(UsageError(why.into()));
        }
    }
    Ok(())
}

fn up_table(report: &UpReport) -> String {
    let mut table = table::new(&["component", "provider", "version", "address", "ready after"], &[4]);
    for c in &report.components {
        let took = if c.reused { "was up".into() } else { format!("{} ms", c.took_ms) };
        table.add_row([c.name.as_str(), c.provider.name(), &c.version, &c.address, &took]);
    }
    format!("{table}\nup in {:.1} s", report.took_ms as f64 / 1_000.0)
}

/// `down [-v] [--system SYSTEM]`
pub async fn down(context: &Context, args: &DownArgs) -> anyhow::Result<Exit> {
    let what = Down { volumes: args.volumes, system: args.system.clone(), in_run: false };
    let state = context.existing_state()?;
    let system = state.as_ref().map(|state| infra::down::system(state, &what)).transpose()?.flatten();
    let asked = args.volumes && may_ask(context);
    if asked && !agreed(&context.global.state_dir, system.as_deref())? {
        note("nothing was done");
        return Ok(Exit::Failed);
    }
    let report = if let Some(state) = state {
        infra::down_as(&state, &what).await?
    } else {
        let gone = context.global.state_dir.display();
        note(&format!("{gone} is not there, or empty: only containers with its label can be there"));
        let path = state_path(&context.global.state_dir)?;
        infra::down_by_label(&path, args.volumes, asked || context.global.yes).await?
    };
    print_down(context, &report)
}

/// Somebody sits there who can answer.
fn may_ask(context: &Context) -> bool {
    let flags = &context.global;
    !flags.yes && !flags.ci && std::io::stdin().is_terminal() && out::is_terminal(Stream::Err)
}

/// Whether the person agrees that the data go.
fn agreed(folder: &Path, system: Option<&str>) -> anyhow::Result<bool> {
    let whose = system.map_or_else(String::new, |system| format!(" of {system}"));
    out::ask(&format!("delete the data{whose} in {}: tables, keys, topics? [y/N] ", folder.display()));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

fn print_down(context: &Context, report: &DownReport) -> anyhow::Result<Exit> {
    let mut text = String::new();
    for name in &report.containers {
        let _ = writeln!(text, "{name}: container removed");
    }
    for name in &report.networks {
        let _ = writeln!(text, "{name}: network removed");
    }
    if !report.volumes.is_empty() {
        let names = report.volumes.join(", ");
        let _ = if report.deleted {
            writeln!(text, "volumes deleted: {names}")
        } else {
            writeln!(text, "volumes kept: {names} (`ecomctl down -v` deletes them)")
        };
    }
    for s in &report.stopped {
        let how = if s.killed { "killed: it did not end by itself" } else { "stopped" };
        let _ = writeln!(text, "{} (pid {}): {how}", s.name, s.pid);
    }
    for name in &report.left_alone {
        let _ = writeln!(text, "{name}: left alone, ecomctl did not start it");
    }
    let _ = match (&report.data, report.deleted) {
        (Some(data), true) => writeln!(text, "data deleted: {}", data.display()),
        (Some(data), false) => writeln!(text, "data kept: {} (`ecomctl down -v` deletes it)", data.display()),
        (None, _) if report.volumes.is_empty() => writeln!(text, "no data"),
        (None, _) => Ok(()),
    };
    let stopped: Vec<_> =
        report.stopped.iter().map(|s| json!({"name": s.name, "pid": s.pid, "killed": s.killed})).collect();
    context.print(
        &text,
        &json!({
            "stopped": stopped, "left_alone": report.left_alone, "data": report.data, "deleted": report.deleted,
            "containers": report.containers, "networks": report.networks, "volumes": report.volumes,
            "in_the_way": report.in_the_way
        }),
    )?;
    // Whoever looks at the exit code only must not think that all of it is gone.
    anyhow::ensure!(report.in_the_way.is_empty(), "{}", report.in_the_way.join("\n"));
    Ok(Exit::Done)
}

/// The path that a state folder has, or had: absolute, its parents resolved.
fn state_path(given: &Path) -> anyhow::Result<std::path::PathBuf> {
    let absolute = std::path::absolute(given).with_context(|| format!("cannot resolve {}", given.display()))?;
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else { return Ok(absolute) };
    Ok(parent.canonicalize().map_or_else(|_| absolute.clone(), |parent| parent.join(name)))
}

/// `restart COMPONENT… | all`
pub async fn restart(context: &Context, args: &RestartArgs) -> anyhow::Result<Exit> {
    let state = context.require_state()?;
    let signals = Signals::listen().context("cannot listen for Ctrl-C")?;
    let say = |event: UpEvent| note(&event.to_string());
    let report =
        Box::pin(infra::restart(&state, &args.components, Env::from_process(), &say, signals.stop.clone())).await;
    let report = match (report, signals.exit()) {
        (Ok(report), _) => report,
        (Err(error), Some(exit)) => {
            note(&format!("{error}"));
            return Ok(exit);
        }
        (Err(error), None) => return Err(error.into()),
    };
    let mut table = table::new(&["component", "provider", "version", "address", "restarted in"], &[4]);
    for c in &report.components {
        table.add_row([&c.name, c.provider.name(), &c.version, &c.address, &format!("{} ms", c.took_ms)]);
    }
    context.print(&table.to_string(), &report.components)?;
    Ok(Exit::Done)
}

/// `doctor --preflight`
pub async fn doctor(context: &Context, _: &DoctorArgs) -> anyhow::Result<Exit> {
    let mut checks = preflight::preflight(&Env::from_process(), &context.global.state_dir, &[]).await;
    let profile = context.profile(System::default().description().profile)?.profile;
    let stack = &profile.stack;
    if stack.provider == ProviderChoice::Docker {
        // Native servers are not asked for: their programs may be missing.
        checks.retain(|check| !preflight::NATIVE.contains(&check.name.as_str()));
        let state = context.existing_state()?;
        checks.extend(preflight::docker::checks(state.as_ref(), profile.system, stack, &infra::up::variables()).await);
    }
    let mut table = table::new(&["check", "state", "found", "what to do"], &[]);
    for check in &checks {
        let level = match check.level {
            preflight::Level::Ok => "ok",
            preflight::Level::Warning => "WARNING",
            preflight::Level::Error => "ERROR",
        };
        table.add_row([check.name.as_str(), level, &check.found, check.remedy.as_deref().unwrap_or("")]);
    }
    context.print(&table.to_string(), &json!({"checks": checks}))?;
    let failed = checks.iter().any(|check| check.level == preflight::Level::Error);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}
