//! The backend by role: child processes of this one, or containers; watched, started again with back-off, and drained.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use base::http::Http;
use contract::{
    endpoint::Endpoints,
    process::{ProcessConfig, Role, is_backend},
    settings::Settings,
    system::{RoleSpec, System},
};
use infra::{
    InfraError,
    choice::Runner,
    docker,
    launched::Roster,
    logs, ports,
    process::ProcessRef,
    stack::{Component, ContainerRef, Stack},
};
use tokio_util::sync::CancellationToken;

pub use self::container::Containers;
use self::{child::Child, container::Contained, watched::Told};
use super::recorder::Emitter;

mod child;
mod contain;
mod container;
mod watched;

/// How long a process may take until it is ready.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long a consumer that is taken away may take to drain.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(20);

/// Folder of the processes' configuration (0600), below the state folder.
pub const CONF: &str = "conf";

/// What to launch.
#[derive(Debug, Clone)]
pub struct LaunchPlan {
    /// The system whose backend it is.
    pub system: System,
    /// The servers.
    pub endpoints: Endpoints,
    /// The profile's `backend:` section.
    pub settings: Settings,
    /// Roles to launch; each role of [`Role`] at most once, consumers as many as the settings say.
    pub roles: Vec<Role>,
    /// Port the API had last time; taken again when it is free.
    pub last_port: Option<u16>,
    /// The state folder, whose mark the processes carry: `down` finds them even when nobody wrote them down.
    pub state: PathBuf,
    /// Folder for their logs.
    pub logs: PathBuf,
    /// They outlive this process.
    pub keep: bool,
    /// Runs them in containers; none: as child processes.
    pub containers: Option<Containers>,
}

/// Why the backend did not come up.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The profile's port is taken.
    #[error("port {port} of the API (backend.port) is taken{owner}; set backend.port to another one, or to 0 for any")]
    PortTaken {
        /// The port.
        port: u16,
        /// Who has it, in words.
        owner: String,
    },
    /// A file or process could not be made.
    #[error("cannot start {name}: {source}")]
    Spawn {
        /// Process.
        name: String,
        /// Cause.
        source: std::io::Error,
    },
    /// A process did not become ready.
    #[error(transparent)]
    NotReady(Box<NotReady>),
    /// The containers could not be made or started.
    #[error(transparent)]
    Containers(#[from] Box<InfraError>),
    /// One port for several sizes.
    #[error("backend.port is {port}, and {sizes} sizes need a port each; leave it away, or write 0 for free ones")]
    OnePort {
        /// The port.
        port: u16,
        /// How many sizes there are.
        sizes: usize,
    },
    /// Ctrl-C.
    #[error("interrupted while the backend was starting")]
    Interrupted,
}

/// A process that did not become ready.
#[derive(Debug, thiserror::Error)]
#[error("{name} on {address} was not ready within {} s: {why}\nlast lines of {log}:\n{tail}", READY_WITHIN.as_secs())]
pub struct NotReady {
    /// Process.
    pub name: String,
    /// Where it should listen.
    pub address: SocketAddr,
    /// What it said instead.
    pub why: String,
    /// Its log.
    pub log: PathBuf,
    /// Last lines of it.
    pub tail: String,
}

/// A process of the backend that runs.
#[derive(Debug, Clone)]
pub struct Running {
    /// `api-1`, `consumer-1` …
    pub name: String,
    /// Its process, as it is now.
    pub process: Option<ProcessRef>,
    /// Its container, where it runs in one.
    pub container: Option<ContainerRef>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its log.
    pub log: PathBuf,
    /// How often it was started again.
    pub restarts: u32,
}

impl Running {
    /// As it stands beside the servers, in `stack.json` and for `status`.
    pub fn component(&self) -> Component {
        let runner = if self.container.is_some() { Runner::Docker } else { Runner::Native };
        Component {
            provider: runner.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            address: self.address.to_string(),
            process: self.process,
            // A container's log is the Engine's.
            log: self.container.is_none().then(|| self.log.clone()),
            container: self.container.clone(),
            restarts: self.restarts,
        }
    }
}

/// The backend at work. Dropping it without [`Backend::stop`] or [`Backend::leave`] ends the processes at once.
/// Containers end by the next `up`, `run` or `down`.
#[derive(Debug)]
pub struct Backend {
    members: Vec<Member>,
    plan: LaunchPlan,
    roster: Roster,
    /// Where the API listens, the first of them where there are several; absent when no API was launched.
    pub api: Option<SocketAddr>,
}

/// One part of the backend.
#[derive(Debug)]
enum Member {
    Child(Box<Child>),
    Contained(Box<Contained>),
}

impl Member {
    fn role(&self) -> Role {
        match self {
            Self::Child(child) => child.role(),
            Self::Contained(contained) => contained.role(),
        }
    }

    fn running(&self) -> Running {
        match self {
            Self::Child(child) => child.running(),
            Self::Contained(contained) => contained.running(),
        }
    }

    async fn ready(&self, http: &Http, within: Duration) -> Result<(), LaunchError> {
        let (instance, log) = match self {
            Self::Child(child) => (child.instance(), child.running().log),
            Self::Contained(contained) => (contained.instance(), contained.running().log),
        };
        let since = Instant::now();
        loop {
            let running = self.running();
            let url = format!("http://{}/actuator/health/readiness", running.address);
            let why = match http.get(&url).await {
                Ok((status, body)) if body["instance"] != instance => {
                    format!("another program answered there (HTTP {status})")
                }
                Ok((status, _)) if status.is_success() => return Ok(()),
                Ok((status, body)) => format!("HTTP {status} {body}"),
                Err(error) => error.to_string(),
            };
            let gone = match self {
                Self::Child(child) => child.is_gone(),
                Self::Contained(contained) => contained.is_gone(),
            };
            if since.elapsed() > within || gone {
                if let Self::Contained(contained) = self {
                    contained.save_log().await;
                }
                let Running { name, address, .. } = running;
                return Err(LaunchError::NotReady(Box::new(NotReady {
                    name,
                    address,
                    why,
                    tail: tail(&log, 20),
                    log,
                })));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(self, grace: Duration) -> Option<String> {
        match self {
            Self::Child(child) => child.stop(grace).await,
            Self::Contained(contained) => contained.stop(grace).await,
        }
    }

    fn leave(self) {
        match self {
            Self::Child(child) => child.leave(),
            Self::Contained(contained) => contained.leave(),
        }
    }
}

impl Backend {
    /// Launches the processes and waits until each of them is ready; on failure none is left.
    ///
    /// # Errors
    /// A taken port, a process that does not start or does not become ready, Ctrl-C.
    pub async fn start(plan: &LaunchPlan, emitter: &Emitter, cancel: &CancellationToken) -> Result<Self, LaunchError> {
        for folder in [&plan.state.join(CONF), &plan.logs] {
            std::fs::create_dir_all(folder).map_err(spawn_error("the backend"))?;
        }
        let told = Told { emitter: emitter.clone(), roster: Roster::new(&plan.state) };
        let (members, api) = match &plan.containers {
            None => children(plan, &told).await?,
            Some(containers) => {
                let contained = contain::start(plan, containers, &told, cancel).await?;
                let api = contained.iter().find(|c| c.role() == Role::Api).map(|c| c.running().address);
                (contained.into_iter().map(|one| Member::Contained(Box::new(one))).collect(), api)
            }
        };
        let backend = Self { members, plan: plan.clone(), roster: told.roster, api };
        let ready = tokio::select! {
            ready = backend.ready() => ready,
            () = cancel.cancelled() => Err(LaunchError::Interrupted),
        };
        if let Err(error) = ready {
            backend.stop(Duration::from_secs(2)).await;
            return Err(error);
        }
        Ok(backend)
    }

    async fn ready(&self) -> Result<(), LaunchError> {
        let http = Http::new(Duration::from_secs(2));
        for member in &self.members {
            member.ready(&http, READY_WITHIN).await?;
        }
        Ok(())
    }

    /// Launches one more consumer and waits until it is ready; gives its name.
    ///
    /// # Errors
    /// When it does not start or does not become ready; then it is ended again.
    pub async fn add_consumer(&mut self, emitter: &Emitter) -> Result<String, LaunchError> {
        let number = |member: &Member| member.running().name.strip_prefix("consumer-")?.parse::<u16>().ok();
        let next = self.members.iter().filter_map(number).max().unwrap_or(0) + 1;
        let name = format!("consumer-{next}");
        let told = Told { emitter: emitter.clone(), roster: self.roster.clone() };
        let member = if let Some(containers) = &self.plan.containers {
            Member::Contained(Box::new(contain::add_consumer(&self.plan, containers, next, &told).await?))
        } else {
            let mut taken = self.members.iter().map(|member| member.running().address.port()).collect();
            let listen = free_address(&mut taken).map_err(spawn_error(&name))?;
            let config = config(&self.plan, Role::Consumer, &name, listen);
            let child = Child::start(config, &self.plan, told).map_err(spawn_error(&name))?;
            Member::Child(Box::new(child))
        };
        match member.ready(&Http::new(Duration::from_secs(2)), READY_WITHIN).await {
            Ok(()) => self.members.push(member),
            Err(error) => {
                member.stop(Duration::from_secs(2)).await;
                return Err(error);
            }
        }
        Ok(name)
    }

    /// Drains the last consumer and ends it; gives its name.
    ///
    /// # Errors
    /// When there is only one: nobody would consume.
    pub async fn remove_consumer(&mut self) -> Result<String, &'static str> {
        if self.consumers() < 2 {
            return Err("there is one consumer only: without it nothing would be consumed");
        }
        let Some(last) = self.members.iter().rposition(|member| member.role() == Role::Consumer) else {
            return Err("there is no consumer");
        };
        let member = self.members.remove(last);
        let name = member.running().name;
        // Others take its partitions over, whether it drained or had to be killed.
        member.stop(DRAIN_WITHIN).await;
        Ok(name)
    }

    /// How many consumers there are.
    pub fn consumers(&self) -> usize {
        self.members.iter().filter(|member| member.role() == Role::Consumer).count()
    }

    /// The processes.
    pub fn running(&self) -> Vec<Running> {
        self.members.iter().map(Member::running).collect()
    }

    /// Asks every process to drain, waits up to `grace`, and kills what is left. Says who had to be killed.
    pub async fn stop(self, grace: Duration) -> Vec<String> {
        // The API first: what it has under way still needs the consumers behind it.
        let (api, others): (Vec<_>, Vec<_>) = self.members.into_iter().partition(|member| member.role() == Role::Api);
        let mut killed = Vec::new();
        for group in [api, others] {
            let stopping: Vec<_> = group.into_iter().map(|member| tokio::spawn(member.stop(grace))).collect();
            for task in stopping {
                killed.extend(task.await.ok().flatten());
            }
        }
        killed
    }

    /// Leaves the processes alone: they go on when this program ends.
    pub fn leave(self) {
        for member in self.members {
            member.leave();
        }
    }
}

fn spawn_error(name: &str) -> impl FnOnce(std::io::Error) -> LaunchError {
    let name = name.to_owned();
    move |source| LaunchError::Spawn { name, source }
}

/// Starts the child processes.
async fn children(plan: &LaunchPlan, told: &Told) -> Result<(Vec<Member>, Option<SocketAddr>), LaunchError> {
    let mut members = Vec::new();
    let mut api = None;
    let mut taken = BTreeSet::new();
    for (name, spec) in processes(plan.system, &plan.roles, plan.settings.consumers) {
        let listen = if spec.has_port {
            api_address(plan, &mut taken).await?
        } else {
            free_address(&mut taken).map_err(spawn_error(&name))?
        };
        if spec.role == Role::Api {
            api = Some(listen);
        }
        let config = config(plan, spec.role, &name, listen);
        members.push(Member::Child(Box::new(Child::start(config, plan, told.clone()).map_err(spawn_error(&name))?)));
    }
    Ok((members, api))
}

/// The configuration of a child process.
fn config(plan: &LaunchPlan, role: Role, name: &str, listen: SocketAddr) -> ProcessConfig {
    ProcessConfig {
        system: plan.system,
        role,
        name: name.to_owned(),
        instance: uuid::Uuid::new_v4().to_string(),
        listen,
        endpoints: plan.endpoints.clone(),
        settings: plan.settings.clone(),
        stop_with_stdin: !plan.keep,
    }
}

/// Names of the processes, and what they are, in the order of their start.
fn processes(system: System, roles: &[Role], consumers: u16) -> Vec<(String, &'static RoleSpec)> {
    let wanted = system.description().roles.iter().filter(|spec| roles.contains(&spec.role));
    let each = wanted.flat_map(|spec| {
        let many = if spec.is_scaled { consumers } else { 1 };
        (1..=many).map(move |number| (spec.process(number), spec))
    });
    each.collect()
}

async fn api_address(plan: &LaunchPlan, taken: &mut BTreeSet<u16>) -> Result<SocketAddr, LaunchError> {
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let free = ports::is_free;
    match (plan.settings.port.unwrap_or(0), plan.last_port) {
        (0, Some(port)) if free(port) => Ok(address(port)),
        (0, _) => free_address(taken).map_err(|source| LaunchError::Spawn { name: "api-1".into(), source }),
        (port, _) if free(port) => Ok(address(port)),
        (port, _) => Err(self::taken(port).await),
    }
}

/// Looks at the port that the API is to have before anything is made for it. A backend that was kept may have it.
///
/// # Errors
/// [`LaunchError::PortTaken`] with who has it.
pub async fn check_port(stack: &Stack, settings: &Settings) -> Result<(), LaunchError> {
    let port = settings.port.or(settings.size.map(|size| size.port(stack.system))).unwrap_or(0);
    let address = |component: &Component| component.address.ends_with(&format!(":{port}"));
    let kept = stack.components.iter().any(|(name, component)| is_backend(name) && address(component));
    if port == 0 || kept || ports::is_free(port) { Ok(()) } else { Err(taken(port).await) }
}

/// The port is taken, and by whom.
async fn taken(port: u16) -> LaunchError {
    LaunchError::PortTaken { port, owner: format!(" by {}", docker::port_holder(port).await) }
}

/// A port that no client of the load can be given: a process that is started again must find it free.
fn free_address(taken: &mut BTreeSet<u16>) -> std::io::Result<SocketAddr> {
    let port = ports::free(taken)?;
    taken.insert(port);
    Ok((Ipv4Addr::LOCALHOST, port).into())
}

/// The last `lines` lines of `path`.
fn tail(path: &Path, lines: usize) -> String {
    logs::tail(path, lines).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_named_by_role_and_number() {
        let names = |roles: &[Role]| {
            let all = processes(System::default(), roles, 3);
            all.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        let all = [Role::Api, Role::Consumer, Role::Reconciler];
        assert_eq!(names(&all), ["reconciler-1", "consumer-1", "consumer-2", "consumer-3", "api-1"]);
        assert_eq!(names(&[Role::Consumer]), ["consumer-1", "consumer-2", "consumer-3"]);
    }
}
