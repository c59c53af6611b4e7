//! Where states come from: a run of this process, the file of another one, a watched stack, or a recording.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

use tokio::sync::watch;

use crate::{event::Stamped, run::state::RunState};

/// Bytes that are read of a growing file at a time, so that keys are answered in between.
const AT_A_TIME: u64 = 4 << 20;

/// Longest line that is read; what is longer is no event of ours.
const MOST_LINE: usize = 4 << 20;

/// Moments of a recording that are kept, so that going back is quick.
const MOMENTS: u64 = 24;

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

/// What a look at the source gave.
#[derive(Debug, Default)]
pub struct Polled {
    /// The state, where it is newer than the last one.
    pub state: Option<Arc<RunState>>,
    /// Nothing more will come.
    pub ended: bool,
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
                let ended = changed.is_err();
                // When the sender has gone its last word still counts.
                let state = (ended || changed.unwrap_or(false)).then(|| Arc::clone(&receiver.borrow_and_update()));
                Ok(Polled { state, ended })
            }
            Self::Tail(tail) => {
                let changed = tail.read()?;
                let ended = tail.state.finished.is_some();
                Ok(Polled { state: changed.then(|| Arc::new(tail.state.clone())), ended })
            }
        }
    }
}

/// Follows a file of events.
#[derive(Debug)]
pub struct Tail {
    file: File,
    line: Vec<u8>,
    /// The state so far.
    pub state: RunState,
}

impl Tail {
    /// Follows `path` from its beginning.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, line: Vec::new(), state: RunState::default() })
    }

    /// Takes in what was written since; gives whether that was anything.
    fn read(&mut self) -> io::Result<bool> {
        let mut bytes = Vec::new();
        (&mut self.file).take(AT_A_TIME).read_to_end(&mut bytes)?;
        let mut changed = false;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                changed |= take(&mut self.state, &self.line);
                self.line.clear();
            } else if self.line.len() > MOST_LINE {
                self.line.clear();
            }
        }
        Ok(changed)
    }
}

/// Takes a line in; one that is no event changes nothing.
fn take(state: &mut RunState, line: &[u8]) -> bool {
    match serde_json::from_slice::<Stamped>(line) {
        Ok(stamped) => {
            state.apply(&stamped);
            true
        }
        Err(_) => false,
    }
}

/// A moment of a recording.
#[derive(Debug)]
struct Moment {
    offset: u64,
    state: RunState,
}

/// A recording that can be shown at any of its moments.
#[derive(Debug)]
pub struct Replay {
    file: BufReader<File>,
    moments: Vec<Moment>,
    state: RunState,
    /// Where the next line begins.
    offset: u64,
    /// Milliseconds since the run began, of its last event.
    pub total_ms: u64,
}

impl Replay {
    /// Reads `path` once.
    ///
    /// # Errors
    /// When it cannot be read, or there is no event in it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let every = (file.metadata()?.len() / MOMENTS).max(256 << 10);
        let mut replay = Self {
            file: BufReader::new(file),
            moments: vec![Moment { offset: 0, state: RunState::default() }],
            state: RunState::default(),
            offset: 0,
            total_ms: 0,
        };
        let mut events = 0_u64;
        while let Some((stamped, length)) = replay.next()? {
            if let Some(stamped) = stamped {
                replay.state.apply(&stamped);
                events += 1;
            }
            replay.offset += length;
            let kept = replay.moments.last().map_or(0, |moment| moment.offset);
            if replay.offset - kept >= every {
                replay.moments.push(Moment { offset: replay.offset, state: replay.state.clone() });
            }
        }
        if events == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} has no events", path.display())));
        }
        replay.total_ms = replay.state.t_ms;
        Ok(replay)
    }

    /// The state at `at_ms`.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn seek(&mut self, at_ms: u64) -> io::Result<Arc<RunState>> {
        let before = |moment: &&Moment| moment.state.t_ms <= at_ms;
        let nearest = self.moments.iter().rev().find(before);
        // Going on from where it stands is shortest, unless that is too far or a kept moment is nearer.
        if let Some(moment) = nearest
            && (self.state.t_ms > at_ms || moment.offset > self.offset)
        {
            self.state = moment.state.clone();
            self.offset = moment.offset;
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        while let Some((stamped, length)) = self.next()? {
            match stamped {
                Some(stamped) if stamped.t_ms > at_ms => break,
                Some(stamped) => self.state.apply(&stamped),
                None => {}
            }
            self.offset += length;
        }
        let mut state = self.state.clone();
        state.t_ms = at_ms;
        Ok(Arc::new(state))
    }

    /// The next line with its length: an event, or none where it cannot be read as one. A last line without an end
    /// was cut off when its writer was killed.
    fn next(&mut self) -> io::Result<Option<(Option<Stamped>, u64)>> {
        let mut line = Vec::new();
        let length = self.file.by_ref().take(MOST_LINE as u64).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(None);
        }
        Ok(Some((serde_json::from_slice(&line).ok(), length as u64)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::event::{Event, LoadSample};

    fn line(t_ms: u64, sent: u64) -> String {
        let event = Event::Load(LoadSample { sent, ..LoadSample::default() });
        serde_json::to_string(&Stamped { t_ms, event }).unwrap() + "\n"
    }

    fn sent(state: &RunState) -> u64 {
        state.load.as_ref().map_or(0, |load| load.sent)
    }

    #[test]
    fn a_replay_shows_each_moment_whichever_way_it_is_reached() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        // Long enough for several kept moments.
        let padding = "x".repeat(2_000);
        for i in 0..1_000_u64 {
            file.write_all(line(i * 1_000, i).as_bytes()).unwrap();
            let warning = Stamped { t_ms: i * 1_000, event: Event::Warning { message: padding.clone() } };
            writeln!(file, "{}", serde_json::to_string(&warning).unwrap()).unwrap();
            writeln!(file, "no event").unwrap();
        }
        write!(file, "{{\"t_ms\":9").unwrap(); // cut off
        let mut replay = Replay::open(file.path()).unwrap();
        assert_eq!(replay.total_ms, 999_000);
        assert!(replay.moments.len() > 3, "{}", replay.moments.len());
        for at in [0, 999_000, 500_500, 500_000, 499_999, 3_000, 998_999, 0, 250_000] {
            assert_eq!(sent(&replay.seek(at).unwrap()), at / 1_000, "{at}");
            assert_eq!(replay.seek(at).unwrap().t_ms, at);
        }
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"hello\n\xff\xfe\n").unwrap();
        assert!(Replay::open(file.path()).unwrap_err().to_string().contains("no events"));
    }

    #[test]
    fn a_growing_file_is_followed_also_over_half_lines() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut source = Source::Tail(Box::new(Tail::open(file.path()).unwrap()));
        assert!(source.poll().unwrap().state.is_none());
        let whole = line(1_000, 7);
        file.write_all(&whole.as_bytes()[..10]).unwrap();
        assert!(source.poll().unwrap().state.is_none(), "half a line is no event");
        file.write_all(&whole.as_bytes()[10..]).unwrap();
        let polled = source.poll().unwrap();
        assert_eq!(polled.state.map(|s| sent(&s)), Some(7));
        let end = Event::Finished { verdict: "consistent".into(), exit_code: 0 };
        writeln!(file, "{}", serde_json::to_string(&Stamped { t_ms: 2_000, event: end }).unwrap()).unwrap();
        assert!(source.poll().unwrap().ended);
    }

    #[test]
    fn the_last_word_of_a_recorder_that_has_gone_still_counts() {
        let (sender, receiver) = watch::channel(Arc::new(RunState::default()));
        let mut source = Source::Live(receiver);
        assert!(source.poll().unwrap().state.is_none());
        sender.send_replace(Arc::new(RunState { t_ms: 5, ..RunState::default() }));
        drop(sender);
        let polled = source.poll().unwrap();
        assert!(polled.ended);
        assert_eq!(polled.state.map(|s| s.t_ms), Some(5));
    }
}
