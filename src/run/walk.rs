//! What the stages of a run share.

use std::{sync::Arc, time::Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    control::{Control, Live},
    folder::RunFolder,
    recorder::Emitter,
    state::RunState,
};
use crate::{exit::Exit, infra::state::StateDir, profile::Loaded};

/// One run, as it was asked for.
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
    fn say(&self, text: &str);
    /// It has ended; nothing more is shown.
    fn end(&self);
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
    /// Coupons, and how many there are of each.
    pub coupons: Vec<(u64, u64)>,
    /// Where events go.
    pub emitter: Emitter,
    /// What is at work, for acts and watchers.
    pub(super) live: Live,
    /// Who shows it.
    pub show: &'a dyn Show,
}
