//! One generator thread: virtual users over readiness events, and how their iterations follow one another. What happens on a
//! connection is in [`super::exchange`], what the clock brings about in [`super::pacing`].

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::atomic::Ordering,
};

use mio::{Events, Poll, Token};
use profile::model::UserPick;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use record::goal::Trend;
use uuid::{Builder, Uuid};

use super::{
    LoadError,
    cache::ByCache,
    clock::Nanos,
    compile::CompiledScenario,
    control::Override,
    ledger::LedgerWriter,
    machine,
    measure::{Measures, micros},
    schedule::{Pace, SECOND, share},
    shared::Shared,
    timer::Timer,
    vu::{State, Vu},
};

/// Bytes that are read at once.
const SCRATCH: usize = 64 << 10;
const TIMER: Token = Token(usize::MAX - 1);

/// The thread's part of a scenario.
pub(super) struct Part {
    pub scenario: usize,
    /// Index of its first virtual user in [`Worker::vus`].
    pub first: usize,
    pub vus: u32,
    /// Which of the scenario's threads this one is, and how many there are.
    pub rank: u32,
    pub parts: u32,
    /// Closed: virtual users that may run.
    pub limit: u32,
    pub next_change: Nanos,
    /// Open: virtual users that are free, the pace, and the number of the next iteration in it.
    pub idle: VecDeque<usize>,
    pub pace: Option<Pace>,
    pub next_iteration: u64,
    /// What was asked for by hand.
    pub by_hand: Override,
    /// No iteration begins any more.
    pub over: bool,
    /// No request begins any more.
    pub cut: bool,
}

/// One generator thread.
pub(super) struct Worker<'a> {
    pub shared: &'a Shared,
    thread: usize,
    pub poll: Poll,
    timer: Timer,
    pub vus: Vec<Vu>,
    pub parts: Vec<Part>,
    pub wakes: BinaryHeap<Reverse<(Nanos, usize)>>,
    pub deadlines: BinaryHeap<Reverse<(Nanos, usize)>>,
    /// Virtual users that are not parked.
    pub live: u32,
    pub stopping: bool,
    pub scratch: Box<[u8]>,
    pub request: Vec<u8>,
    pub measures: Measures,
    /// Latencies since the last publication.
    pub latencies: Trend,
    /// Those of answers that say whether they came from a cache.
    pub cached: ByCache<Trend>,
    pub next_publication: Nanos,
    pub ledger: Option<LedgerWriter>,
    /// Number of the newest change that was taken over.
    change_seen: u64,
    rng: SmallRng,
}

impl<'a> Worker<'a> {
    /// Prepares thread `thread` of `shared`.
    pub fn new(shared: &'a Shared, thread: usize) -> Result<Self, LoadError> {
        let poll = Poll::new().map_err(LoadError::Poll)?;
        let timer = Timer::new(poll.registry(), TIMER).map_err(LoadError::Poll)?;
        let ledger = match &shared.ledger {
            Some(folder) => Some(LedgerWriter::create(folder, thread).map_err(|e| LoadError::ledger(folder, e))?),
            None => None,
        };
        let mut vus = Vec::new();
        let mut parts = Vec::new();
        for (scenario, compiled) in shared.plan.scenarios.iter().enumerate() {
            let all = shared.rooms[scenario];
            // Every part has a virtual user, or its iterations could only be dropped.
            let threads = shared.threads.min(all);
            let rank = thread as u32;
            let own = if rank < threads { share(all, rank, threads) } else { 0 };
            let first = vus.len();
            vus.extend((0..own).map(|i| Vu::new(parts.len(), rank + i * threads)));
            parts.push(Part {
                scenario,
                first,
                vus: own,
                rank,
                parts: threads,
                limit: 0,
                next_change: 0,
                idle: if compiled.schedule.is_open() { (first..vus.len()).collect() } else { VecDeque::new() },
                pace: Pace::of(&compiled.schedule),
                next_iteration: u64::from(rank),
                by_hand: Override::default(),
                over: own == 0,
                cut: false,
            });
        }
        let seed = shared.random_seed ^ (thread as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Ok(Self {
            shared,
            thread,
            poll,
            timer,
            vus,
            parts,
            wakes: BinaryHeap::new(),
            deadlines: BinaryHeap::new(),
            live: 0,
            stopping: false,
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            request: Vec::with_capacity(1024),
            measures: Measures::new(&shared.plan),
            latencies: Trend::default(),
            cached: ByCache::default(),
            next_publication: shared.start + SECOND,
            ledger,
            change_seen: 0,
            rng: SmallRng::seed_from_u64(seed),
        })
    }

    /// Runs to the end of the load; returns what was measured.
    pub fn run(mut self) -> Result<Measures, LoadError> {
        let waited_before = machine::waited_for_core();
        let began = self.now();
        let mut events = Events::with_capacity(1024);
        loop {
            let now = self.now();
            if !self.stopping && self.shared.stopping() {
                self.stop();
            }
            self.take_overrides();
            let more = self.advance(now);
            self.fire_wakes(now);
            self.fire_deadlines(now);
            if now >= self.next_publication {
                self.publish(now);
            }
            if self.live == 0 && (self.stopping || self.parts.iter().all(|part| part.over)) {
                break;
            }
            let until = if more { 0 } else { self.next_time() };
            self.wait(&mut events, until)?;
            for event in &events {
                if event.token() != TIMER {
                    self.on_event(event.token().0, event.is_read_closed());
                }
            }
        }
        let now = self.now();
        let waited = machine::waited_for_core().zip(waited_before);
        self.measures.core_wait = waited.map_or(0, |(after, before)| after.saturating_sub(before));
        self.measures.thread_time = waited.map_or(0, |_| now - began);
        self.publish(now);
        if let (Some(ledger), Some(folder)) = (self.ledger.take(), &self.shared.ledger)
            && let Err(error) = ledger.finish()
        {
            self.shared.break_off(LoadError::ledger(folder, error));
        }
        Ok(self.measures)
    }

    /// Takes over what was asked for by hand.
    fn take_overrides(&mut self) {
        if let Some(overrides) = self.shared.control.news(&mut self.change_seen) {
            for part in self.parts.iter_mut().filter(|part| !part.over) {
                part.by_hand = overrides.get(part.scenario).copied().unwrap_or_default();
                part.next_change = 0;
            }
        }
    }

    /// A UUID for a request.
    pub fn draw(&mut self) -> Uuid {
        Builder::from_random_bytes(self.rng.random()).into_uuid()
    }

    pub fn now(&self) -> Nanos {
        self.shared.clock.now()
    }

    /// The scenario of a virtual user.
    pub fn scenario(&self, vu: usize) -> &'a CompiledScenario {
        let shared: &'a Shared = self.shared;
        &shared.plan.scenarios[self.parts[usize::from(self.vus[vu].part)].scenario]
    }

    fn wait(&mut self, events: &mut Events, until: Nanos) -> Result<(), LoadError> {
        let now = self.now();
        let timeout = self.timer.prepare(now, until).map_err(LoadError::Poll)?;
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => Err(LoadError::Poll(error)),
            _ => Ok(()),
        }
    }

    /// Begins an iteration; `intended` is when it was due in an open model, else 0.
    pub fn start_iteration(&mut self, index: usize, intended: Nanos) {
        let now = self.now();
        let scenario = self.scenario(index);
        let users = self.shared.users;
        let vu = &mut self.vus[index];
        vu.values.user = match scenario.user {
            UserPick::PerVu => u64::from(vu.number) % users + 1,
            UserPick::Sequential => scenario.next_user.fetch_add(1, Ordering::Relaxed) % users + 1,
            UserPick::Random => self.rng.random_range(1..=users),
        };
        vu.in_iteration = true;
        vu.step = 0;
        vu.iteration_began = if intended > 0 { intended } else { now };
        vu.times.intended = intended;
        if intended > 0 {
            let number = self.parts[usize::from(vu.part)].scenario;
            let late = micros(now.saturating_sub(intended));
            self.measures.scenarios[number].lateness.record_thousandths(late);
        }
        self.go_on(index);
    }

    /// Sends the iteration's next request. Where there is none, all of them are `once` and were sent: this virtual user
    /// has nothing more to do.
    pub fn go_on(&mut self, index: usize) {
        if self.skip_to_request(index) {
            self.begin_request(index);
        } else {
            let vu = &mut self.vus[index];
            vu.done = true;
            vu.in_iteration = false;
            self.park(index);
        }
    }

    /// Moves to the next request that is to be sent; false where there is none in this iteration.
    fn skip_to_request(&mut self, index: usize) -> bool {
        let scenario = self.scenario(index);
        let vu = &mut self.vus[index];
        while usize::from(vu.step) < scenario.requests {
            let request = &self.shared.plan.requests[scenario.first_request + usize::from(vu.step)];
            if !request.once || vu.first_iteration {
                return true;
            }
            vu.step += 1;
        }
        false
    }

    /// A request is over: the next one, or the end of the iteration, after `pause`.
    pub fn after_request(&mut self, index: usize, pause: Nanos) {
        self.vus[index].step += 1;
        if !self.skip_to_request(index) {
            self.end_iteration(index, pause);
        } else if pause > 0 {
            self.sleep(index, pause);
        } else {
            self.begin_request(index);
        }
    }

    fn end_iteration(&mut self, index: usize, pause: Nanos) {
        let now = self.now();
        let number = self.parts[usize::from(self.vus[index].part)].scenario;
        let vu = &mut self.vus[index];
        vu.in_iteration = false;
        vu.first_iteration = false;
        let measure = &mut self.measures.scenarios[number];
        measure.iterations += 1;
        measure.iteration_duration.record_thousandths(micros(now.saturating_sub(vu.iteration_began)));
        if pause > 0 && self.may_go_on(index) {
            self.sleep(index, pause);
        } else {
            self.next_iteration(index);
        }
    }

    /// Whether a virtual user between two iterations has another one before it.
    fn may_go_on(&self, index: usize) -> bool {
        let part = &self.parts[usize::from(self.vus[index].part)];
        !self.stopping && !part.over && (self.is_pooled(index) || index < part.first + part.limit as usize)
    }

    fn is_pooled(&self, index: usize) -> bool {
        self.scenario(index).schedule.is_open()
    }

    /// Between two iterations: the next one, the pool, or the end.
    pub fn next_iteration(&mut self, index: usize) {
        if self.may_go_on(index) && !self.is_pooled(index) {
            self.start_iteration(index, 0);
        } else {
            self.park(index);
        }
    }

    fn sleep(&mut self, index: usize, pause: Nanos) {
        let at = self.now().saturating_add(pause);
        let vu = &mut self.vus[index];
        vu.state = State::Waiting;
        vu.wake_at = at;
        self.wakes.push(Reverse((at, index)));
    }

    /// Takes a virtual user off work. In an open model it is free for the next iteration and keeps its connection.
    pub fn park(&mut self, index: usize) {
        self.live -= 1;
        let pooled = self.is_pooled(index);
        let vu = &mut self.vus[index];
        vu.state = State::Parked;
        if !pooled {
            vu.disconnect();
        } else if !vu.done {
            self.parts[usize::from(vu.part)].idle.push_back(index);
        }
    }

    /// Ends an iteration in the middle.
    pub fn interrupt(&mut self, index: usize) {
        self.vus[index].in_iteration = false;
        self.park(index);
    }

    pub fn interrupt_waiting(&mut self, part: usize) {
        let part = &self.parts[part];
        for vu in part.first..part.first + part.vus as usize {
            if self.vus[vu].state == State::Waiting {
                self.interrupt(vu);
            }
        }
    }

    /// From now on no request begins; those under way are finished.
    fn stop(&mut self) {
        self.stopping = true;
        self.measures.stopped_at = Some(self.now().saturating_sub(self.shared.start));
        (0..self.parts.len()).for_each(|part| self.interrupt_waiting(part));
    }

    fn publish(&mut self, now: Nanos) {
        while self.next_publication <= now {
            self.next_publication += SECOND;
        }
        let shared = self.shared;
        let Some(mut slot) = shared.published(self.thread) else { return };
        slot.vus = self.live;
        slot.sent = self.measures.total_sent();
        slot.claims = self.measures.claims(&shared.plan);
        slot.outcomes = self.measures.total_outcomes();
        slot.failures = self.measures.total_failures();
        slot.dropped = self.measures.total_dropped();
        slot.latencies.merge(&self.latencies);
        self.latencies.clear();
        slot.cached = self.measures.total_cached();
        slot.cached_latencies.merge(&self.cached);
        self.cached.clear();
        let second = now.saturating_sub(shared.start) / SECOND;
        if shared.publishes_all && second.is_multiple_of(2) {
            slot.all = Some(self.measures.clone());
        }
    }
}
