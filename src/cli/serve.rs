//! `serve`: the backend in the foreground; and, with `--process`, one process of it.

use std::{path::Path, time::Instant};

use anyhow::Context as _;
use contract::{
    process::{ProcessConfig, Role, is_backend},
    settings::Size,
};
use infra::state::SERVE;
use profile::Loaded;
use tokio::signal::unix::SignalKind;
use tokio_util::sync::CancellationToken;

use super::{
    args::{ServeArgs, ServeRole},
    common::{Context, note, same_system},
    exit::UsageError,
    out,
    signals::{Listener, Signals},
};
use crate::{
    exit::Exit,
    run::{
        backend::{Backend, Containers, DRAIN_WITHIN, LaunchPlan},
        kept,
        recorder::Recorder,
        seeding,
    },
};

/// One process of the backend, to its end.
pub fn process(file: &Path) -> Exit {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("ECOMCTL_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,rdkafka=warn")),
        )
        .with_writer(|| out::Log)
        .with_ansi(false)
        .init();
    match start(file) {
        Ok(()) => Exit::Done,
        Err(error) => {
            out::fail(&error);
            Exit::Failed
        }
    }
}

fn start(file: &Path) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let config: ProcessConfig =
        serde_json::from_slice(&bytes).with_context(|| format!("{} is no configuration", file.display()))?;
    // Health, metrics and what is granted are nobody's business but this machine's; a container has only the ports that were
    // published.
    let contained = ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists());
    anyhow::ensure!(
        config.listen.ip().is_loopback() || contained,
        "{} is to listen on {}, which is allowed in a container only",
        config.name,
        config.listen
    );
    infra::preflight::raise_open_files();
    let runtime = backend::runtime(&config).context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(on_signal(stop.clone()));
        backend::run(config, stop).await
    });
    // The thread that waits on standard input must not hold the end.
    runtime.shutdown_background();
    Ok(result?)
}

/// Asks for a drain on SIGTERM or SIGINT.
async fn on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (Listener::on(SignalKind::terminate()), Listener::on(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        () = terminate.heard() => {}
        () = interrupt.heard() => {}
    }
    stop.cancel();
}

/// The sizes that flags or the profile ask for; none: child processes.
fn sizes(loaded: &mut Loaded, args: &ServeArgs) -> Result<Option<Vec<Size>>, UsageError> {
    let mut sizes: Vec<Size> = args.size.iter().map(|size| (*size).into()).collect();
    sizes.extend(loaded.profile.backend.size.filter(|_| args.size.is_empty()));
    sizes.sort();
    sizes.dedup();
    let Some(first) = sizes.first() else { return Ok(None) };
    super::run::sized(loaded, *first)?;
    Ok(Some(sizes))
}

/// `serve [PROFILE] [--role …]`
pub async fn run(context: &Context, args: &ServeArgs) -> anyhow::Result<Exit> {
    let mut loaded = context.profile(&args.profile)?;
    let state = context.state()?;
    let mut stack = state.require_stack()?;
    let system = loaded.profile.system;
    same_system(&loaded.profile, stack.system, state.root())?;
    let _lock = state.lock(SERVE, "serve")?;
    let sizes = sizes(&mut loaded, args)?;
    if sizes.is_some() {
        kept::forget_dead(&state, &mut stack).await?;
    }
    if stack.components.keys().any(|name| is_backend(name)) {
        return Err(UsageError("a backend is up already: see `ecomctl status`, or `ecomctl down`".into()).into());
    }
    seeding::before_serving(&stack, context.global.yes, &note).await?;
    let signals = Signals::listen().context("cannot listen for Ctrl-C")?;
    let logs = state.folder("logs")?;
    let events = logs.join("serve-events.jsonl");
    let (emitter, recorder) = Recorder::start(&events, Instant::now()).await.context("cannot write events")?;
    let roles = match args.role {
        ServeRole::Api => vec![Role::Api],
        ServeRole::Consumer => vec![Role::Consumer],
        ServeRole::Reconciler => vec![Role::Reconciler],
        ServeRole::All => system.description().roles.iter().map(|spec| spec.role).collect(),
    };
    let containers = match sizes {
        Some(sizes) => Some(Containers::plan(&state, &stack, sizes).await?),
        None => None,
    };
    let plan = LaunchPlan {
        endpoints: stack.endpoints.clone(),
        settings: loaded.profile.backend.clone(),
        system,
        roles,
        last_port: stack.api.map(|api| api.port()),
        state: state.root().to_owned(),
        logs,
        keep: false,
        containers,
    };
    let backend = Backend::start(&plan, &emitter, &signals.stop).await?;
    kept::record(&state, &backend.running())?;
    for process in backend.running() {
        let log = match &process.container {
            Some(container) => format!("container {}", container.name),
            None => format!("log {}", process.log.display()),
        };
        note(&format!("{} ready on http://{} ({log})", process.name, process.address));
    }
    note("Ctrl-C drains and stops");
    signals.stop.cancelled().await;
    let killed = backend.stop(DRAIN_WITHIN).await;
    kept::forget(&state)?;
    drop(emitter);
    recorder.finish().await.context("events could not be written")?;
    if !killed.is_empty() {
        anyhow::bail!("{} did not drain within {} s and was killed", killed.join(", "), DRAIN_WITHIN.as_secs());
    }
    // To end it by signal is how `serve` ends well.
    Ok(Exit::Done)
}
