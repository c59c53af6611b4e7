//! `tui`, and the dashboard of `run --tui`: what it is shown, and who does what it asks for.

mod dashboard;
mod hands;
mod lines;
mod show;
mod watching;

use std::{io, pin::Pin};

use anyhow::{Context as _, bail};
use contract::{cause, system::System};
use infra::InfraError;
use profile::{self, Overrides};
use record::{act::Act, replay::Replay};
use tui::{
    acts::Command,
    app::News,
    launch::{Choices, Form, Order, ProfileChoice, What},
    model::Tone,
    source::{Source, Tail},
    view::Origin,
};

pub use self::{
    dashboard::{Dashboard, DashboardEvent, possible},
    show::{RunShow, beside},
};
use self::{hands::Hands, watching::Watching};
use super::{
    args::{Provider, SeedArgs, TuiArgs, UpArgs, Via},
    common::Context,
    runs, seed,
    signals::Signals,
    single, stack,
};
use crate::{exit::Exit, run::folder::RunFolder};

/// What was launched from the dashboard, at work.
type Busy<'a> = Pin<Box<dyn Future<Output = (What, anyhow::Result<Exit>)> + 'a>>;

/// The logs of whatever runs in the state folder.
pub fn stack_logs(context: &Context) -> lines::From {
    lines::From::Stack(context.global.state_dir.clone())
}

/// `tui [RUN]`, `tui --replay RUN`
pub async fn run(context: &Context, args: &TuiArgs) -> anyhow::Result<Exit> {
    possible(context)?;
    if let Some(name) = &args.replay {
        let found = runs::find(context, Some(name))?;
        let replay = Replay::open(&found.events()).with_context(|| format!("cannot replay {}", found.name()))?;
        if replay.is_empty() {
            bail!("cannot replay {}: {} holds no events", found.name(), found.events().display());
        }
        let source = (Source::Replay(Box::new(replay)), Origin::Replay);
        let dashboard = Dashboard::open(args.look, source, None, Some(lines::From::Run(found.logs())))?;
        return serve(context, dashboard, Hands::Nobody, None).await;
    }
    let logs = Some(stack_logs(context));
    if let Some((found, tail)) = attachable(context, args.run.as_deref())? {
        let control = found.read()?.control;
        let dashboard = Dashboard::open(args.look, (Source::Tail(Box::new(tail)), Origin::Attached), None, logs)?;
        return serve(context, dashboard, control.map_or(Hands::Nobody, Hands::Other), None).await;
    }
    match context.stack() {
        Ok(stack) => {
            let watching = Watching::start(context.existing_state()?, stack);
            let source = Source::Live(watching.state.clone());
            let dashboard = Dashboard::open(args.look, (source, Origin::Watching), Some(form()), logs)?;
            serve(context, dashboard, Hands::Stack(context.state()?), Some(watching)).await
        }
        Err(error) if matches!(error.downcast_ref(), Some(InfraError::NotUp { .. })) => {
            let dashboard = Dashboard::open(args.look, (Source::Idle, Origin::Idle), Some(form()), logs)?;
            serve(context, dashboard, Hands::Nobody, None).await
        }
        Err(error) => Err(error),
    }
}

/// The run that was named, or the one under way.
fn attachable(context: &Context, name: Option<&str>) -> anyhow::Result<Option<(RunFolder, Tail)>> {
    let found = match name {
        Some(name) => Some(runs::find(context, Some(name))?),
        None => runs::active(context)?,
    };
    let Some(found) = found else { return Ok(None) };
    let events = found.events();
    let writer = found.read().ok().and_then(|file| file.process);
    let tail = Tail::open(&events, writer).with_context(|| format!("cannot read {}", events.display()))?;
    Ok(Some((found, tail)))
}

fn form() -> Form {
    let choice = |info: profile::ProfileInfo| {
        let loaded = profile::load(&info.name, &Overrides::default()).ok()?;
        let seed = &loaded.profile.seed;
        let (users, products) = (seed.users, seed.products);
        Some(ProfileChoice { name: info.name, system: info.system, about: info.about, users, products })
    };
    let profiles = profile::list().into_iter().filter_map(choice).collect();
    let providers = ["auto", "docker", "native", "external"].map(str::to_owned).to_vec();
    Form::new(Choices { profiles, providers }).with_profile(System::default().description().profile)
}

/// Does what the dashboard asks for until it is closed, and what was launched from it is done.
async fn serve(
    context: &Context,
    mut dashboard: Dashboard,
    hands: Hands,
    mut watching: Option<Watching>,
) -> anyhow::Result<Exit> {
    let signals = Signals::listen().context("cannot listen for Ctrl-C")?;
    let show = RunShow::new(&dashboard, context);
    show.set_hands(hands);
    let mut busy: Option<Busy<'_>> = None;
    let mut ended: Option<io::Result<()>> = None;
    let mut exit = Exit::Done;
    while ended.is_none() || busy.is_some() {
        tokio::select! {
            event = dashboard.next() => match event {
                DashboardEvent::Closed(closed) => {
                    show.take_over();
                    ended = Some(closed);
                }
                // The form says so too; a command that was on its way already must not end what is at work.
                DashboardEvent::Command(Command::Launch(order)) if busy.is_some() => {
                    let words = format!("`{}` was not begun: something else is under way", order.what.name());
                    dashboard.tell(News::Say(Tone::Warn, words)).await;
                }
                DashboardEvent::Command(Command::Launch(order)) => {
                    busy = Some(Box::pin(launch(context, order, &signals, &show)));
                }
                DashboardEvent::Command(Command::Interrupt) => Signals::interrupt(),
                DashboardEvent::Command(Command::Act(act)) => show.act(act),
                DashboardEvent::Tick if signals.exit().is_some() && busy.is_none() => dashboard.close(),
                DashboardEvent::Command(Command::Exported(path)) => show.act(Act::Export(path)),
                DashboardEvent::Tick => {}
            },
            (what, result) = finished(&mut busy) => {
                busy = None;
                let (tone, words) = match &result {
                    Ok(done) => (Tone::Good, format!("{}: ended with exit code {}", what.name(), done.code())),
                    Err(error) => (Tone::Bad, format!("{}: {}", what.name(), cause::chain(error.as_ref()))),
                };
                dashboard.tell(News::Launched(tone, words)).await;
                if ended.is_some() {
                    exit = result?;
                } else if what != What::Start && result.is_ok() && watching.is_none() {
                    watching = watch(context, &dashboard, &show).await;
                }
            }
        }
    }
    drop(watching);
    ended.unwrap_or(Ok(())).context("the dashboard failed")?;
    Ok(signals.exit().unwrap_or(exit))
}

async fn finished(busy: &mut Option<Busy<'_>>) -> (What, anyhow::Result<Exit>) {
    match busy {
        Some(busy) => busy.await,
        None => std::future::pending().await,
    }
}

/// Looks at the stack that has just come up.
async fn watch(context: &Context, dashboard: &Dashboard, show: &RunShow) -> Option<Watching> {
    let (stack, state) = (context.stack().ok()?, context.state().ok()?);
    let watching = Watching::start(Some(state.clone()), stack);
    dashboard.tell(News::Source(Source::Live(watching.state.clone()), Origin::Watching)).await;
    show.set_hands(Hands::Stack(state));
    Some(watching)
}

/// Does what the form asks for.
async fn launch(context: &Context, order: Order, signals: &Signals, show: &RunShow) -> (What, anyhow::Result<Exit>) {
    let mut global = context.global.clone();
    global.provider = match order.provider.as_str() {
        "docker" => Some(Provider::Docker),
        "native" => Some(Provider::Native),
        "external" => Some(Provider::External),
        _ => global.provider,
    };
    let what = order.what;
    if what == What::Start {
        global.set.extend([format!("seed.users={}", order.users), format!("seed.products={}", order.products)]);
    }
    let context = Context { global, draw: false };
    let result = match what {
        What::Up => up(&context, &order).await,
        What::Seed => {
            let (users, products) = (Some(order.users), Some(order.products));
            seed::run(&context, &SeedArgs { profile: order.profile, users, products, via: Via::Sql }).await
        }
        What::Start => start(&context, &order.profile, signals, show).await,
    };
    (what, result)
}

async fn up(context: &Context, order: &Order) -> anyhow::Result<Exit> {
    let args = UpArgs { profile: order.profile.clone(), ..UpArgs::default() };
    stack::up(context, &args).await
}

async fn start(context: &Context, profile: &str, signals: &Signals, show: &RunShow) -> anyhow::Result<Exit> {
    let loaded = context.profile(profile)?;
    // Whoever looks at the dashboard wants to see the stack after the run too.
    let summary = single::shown(context, &loaded, single::Turn { keep: true, swap: false }, signals, show).await?;
    Ok(summary.exit(signals.exit()))
}
