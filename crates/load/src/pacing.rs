//! What the clock brings about: schedules are followed, pauses end, and answers come too late.

use std::cmp::Reverse;

use super::{
    clock::Nanos,
    schedule::{SECOND, Schedule, share},
    vu::State,
    worker::{Part, Worker},
};

/// How long iterations under way may go on after their scenario is over, as in k6.
const GRACE: Nanos = 30 * SECOND;
/// Most virtual users that start, or iterations that are handed out, before answers are looked at again.
const AT_ONCE: u32 = 256;

impl Part {
    /// When its next iteration is due; none when the scenario is over by then. A pace that was asked for takes over at
    /// its own instant: what is due before comes at the old one.
    fn next_due(&mut self, schedule: &Schedule) -> Option<Nanos> {
        let mut due = self.pace?.at(self.next_iteration);
        if let Some(pace) = self.by_hand.pace.filter(|pace| self.pace != Some(*pace) && due >= pace.from) {
            self.pace = Some(pace);
            self.next_iteration = u64::from(self.rank);
            due = pace.at(self.next_iteration);
        }
        (due < schedule.end()).then_some(due)
    }
}

impl Worker<'_> {
    /// When there is something to do, if nothing happens on a connection before.
    pub fn next_time(&self) -> Nanos {
        let mut next = self.next_publication;
        for heap in [&self.wakes, &self.deadlines] {
            next = next.min(heap.peek().map_or(Nanos::MAX, |Reverse((at, _))| *at));
        }
        let changes = self.parts.iter().filter(|part| !part.over).map(|part| part.next_change);
        next.min(changes.min().unwrap_or(Nanos::MAX))
    }

    /// Follows the schedules up to `now`; true when there is more to do at once.
    pub fn advance(&mut self, now: Nanos) -> bool {
        let mut more = false;
        for index in 0..self.parts.len() {
            let part = &self.parts[index];
            let schedule = &self.shared.plan.scenarios[part.scenario].schedule;
            if !part.over && !self.stopping && now >= part.next_change {
                more |= if schedule.is_open() { self.hand_out(index, now) } else { self.resize(index, now) };
            }
            let part = &self.parts[index];
            if part.over && !part.cut && now >= self.shared.start + schedule.end() + GRACE {
                self.parts[index].cut = true;
                self.interrupt_waiting(index);
            }
        }
        more
    }

    /// Closed model: starts virtual users, or lets them come to their end.
    fn resize(&mut self, index: usize, now: Nanos) -> bool {
        let shared = self.shared;
        let part = &mut self.parts[index];
        let schedule = &shared.plan.scenarios[part.scenario].schedule;
        let at = now.saturating_sub(shared.start);
        // What was asked for by hand holds until the scenario is over.
        let by_hand = part.by_hand.vus.filter(|_| at < schedule.end());
        let target = by_hand.unwrap_or_else(|| schedule.target_vus(at));
        let wanted = share(target, part.rank, part.parts).min(part.vus);
        let (first, before) = (part.first, part.limit);
        part.limit = wanted.min(before.saturating_add(AT_ONCE));
        let limit = part.limit;
        let more = limit < wanted;
        if !more {
            let next = if by_hand.is_some() { Some(schedule.end()) } else { schedule.next_change(at) };
            part.next_change = next.map_or(Nanos::MAX, |next| shared.start + next);
        }
        part.over = at >= schedule.end();
        for vu in first + before as usize..first + limit as usize {
            if self.vus[vu].state == State::Parked && !self.vus[vu].done {
                self.live += 1;
                self.start_iteration(vu, 0);
            }
        }
        for vu in first + limit as usize..first + before.max(limit) as usize {
            if self.vus[vu].state == State::Waiting && !self.vus[vu].in_iteration {
                self.park(vu);
            }
        }
        more
    }

    /// Open model: hands out the iterations that are due; one that finds nobody free is dropped.
    fn hand_out(&mut self, index: usize, now: Nanos) -> bool {
        let shared = self.shared;
        let scenario = self.parts[index].scenario;
        let schedule = &shared.plan.scenarios[scenario].schedule;
        for _ in 0..AT_ONCE {
            let part = &mut self.parts[index];
            let Some(at) = part.next_due(schedule) else {
                // The scenario takes its whole time, even without iterations left: rates are over that time, and a rate
                // that is asked for by hand may still bring some.
                part.next_change = shared.start + schedule.end();
                part.over = now >= part.next_change;
                return false;
            };
            part.next_change = shared.start + at;
            if part.next_change > now {
                return false;
            }
            let intended = part.next_change;
            part.next_iteration += u64::from(part.parts);
            match part.idle.pop_front() {
                Some(vu) => {
                    self.live += 1;
                    self.start_iteration(vu, intended);
                }
                None => self.measures.scenarios[scenario].dropped += 1,
            }
        }
        true
    }

    pub fn fire_wakes(&mut self, now: Nanos) {
        while let Some(Reverse((at, vu))) = self.wakes.peek().copied() {
            if at > now {
                break;
            }
            self.wakes.pop();
            // One that was parked meanwhile left its entry behind.
            if self.vus[vu].state != State::Waiting || self.vus[vu].wake_at != at {
                continue;
            }
            if self.vus[vu].in_iteration {
                self.go_on(vu);
            } else {
                self.next_iteration(vu);
            }
        }
    }

    /// Each virtual user stands in the heap at most once, with a time that may be too early by now.
    pub fn fire_deadlines(&mut self, now: Nanos) {
        while let Some(Reverse((at, index))) = self.deadlines.peek().copied() {
            if at > now {
                break;
            }
            self.deadlines.pop();
            let vu = &mut self.vus[index];
            if !vu.state.in_flight() {
                vu.deadline_armed = false;
            } else if vu.deadline > now {
                self.deadlines.push(Reverse((vu.deadline, index)));
            } else {
                vu.deadline_armed = false;
                self.time_out(index);
            }
        }
    }
}
