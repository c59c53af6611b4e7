//! Logs as they are written.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bollard::Docker;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    End, LogLine, Range, file,
    merge::{self, Merger},
    read,
    source::{Place, Source, Sources},
};
use crate::{docker, error::InfraError, state::StateDir};

/// A line waits this long for an older one of another component.
const HOLD: Duration = Duration::from_millis(300);
/// Lines that wait at most, and lines that the reader may be behind.
const LINES: usize = 4_096;
/// How often it is looked whether there are other components now.
const LOOK: Duration = Duration::from_secs(1);

/// The lines of `range`, then those that are written later, in the order of their times: a component that comes later is
/// followed too. Dropping the receiver ends it. A slow reader slows the reading down; nothing is lost for it.
///
/// # Errors
/// As [`super::tail_merged`], of what is there at the beginning.
pub async fn follow_merged(
    state: &StateDir,
    names: &[String],
    range: Range,
) -> Result<mpsc::Receiver<LogLine>, InfraError> {
    let sources = Sources::find(state, names, range.since.is_some()).await?;
    let reads = sources.all.iter().map(|source| read(&sources, source, range));
    let read = futures_util::future::try_join_all(reads).await?;
    let (lines, ends): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    let (sender, receiver) = mpsc::channel(LINES);
    let (state, names) = (state.clone(), names.to_vec());
    tokio::spawn(async move {
        for line in merge::by_time(lines) {
            if sender.send(line).await.is_err() {
                return;
            }
        }
        let mut followers = Followers::new();
        for (source, end) in sources.all.iter().zip(ends) {
            followers.start(source, end, sources.docker.as_ref());
        }
        followers.run(&state, &names, &sender).await;
    });
    Ok(receiver)
}

/// One task for each log.
struct Followers {
    tasks: BTreeMap<Source, JoinHandle<()>>,
    into: mpsc::Sender<LogLine>,
    from: mpsc::Receiver<LogLine>,
}

impl Drop for Followers {
    fn drop(&mut self) {
        for task in self.tasks.values() {
            task.abort();
        }
    }
}

impl Followers {
    fn new() -> Self {
        let (into, from) = mpsc::channel(LINES);
        Self { tasks: BTreeMap::new(), into, from }
    }

    fn start(&mut self, source: &Source, end: End, docker: Option<&Docker>) {
        let (into, component) = (self.into.clone(), source.component.clone());
        let task = match (&source.place, end, docker) {
            (Place::File(path), End::File(place, clock), _) => {
                tokio::spawn(file_lines(file::Follow::new(path.clone(), place), clock, component, into))
            }
            (Place::Container(id), End::Container(after), Some(docker)) => {
                tokio::spawn(container_lines(docker.clone(), id.clone(), after, component, into))
            }
            _ => return,
        };
        self.tasks.insert(source.clone(), task);
    }

    async fn run(mut self, state: &StateDir, names: &[String], to: &mpsc::Sender<LogLine>) {
        let mut merger = Merger::new(HOLD, LINES);
        let mut looked = Instant::now();
        let mut tick = tokio::time::interval(HOLD / 3);
        loop {
            tokio::select! {
                line = self.from.recv() => {
                    if let Some(line) = line {
                        merger.push(line, Instant::now());
                    }
                }
                _ = tick.tick() => {}
                () = to.closed() => return,
            }
            while let Some(line) = merger.pop(Instant::now()) {
                if to.send(line).await.is_err() {
                    return;
                }
            }
            if looked.elapsed() >= LOOK {
                // What cannot be found now is looked for again.
                if let Ok(sources) = Sources::find_so_far(state, names).await {
                    self.adopt(&sources);
                }
                looked = Instant::now();
            }
        }
    }

    /// Follows what is new from its beginning, and lets go what is no more.
    fn adopt(&mut self, sources: &Sources) {
        self.tasks.retain(|source, task| {
            let keep = sources.all.contains(source) && !task.is_finished();
            if !keep {
                task.abort();
            }
            keep
        });
        for source in &sources.all {
            if !self.tasks.contains_key(source) {
                let end = match &source.place {
                    Place::File(_) => End::File(file::Place::default(), file::Clock::new()),
                    Place::Container(_) => End::Container(None),
                };
                self.start(source, end, sources.docker.as_ref());
            }
        }
    }
}

async fn file_lines(mut follow: file::Follow, mut clock: file::Clock, component: String, into: mpsc::Sender<LogLine>) {
    loop {
        // A file that cannot be read now may be so in a moment.
        let lines = follow.next().unwrap_or_default();
        if lines.is_empty() {
            tokio::time::sleep(file::PAUSE).await;
        }
        for (at, text) in clock.fresh(lines, follow.made()) {
            let line = LogLine { at, component: component.clone(), text };
            if into.send(line).await.is_err() {
                return;
            }
        }
    }
}

/// The Engine's stream ends with the container, which may be started again: then it goes on.
async fn container_lines(
    docker: Docker,
    id: String,
    mut after: Option<Timestamp>,
    component: String,
    into: mpsc::Sender<LogLine>,
) {
    loop {
        {
            let mut stream = std::pin::pin!(docker::logs::follow(&docker, &id, after));
            while let Some(Ok(lines)) = stream.next().await {
                for (at, text) in lines {
                    after = Some(at);
                    if into.send(LogLine { at, component: component.clone(), text }).await.is_err() {
                        return;
                    }
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
