//! What may be changed about a load while it runs: its end, its virtual users, its rate.
//!
//! A change is written here and numbered; each thread looks at the number at least every 100 ms and takes it over
//! for its share. A rate takes effect at one instant in the near future, so that no iteration is due twice or never.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use record::act::takes_rate;

use super::{
    clock::{Clock, Nanos},
    compile::CompiledScenario,
    schedule::{Pace, Schedule},
};

/// A new rate holds from this time after it was asked for: by then every thread has heard of it.
const NOTICE: Duration = Duration::from_millis(250);

/// Ends or changes a load from outside.
#[derive(Debug, Clone, Default)]
pub struct LoadControl {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    stopped: AtomicBool,
    /// Virtual users may be raised above what the schedule needs.
    roomy: bool,
    /// Number of the newest change.
    version: AtomicU64,
    running: Mutex<Option<Running>>,
}

/// The load at work.
#[derive(Debug)]
struct Running {
    clock: Clock,
    start: Nanos,
    scenarios: Vec<Limits>,
    overrides: Vec<Override>,
}

/// What a scenario plans, and what it can do at most.
#[derive(Debug, Clone, Copy)]
struct Limits {
    vus: u32,
    room: u32,
    /// Iterations per second; 0 in a closed model.
    rate: f64,
    end: Nanos,
}

/// What was asked of one scenario; nothing: the plan holds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Override {
    /// Closed: virtual users, until the scenario is over.
    pub vus: Option<u32>,
    /// Open: the pace.
    pub pace: Option<Pace>,
}

/// Why a load could not be changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ControlError {
    /// It has not begun, or is over.
    #[error("no load is running")]
    NotRunning,
    /// Only open scenarios.
    #[error("no scenario that runs is paced by virtual users: change the rate instead")]
    NoVus,
    /// Only closed scenarios.
    #[error("no scenario that runs is paced by a rate: change the virtual users instead")]
    NoRate,
    /// There are not as many.
    #[error("at most {0} virtual users: no more were allotted when the load began")]
    TooMany(u32),
    /// No rate.
    #[error("the rate must be above 0 and at most 10,000,000 per second; to end the load stop it")]
    BadRate,
}

impl LoadControl {
    /// A control that may raise virtual users above the plan: to twice as many, or 100 more.
    pub fn roomy() -> Self {
        Self { inner: Arc::new(Inner { roomy: true, ..Inner::default() }) }
    }

    /// From now on no request begins; those under way end within their time-out.
    pub fn stop(&self) {
        self.inner.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to stop.
    pub fn is_stopped(&self) -> bool {
        self.inner.stopped.load(Ordering::Relaxed)
    }

    /// Sets the virtual users of all closed scenarios that run, together; each gets its share by plan. It holds until
    /// the scenarios are over.
    ///
    /// # Errors
    /// When nothing runs that could be changed so, or `vus` are more than were allotted.
    pub fn set_vus(&self, vus: u32) -> Result<(), ControlError> {
        self.change(|running, now| {
            let open = |limits: &Limits| limits.rate > 0.0 || now >= limits.end;
            let planned: Vec<_> = running.scenarios.iter().map(|l| if open(l) { 0 } else { l.vus }).collect();
            let rooms: Vec<_> = running.scenarios.iter().map(|l| if open(l) { 0 } else { l.room }).collect();
            if rooms.iter().all(|room| *room == 0) {
                return Err(ControlError::NoVus);
            }
            let most = rooms.iter().fold(0_u32, |sum, room| sum.saturating_add(*room));
            let shares = deal(vus, &planned, &rooms).ok_or(ControlError::TooMany(most))?;
            for (i, share) in shares.into_iter().enumerate().filter(|(i, _)| rooms[*i] > 0) {
                running.overrides[i].vus = Some(share);
            }
            Ok(())
        })
    }

    /// Sets the rate of all open scenarios that run, in iterations per second; each gets its share by plan.
    ///
    /// # Errors
    /// When nothing runs that could be changed so, or `rate` is none.
    pub fn set_rate(&self, rate: f64) -> Result<(), ControlError> {
        if !takes_rate(rate) {
            return Err(ControlError::BadRate);
        }
        self.change(|running, now| {
            let from = now.saturating_add(NOTICE.as_nanos() as Nanos);
            let runs = |limits: &Limits| limits.rate > 0.0 && now < limits.end;
            let planned: f64 = running.scenarios.iter().filter(|l| runs(l)).map(|l| l.rate).sum();
            if planned <= 0.0 {
                return Err(ControlError::NoRate);
            }
            for (limits, by_hand) in running.scenarios.iter().zip(&mut running.overrides).filter(|(l, _)| runs(l)) {
                by_hand.pace = Some(Pace { from, rate: rate * limits.rate / planned });
            }
            Ok(())
        })
    }

    /// Takes back what was set: the plan holds again, as it is at this time.
    ///
    /// # Errors
    /// When no load is running.
    pub fn follow_plan(&self) -> Result<(), ControlError> {
        self.change(|running, now| {
            let from = now.saturating_add(NOTICE.as_nanos() as Nanos);
            for (limits, by_hand) in running.scenarios.iter().zip(&mut running.overrides) {
                // A pace that was changed goes on from here; one that never was needs nothing.
                let pace = by_hand.pace.map(|_| Pace { from, rate: limits.rate });
                *by_hand = Override { vus: None, pace };
            }
            Ok(())
        })
    }

    fn change(&self, change: impl FnOnce(&mut Running, Nanos) -> Result<(), ControlError>) -> Result<(), ControlError> {
        let mut running = self.running();
        let running = running.as_mut().filter(|_| !self.is_stopped()).ok_or(ControlError::NotRunning)?;
        let now = running.clock.now().saturating_sub(running.start);
        change(running, now)?;
        self.inner.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Virtual users to allot to a scenario that plans `vus`.
    pub(super) fn room(&self, schedule: &Schedule) -> u32 {
        let vus = schedule.max_vus();
        // The pool of an open model is a limit that the profile sets on purpose.
        if !self.inner.roomy || schedule.is_open() {
            return vus;
        }
        vus.saturating_mul(2).max(vus.saturating_add(100))
    }

    /// The load begins; `rooms` are the virtual users that each scenario was allotted.
    pub(super) fn begin(&self, clock: Clock, start: Nanos, scenarios: &[CompiledScenario], rooms: &[u32]) {
        let limits = scenarios.iter().zip(rooms).map(|(scenario, room)| Limits {
            vus: scenario.schedule.max_vus(),
            room: *room,
            rate: Pace::of(&scenario.schedule).map_or(0.0, |pace| pace.rate),
            end: scenario.schedule.end(),
        });
        let overrides = vec![Override::default(); scenarios.len()];
        *self.running() = Some(Running { clock, start, scenarios: limits.collect(), overrides });
    }

    /// The load is over.
    pub(super) fn end(&self) {
        *self.running() = None;
    }

    /// The overrides by scenario, if there are newer ones than number `seen`.
    pub(super) fn news(&self, seen: &mut u64) -> Option<Vec<Override>> {
        let newest = self.inner.version.load(Ordering::Acquire);
        if newest == *seen {
            return None;
        }
        let running = self.running();
        // Read under the lock: a change that comes meanwhile is in what is read, or has a newer number.
        *seen = newest;
        running.as_ref().map(|running| running.overrides.clone())
    }
}

/// Deals `total` out in proportion to `planned`, nobody more than has room in `rooms`; none where there is no room.
fn deal(total: u32, planned: &[u32], rooms: &[u32]) -> Option<Vec<u32>> {
    if u64::from(total) > rooms.iter().copied().map(u64::from).sum() {
        return None;
    }
    let all: u64 = planned.iter().copied().map(u64::from).sum::<u64>().max(1);
    let mut shares: Vec<u32> = planned
        .iter()
        .zip(rooms)
        .map(|(own, room)| ((u64::from(total) * u64::from(*own) / all) as u32).min(*room))
        .collect();
    let mut left = total - shares.iter().sum::<u32>();
    // What rounding and full rooms left over goes to the first that have room.
    for (share, room) in shares.iter_mut().zip(rooms) {
        let more = left.min(room - *share);
        *share += more;
        left -= more;
    }
    Some(shares)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shares_add_up_and_fit(
            scenarios in proptest::collection::vec((0_u32..5_000, 0_u32..5_000), 1..6),
            total in 0_u32..40_000,
        ) {
            let planned: Vec<_> = scenarios.iter().map(|(planned, _)| *planned).collect();
            let rooms: Vec<_> = scenarios.iter().map(|(planned, more)| planned + more).collect();
            match deal(total, &planned, &rooms) {
                Some(shares) => {
                    prop_assert_eq!(shares.iter().sum::<u32>(), total);
                    prop_assert!(shares.iter().zip(&rooms).all(|(share, room)| share <= room));
                }
                None => prop_assert!(rooms.iter().sum::<u32>() < total),
            }
        }
    }

    #[test]
    fn nothing_can_be_changed_before_or_after_a_load() {
        let control = LoadControl::roomy();
        for result in [control.set_vus(1), control.set_rate(1.0), control.follow_plan()] {
            assert_eq!(result, Err(ControlError::NotRunning));
        }
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(control.set_rate(rate), Err(ControlError::BadRate));
        }
        let mut seen = 0;
        assert_eq!(control.news(&mut seen), None);
    }
}
