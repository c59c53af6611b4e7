//! The run's one clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the run's monotonic start.
pub(super) type Nanos = u64;

/// Counts from the run's monotonic start; all threads share it, so that their times can be compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    origin: Instant,
}

impl Clock {
    pub fn new(origin: Instant) -> Self {
        Self { origin }
    }

    pub fn now(self) -> Nanos {
        self.origin.elapsed().as_nanos() as Nanos
    }

    /// Wall-clock time of the start, in nanoseconds since 1970.
    pub fn origin_unix_ns(self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.saturating_sub(self.origin.elapsed()).as_nanos() as u64
    }
}
