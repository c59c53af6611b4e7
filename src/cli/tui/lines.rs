//! Lines of logs for the dashboard.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    infra::{
        logs::{self, Range, stamp},
        state::StateDir,
    },
    tui::model::LogLine,
};

/// How often it is looked for logs where there are none yet.
const LOOK: Duration = Duration::from_secs(1);
/// Lines of each component that were there before.
const BEFORE: usize = 100;
/// Lines of each component that a recording shows.
const RECORDED: usize = 2_000;

/// Reads the logs of the stack and its backend until `stop`; of a recording, those in its `folder`.
pub fn feed(state: Option<StateDir>, folder: Option<PathBuf>, lines: mpsc::Sender<LogLine>, stop: CancellationToken) {
    tokio::spawn(async move {
        let reading = async {
            match (state, folder) {
                (Some(state), _) => follow(&state, &lines).await,
                (None, Some(folder)) => recorded(&folder, &lines).await,
                (None, None) => {}
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = reading => {}
        }
    });
}

/// Every line, merged by time; an Engine or a folder that is not there yet is looked for again.
async fn follow(state: &StateDir, lines: &mpsc::Sender<LogLine>) {
    let range = Range { lines: Some(BEFORE), since: None };
    loop {
        if let Ok(mut merged) = logs::follow_merged(state, &[], range).await {
            while let Some(logs::LogLine { at, component, text }) = merged.recv().await {
                if lines.send(LogLine { at: at.to_string(), component, text }).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The files `<component>.log` in `folder`, merged by the times in their lines.
async fn recorded(folder: &Path, lines: &mpsc::Sender<LogLine>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all = Vec::new();
    for path in entries.map(|entry| entry.path()) {
        let Some(component) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".log")) else { continue };
        let mut at = None;
        for text in logs::tail(&path, RECORDED).unwrap_or_default() {
            // A line without a time belongs to the one before.
            at = stamp::of(&text, &TimeZone::system()).or(at);
            all.push((at, LogLine { at: shown(at), component: component.to_owned(), text }));
        }
    }
    all.sort_by_key(|(at, _)| *at);
    for (_, line) in all {
        if lines.send(line).await.is_err() {
            return;
        }
    }
}

fn shown(at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| at.to_string())
}
