//! One virtual user: a connection, and where it stands.

use mio::net::TcpStream;
use uuid::Uuid;

use super::{clock::Nanos, receipt::Body, response::Parser, template::Values};

/// Where a virtual user stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not at work: before its start, ramped down, or free in the pool of an open model.
    Parked,
    /// Pauses until `wake_at`.
    Waiting,
    /// A request is under way, and its connection is being made.
    Connecting,
    /// A part of the request is written.
    Writing,
    /// The request is written.
    Reading,
}

impl State {
    /// Whether a request is under way.
    pub fn in_flight(self) -> bool {
        matches!(self, Self::Connecting | Self::Writing | Self::Reading)
    }
}

/// Times of the request that is under way; 0 is "not yet".
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    /// Open model: when the request ought to have begun.
    pub intended: Nanos,
    pub begun: Nanos,
    pub connect: Nanos,
    pub connected: Nanos,
    /// Just before the first byte was written.
    pub write: Nanos,
    /// All bytes were written.
    pub sent: Nanos,
    pub first_byte: Nanos,
}

/// One virtual user.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, in a struct of which there are thousands")]
pub(super) struct Vu {
    pub state: State,
    /// Index of the thread's part of a scenario.
    pub part: u16,
    /// Number within the scenario, over all threads.
    pub number: u32,
    /// Who it is in this iteration, and what was drawn for the request under way.
    pub values: Values,
    /// Number of the request within the scenario.
    pub step: u16,
    /// Phase in which the request began.
    pub phase: u16,
    pub first_iteration: bool,
    pub in_iteration: bool,
    /// It has nothing more to send, ever.
    pub done: bool,
    pub iteration_began: Nanos,
    pub wake_at: Nanos,
    pub deadline: Nanos,
    /// It stands in the heap of deadlines, once.
    pub deadline_armed: bool,
    pub times: Times,
    pub stream: Option<TcpStream>,
    /// Nothing was ever answered on this connection.
    pub fresh: bool,
    /// Connections in a row that gave no answer.
    pub failures: u8,
    pub parser: Parser,
    /// What the answer under way says, where its request asks for it.
    pub body: Body,
    /// What is left to write; mostly empty and without memory.
    pub unsent: Vec<u8>,
}

impl Vu {
    pub fn new(part: usize, number: u32) -> Self {
        Self {
            state: State::Parked,
            part: part as u16,
            number,
            values: Values { user: 0, uuid: Uuid::nil() },
            step: 0,
            phase: 0,
            first_iteration: true,
            in_iteration: false,
            done: false,
            iteration_began: 0,
            wake_at: 0,
            deadline: 0,
            deadline_armed: false,
            times: Times::default(),
            stream: None,
            fresh: true,
            failures: 0,
            parser: Parser::default(),
            body: Body::Unwanted,
            unsent: Vec::new(),
        }
    }

    /// Closes the connection and forgets what was read of it.
    pub fn disconnect(&mut self) {
        self.stream = None;
        self.fresh = true;
        self.parser.reset();
        self.unsent = Vec::new();
    }
}
