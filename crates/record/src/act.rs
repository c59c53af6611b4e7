//! What a person may do to a run while it goes on, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Highest rate, in iterations per second.
pub const MOST_RATE: f64 = 1e7;

/// Whether a load can be set to this rate, in iterations per second.
pub fn takes_rate(rate: f64) -> bool {
    rate > 0.0 && rate <= MOST_RATE
}

/// What a person may do to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", content = "value", rename_all = "snake_case")]
pub enum Act {
    /// End the load; the run goes on to drain and verdict.
    StopLoad,
    /// Virtual users of the closed scenarios, together; 0 pauses them.
    SetVus(u32),
    /// Iterations per second of the open scenarios, together.
    SetRate(f64),
    /// Take back [`Self::SetVus`] and [`Self::SetRate`].
    FollowPlan,
    /// Launch one more consumer.
    AddConsumer,
    /// Drain the last consumer and end it.
    RemoveConsumer,
    /// Hold the newest counts against what must hold.
    Verify,
    /// Restart a component: a server, or a process of the backend.
    Restart(String),
    /// The dashboard wrote its screen to this file; nothing is done but to note it.
    Export(String),
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StopLoad => f.write_str("stop load"),
            Self::SetVus(vus) => write!(f, "vus {vus}"),
            Self::SetRate(rate) => write!(f, "rate {rate}"),
            Self::FollowPlan => f.write_str("follow the plan"),
            Self::AddConsumer => f.write_str("add consumer"),
            Self::RemoveConsumer => f.write_str("remove consumer"),
            Self::Verify => f.write_str("verify"),
            Self::Restart(component) => write!(f, "restart {component}"),
            Self::Export(path) => write!(f, "export {path}"),
        }
    }
}

/// What came of an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActResult {
    /// It was done.
    pub done: bool,
    /// What was done, or why not.
    pub text: String,
}

impl ActResult {
    /// It was done.
    pub fn done(text: impl Into<String>) -> Self {
        Self { done: true, text: text.into() }
    }

    /// It was not.
    pub fn refused(why: impl fmt::Display) -> Self {
        Self { done: false, text: why.to_string() }
    }
}
