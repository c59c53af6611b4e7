//! Lines of logs for the dashboard.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    infra::{logs, state::StateDir},
    tui::model::LogLine,
};

/// How often it is looked for logs of components that came later.
const LOOK: Duration = Duration::from_secs(1);
/// Lines of each component that were there before.
const BEFORE: usize = 100;

/// Reads the logs of the stack, and of the processes whose logs are in `folder`, until `stop`.
pub fn feed(state: Option<StateDir>, folder: Option<PathBuf>, lines: mpsc::Sender<LogLine>, stop: CancellationToken) {
    tokio::spawn(async move {
        let mut followed = BTreeSet::new();
        while !stop.is_cancelled() {
            let stack = state.as_ref().and_then(|state| logs::files(state, None).ok()).unwrap_or_default();
            for (name, path) in stack.into_iter().chain(below(folder.as_deref())) {
                if followed.insert(path.clone()) {
                    tokio::spawn(follow(name, path, lines.clone(), stop.clone()));
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    });
}

/// Component → log of the files `<component>.log` in `folder`.
fn below(folder: Option<&Path>) -> Vec<(String, PathBuf)> {
    let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let named = |path: PathBuf| Some((path.file_name()?.to_str()?.strip_suffix(".log")?.to_owned(), path));
    entries.filter_map(|entry| named(entry.path())).collect()
}

async fn follow(component: String, path: PathBuf, lines: mpsc::Sender<LogLine>, stop: CancellationToken) {
    let line = |text: &str| LogLine {
        at: jiff::Timestamp::now().to_string(),
        component: component.clone(),
        text: text.to_owned(),
    };
    for text in logs::tail(&path, BEFORE).unwrap_or_default() {
        if lines.send(line(&text)).await.is_err() {
            return;
        }
    }
    // What the dashboard cannot take at once it would have no room for either.
    let _ = logs::follow(&path, &stop, |text| drop(lines.try_send(line(text)))).await;
}
