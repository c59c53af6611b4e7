//! `up`: from whatever is there to a stack whose servers answer, and whose topics are as planned.

mod ensure;
mod kafka;
mod probe;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use backend::endpoint::Endpoints;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    env::Env,
    error::InfraError,
    external::{self, External},
    native::Native,
    ports,
    process::{self, Ended, GRACE, ProcessRef},
    ready,
    stack::{Component, SCHEMA_VERSION, Stack},
    state::StateDir,
    topics::{self, TopicPlan, TopicReport},
};
use crate::profile::model::{Profile, ProviderChoice, StackSpec};
use probe::Probe;

/// What is to be brought up.
#[derive(Debug, Clone)]
pub struct UpRequest {
    /// State folder.
    pub state: StateDir,
    /// System, as in the profile.
    pub system: String,
    /// Servers; flags and variables are merged in already.
    pub stack: StackSpec,
    /// Topics that must be there.
    pub topics: Vec<TopicPlan>,
    /// Where programs are looked for.
    pub env: Env,
    /// The user allows changes on external servers (missing topics are made).
    pub yes: bool,
    /// Leave what was started running when something fails, for people to look at.
    pub keep_failed: bool,
    /// Longest time that one server may take.
    pub ready_within: Duration,
}

impl UpRequest {
    /// What `profile` asks for.
    pub fn for_profile(state: StateDir, profile: &Profile) -> Self {
        Self {
            state,
            system: profile.system.name().to_owned(),
            stack: profile.stack.clone(),
            topics: topics::plan(&profile.backend),
            env: Env::from_process(),
            yes: false,
            keep_failed: false,
            ready_within: Duration::from_secs(60),
        }
    }
}

/// What `up` is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UpEvent {
    /// Who runs a component, and why.
    Chosen {
        /// `mysql`, `redis`, `kafka`
        component: String,
        /// `native` or `external`.
        provider: String,
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
    /// `native` or `external`.
    pub provider: String,
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
    stack: Mutex<Stack>,
    started: Mutex<Vec<(String, ProcessRef)>>,
    progress: Progress<'a>,
}

/// Brings a stack up, or finds that it is. Running and healthy servers with the same settings are left as they are.
///
/// # Errors
/// With the cause; what was started is stopped again (unless `keep_failed`). Only where a topic is not as planned are the
/// servers left running, because mending it needs them.
pub async fn up(
    request: &UpRequest,
    progress: Progress<'_>,
    cancel: CancellationToken,
) -> Result<UpReport, InfraError> {
    let begun = Instant::now();
    let _lock = request.state.lock("stack", "up")?;
    request.state.check_space()?;
    super::preflight::raise_open_files();
    let external = external::resolve(&request.stack.external)?;
    choose(request, &external, progress)?;
    let before = request.state.load_stack()?;
    let mut native = open_native(request, &external)?;
    reap(request, before.as_ref(), &external, progress).await;
    if let Some(native) = &mut native {
        let own: Vec<i32> = living(before.as_ref()).into_values().map(|process| process.pid).collect();
        let notes = native.avoid_taken_ports(|port| own.iter().any(|pid| ports::belongs_to(port, *pid)))?;
        for message in notes {
            progress(UpEvent::Note { message });
        }
    }
    let stack = Mutex::new(new_stack(request, &external, native.as_ref(), before)?);
    let up = Up { request, stack, started: Mutex::default(), progress };
    let result = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(InfraError::Cancelled { stage: up.stage() }),
        result = Box::pin(up.all(&external, native.as_ref())) => result,
    };
    match result {
        Ok((components, topics)) => {
            let stack = up.stack().clone();
            request.state.save_stack(&stack)?;
            let topics = topics?;
            Ok(UpReport { stack, components, topics, took_ms: begun.elapsed().as_millis() as u64 })
        }
        Err(error) => {
            if !request.keep_failed {
                up.undo().await?;
            }
            Err(error)
        }
    }
}

/// Says who runs what.
fn choose(request: &UpRequest, external: &External, progress: Progress<'_>) -> Result<(), InfraError> {
    let components = [
        ("mysql", external.mysql.is_some(), "stack.external.mysql_url", "--mysql-url", "MYSQL_URL"),
        ("redis", external.redis.is_some(), "stack.external.redis_url", "--redis-url", "REDIS_URL"),
        ("kafka", external.kafka.is_some(), "stack.external.kafka_brokers", "--kafka-brokers", "KAFKA_BROKERS"),
    ];
    for (component, is_external, key, flag, variable) in components {
        let why = match (is_external, request.stack.provider) {
            (true, _) => "an address was given",
            (false, ProviderChoice::External) => {
                return Err(InfraError::NoAddress { component, key, flag, variable });
            }
            (false, ProviderChoice::Native | ProviderChoice::Docker) => "the profile asks for it",
            (false, ProviderChoice::Auto) => "no address was given, so a private server of this machine is taken",
        };
        let provider = if is_external { "external" } else { "native" };
        progress(UpEvent::Chosen { component: component.into(), provider: provider.into(), why: why.into() });
    }
    Ok(())
}

fn open_native(request: &UpRequest, external: &External) -> Result<Option<Native>, InfraError> {
    let all_external = external.mysql.is_some() && external.redis.is_some() && external.kafka.is_some();
    if all_external {
        return Ok(None);
    }
    let brokers = request.stack.brokers;
    if !matches!(brokers, 1 | 3) {
        return Err(InfraError::BrokerCount(brokers));
    }
    let native = Native::open(&request.state, &request.system, brokers, request.env.clone())?;
    // A missing program is told before anything is started.
    if external.mysql.is_none() {
        native.mysql()?;
    }
    if external.redis.is_none() {
        native.redis()?;
    }
    if external.kafka.is_none() {
        native.kafka()?;
    }
    Ok(Some(native))
}

fn new_stack(
    request: &UpRequest,
    external: &External,
    native: Option<&Native>,
    before: Option<Stack>,
) -> Result<Stack, InfraError> {
    let missing = || InfraError::NotUp { state: request.state.root().to_owned() };
    let mysql = external.mysql.clone().or_else(|| native.map(Native::mysql_endpoint)).ok_or_else(missing)?;
    let redis = external.redis.clone().or_else(|| native.map(Native::redis_endpoint)).ok_or_else(missing)?;
    let kafka = external.kafka.clone().or_else(|| native.map(Native::kafka_endpoint)).ok_or_else(missing)?;
    let before = before.filter(|stack| stack.system == request.system);
    let was_up = before.as_ref().filter(|stack| !stack.components.is_empty());
    Ok(Stack {
        schema_version: SCHEMA_VERSION,
        system: request.system.clone(),
        brokers: request.stack.brokers,
        endpoints: Endpoints { mysql, redis, kafka },
        api: before.as_ref().and_then(|stack| stack.api),
        api_url: external.api_url.clone(),
        started_at: was_up.map_or_else(|| jiff::Timestamp::now().to_string(), |stack| stack.started_at.clone()),
        components: before.map(|stack| stack.components).unwrap_or_default(),
        docker: None,
    })
}

/// Component → process, of those that still run.
fn living(stack: Option<&Stack>) -> BTreeMap<String, ProcessRef> {
    let components = stack.into_iter().flat_map(|stack| &stack.components);
    let processes = components.filter_map(|(name, component)| Some((name.clone(), component.process?)));
    processes.filter(|(_, process)| process::is_alive(*process)).collect()
}

/// Whether `name` is a server of ours, as opposed to a backend process.
pub(crate) fn is_server(name: &str) -> bool {
    matches!(name, "mysql" | "redis") || name.starts_with("kafka-")
}

/// Ends servers that nobody wrote down, and those that this stack does not have any more.
async fn reap(request: &UpRequest, before: Option<&Stack>, external: &External, progress: Progress<'_>) {
    let recorded = living(before);
    let same_system = before.is_none_or(|stack| stack.system == request.system);
    let wanted = |name: &str| match name {
        "mysql" => external.mysql.is_none(),
        "redis" => external.redis.is_none(),
        kafka => {
            let node = kafka.strip_prefix("kafka-").and_then(|node| node.parse::<u8>().ok());
            external.kafka.is_none() && node.is_some_and(|node| node <= request.stack.brokers)
        }
    };
    let marked = process::marked(request.state.root());
    let mut leftovers: Vec<_> = recorded.iter().map(|(name, process)| (name.clone(), *process)).collect();
    leftovers.retain(|(name, _)| is_server(name) && !(same_system && wanted(name)));
    let unknown = marked.into_iter().filter(|(name, process)| is_server(name) && recorded.get(name) != Some(process));
    leftovers.extend(unknown);
    let ends = leftovers.into_iter().map(|(name, process)| async move {
        if process::terminate(process, GRACE).await != Ended::WasGone {
            progress(UpEvent::Reaped { name, pid: process.pid });
        }
    });
    futures_util::future::join_all(ends).await;
}

/// What a server's part of `up` yields; the topics may fail on their own.
type Parts = (Vec<ComponentReport>, Result<Vec<TopicReport>, InfraError>);

impl Up<'_> {
    fn stack(&self) -> MutexGuard<'_, Stack> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn started(&self) -> MutexGuard<'_, Vec<(String, ProcessRef)>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stage(&self) -> String {
        let names: Vec<_> = self.started().iter().map(|(name, _)| name.clone()).collect();
        if names.is_empty() { "looking at the servers".into() } else { format!("starting {}", names.join(", ")) }
    }

    /// The three servers side by side.
    async fn all(&self, external: &External, native: Option<&Native>) -> Result<Parts, InfraError> {
        // Servers that this stack has no more are gone by now.
        self.stack().components.retain(|name, component| {
            !is_server(name) || component.process.is_some_and(|p| component.provider == "native" && start_known(p))
        });
        let (mut components, redis, (kafka, topics)) =
            tokio::try_join!(self.mysql(external, native), self.redis(external, native), self.kafka(external, native))?;
        components.extend(redis);
        components.extend(kafka);
        Ok((components, topics))
    }

    async fn mysql(&self, external: &External, native: Option<&Native>) -> Result<Vec<ComponentReport>, InfraError> {
        if let Some(endpoint) = &external.mysql {
            let begun = Instant::now();
            let facts = ready::mysql(endpoint, self.request.ready_within.min(super::clients::LIMIT)).await?;
            return Ok(vec![self.found("mysql", facts.version, endpoint.to_string(), begun)]);
        }
        let Some(native) = native else { return Ok(Vec::new()) };
        let (server, endpoint) = (native.mysql()?, native.mysql_endpoint());
        let probe = Probe::Mysql { endpoint, data: server.data.clone() };
        self.ensure(&[server], &probe).await
    }

    async fn redis(&self, external: &External, native: Option<&Native>) -> Result<Vec<ComponentReport>, InfraError> {
        if let Some(endpoint) = &external.redis {
            let begun = Instant::now();
            let facts = ready::redis(endpoint, self.request.ready_within.min(super::clients::LIMIT)).await?;
            return Ok(vec![self.found("redis", facts.version, endpoint.to_string(), begun)]);
        }
        let Some(native) = native else { return Ok(Vec::new()) };
        self.ensure(&[native.redis()?], &Probe::Redis(native.redis_endpoint())).await
    }

    /// Writes down an external component.
    fn found(&self, name: &str, version: String, address: String, begun: Instant) -> ComponentReport {
        let component = Component {
            provider: "external".into(),
            version: version.clone(),
            address: address.clone(),
            process: None,
            log: None,
            container: None,
            restarts: 0,
        };
        self.stack().components.insert(name.to_owned(), component);
        let report = ComponentReport {
            name: name.to_owned(),
            provider: "external".into(),
            version,
            address,
            took_ms: begun.elapsed().as_millis() as u64,
            reused: true,
        };
        (self.progress)(UpEvent::Ready(report.clone()));
        report
    }

    /// Stops what this `up` started.
    async fn undo(&self) -> Result<(), InfraError> {
        let started = self.started().clone();
        let ends = started.iter().map(|(_, process)| process::terminate(*process, GRACE));
        futures_util::future::join_all(ends).await;
        let mut stack = self.stack().clone();
        stack.components.retain(|_, component| component.process.is_some_and(process::is_alive));
        self.request.state.save_stack(&stack)
    }
}

/// A recorded process, alive or dead, stays known until its server is started again.
fn start_known(process: ProcessRef) -> bool {
    process.pid > 0
}
