//! What can be done from the dashboard. It only asks; who carries it out is on the other end of a channel.

use super::launch::Order;

/// Something that a person wants done, after they said yes to it.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Start the load.
    StartLoad,
    /// Stop the load.
    StopLoad,
    /// Change the virtual users.
    SetVus(u32),
    /// Change the iterations per second.
    SetRate(f64),
    /// One consumer more.
    AddConsumer,
    /// One consumer fewer.
    RemoveConsumer,
    /// Run the checks.
    Verify,
    /// Restart a component.
    Restart(String),
    /// The screen was written to this file: it is noted among the run's events.
    Exported(String),
}

impl Act {
    /// What is asked before it is done.
    pub fn question(&self) -> String {
        match self {
            Self::StartLoad => "Start the load?".into(),
            Self::StopLoad => "Stop the load? The run goes on to its checks.".into(),
            Self::SetVus(n) => format!("Change to {n} virtual users?"),
            Self::SetRate(rate) => format!("Change to {rate} iterations per second?"),
            Self::AddConsumer => "Start one consumer more?".into(),
            Self::RemoveConsumer => "Stop one consumer? It finishes its batch first.".into(),
            Self::Verify => "Run the checks now?".into(),
            Self::Restart(name) => format!("Restart {name}? What it answers until then is lost to its clients."),
            Self::Exported(path) => format!("Write the screen to {path}?"),
        }
    }

    /// In a few words, as in `vus 200`.
    pub fn words(&self) -> String {
        match self {
            Self::StartLoad => "start load".into(),
            Self::StopLoad => "stop load".into(),
            Self::SetVus(n) => format!("vus {n}"),
            Self::SetRate(rate) => format!("rate {rate}"),
            Self::AddConsumer => "add consumer".into(),
            Self::RemoveConsumer => "remove consumer".into(),
            Self::Verify => "verify".into(),
            Self::Restart(name) => format!("restart {name}"),
            Self::Exported(path) => format!("export {path}"),
        }
    }
}

/// What goes out of the dashboard.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// Do this to the run.
    Act(Act),
    /// Bring this up, fill it or run it.
    Launch(Order),
    /// End the run cleanly, as Ctrl-C does.
    Interrupt,
}
