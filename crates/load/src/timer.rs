//! Waking up in time. `epoll` sleeps whole milliseconds; an open model that intends a start in between would begin half
//! a millisecond late on average, and latencies count from the intended start.

use std::{io, time::Duration};

use mio::{Registry, Token};

use super::clock::Nanos;

/// Longest sleep: a stop is noticed within this time.
const LONGEST: Duration = Duration::from_millis(100);

/// Wakes a poll at a given time.
#[derive(Debug)]
pub(super) struct Timer {
    #[cfg(target_os = "linux")]
    timer: nix::sys::timerfd::TimerFd,
    /// When it is set to fire.
    #[cfg(target_os = "linux")]
    armed: Nanos,
}

#[cfg(target_os = "linux")]
impl Timer {
    /// Makes a timer that wakes the poll of `registry`.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        use std::os::fd::{AsFd, AsRawFd};

        use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let fd = timer.as_fd().as_raw_fd();
        registry.register(&mut mio::unix::SourceFd(&fd), token, mio::Interest::READABLE)?;
        Ok(Self { timer, armed: 0 })
    }

    /// Sets the timer so that a poll with the returned time-out ends at `until`.
    pub fn prepare(&mut self, now: Nanos, until: Nanos) -> io::Result<Duration> {
        use nix::sys::{
            time::TimeSpec,
            timerfd::{Expiration, TimerSetTimeFlags},
        };

        let left = Duration::from_nanos(until.saturating_sub(now));
        if left.is_zero() || left > LONGEST {
            return Ok(left.min(LONGEST));
        }
        if self.armed <= now || until < self.armed {
            self.timer.set(Expiration::OneShot(TimeSpec::from_duration(left)), TimerSetTimeFlags::empty())?;
            self.armed = until;
        }
        Ok(LONGEST)
    }
}

#[cfg(not(target_os = "linux"))]
impl Timer {
    /// Elsewhere the poll's own time-out has to do.
    pub fn new(_: &Registry, _: Token) -> io::Result<Self> {
        Ok(Self {})
    }

    /// The time-out of a poll that is to end at `until`.
    pub fn prepare(&mut self, now: Nanos, until: Nanos) -> io::Result<Duration> {
        Ok(Duration::from_nanos(until.saturating_sub(now)).min(LONGEST))
    }
}
