//! What the stages of a run share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

use infra::state::StateDir;
use probe::Starts;
use profile::Loaded;
use record::{
    epoch::Opened,
    event::{ProbeSample, plan::Proven},
    state::RunState,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use verify::CheckResult;

use super::{
    control::{Control, Live},
    folder::RunFolder,
    recorder::Emitter,
};
use crate::{exit::Exit, seed::SeedPlan};

/// One run, as it was asked for.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that was given or not, independent of the others")]
pub struct Request<'a> {
    /// The profile.
    pub loaded: &'a Loaded,
    /// The state folder.
    pub state: &'a StateDir,
    /// Leave servers and backend up.
    pub keep: bool,
    /// The stack of another system, which the run before used, may be taken down for this one.
    pub swap: bool,
    /// Images that are missing may be pulled.
    pub pull: bool,
    /// The user agreed to overwrite data that ecomctl did not make.
    pub yes: bool,
    /// The exit code that a signal asked for, if one came.
    pub interrupted: &'a (dyn Fn() -> Option<Exit> + Sync),
    /// Cancelled by the first signal.
    pub cancel: CancellationToken,
}

/// Shows a run while it goes on.
pub trait Show: Sync {
    /// The run has begun: its folder, and its state from now on.
    fn begin(&self, run: &RunFolder, state: watch::Receiver<Arc<RunState>>);
    /// How to act on the run while it goes on; told right after its beginning.
    fn control(&self, control: Control) {
        drop(control);
    }
    /// A component of the stack came up, or a step of seeding was done.
    fn message(&self, text: &str);
    /// It has ended; nothing more is shown.
    fn end(&self);
}

/// What the run's evidence is told by: known from its seed on, and the same for probe, drain and verdict.
#[derive(Debug, Default)]
pub struct Marks {
    seeded: OnceLock<(Opened, Starts)>,
    /// Partition of the topic of claims → the furthest end that a look has seen.
    ends: Mutex<BTreeMap<i32, i64>>,
    /// Invariants that were violated while the load ran.
    violated: Mutex<BTreeMap<String, CheckResult>>,
}

impl Marks {
    /// Notes what the seed opened, and where the logs ended then. A run seeds once.
    pub fn set(&self, opened: Opened, starts: Starts) {
        let _ = self.seeded.set((opened, starts));
    }

    /// The epochs that the run opened; none before its seed is done.
    pub fn opened(&self) -> &Opened {
        static NONE: Opened = Opened::new();
        self.seeded.get().map_or(&NONE, |(opened, _)| opened)
    }

    /// Where the run's records begin.
    pub fn starts(&self) -> Starts {
        self.seeded.get().map(|(_, starts)| starts.clone()).unwrap_or_default()
    }

    /// Notes an invariant that is violated while the load runs; the first time counts.
    pub fn violated(&self, check: CheckResult) {
        let mut violated = self.violated.lock().unwrap_or_else(PoisonError::into_inner);
        violated.entry(check.id.clone()).or_insert(check);
    }

    /// Those that were violated while the load ran.
    pub fn under_load(&self) -> BTreeMap<String, CheckResult> {
        self.violated.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how far the log of the topic of claims reaches.
    pub fn saw(&self, sample: &ProbeSample) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for seen in &sample.partitions {
            let end = ends.entry(seen.partition).or_insert(seen.end);
            *end = seen.end.max(*end);
        }
    }

    /// How far the log of the topic of claims has reached at least.
    pub fn ends(&self) -> BTreeMap<i32, i64> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (partition, start) in self.starts().topic {
            let end = ends.entry(partition).or_insert(start);
            *end = start.max(*end);
        }
        ends
    }
}

/// What the stages share.
pub struct Walk<'a> {
    /// What was asked for.
    pub request: &'a Request<'a>,
    /// The run's folder.
    pub folder: &'a RunFolder,
    /// Zero of the run's monotonic clock.
    pub origin: Instant,
    /// The same instant in nanoseconds since 1970.
    pub origin_unix_ns: u64,
    /// What is to exist before the load.
    pub seed: SeedPlan,
    /// What is proven.
    pub proven: Proven,
    /// What tells the run's evidence from another's.
    pub marks: Arc<Marks>,
    /// Where events go.
    pub emitter: Emitter,
    /// What is at work, for acts and watchers.
    pub(super) live: Live,
    /// Who shows it.
    pub show: &'a dyn Show,
}
