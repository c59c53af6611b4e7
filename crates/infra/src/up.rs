//! `up`: from whatever is there to a stack whose servers answer, and whose topics are as planned.

mod containers;
mod ensure;
mod kafka;
mod leftovers;
mod probe;
mod runners;
mod servers;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use contract::{process::is_backend, system::System};
use profile::model::{Profile, StackSpec};
use record::event::names::Provider;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::{ensure::Replaced, runners::Runners};
use super::{
    docker::Change,
    down::{self, Down},
    env::Env,
    error::InfraError,
    launched::Launched,
    process::{self, GRACE, ProcessRef},
    stack::Stack,
    state::StateDir,
    topics::{self, TopicPlan, TopicReport},
};

/// What is to be brought up.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct UpRequest {
    /// State folder.
    pub state: StateDir,
    /// System.
    pub system: System,
    /// Servers; flags and variables are merged in already.
    pub stack: StackSpec,
    /// Topics that must be there.
    pub topics: Vec<TopicPlan>,
    /// Where programs are looked for.
    pub env: Env,
    /// Values for the variables of the compose files.
    pub variables: BTreeMap<String, String>,
    /// Images that are missing may be pulled.
    pub pull: bool,
    /// It is a part of a run, which holds the lock of runs itself.
    pub in_run: bool,
    /// The stack of another system may be taken down for it, its data kept: the run before in the same command used that.
    pub swap: bool,
    /// The user allows changes on external servers (missing topics are made).
    pub yes: bool,
    /// Leave what was started running when something fails, for people to look at.
    pub keep_failed: bool,
    /// Longest time that one server may take.
    pub ready_within: Duration,
}

impl UpRequest {
    /// These servers and no topics; what is missing or changed nobody has allowed.
    pub fn new(state: StateDir, system: System, stack: StackSpec) -> Self {
        Self {
            state,
            system,
            stack,
            topics: Vec::new(),
            env: Env::from_process(),
            variables: variables(),
            pull: false,
            in_run: false,
            swap: false,
            yes: false,
            keep_failed: false,
            ready_within: Duration::from_secs(60),
        }
    }

    /// What `profile` asks for.
    pub fn for_profile(state: StateDir, profile: &Profile) -> Self {
        let topics = topics::plan(profile.system, &profile.backend);
        Self { topics, ..Self::new(state, profile.system, profile.stack.clone()) }
    }

    /// Whether something that runs may be ended or replaced: not under a run or a served backend.
    ///
    /// # Errors
    /// [`InfraError::Locked`] with the one that uses the stack.
    pub(crate) fn may_replace(&self) -> Result<(), InfraError> {
        self.state.user(self.in_run).map_or(Ok(()), Err)
    }
}

/// The variables of this process that a compose file may ask for. Addresses and logins of external servers are none of
/// its business.
pub fn variables() -> BTreeMap<String, String> {
    let all =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    all.filter(|(name, _)| !["_URL", "_PASSWORD", "_AUTH"].iter().any(|end| name.ends_with(end))).collect()
}

/// What `up` is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UpEvent {
    /// Who runs a component, and why.
    Chosen {
        /// `mysql`, `redis`, `kafka`
        component: String,
        /// `docker`, `native` or `external`.
        provider: Provider,
        /// Why.
        why: String,
    },
    /// A process that a killed command had left behind was ended.
    Reaped {
        /// Component.
        name: String,
        /// Its pid.
        pid: i32,
    },
    /// A container that a killed command had left behind was removed.
    Removed {
        /// Component.
        name: String,
    },
    /// A server that the stack does not have any more was ended, after its successor answered.
    Ended {
        /// Component.
        name: String,
        /// Its pid.
        pid: i32,
    },
    /// Something failed, and this one runs again as it did before.
    PutBack {
        /// Component.
        name: String,
    },
    /// An image is being fetched.
    Pulling {
        /// Image.
        image: String,
        /// Bytes that are here, of the layers that are known so far.
        done: u64,
        /// Bytes of those layers; 0 at the beginning.
        total: u64,
    },
    /// A server is being started.
    Starting {
        /// Component.
        name: String,
    },
    /// A server answers.
    Ready(ComponentReport),
    /// A topic is as planned.
    Topic(TopicReport),
    /// Something a person should know.
    Note {
        /// Text.
        message: String,
    },
}

impl fmt::Display for UpEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen { component, provider, why } => write!(f, "{component}: {provider}, because {why}"),
            Self::Reaped { name, pid } => write!(f, "{name}: ended a leftover of an earlier run (pid {pid})"),
            Self::Removed { name } => write!(f, "{name}: removed a leftover of an earlier run"),
            Self::Ended { name, pid } => write!(f, "{name}: ended the one that this stack has no more (pid {pid})"),
            Self::PutBack { name } => write!(f, "{name}: runs again as before"),
            Self::Pulling { image, total: 0, .. } => write!(f, "fetching {image}"),
            Self::Pulling { image, done, total } => {
                write!(f, "fetching {image}: {} of {} MiB", done >> 20, total >> 20)
            }
            Self::Starting { name } => write!(f, "{name}: starting"),
            Self::Ready(c) if c.reused => write!(f, "{}: up already, {} on {}", c.name, c.version, c.address),
            Self::Ready(c) => write!(f, "{}: ready in {} ms, {} on {}", c.name, c.took_ms, c.version, c.address),
            Self::Topic(t) => {
                let made = if t.created { "made" } else { "is there" };
                write!(f, "topic {}: {} partitions, {made}", t.name, t.partitions)
            }
            Self::Note { message } => f.write_str(message),
        }
    }
}

/// One component after `up`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComponentReport {
    /// `mysql`, `redis`, `kafka-1` …
    pub name: String,
    /// `docker`, `native` or `external`.
    pub provider: Provider,
    /// Version as the server gives it.
    pub version: String,
    /// `host:port`
    pub address: String,
    /// Milliseconds from the beginning of its start until it answered.
    pub took_ms: u64,
    /// It was up already.
    pub reused: bool,
}

/// What `up` did.
#[derive(Debug, Clone)]
pub struct UpReport {
    /// The stack, as it stands in `stack.json`.
    pub stack: Stack,
    /// Each component.
    pub components: Vec<ComponentReport>,
    /// Each planned topic.
    pub topics: Vec<TopicReport>,
    /// Milliseconds in all.
    pub took_ms: u64,
}

/// Who is told what `up` is doing.
pub type Progress<'a> = &'a (dyn Fn(UpEvent) + Send + Sync);

/// What one `up` knows and shares between the servers that it starts side by side.
struct Up<'a> {
    request: &'a UpRequest,
    /// As it was before.
    before: Option<Stack>,
    stack: Mutex<Stack>,
    started: Mutex<Vec<(String, ProcessRef)>>,
    /// Processes that were ended for one with other settings.
    replaced: Mutex<Vec<Replaced>>,
    /// Containers, with those that they replaced.
    change: Mutex<Option<Change>>,
    progress: Progress<'a>,
}

/// Brings a stack up, or finds that it is. Running and healthy servers with the same settings are left as they are.
///
/// What can be known beforehand is looked at first; then new servers start, and only when all of them answer does what
/// they replace go for good.
///
/// # Errors
/// With the cause; what was started is stopped again, and what was stopped for it runs again as before (unless
/// `keep_failed`). Only where a topic is not as planned are the servers left running, because mending it needs them.
pub async fn up(
    request: &UpRequest,
    progress: Progress<'_>,
    cancel: CancellationToken,
) -> Result<UpReport, InfraError> {
    let begun = Instant::now();
    let _lock = request.state.lock("stack", "up")?;
    request.state.check_space()?;
    super::preflight::raise_open_files();
    let before = Box::pin(make_room(request, request.state.load_stack()?, progress)).await?;
    let runners = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(InfraError::Cancelled { stage: "looking at the servers".into() }),
        runners = Box::pin(runners::choose(request, before.as_ref(), progress)) => runners,
    };
    let runners = Box::pin(leftovers::make_ready(request, before.as_ref(), runners?, progress)).await?;
    let around = match &runners.docker {
        Some(docker) => docker.around().await?,
        None => BTreeSet::new(),
    };
    Launched::forget_orphans(&request.state)?;
    let stack = Mutex::new(runners.new_stack(request, before.clone())?);
    let (started, replaced, change) = (Mutex::default(), Mutex::default(), Mutex::default());
    let up = Up { request, before, stack, started, replaced, change, progress };
    let result = Box::pin(up.all(&runners, &cancel)).await;
    match result {
        Ok((components, topics)) => {
            let stack = Box::pin(up.settle(&runners)).await?;
            let topics = topics?;
            Ok(UpReport { stack, components, topics, took_ms: begun.elapsed().as_millis() as u64 })
        }
        Err(error) => {
            if !request.keep_failed {
                Box::pin(up.undo(&runners, &around)).await?;
            }
            Err(error)
        }
    }
}

/// Only one system is up at a time: another one goes where the request says so, and is told else.
async fn make_room(
    request: &UpRequest,
    before: Option<Stack>,
    progress: Progress<'_>,
) -> Result<Option<Stack>, InfraError> {
    let runs = |stack: &Stack| {
        stack.components.values().any(|c| c.container.is_some() || c.process.is_some_and(process::is_alive))
    };
    let Some(stack) = before.as_ref().filter(|stack| stack.system != request.system && runs(stack)) else {
        return Ok(before);
    };
    let (state, up, asked) = (request.state.root().to_owned(), stack.system.name(), request.system.name());
    if !request.swap {
        return Err(InfraError::OtherSystem { state, up: up.into(), asked: asked.into() });
    }
    request.may_replace()?;
    down::take_down(&request.state, &Down { in_run: request.in_run, ..Down::default() }).await?;
    progress(UpEvent::Note {
        message: format!("the stack of {up} was taken down for that of {asked}; its data are kept"),
    });
    request.state.load_stack()
}

/// What a server's part of `up` yields; the topics may fail on their own.
type Parts = (Vec<ComponentReport>, Result<Vec<TopicReport>, InfraError>);

impl Up<'_> {
    fn stack(&self) -> MutexGuard<'_, Stack> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> MutexGuard<'_, Option<Change>> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replaced(&self) -> MutexGuard<'_, Vec<Replaced>> {
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn started(&self) -> MutexGuard<'_, Vec<(String, ProcessRef)>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancelled(&self) -> InfraError {
        let names: Vec<_> = self.started().iter().map(|(name, _)| name.clone()).collect();
        let stage =
            if names.is_empty() { "looking at the servers".into() } else { format!("starting {}", names.join(", ")) };
        InfraError::Cancelled { stage }
    }

    /// The servers side by side. When one part fails the others are broken off; containers end their own way, so that
    /// nothing is left that the Engine was just about to make.
    async fn all(&self, runners: &Runners, cancel: &CancellationToken) -> Result<Parts, InfraError> {
        // Servers that this stack has no more are gone by now.
        self.stack().components.retain(|name, component| {
            is_backend(name) || component.process.is_some_and(|p| component.provider == Provider::Native && p.pid > 0)
        });
        let broken = cancel.child_token();
        let processes = async {
            let parts = async { tokio::try_join!(self.mysql(runners), self.redis(runners), self.kafka(runners)) };
            let result = tokio::select! {
                biased;
                () = broken.cancelled() => Err(self.cancelled()),
                result = Box::pin(parts) => result,
            };
            result.inspect_err(|_| broken.cancel())
        };
        let containers = async { self.containers(runners, &broken).await.inspect_err(|_| broken.cancel()) };
        let (containers, processes) = tokio::join!(Box::pin(containers), processes);
        let ((mut components, topics), (mysql, redis, (kafka, other_topics))) = match (containers, processes) {
            (Ok(containers), Ok(processes)) => (containers, processes),
            // The one that broke the others off says why.
            (Ok(_) | Err(InfraError::Cancelled { .. }), Err(error)) | (Err(error), _) => return Err(error),
        };
        components.extend(mysql);
        components.extend(redis);
        components.extend(kafka);
        components.sort_by_key(|component| position(&component.name));
        let topics = topics.and_then(|mut topics| {
            topics.extend(other_topics?);
            Ok(topics)
        });
        Ok((components, topics))
    }

    /// Everything answers: what was replaced goes, and what is kept is written.
    async fn settle(&self, runners: &Runners) -> Result<Stack, InfraError> {
        let stack = self.stack().clone();
        if let Some(docker) = &runners.docker {
            docker.kept.save()?;
        }
        self.request.state.save_stack(&stack)?;
        let change = self.change().take();
        if let Some(change) = change {
            change.settle(self.progress).await;
        }
        leftovers::end_others(self.request, self.before.as_ref(), &stack, runners, self.progress).await?;
        Ok(stack)
    }

    /// Stops what this `up` started, and brings back what it stopped. `around` are the networks and volumes that were there.
    async fn undo(&self, runners: &Runners, around: &BTreeSet<String>) -> Result<(), InfraError> {
        let mut ours: Vec<_> = self.started().iter().map(|(_, process)| *process).collect();
        // A step that was broken off (one that makes a data folder) was killed with its future, but the kernel may take
        // a moment: whoever is told that `up` failed may rely on nothing of it running.
        let mut recorded = runners::living(self.before.as_ref());
        recorded.extend(runners::living(Some(&self.stack())));
        let broken_off = leftovers::unrecorded(&self.request.state, &recorded);
        ours.extend(broken_off.into_iter().map(|(_, process)| process));
        let ends = ours.into_iter().map(|process| process::terminate(process, GRACE));
        futures_util::future::join_all(ends).await;
        let change = self.change().take();
        if let Some(change) = change {
            change.put_back(self.progress).await;
        }
        if let Some(docker) = &runners.docker {
            for message in docker.remove_new(around).await?.in_the_way {
                self.note(message);
            }
        }
        let mut stack =
            self.before.clone().unwrap_or_else(|| Stack { components: BTreeMap::new(), ..self.stack().clone() });
        for (name, component) in self.put_back_processes().await {
            stack.components.insert(name, component);
        }
        self.request.state.save_stack(&stack)
    }
}

/// Servers first, in the order in which people name them.
fn position(name: &str) -> (usize, String) {
    let place = ["mysql", "redis", "kafka"].iter().position(|server| name.starts_with(server));
    (place.unwrap_or(usize::MAX), name.to_owned())
}
