//! Lines of logs for the dashboard.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use base::log_line::stamp;
use infra::{
    logs::{self, Range},
    state::StateDir,
};
use jiff::{Timestamp, tz::TimeZone};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tui::model::LogLine;

/// How often it is looked whether there is a stack now.
const LOOK: Duration = Duration::from_secs(1);
/// Lines of each component that were there before.
const BEFORE: usize = 100;

/// Lines of each component that a recording shows.
const RECORDED: usize = 2_000;

/// Where lines come from.
pub enum From {
    /// The stack of a state folder, once there is one, and its backend.
    Stack(PathBuf),
    /// The logs that a run has kept in its folder.
    Run(PathBuf),
}

/// Reads lines until `stop`.
pub fn feed(from: From, lines: mpsc::Sender<LogLine>, stop: CancellationToken) {
    tokio::spawn(async move {
        let reading = async {
            match from {
                From::Stack(folder) => follow(&folder, &lines).await,
                From::Run(folder) => recorded(&folder, &lines).await,
            }
        };
        tokio::select! {
            () = reading => {}
            () = stop.cancelled() => {}
        }
    });
}

async fn follow(state_dir: &Path, lines: &mpsc::Sender<LogLine>) {
    let range = Range { lines: Some(BEFORE), since: None };
    loop {
        if let Ok(Some(state)) = StateDir::open(state_dir)
            && let Ok(merged) = logs::follow_merged(&state, &[], range).await
        {
            forward(merged, lines).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn forward(mut merged: mpsc::Receiver<logs::LogLine>, lines: &mpsc::Sender<LogLine>) {
    while let Some(line) = merged.recv().await {
        let line = LogLine::new(shown(line.at), line.component, line.text);
        if lines.send(line).await.is_err() {
            return;
        }
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
            at = stamp::of(&text, &TimeZone::UTC).or(at);
            let line = LogLine::new(at.map_or_else(String::new, shown), component.to_owned(), text);
            all.push((at, line));
        }
    }
    all.sort_by_key(|(at, _)| *at);
    for (_, line) in all {
        if lines.send(line).await.is_err() {
            return;
        }
    }
}

fn shown(at: Timestamp) -> String {
    format!("{at:.3}")
}
