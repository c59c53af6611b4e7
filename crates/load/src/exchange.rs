//! One request on one connection: connect, write, read, and what it came to.
//!
//! Readiness events are hints: each step asks the socket itself, so that an event which belonged to a connection closed
//! meanwhile does no harm.

use std::{
    cmp::Reverse,
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::Duration,
};

use mio::{Interest, Token, net::TcpStream};

use super::{
    LoadError,
    clock::Nanos,
    compile::{Ids, UNKNOWN},
    failure::{self, Failure},
    ledger::{Entry, Outcome},
    measure::{Ending, Place, Timing, has_latency, micros},
    receipt::Body,
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
    /// There will be no answer: why, with an example for people.
    Failed(Failure, String),
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
        let at = now.saturating_sub(self.shared.start);
        vu.phase = scenario.phase_at(at) as u16;
        vu.deadline = now.saturating_add(scenario.timeout);
        if !vu.deadline_armed {
            vu.deadline_armed = true;
            self.deadlines.push(Reverse((vu.deadline, index)));
        }
        self.vus[index].values.uuid = self.draw();
        let place = self.place(index);
        self.vus[index].body = Body::next(self.shared.plan.requests[place.request].reads_body);
        self.measures.sent(place, at);
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

    fn target(&self, index: usize) -> SocketAddr {
        let targets = &self.shared.targets;
        targets[self.vus[index].number as usize % targets.len()]
    }

    fn connect(&mut self, index: usize) {
        let target = self.target(index);
        let vu = &mut self.vus[index];
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
            Err(error) => self.no_connection(index, &error),
        }
    }

    fn no_connection(&mut self, index: usize, error: &io::Error) {
        let text = format!("connecting to {}: {error}", self.target(index));
        self.fail(index, Failure::of_connect(error), &text);
    }

    /// Ends the request without an answer; `example` is kept where it is the first of its kind.
    fn fail(&mut self, index: usize, failure: Failure, example: &str) {
        let place = self.place(index);
        let kept = &mut self.measures.requests[place.request].examples[failure as usize];
        kept.get_or_insert_with(|| failure::bounded(example));
        self.finish(index, Ending::Failed(failure), false);
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
                Err(error) => self.no_connection(index, &error),
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
        self.shared.plan.requests[place.request].template.render(&vu.values, &mut self.request);
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
            Err(error) => self.fail(index, Failure::Reset, &format!("writing the request: {error}")),
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
            Err(error) => self.fail(index, Failure::Reset, &format!("writing the request: {error}")),
        }
    }

    fn read_answer(&mut self, index: usize, read_closed: bool) {
        match self.read(index, read_closed) {
            Reading::Pending => {}
            Reading::Over(ending, keep) => self.finish(index, ending, keep),
            Reading::Failed(failure, example) => self.fail(index, failure, &example),
        }
    }

    /// Reads what is there. A read that does not fill the buffer emptied the socket, unless the server closed it.
    fn read(&mut self, index: usize, read_closed: bool) -> Reading {
        let vu = &mut self.vus[index];
        let Some(stream) = &mut vu.stream else { return Reading::Pending };
        loop {
            let bytes = match stream.read(&mut self.scratch) {
                Ok(0) => {
                    return vu.parser.end().map_or_else(
                        || Reading::Failed(Failure::Closed, closed(vu)),
                        |answer| Reading::Over(Ending::Status(answer.status, answer.cache), false),
                    );
                }
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Reading::Pending,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Reading::Failed(Failure::Reset, format!("reading the answer: {error}")),
            };
            self.measures.data_received += bytes as u64;
            if vu.times.first_byte == 0 {
                vu.times.first_byte = self.shared.clock.now();
            }
            let (parser, read) = (&mut vu.parser, &self.scratch[..bytes]);
            let fed = match &mut vu.body {
                Body::Unwanted => parser.feed(read),
                body => parser.feed_into(read, |part| body.take(part)),
            };
            match fed {
                Ok(Fed::More) if bytes < self.scratch.len() && !read_closed => return Reading::Pending,
                Ok(Fed::More) => {}
                Ok(Fed::Done { answer, used }) => {
                    let clean = used == bytes && vu.state == State::Reading && !read_closed;
                    let ending = Ending::Status(answer.status, answer.cache);
                    return Reading::Over(ending, answer.keep_alive && clean);
                }
                Err(garbage) => {
                    let seen = vu.parser.head_or(&self.scratch[..bytes]);
                    let example = format!("{}: {}", garbage.0, failure::shown(seen));
                    return Reading::Failed(Failure::of_garbage(seen), example);
                }
            }
        }
    }

    /// The time for an answer is over. Whatever comes later is not read.
    pub fn time_out(&mut self, index: usize) {
        let within = Duration::from_nanos(self.scenario(index).timeout);
        if self.vus[index].state == State::Connecting {
            let example = format!("no connection to {} within {within:?}", self.target(index));
            self.fail(index, Failure::ConnectTimeOut, &example);
        } else {
            self.fail(index, Failure::TimeOut, &format!("no whole answer within {within:?}"));
        }
    }

    /// Ends the request in exactly one class and goes on.
    fn finish(&mut self, index: usize, ending: Ending, keep: bool) {
        let end = self.now();
        let place = self.place(index);
        let shared = self.shared;
        let request = &shared.plan.requests[place.request];
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
        self.write_claims(index, place.request, class, end);
        let pause = settle_connection(&mut self.vus[index], ending, keep);
        self.after_request(index, pause.max(self.scenario(index).think));
    }

    /// Writes down what a request that ended in `class` at `end_ns` came to for all that it claims.
    fn write_claims(&mut self, index: usize, request: usize, class: usize, end_ns: Nanos) {
        let shared = self.shared;
        let claims = &shared.plan.requests[request].claims;
        if claims.is_empty() {
            return;
        }
        let vu = &mut self.vus[index];
        let (times, values, body) = (vu.times, vu.values, std::mem::take(&mut vu.body));
        let start_ns = if times.write > 0 { times.write } else { times.begun };
        for (number, claim) in claims.iter().enumerate() {
            let outcome = claim.outcome(class);
            let ids = claim.ids(&values, outcome, &body);
            if outcome == Outcome::Acknowledged && ids.lack() {
                self.measures.requests[request].lacks[number].add(&body);
            }
            let Ids { key, receipt } = ids;
            self.write_down(Entry { kind: claim.kind, key, actor: values.user, start_ns, end_ns, outcome, receipt });
        }
    }

    fn write_down(&mut self, entry: Entry) {
        let Some(ledger) = &mut self.ledger else { return };
        if let (Err(error), Some(folder)) = (ledger.push(entry), &self.shared.ledger) {
            // Without a whole ledger nothing can be proven: the load ends here.
            self.ledger = None;
            self.shared.break_off(LoadError::ledger(folder, error));
        }
    }
}

/// Keeps or closes the connection after a request; returns how long to pause when connections give no answer.
fn settle_connection(vu: &mut Vu, ending: Ending, keep: bool) -> Nanos {
    let answered = matches!(ending, Ending::Status(..));
    // A time-out has cost its time already.
    let timed_out = matches!(ending, Ending::Failed(Failure::TimeOut | Failure::ConnectTimeOut));
    let pause = if answered || timed_out || !vu.fresh {
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

fn closed(vu: &Vu) -> String {
    let when = if vu.times.first_byte == 0 { "before its answer began" } else { "in the middle of its answer" };
    format!("the server closed the connection {when}")
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
