//! Lines of logs for the dashboard.

use std::{path::PathBuf, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    infra::{
        logs::{self, Range},
        state::StateDir,
    },
    tui::model::LogLine,
};

/// How often it is looked whether there is a stack now.
const LOOK: Duration = Duration::from_secs(1);
/// Lines of each component that were there before.
const BEFORE: usize = 100;

/// Reads the logs of the stack in `state_dir`, once there is one, until `stop`.
pub fn feed(state_dir: PathBuf, lines: mpsc::Sender<LogLine>, stop: CancellationToken) {
    tokio::spawn(async move {
        let reading = async {
            loop {
                if let Ok(Some(state)) = StateDir::open(&state_dir)
                    && let Ok(merged) =
                        logs::follow_merged(&state, &[], Range { lines: Some(BEFORE), since: None }).await
                {
                    forward(merged, &lines).await;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            () = reading => {}
            () = stop.cancelled() => {}
        }
    });
}

async fn forward(mut merged: mpsc::Receiver<logs::LogLine>, lines: &mpsc::Sender<LogLine>) {
    while let Some(line) = merged.recv().await {
        let line = LogLine { at: format!("{:.3}", line.at), component: line.component, text: line.text };
        if lines.send(line).await.is_err() {
            return;
        }
    }
}
