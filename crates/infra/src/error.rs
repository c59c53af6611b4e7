//! What can go wrong with a stack, in words that say where and what to do.

use std::{fmt, io, path::PathBuf, time::Duration};

/// Why a stack could not be brought up, looked at or taken down.
#[derive(Debug, thiserror::Error)]
pub enum InfraError {
    /// A file or folder.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `create`, `write`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A folder that ecomctl did not make.
    #[error(
        "{} is no state folder of ecomctl: {why}; nothing in it was touched. Name another folder with --state-dir, or \
         one that is empty or not there", path.display()
    )]
    NotState {
        /// Folder.
        path: PathBuf,
        /// Why it is none.
        why: String,
    },
    /// A folder that cannot hold a state.
    #[error("{path:?} cannot be the state folder: {why}; choose another --state-dir")]
    StateFolder {
        /// What was given.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// The disk is full, or nearly so.
    #[error(
        "no room in {}: {} MiB are free, {} MiB are needed; free some, or choose another folder with --state-dir",
        path.display(), free >> 20, need >> 20
    )]
    NoSpace {
        /// Folder.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that are needed.
        need: u64,
    },
    /// Another ecomctl is changing the same state.
    #[error(
        "{} is in use by `ecomctl {command}` (pid {pid}); wait for it, or end it{}",
        state.display(), if command == "run" { " with `ecomctl stop`" } else { "" }
    )]
    Locked {
        /// State folder.
        state: PathBuf,
        /// Holder.
        pid: i32,
        /// What the holder does.
        command: String,
    },
    /// A state file of a later version.
    #[error(
        "{} was written by a newer ecomctl (schema_version {found}; this one knows up to {known}); \
         use the newer one, or another --state-dir", path.display()
    )]
    NewerState {
        /// File.
        path: PathBuf,
        /// Version found.
        found: u64,
        /// Newest version known.
        known: u32,
    },
    /// A state file that cannot be read.
    #[error("{} cannot be used: {why}; `ecomctl down -v` starts afresh", path.display())]
    BadState {
        /// File.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A settings file (`compose/…`) that cannot be used.
    #[error("{}: {why}", path.display())]
    Settings {
        /// File.
        path: PathBuf,
        /// Why, with line and key.
        why: String,
    },
    /// A server program is not installed.
    #[error("{component}: {missing} not found (looked for {looked_for}); run `{remedy}`, or give {external}")]
    MissingProgram {
        /// Component that needs it.
        component: &'static str,
        /// What is missing.
        missing: String,
        /// Names and places.
        looked_for: String,
        /// Command that brings it.
        remedy: &'static str,
        /// Flag that makes the component external.
        external: &'static str,
    },
    /// The Docker Engine cannot be used.
    #[error("no Docker Engine answers on {host}: {why}; {remedy}")]
    Engine {
        /// Where it was looked for.
        host: String,
        /// Why.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// The Docker Engine refused.
    #[error("Docker cannot {action}: {why}; {remedy}")]
    Docker {
        /// What was tried.
        action: String,
        /// The Engine's words.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// A port that a container is to publish is taken.
    #[error(
        "port {port} of {component} is taken by {owner}; end that, or give {component} another port (stack.ports, or ECOMCTL_PORT_…)"
    )]
    PublishedPort {
        /// Component.
        component: String,
        /// The port.
        port: u16,
        /// Who has it.
        owner: String,
    },
    /// A container did not become what it should.
    #[error("{0}")]
    Container(Box<super::docker::ContainerFailure>),
    /// A server did not come up.
    #[error("{0}")]
    Start(Box<StartFailure>),
    /// Interrupted.
    #[error("interrupted while {stage}; what was started has been stopped")]
    Cancelled {
        /// What was being done.
        stage: String,
    },
    /// The Kafka data belong to a cluster of another size.
    #[error(
        "Kafka's data in {} belong to {had} broker(s), not {want}; keep `stack.brokers: {had}`, \
         or delete them with `ecomctl down -v`", data.display()
    )]
    BrokersChanged {
        /// Folder.
        data: PathBuf,
        /// Brokers it was made with.
        had: u8,
        /// Brokers that are asked for.
        want: u8,
    },
    /// `stack.brokers` is neither 1 nor 3.
    #[error("stack.brokers: {0} brokers are not supported; write 1 or 3")]
    BrokerCount(u8),
    /// A topic is not as planned.
    #[error(
        "topic {topic} has {found} partition(s) where the plan says {planned}; \
         mend it with `ecomctl topics recreate {topic} --yes` (its records are deleted), or set backend.partitions: {found}"
    )]
    Partitions {
        /// Topic.
        topic: String,
        /// Partitions it has.
        found: usize,
        /// Partitions it should have.
        planned: u16,
    },
    /// Something destructive, or a change of somebody else's server, was not confirmed.
    #[error("{what}; confirm with --yes")]
    NeedsYes {
        /// What would be done, where.
        what: String,
    },
    /// An external component without an address.
    #[error("stack.provider is external, but {component} has no address: set {key}, {flag} or {variable}")]
    NoAddress {
        /// Component.
        component: &'static str,
        /// Key of the profile.
        key: &'static str,
        /// Flag.
        flag: &'static str,
        /// Variable.
        variable: &'static str,
    },
    /// A key of `stack.external` that cannot be used.
    #[error("stack.external.{key}: {why}")]
    External {
        /// Key.
        key: &'static str,
        /// Why.
        why: String,
    },
    /// A server refused or did not answer.
    #[error("{component} at {address}: {operation}: {why}")]
    Client {
        /// Component.
        component: &'static str,
        /// `host:port`.
        address: String,
        /// What was asked.
        operation: &'static str,
        /// The answer.
        why: String,
    },
    /// A port that was asked for by number is taken.
    #[error(
        "port {port} of {component} is taken by {owner}; stop it, or set stack.ports.{key} to another port, or to 0 for a free one"
    )]
    PortTaken {
        /// Component.
        component: String,
        /// The port.
        port: u16,
        /// Who has it.
        owner: String,
        /// Key below `stack.ports`.
        key: &'static str,
    },
    /// A container cannot reach a server.
    #[error(
        "{component} ({runner}) is at {address}, which inside a container is the container itself: the backend cannot \
         run in containers with it; give an address that other machines reach, or bring the server up with \
         --provider docker, or leave --size away"
    )]
    NotInside {
        /// Component.
        component: &'static str,
        /// Its address.
        address: String,
        /// Who runs it.
        runner: String,
    },
    /// The data in the volumes are of the other kind of stack.
    #[error(
        "the data in the volumes were made {}, whose servers cannot read each other's; keep `stack.original: {}`, or \
         delete them with `ecomctl down -v`",
        if *original { "without stack.original" } else { "with stack.original" }, !original
    )]
    OtherStack {
        /// The teams' own stack is asked for.
        original: bool,
    },
    /// A compose file cannot be used.
    #[error("{0}")]
    Compose(Box<compose::ComposeErrors>),
    /// The image of this program could not be made.
    #[error("cannot make the backend's image: {why}")]
    BackendImage {
        /// Why, and what to do.
        why: String,
    },
    /// The stack of another system is up.
    #[error("the stack of {up} is up in {}: `ecomctl down` takes it down and keeps its data; then {asked} can come up", state.display())]
    OtherSystem {
        /// State folder.
        state: PathBuf,
        /// System that is up.
        up: String,
        /// System that was asked for.
        asked: String,
    },
    /// Data of several systems are there, or none of the one that was named.
    #[error("{why}: {known}; name one of them with --system")]
    WhichSystem {
        /// What is wrong.
        why: String,
        /// Systems with data.
        known: String,
    },
    /// There is no stack.
    #[error("no stack is up in {}; start one with `ecomctl up`", state.display())]
    NotUp {
        /// State folder.
        state: PathBuf,
    },
    /// No component has this name.
    #[error("no component is named `{name}`; there are: {known}")]
    UnknownService {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The component is not one that this command may stop or start.
    #[error("{name} {why}")]
    NotOurs {
        /// Component.
        name: String,
        /// Why not.
        why: &'static str,
    },
}

/// A server that did not come up: why, how it ended, and what it wrote last.
#[derive(Debug)]
pub struct StartFailure {
    /// `mysql`, `redis`, `kafka-1`
    pub component: String,
    /// Why, in words.
    pub cause: String,
    /// How the process ended, if it did.
    pub status: Option<String>,
    /// How long was waited.
    pub waited: Duration,
    /// Its log.
    pub log: PathBuf,
    /// The last 20 lines of the log.
    pub tail: Vec<String>,
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { component, cause, status, waited, log, tail } = self;
        write!(f, "{component} did not come up within {:.1} s: {cause}", waited.as_secs_f64())?;
        if let Some(status) = status {
            write!(f, "; its process ended: {status}")?;
        }
        if tail.is_empty() {
            return write!(f, "; {} is empty", log.display());
        }
        write!(f, "\nlast lines of {}:", log.display())?;
        tail.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl From<StartFailure> for InfraError {
    fn from(failure: StartFailure) -> Self {
        Self::Start(Box::new(failure))
    }
}

impl InfraError {
    /// Wraps an I/O error with what was tried and where; a full disk is told as such.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let folder = path.parent().map_or_else(|| path.clone(), PathBuf::from);
                let free = super::room::free_bytes(&folder).unwrap_or(0);
                Self::NoSpace { path: folder, free, need: super::room::NEEDED_BYTES }
            }
            _ => Self::Io { action, path, source },
        }
    }

    /// Whether what was given cannot be, as opposed to what was found.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NotState { .. }
                | Self::WhichSystem { .. }
                | Self::External { .. }
                | Self::NoAddress { .. }
                | Self::StateFolder { .. }
                | Self::UnknownService { .. }
        )
    }

    /// Wraps what a server answered.
    pub fn client(
        component: &'static str,
        address: impl fmt::Display,
        operation: &'static str,
        why: impl fmt::Display,
    ) -> Self {
        Self::Client {
            component,
            address: address.to_string(),
            operation,
            why: contract::cause::once(&why.to_string()),
        }
    }
}
