//! Where states come from: a run of this process, the file of another one, a watched stack, or a recording.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use base::process::{self, ProcessRef};
use record::{
    replay::{Follower, Replay},
    state::RunState,
};
use tokio::sync::watch;

/// How often it is looked whether the process that writes a file still lives.
const LOOK: Duration = Duration::from_secs(1);

/// Where states come from.
#[derive(Debug, Default)]
pub enum Source {
    /// Nowhere: nothing runs.
    #[default]
    Idle,
    /// Snapshots of a recorder, or of watchers, in this process.
    Live(watch::Receiver<Arc<RunState>>),
    /// `events.jsonl` of a run that another process writes.
    Tail(Box<Tail>),
    /// A recording.
    Replay(Box<Replay>),
}

/// Why nothing more will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The run is over.
    Over,
    /// Its process is gone, and has not written an end.
    BrokenOff,
}

/// What a look at the source gave.
#[derive(Debug, Default)]
pub struct Polled {
    /// The state, where it is newer than the last one.
    pub state: Option<Arc<RunState>>,
    /// Nothing more will come.
    pub end: Option<End>,
}

impl Source {
    /// What is new.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn poll(&mut self) -> io::Result<Polled> {
        match self {
            Self::Idle | Self::Replay(_) => Ok(Polled::default()),
            Self::Live(receiver) => {
                let changed = receiver.has_changed();
                let end = changed.is_err().then_some(End::Over);
                // When the sender has gone its last word still counts.
                let new = end.is_some() || changed.unwrap_or(false);
                Ok(Polled { state: new.then(|| Arc::clone(&receiver.borrow_and_update())), end })
            }
            Self::Tail(tail) => tail.poll(),
        }
    }
}

/// Follows the events of another process.
#[derive(Debug)]
pub struct Tail {
    follower: Follower,
    writer: Option<ProcessRef>,
    looked: Instant,
}

impl Tail {
    /// Follows `events` from its beginning; `writer` is the process that writes it, where it is known.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(events: &Path, writer: Option<ProcessRef>) -> io::Result<Self> {
        Ok(Self { follower: Follower::open(events)?, writer, looked: Instant::now() })
    }

    fn poll(&mut self) -> io::Result<Polled> {
        // Looked for before the file is read: what it wrote last is then among what is read.
        let gone = self.gone();
        let new = self.follower.poll()? > 0;
        let state = self.follower.state();
        let end = match (&state.finished, gone && !new) {
            (Some(_), _) => Some(End::Over),
            (None, true) => Some(End::BrokenOff),
            (None, false) => None,
        };
        Ok(Polled { state: new.then(|| Arc::new(state.clone())), end })
    }

    fn gone(&mut self) -> bool {
        if self.looked.elapsed() < LOOK {
            return false;
        }
        self.looked = Instant::now();
        self.writer.is_some_and(|writer| !process::is_alive(writer))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use record::event::{
        Event, LoadSample, Stamped,
        names::{Overall, Stage},
    };

    fn write(file: &mut tempfile::NamedTempFile, event: Event) {
        writeln!(file, "{}", serde_json::to_string(&Stamped { t_ms: 1_000, event }).unwrap()).unwrap();
    }

    #[test]
    fn a_run_of_another_process_is_followed_to_its_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut source = Source::Tail(Box::new(Tail::open(file.path(), None).unwrap()));
        assert!(source.poll().unwrap().state.is_none());
        write(&mut file, Event::Load(LoadSample { sent: 7, ..LoadSample::default() }));
        let polled = source.poll().unwrap();
        assert_eq!(polled.state.map(|state| state.load.as_ref().unwrap().sent), Some(7));
        assert_eq!(polled.end, None);
        write(&mut file, Event::Finished { verdict: Overall::Consistent, exit_code: 0 });
        assert_eq!(source.poll().unwrap().end, Some(End::Over));
    }

    #[test]
    fn a_process_that_was_killed_ends_what_is_followed_but_its_last_words_count() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut tail = Tail::open(file.path(), process::reference(child.id())).unwrap();
        let long_ago = || Instant::now().checked_sub(LOOK).unwrap();
        tail.looked = long_ago();
        assert_eq!(tail.poll().unwrap().end, None, "it lives");
        child.kill().unwrap();
        child.wait().unwrap();
        write(&mut file, Event::Stage { name: Stage::Load });
        tail.looked = long_ago();
        let polled = tail.poll().unwrap();
        assert_eq!((polled.state.unwrap().stage.clone(), polled.end), (Some(Stage::Load), None));
        tail.looked = long_ago();
        assert_eq!(tail.poll().unwrap().end, Some(End::BrokenOff));
    }

    #[test]
    fn the_last_word_of_a_recorder_that_has_gone_still_counts() {
        let (sender, receiver) = watch::channel(Arc::new(RunState::default()));
        let mut source = Source::Live(receiver);
        assert!(source.poll().unwrap().state.is_none());
        sender.send_replace(Arc::new(RunState { t_ms: 5, ..RunState::default() }));
        drop(sender);
        let polled = source.poll().unwrap();
        assert_eq!(polled.end, Some(End::Over));
        assert_eq!(polled.state.map(|s| s.t_ms), Some(5));
    }
}
