//! Who runs which server: what the pure rules of [`crate::choice`] need to know, and what follows from them.

use std::collections::BTreeMap;

use compose::{self, model::Project};
use contract::endpoint::Endpoints;
use profile::model::ProviderChoice;
use record::event::names;

use super::{Progress, UpEvent, UpRequest};
use crate::{
    choice::{self, Choice, EngineState, Facts, Runner, Server},
    docker::{self, Engine, provider::Provider},
    error::InfraError,
    external::{self, External},
    native::Native,
    ports,
    process::{self, ProcessRef},
    stack::{SCHEMA_VERSION, Stack},
};

/// Who runs the servers, ready to be asked to.
pub(super) struct Runners {
    /// Addresses that were given.
    pub external: External,
    /// Processes of ours; none where no server is one.
    pub native: Option<Native>,
    /// Containers of ours; none where no server is one.
    pub docker: Option<Provider>,
    /// The Engine that an earlier stack used, where this one has no container any more.
    pub left: Option<Engine>,
    choices: Vec<(Server, Runner)>,
}

impl Runners {
    /// Who runs `server`.
    pub fn of(&self, server: Server) -> Runner {
        self.choices.iter().find(|(s, _)| *s == server).map_or(Runner::External, |(_, runner)| *runner)
    }

    /// The native provider, where it runs `server`.
    pub fn native_for(&self, server: Server) -> Option<&Native> {
        self.native.as_ref().filter(|_| self.of(server) == Runner::Native)
    }

    /// The containers, where `server` is one.
    pub fn docker_for(&self, server: Server) -> Option<&Provider> {
        self.docker.as_ref().filter(|_| self.of(server) == Runner::Docker)
    }

    /// The stack as it will be, with what is known of the one before.
    pub fn new_stack(&self, request: &UpRequest, before: Option<Stack>) -> Result<Stack, InfraError> {
        let missing = || InfraError::NotUp { state: request.state.root().to_owned() };
        let docker = self.docker.as_ref().map(|docker| docker.kept.places.endpoints());
        let mysql = match self.of(Server::Mysql) {
            Runner::External => self.external.mysql.clone(),
            Runner::Native => self.native.as_ref().map(Native::mysql_endpoint),
            Runner::Docker => docker.as_ref().map(|docker| docker.mysql.clone()),
        };
        let redis = match self.of(Server::Redis) {
            Runner::External => self.external.redis.clone(),
            Runner::Native => self.native.as_ref().map(Native::redis_endpoint),
            Runner::Docker => docker.as_ref().map(|docker| docker.redis.clone()),
        };
        let kafka = match self.of(Server::Kafka) {
            Runner::External => self.external.kafka.clone(),
            Runner::Native => self.native.as_ref().map(Native::kafka_endpoint),
            Runner::Docker => docker.as_ref().map(|docker| docker.kafka.clone()),
        };
        let endpoints = Endpoints {
            mysql: mysql.ok_or_else(missing)?,
            redis: redis.ok_or_else(missing)?,
            kafka: kafka.ok_or_else(missing)?,
        };
        let before = before.filter(|stack| stack.system == request.system);
        // A restart asks for no topics: the plan stays what it was.
        let kept = before.as_ref().filter(|_| request.topics.is_empty());
        let topics = kept.map_or_else(|| request.topics.clone(), |stack| stack.topics.clone());
        let was_up = before.as_ref().filter(|stack| !stack.components.is_empty());
        Ok(Stack {
            schema_version: SCHEMA_VERSION,
            owner: Some(request.state.owner().id().to_owned()),
            system: request.system,
            brokers: request.stack.brokers,
            endpoints,
            api: before.as_ref().and_then(|stack| stack.api),
            api_url: self.external.api.as_ref().map(ToString::to_string),
            started_at: was_up.map_or_else(|| jiff::Timestamp::now().to_string(), |stack| stack.started_at.clone()),
            docker: self.docker.as_ref().map(Provider::reference),
            topics,
            components: before.map(|stack| stack.components).unwrap_or_default(),
        })
    }
}

/// Component → process, of those that still run.
pub(super) fn living(stack: Option<&Stack>) -> BTreeMap<String, ProcessRef> {
    let components = stack.into_iter().flat_map(|stack| &stack.components);
    let processes = components.filter_map(|(name, component)| Some((name.clone(), component.process?)));
    processes.filter(|(_, process)| process::is_alive(*process)).collect()
}

/// Chooses, says why, and opens the providers that are needed. Nothing is started yet.
pub(super) async fn choose(
    request: &UpRequest,
    before: Option<&Stack>,
    progress: Progress<'_>,
) -> Result<Runners, InfraError> {
    let external = external::resolve(&request.stack.external)?;
    let address = |server| match server {
        Server::Mysql => external.mysql.is_some(),
        Server::Redis => external.redis.is_some(),
        Server::Kafka => external.kafka.is_some(),
    };
    let open: Vec<Server> = Server::ALL.into_iter().filter(|server| !address(*server)).collect();
    if !open.is_empty() && !matches!(request.stack.brokers, 1 | 3) {
        return Err(InfraError::BrokerCount(request.stack.brokers));
    }
    let same = before.filter(|stack| stack.system == request.system);
    let native: Vec<Server> = open.iter().copied().filter(|server| is_native(same, *server)).collect();
    let (engine, state) = ask_engine(request, &open, &native, before).await?;
    let provider = match &engine {
        Some(engine) if asks_docker(request, &open, &native) => {
            let engine = engine.clone();
            Some(Provider::open(engine, &request.state, request.system, &request.stack, &request.variables)?)
        }
        _ => None,
    };
    let project = provider.as_ref().map(|provider| provider.project(&BTreeMap::new())).transpose()?;
    if project.is_some() {
        for message in compose::files::unread() {
            progress(UpEvent::Note { message });
        }
    }
    let there: Vec<String> = match &provider {
        Some(provider) => {
            docker::list(&provider.engine, &provider.name).await?.into_iter().map(|c| c.component).collect()
        }
        None => Vec::new(),
    };
    let mut choices = Vec::new();
    for server in Server::ALL {
        let missing = missing(provider.as_ref(), project.as_ref(), server).await?;
        let now = if native.contains(&server) {
            Some(Runner::Native)
        } else {
            there.iter().any(|name| server.has(name)).then_some(Runner::Docker)
        };
        let facts = Facts {
            asked: request.stack.provider,
            address: address(server),
            running: now,
            engine: &state,
            missing: &missing,
            pull: request.pull,
        };
        let Choice { runner, why } = choice::choose(server, &facts)?;
        progress(UpEvent::Chosen { component: server.name().into(), provider: runner.into(), why });
        choices.push((server, runner));
    }
    let mut runners = Runners { external, native: None, docker: None, left: None, choices };
    runners.native = open_native(request, &runners)?;
    match provider.filter(|_| Server::ALL.into_iter().any(|server| runners.of(server) == Runner::Docker)) {
        Some(provider) => runners.docker = Some(provider),
        None => runners.left = engine.filter(|_| before.is_some_and(|stack| stack.docker.is_some())),
    }
    Ok(runners)
}

/// Whether `server` is a process of this stack. One that ended is too: its data are there.
fn is_native(stack: Option<&Stack>, server: Server) -> bool {
    let mut components = stack.into_iter().flat_map(|stack| &stack.components);
    components.any(|(name, component)| server.has(name) && component.provider == names::Provider::Native)
}

/// Whether a container may be chosen for any server.
fn asks_docker(request: &UpRequest, open: &[Server], native: &[Server]) -> bool {
    match request.stack.provider {
        ProviderChoice::Docker => !open.is_empty(),
        ProviderChoice::Auto => open.len() > native.len(),
        ProviderChoice::Native | ProviderChoice::External => false,
    }
}

/// Asks the Engine where it matters: for a choice, or because containers of ours may be there.
async fn ask_engine(
    request: &UpRequest,
    open: &[Server],
    native: &[Server],
    before: Option<&Stack>,
) -> Result<(Option<Engine>, EngineState), InfraError> {
    let needed = asks_docker(request, open, native);
    let had = before.is_some_and(|stack| stack.docker.is_some());
    if !needed && !had {
        return Ok((None, EngineState::Not("nobody asked for Docker".into())));
    }
    match Engine::connect().await {
        Ok(engine) => {
            let version = engine.facts.version.clone();
            Ok((Some(engine), EngineState::Answers(version)))
        }
        // Containers of ours would be left behind unseen.
        Err(error) if had || request.stack.provider == ProviderChoice::Docker => Err(error),
        Err(error) => {
            let words = error.to_string();
            let first = words.lines().next().unwrap_or_default();
            Ok((None, EngineState::Not(first.split(';').next().unwrap_or_default().to_owned())))
        }
    }
}

/// Images of `server` that the Engine does not have.
async fn missing(
    provider: Option<&Provider>,
    project: Option<&Project>,
    server: Server,
) -> Result<Vec<String>, InfraError> {
    let (Some(provider), Some(project)) = (provider, project) else { return Ok(Vec::new()) };
    let services: Vec<String> = project.services.keys().filter(|name| server.has(name)).cloned().collect();
    docker::images_missing(&provider.engine, project, &services).await
}

fn open_native(request: &UpRequest, runners: &Runners) -> Result<Option<Native>, InfraError> {
    let natively = |server| runners.of(server) == Runner::Native;
    if !Server::ALL.into_iter().any(natively) {
        return Ok(None);
    }
    let native = Native::open(&request.state, request.system, request.stack.brokers, request.env.clone())?;
    // A missing program is told before anything is started.
    if natively(Server::Mysql) {
        native.mysql()?;
    }
    if natively(Server::Redis) {
        native.redis()?;
    }
    if natively(Server::Kafka) {
        native.kafka()?;
    }
    Ok(Some(native))
}

/// Whether `port` may be used by one of the processes `own`, which have it already, or is free.
pub(super) fn is_own(own: &[i32], port: u16) -> bool {
    own.iter().any(|pid| ports::belongs_to(port, *pid))
}
