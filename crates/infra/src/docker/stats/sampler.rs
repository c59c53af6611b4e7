//! A stream of statistics of each container, for who watches: the Engine answers a single question after a second or
//! two, a stream that is open costs nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bollard::{Docker, query_parameters::StatsOptionsBuilder};
use futures_util::StreamExt as _;
use tokio::task::JoinHandle;

use super::{Figures, figures, is_alive};

/// Figures older than this are not shown: the stream has stopped without ending.
const STALE: Duration = Duration::from_secs(5);

/// The newest figures, with the time they came.
type Newest = Arc<Mutex<Option<(Instant, Figures)>>>;

/// Streams of containers, each read by a task of its own. Dropping it closes them.
#[derive(Debug)]
pub struct Sampler {
    docker: Docker,
    streams: BTreeMap<String, Stream>,
}

#[derive(Debug)]
struct Stream {
    newest: Newest,
    task: JoinHandle<()>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sampler {
    /// Watches nothing yet.
    pub fn new(docker: Docker) -> Self {
        Self { docker, streams: BTreeMap::new() }
    }

    /// Watches the containers `ids` and no others. A stream that ended (the container did, or the Engine) is opened anew.
    pub fn watch(&mut self, ids: &[String]) {
        self.streams.retain(|id, stream| ids.contains(id) && !stream.task.is_finished());
        for id in ids {
            if !self.streams.contains_key(id) {
                self.streams.insert(id.clone(), self.open(id));
            }
        }
    }

    fn open(&self, id: &str) -> Stream {
        let newest = Newest::default();
        let (docker, id, into) = (self.docker.clone(), id.to_owned(), newest.clone());
        let task = tokio::spawn(async move {
            let options = StatsOptionsBuilder::default().stream(true).build();
            let mut stream = std::pin::pin!(docker.stats(&id, Some(options)));
            while let Some(Ok(frame)) = stream.next().await {
                let seen = is_alive(&frame).then(|| (Instant::now(), figures(&frame)));
                *into.lock().unwrap_or_else(PoisonError::into_inner) = seen;
            }
        });
        Stream { newest, task }
    }

    /// The newest figures of a container; none before the first frame, or of one that does not run.
    pub fn figures(&self, id: &str) -> Option<Figures> {
        let newest = *self.streams.get(id)?.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.filter(|(at, _)| at.elapsed() < STALE).map(|(_, figures)| figures)
    }
}
