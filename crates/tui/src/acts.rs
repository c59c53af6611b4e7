//! What can be asked for from the dashboard. It only asks: who carries it out is on the other end of a channel.

use record::act::Act;

use super::launch::Order;

/// What goes out of the dashboard, after a person said yes to it.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Do this to the run.
    Act(Act),
    /// Bring this up, fill it or run it.
    Launch(Order),
    /// End the run cleanly, as Ctrl-C does.
    Interrupt,
    /// The screen was written to this file; a run notes it among its events.
    Exported(String),
}

/// What is asked before `act` is done.
pub fn question(act: &Act) -> String {
    match act {
        Act::StopLoad => "Stop the load? The run goes on to drain and verdict.".into(),
        Act::SetVus(n) => format!("Change to {n} virtual users?"),
        Act::SetRate(rate) => format!("Change to {rate} iterations per second?"),
        Act::FollowPlan => "Go on as planned? Changes of virtual users and rate are taken back.".into(),
        Act::AddConsumer => "Launch one consumer more?".into(),
        Act::RemoveConsumer => "Drain the last consumer and end it?".into(),
        Act::Verify => "Run the checks now?".into(),
        Act::Export(path) => format!("Write the screen to {path}?"),
        Act::Restart(name) => format!("Restart {name}? Until it is back its clients get errors."),
    }
}
