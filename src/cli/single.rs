//! One run of one profile: whoever asks for it, and whoever looks at it.

use super::{common::Context, progress::Progress, runs, signals::Signals};
use crate::{
    profile::Loaded,
    run::{
        execute,
        walk::{self, Show},
    },
    summary::Summary,
};

/// One profile, with a line of progress.
pub async fn run(context: &Context, loaded: &Loaded, keep: bool, signals: &Signals) -> anyhow::Result<Summary> {
    shown(context, loaded, keep, signals, &Progress::new(context.draw)).await
}

/// One profile, shown by `show`.
pub async fn shown(
    context: &Context,
    loaded: &Loaded,
    keep: bool,
    signals: &Signals,
    show: &dyn Show,
) -> anyhow::Result<Summary> {
    let state = context.state()?;
    let request = walk::Request {
        loaded,
        state: &state,
        keep,
        pull: context.global.pull,
        yes: context.global.yes,
        interrupted: &|| signals.exit(),
        cancel: signals.stop.clone(),
    };
    let summary = execute::run(&request, show).await;
    runs::tell_size(context);
    summary
}
