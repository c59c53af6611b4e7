//! The load generator.
//!
//! [`run`] makes a [`LoadPlan`] ready (`compile`), starts one thread per share of the virtual users (`worker`, over
//! readiness events), reports once a second, and merges what the threads measured into a [`LoadSummary`].
//!
//! ```text
//! schedule   time → virtual users, or due iterations          (pure)
//! control    changes while it runs: stop, virtual users, rate
//! worker     iterations of virtual users, one after another   (one per thread)
//! pacing     what the clock brings about: starts, pauses, time-outs
//! exchange   connect, write, read, classify                   (one request)
//! template, response    bytes out, bytes in                   (pure)
//! cache      whether an answer came from a cache              (pure)
//! receipt    an id out of an answer's body                    (pure)
//! failure    why a request has no answer                      (pure)
//! measure    histograms and counts of a thread → merged; claimed → by what is claimed
//! limit      whether the generator was the bottleneck         (pure)
//! figures    measures → metrics, also by tag; summary → files
//! ```
//!
//! Each request that begins is counted as sent and ends in exactly one outcome class. What has no answer is `UNKNOWN`,
//! and is never sent again silently: the server may have acted on it.
//!
//! More executors are more arms of [`schedule::Schedule`]; another protocol is another `exchange`.
//!
//! Invariant: it sends, measures and writes down, and judges nothing. No async runtime and no server but the target: what it
//! measures is not disturbed by what else the program does.
//! Border: on `contract`, `profile` and `record`.

mod cache;
mod claimed;
mod clock;
mod compile;
mod control;
mod coordinator;
mod exchange;
mod failure;
mod figures;
pub mod ledger;
mod limit;
mod machine;
mod measure;
mod pacing;
pub mod receipt;
pub mod response;
pub mod schedule;
mod shared;
mod summary;
pub mod template;
mod timer;
mod vu;
mod worker;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};

use profile::model::Scenario;
use record::{event::LoadSample, goal::Goal, goal::GoalResult};

pub use self::{
    cache::CacheAnswer,
    claimed::ClaimSummary,
    control::{ControlError, LoadControl},
    coordinator::run,
    summary::{LoadSummary, PhaseSummary, RequestSummary},
};

/// What to load, and how.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// Addresses of the API; virtual users are dealt out among them.
    pub targets: Vec<SocketAddr>,
    /// What the `Host` header says.
    pub host: String,
    /// Loads by name, all started together.
    pub scenarios: BTreeMap<String, Scenario>,
    /// Users that exist, with ids 1..=users.
    pub users: u64,
    /// Generator threads; at least one is started.
    pub threads: usize,
    /// Folder of the ledger; none where consistency is not to be proven.
    pub ledger: Option<PathBuf>,
    /// The run's monotonic start, to which the ledger's times relate.
    pub origin: Instant,
    /// Start of the random numbers of [`profile::model::UserPick::Random`].
    pub random_seed: u64,
    /// Goals: those over the generator's metrics may end the load, and name the sub-metrics of
    /// [`LoadSummary::metrics`].
    pub goals: BTreeMap<String, Vec<Goal>>,
}

/// What a load tells while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum LoadEvent {
    /// A scenario entered a phase.
    Phase {
        /// Scenario.
        scenario: String,
        /// Number from 0.
        index: usize,
        /// Virtual users, or iterations per second.
        target: f64,
    },
    /// Once a second.
    Sample(LoadSample),
    /// How the goals over the generator's metrics stand, every two seconds.
    Goals(Vec<GoalResult>),
    /// A goal with `abortOnFail` was missed; the load comes to its end.
    Aborted {
        /// Metric and expression.
        goal: String,
    },
}

/// Why a load cannot run, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is nothing to load.
    #[error("the load has no target: give the address of the API")]
    NoTargets,
    /// There is nobody to be.
    #[error("the load has no users: set seed.users above 0")]
    NoUsers,
    /// There is nothing to do.
    #[error("the load has no scenarios")]
    NoScenarios,
    /// A scenario cannot run.
    #[error("scenario `{scenario}`: {problem}")]
    Scenario {
        /// Its name.
        scenario: String,
        /// What is wrong, and what to do.
        problem: &'static str,
    },
    /// A request cannot be sent.
    #[error("scenario `{scenario}`, request `{request}`: {cause}")]
    Request {
        /// Scenario.
        scenario: String,
        /// Request.
        request: String,
        /// What is wrong.
        cause: template::TemplateError,
    },
    /// What a request claims cannot stand in the ledger.
    #[error("scenario `{scenario}`, request `{request}`: its claim cannot be written down: {problem}")]
    Claim {
        /// Scenario.
        scenario: String,
        /// Request.
        request: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The process may not open as many connections.
    #[error("the load needs {need} open files, the limit is {limit}: raise it (`ulimit -Hn {need}`) or use fewer VUs")]
    OpenFiles {
        /// Needed.
        need: u64,
        /// Hard limit.
        limit: u64,
    },
    /// The ledger cannot be written; without it nothing could be proven.
    #[error("cannot write the ledger in {folder}: {cause}")]
    Ledger {
        /// Folder.
        folder: PathBuf,
        /// Cause.
        cause: io::Error,
    },
    /// The system gives no readiness events.
    #[error("the load generator cannot wait for its connections: {0}")]
    Poll(io::Error),
    /// A thread cannot be started.
    #[error("cannot start a generator thread: {0}")]
    Thread(io::Error),
    /// A thread ended by a bug.
    #[error("a generator thread died: its figures are lost, and the load proves nothing")]
    Died,
}

/// Whether this process may open a connection for each virtual user of `scenarios`; raises the soft limit of open files
/// where that helps. Asked before anything is seeded.
///
/// # Errors
/// [`LoadError::OpenFiles`] with what is needed and the hard limit.
pub fn enough_open_files(scenarios: &BTreeMap<String, Scenario>) -> Result<(), LoadError> {
    machine::allow_connections(
        scenarios.values().map(|scenario| u64::from(schedule::Schedule::new(&scenario.executor).max_vus())).sum(),
    )
}

impl LoadError {
    fn ledger(folder: &Path, cause: io::Error) -> Self {
        Self::Ledger { folder: folder.to_owned(), cause }
    }
}
