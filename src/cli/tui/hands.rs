//! Who does what a person asks for.

use std::path::PathBuf;

use infra::{self, env::Env, state::StateDir};
use record::act::Act;
use tokio_util::sync::CancellationToken;
use tui::model::Tone;

use crate::run::control::{self, Control};

/// Who does it.
#[derive(Debug, Clone)]
pub enum Hands {
    /// Nobody: it is a recording, or nothing runs.
    Nobody,
    /// The run of this process.
    Run(Control),
    /// The run of another process, behind its socket.
    Other(PathBuf),
    /// There is no run, but a stack.
    Stack(StateDir),
}

impl Hands {
    /// Does `act`; says what came of it.
    pub async fn perform(&self, act: &Act) -> (Tone, String) {
        if let (Act::Export(path), Self::Nobody | Self::Stack(_)) = (act, self) {
            // There is no run whose events could have it.
            return (Tone::Plain, format!("written to {path}"));
        }
        let result = match self {
            Self::Nobody => return (Tone::Warn, format!("{act}: nothing runs that could be changed")),
            Self::Run(control) => control.act(act.clone()).await,
            Self::Other(socket) => match control::send(socket, act).await {
                Ok(result) => result,
                Err(error) => return (Tone::Bad, format!("{act}: the run cannot be reached: {error}")),
            },
            Self::Stack(state) => return stack(state, act).await,
        };
        (if result.done { Tone::Good } else { Tone::Warn }, format!("{act}: {}", result.text))
    }
}

/// What can be done to a stack without a run.
async fn stack(state: &StateDir, act: &Act) -> (Tone, String) {
    let Act::Restart(name) = act else {
        return (Tone::Warn, format!("{act}: no run is under way; L starts one"));
    };
    match infra::restart(state, std::slice::from_ref(name), Env::from_process(), &|_| {}, CancellationToken::new())
        .await
    {
        Ok(_) => (Tone::Good, format!("{name} was restarted and answers")),
        Err(error) => (Tone::Bad, format!("{act}: {error}")),
    }
}
