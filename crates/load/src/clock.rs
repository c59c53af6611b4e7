//! The run's one clock.

use std::time::Instant;

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
}
