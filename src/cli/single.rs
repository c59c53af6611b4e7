//! One run of one profile: whoever asks for it, and whoever looks at it.

use profile::Loaded;

use super::{common::Context, progress::Progress, runs, signals::Signals};
use crate::{
    run::{
        execute,
        walk::{self, Show},
    },
    summary::Summary,
};

/// One profile, with a line of progress.
pub async fn run(context: &Context, loaded: &Loaded, keep: bool, signals: &Signals) -> anyhow::Result<Summary> {
    let turn = Turn { keep, swap: false };
    shown(context, loaded, turn, signals, &Progress::new(context.draw)).await
}

/// The place of a run among others of the same command.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// The stack stays up after it.
    pub keep: bool,
    /// The stack that is up was used by the run before: that of another system may go for it.
    pub swap: bool,
}

/// One profile, shown by `show`.
pub async fn shown(
    context: &Context,
    loaded: &Loaded,
    turn: Turn,
    signals: &Signals,
    show: &dyn Show,
) -> anyhow::Result<Summary> {
    let state = context.state()?;
    let request = walk::Request {
        loaded,
        state: &state,
        keep: turn.keep,
        swap: turn.swap,
        pull: context.global.pull,
        yes: context.global.yes,
        interrupted: &|| signals.exit(),
        cancel: signals.stop.clone(),
    };
    let summary = execute::run(&request, show).await;
    runs::tell_size(context);
    summary
}
