//! What the threads of a load share.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use contract::claim::Claim;
use record::goal::Trend;

use super::{
    LoadControl, LoadError,
    cache::ByCache,
    clock::{Clock, Nanos},
    compile::Compiled,
    failure,
    measure::Measures,
};

/// What the threads of a load share.
#[derive(Debug)]
pub(super) struct Shared {
    pub plan: std::sync::Arc<Compiled>,
    pub targets: Vec<SocketAddr>,
    pub users: u64,
    pub threads: u32,
    pub ledger: Option<PathBuf>,
    pub random_seed: u64,
    pub clock: Clock,
    /// When the load begins.
    pub start: Nanos,
    /// What the caller asks for while it runs.
    pub control: LoadControl,
    /// Virtual users that each scenario is allotted.
    pub rooms: Vec<u32>,
    /// The load's own: a goal that ends it, or a thread that cannot go on.
    pub stop: AtomicBool,
    /// Why the load ended before its time with figures that stand: its ledger could not be written on.
    pub broken: Mutex<Option<LoadError>>,
    /// Threads publish all figures every two seconds, for goals.
    pub publishes_all: bool,
    pub published: Vec<Mutex<Published>>,
}

impl Shared {
    /// Whether no request may begin any more.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.control.is_stopped()
    }

    /// Ends the load because of `error`; the first one is kept.
    pub fn break_off(&self, error: LoadError) {
        self.stop.store(true, Ordering::Relaxed);
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Whether nothing broke the load off.
    pub fn is_sound(&self) -> bool {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Why the load was broken off, if it was.
    pub fn reason(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(ToString::to_string)
    }

    /// What thread `thread` published.
    pub fn published(&self, thread: usize) -> Option<std::sync::MutexGuard<'_, Published>> {
        Some(self.published.get(thread)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one thread published at its last whole second.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub vus: u32,
    pub sent: u64,
    pub claims: BTreeMap<Claim, u64>,
    pub outcomes: Vec<u64>,
    pub failures: failure::Counts,
    pub dropped: u64,
    /// Latencies since the reader last took them.
    pub latencies: Trend,
    /// Answers from a cache, and past it.
    pub cached: ByCache<u64>,
    /// Their latencies since the reader last took them.
    pub cached_latencies: ByCache<Trend>,
    /// All figures, where goals ask for them.
    pub all: Option<Measures>,
}
