//! One request on one connection: connect, write, read, and what it came to.
//!
//! Readiness events are hints: each step asks the socket itself, so that an event which belonged to a connection closed
//! meanwhile does no harm.

use std::{
    cmp::Reverse,
    io::{self, ErrorKind, Read, Write},
};

use mio::{Interest, Token, net::TcpStream};

use super::{
    LoadError,
    clock::Nanos,
    compile::UNKNOWN,
    ledger::Entry,
    measure::{Ending, Failure, Place, Timing, has_latency, micros},
    response::Fed,
    vu::{State, Times, Vu},
    worker::Worker,
};

/// Pause after the first connection that gave no answer; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Nanos = 100_000_000;
/// Longest pause after connections that gave no answer.
const LONGEST_PAUSE: Nanos = 1_000_000_000;

/// What reading came to.
enum Reading {
    /// More is to come.
    Pending,
    /// The request is over; whether the connection can be kept.
    Over(Ending, bool),
}

impl Worker<'_> {
    /// Begins the request at which the virtual user stands. It counts as sent from here on, whatever comes of it.
    pub fn begin_request(&mut self, index: usize) {
        if self.stopping || self.parts[usize::from(self.vus[index].part)].cut {
            return self.interrupt(index);
        }
        let now = self.now();
        let scenario = self.scenario(index);
        let vu = &mut self.vus[index];
        let intended = if vu.step == 0 { vu.times.intended } else { 0 };
        vu.times = Times { intended, begun: now, ..Times::default() };
        vu.phase = scenario.phase_at(now.saturating_sub(self.shared.start)) as u16;
        vu.deadline = now.saturating_add(scenario.timeout);
        if !vu.deadline_armed {
            vu.deadline_armed = true;
            self.deadlines.push(Reverse((vu.deadline, index)));
        }
        let place = self.place(index);
        self.measures.sent(place);
        if self.vus[index].stream.is_some() {
            self.write_request(index);
        } else {
            self.connect(index);
        }
    }

    fn place(&self, index: usize) -> Place {
        let vu = &self.vus[index];
        let scenario = self.scenario(index);
        let request = scenario.first_request + usize::from(vu.step);
        Place { request, scenario: self.parts[usize::from(vu.part)].scenario, phase: usize::from(vu.phase) }
    }

    fn connect(&mut self, index: usize) {
        let vu = &mut self.vus[index];
        let targets = &self.shared.targets;
        let target = targets[vu.number as usize % targets.len()];
        vu.times.connect = self.shared.clock.now();
        vu.state = State::Connecting;
        let connection = TcpStream::connect(target).and_then(|mut stream| {
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(index), both).map(|()| stream)
        });
        match connection {
            Ok(stream) => {
                vu.fresh = true;
                vu.stream = Some(stream);
            }
            Err(error) => self.finish(index, Ending::Failed(connect_failure(&error)), false),
        }
    }

    /// Something happened on a virtual user's connection.
    pub fn on_event(&mut self, index: usize, read_closed: bool) {
        let Some(vu) = self.vus.get_mut(index) else { return };
        match vu.state {
            State::Connecting => match connected(vu) {
                Ok(true) => {
                    vu.times.connected = self.shared.clock.now();
                    self.write_request(index);
                }
                Ok(false) => {}
                Err(error) => self.finish(index, Ending::Failed(connect_failure(&error)), false),
            },
            State::Writing => {
                self.write_on(index);
                if self.vus[index].state.in_flight() {
                    self.read_answer(index, read_closed);
                }
            }
            State::Reading => self.read_answer(index, read_closed),
            State::Parked | State::Waiting => look_at_idle(vu, &mut self.scratch),
        }
    }

    fn write_request(&mut self, index: usize) {
        let place = self.place(index);
        self.request.clear();
        let vu = &mut self.vus[index];
        self.shared.plan.requests[place.request].template.render(vu.user, &mut self.request);
        let Some(stream) = &mut vu.stream else { return };
        vu.times.write = self.shared.clock.now();
        let written = write_some(stream, &self.request);
        let now = self.shared.clock.now();
        match written {
            Ok(bytes) => {
                self.measures.data_sent += bytes as u64;
                if bytes == self.request.len() {
                    vu.times.sent = now;
                    vu.state = State::Reading;
                } else {
                    vu.unsent = self.request[bytes..].to_vec();
                    vu.state = State::Writing;
                }
            }
            Err(_) => self.finish(index, Ending::Failed(Failure::Reset), false),
        }
    }

    fn write_on(&mut self, index: usize) {
        let vu = &mut self.vus[index];
        let Some(stream) = &mut vu.stream else { return };
        match write_some(stream, &vu.unsent) {
            Ok(bytes) => {
                self.measures.data_sent += bytes as u64;
                vu.unsent.drain(..bytes);
                if vu.unsent.is_empty() {
                    vu.unsent = Vec::new();
                    vu.times.sent = self.shared.clock.now();
                    vu.state = State::Reading;
                }
            }
            Err(_) => self.finish(index, Ending::Failed(Failure::Reset), false),
        }
    }

    fn read_answer(&mut self, index: usize, read_closed: bool) {
        if let Reading::Over(ending, keep) = self.read(index, read_closed) {
            self.finish(index, ending, keep);
        }
    }

    /// Reads what is there. A read that does not fill the buffer emptied the socket, unless the server closed it.
    fn read(&mut self, index: usize, read_closed: bool) -> Reading {
        let vu = &mut self.vus[index];
        let Some(stream) = &mut vu.stream else { return Reading::Pending };
        loop {
            let bytes = match stream.read(&mut self.scratch) {
                Ok(0) => {
                    let ending = vu.parser.end().map(|answer| Ending::Status(answer.status, answer.cache));
                    return Reading::Over(ending.unwrap_or(Ending::Failed(Failure::Reset)), false);
                }
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Reading::Pending,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Reading::Over(Ending::Failed(Failure::Reset), false),
            };
            self.measures.data_received += bytes as u64;
            if vu.times.first_byte == 0 {
                vu.times.first_byte = self.shared.clock.now();
            }
            match vu.parser.feed(&self.scratch[..bytes]) {
                Ok(Fed::More) if bytes < self.scratch.len() && !read_closed => return Reading::Pending,
                Ok(Fed::More) => {}
                Ok(Fed::Done { answer, used }) => {
                    let clean = used == bytes && vu.state == State::Reading && !read_closed;
                    let ending = Ending::Status(answer.status, answer.cache);
                    return Reading::Over(ending, answer.keep_alive && clean);
                }
                Err(_) => return Reading::Over(Ending::Failed(Failure::Garbage), false),
            }
        }
    }

    /// The time for an answer is over. Whatever comes later is not read.
    pub fn time_out(&mut self, index: usize) {
        self.finish(index, Ending::Failed(Failure::TimeOut), false);
    }

    /// Ends the request in exactly one class and goes on.
    fn finish(&mut self, index: usize, ending: Ending, keep: bool) {
        let end = self.now();
        let place = self.place(index);
        let plan = &self.shared.plan;
        let request = &plan.requests[place.request];
        let class = match ending {
            Ending::Status(status, _) => request.class(status),
            Ending::Failed(_) => UNKNOWN,
        };
        let times = self.vus[index].times;
        let timing = timing(&times, end);
        self.measures.ended(place, class, ending, &timing);
        if has_latency(ending) {
            self.latencies.record_thousandths(micros(timing.duration));
        }
        if let Ending::Status(_, Some(answer)) = ending {
            self.cached.of_mut(answer).record_thousandths(micros(timing.duration));
        }
        if let Some(coupon) = request.coupon {
            let outcome = plan.ledger_outcome(class);
            let start_ns = if times.write > 0 { times.write } else { times.begun };
            let user = self.vus[index].user;
            self.write_down(Entry { coupon, user, start_ns, end_ns: end, outcome });
        }
        let pause = settle_connection(&mut self.vus[index], ending, keep);
        self.after_request(index, pause.max(self.scenario(index).think));
    }

    fn write_down(&mut self, entry: Entry) {
        let counts = self.measures.ledger.entry(entry.coupon).or_default();
        *counts.entry(entry.outcome.name()).or_default() += 1;
        let Some(ledger) = &mut self.ledger else { return };
        if let (Err(error), Some(folder), None) = (ledger.push(entry), &self.shared.ledger, &self.fault) {
            // Without a whole ledger nothing can be proven: the load ends here.
            self.fault = Some(LoadError::ledger(folder, error));
            self.shared.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// Keeps or closes the connection after a request; returns how long to pause when connections give no answer.
fn settle_connection(vu: &mut Vu, ending: Ending, keep: bool) -> Nanos {
    let answered = matches!(ending, Ending::Status(..));
    let pause = if answered || ending == Ending::Failed(Failure::TimeOut) || !vu.fresh {
        vu.failures = 0;
        0
    } else {
        let doubled = FIRST_PAUSE << vu.failures.min(8);
        vu.failures = vu.failures.saturating_add(1);
        doubled.min(LONGEST_PAUSE)
    };
    if answered && keep {
        vu.fresh = false;
    } else {
        vu.disconnect();
    }
    pause
}

fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match stream.write(bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            other => return other,
        }
    }
}

/// Whether a connection that was being made is there now.
fn connected(vu: &mut Vu) -> io::Result<bool> {
    let Some(stream) = &vu.stream else { return Ok(false) };
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => {
            // Requests are small and written whole: there is nothing to wait for.
            stream.set_nodelay(true)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// A connection without a request: when the server closes it, or sends what nobody asked for, it is of no more use.
fn look_at_idle(vu: &mut Vu, scratch: &mut [u8]) {
    let Some(stream) = &mut vu.stream else { return };
    let alive = matches!(stream.read(scratch), Err(error) if error.kind() == ErrorKind::WouldBlock);
    if !alive {
        vu.disconnect();
    }
}

fn connect_failure(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::ConnectionRefused => Failure::Refused,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => Failure::Reset,
        _ => Failure::Connect,
    }
}

/// The parts of a request's time. What was not reached is 0, and the part in which it ended takes the rest.
fn timing(times: &Times, end: Nanos) -> Timing {
    let or_end = |time: Nanos| if time == 0 { end } else { time };
    let between = |from: Nanos, to: Nanos| if from == 0 { 0 } else { to.saturating_sub(from) };
    // An answer may begin before all is written.
    let sent = if times.sent == 0 && times.first_byte > 0 { times.first_byte } else { times.sent };
    let sending = between(times.write, or_end(sent));
    let waiting = between(sent, or_end(times.first_byte));
    let receiving = between(times.first_byte, end);
    let began = [times.intended, times.write, times.begun].into_iter().find(|time| *time > 0).unwrap_or(end);
    Timing {
        blocked: between(times.begun, times.connect),
        connecting: between(times.connect, or_end(times.connected)),
        sending,
        waiting,
        receiving,
        duration: if times.intended > 0 || times.write == 0 {
            end.saturating_sub(began)
        } else {
            sending + waiting + receiving
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_request_add_up() {
        let times =
            Times { begun: 100, connect: 110, connected: 150, write: 160, sent: 170, first_byte: 300, intended: 0 };
        let t = timing(&times, 320);
        assert_eq!((t.blocked, t.connecting, t.sending, t.waiting, t.receiving), (10, 40, 10, 130, 20));
        assert_eq!(t.duration, 160);
        let open = timing(&Times { intended: 50, ..times }, 320);
        assert_eq!(open.duration, 270, "an open model counts from the intended start");
        let early = timing(&Times { sent: 0, ..times }, 320);
        assert_eq!((early.sending, early.waiting, early.receiving), (140, 0, 20));
        let unconnected = timing(&Times { begun: 100, connect: 110, ..Times::default() }, 320);
        assert_eq!((unconnected.connecting, unconnected.duration, unconnected.waiting), (210, 220, 0));
    }

    #[test]
    fn connections_without_an_answer_are_made_ever_more_seldom() {
        let mut vu = Vu::new(0, 0);
        let refused = Ending::Failed(Failure::Refused);
        let pauses: Vec<Nanos> = (0..6).map(|_| settle_connection(&mut vu, refused, false) / 1_000_000).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(settle_connection(&mut vu, Ending::Status(200, None), true), 0);
        assert_eq!(settle_connection(&mut vu, Ending::Failed(Failure::Reset), false), 0, "it had answered before");
        assert_eq!(settle_connection(&mut vu, refused, false), FIRST_PAUSE);
    }
}
