//! Reads `events.jsonl` again: a run that is over at any time of it, and a run of another process while it goes on.
//!
//! The file may be cut off in its last line, and may hold lines that are no events: those are reported and left out.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::state::RunState;
use crate::event::{SCHEMA_VERSION, Stamped};

/// Longest line; a longer one is left out.
pub const MOST_BYTES: usize = 1 << 20;
/// Problems that are kept.
const MOST_PROBLEMS: usize = 100;
/// States that are kept to begin from. Each costs what a state costs.
const MOST_KEYFRAMES: usize = 32;
/// First distance between two of them; it doubles whenever there are too many.
const KEYFRAME_MS: u64 = 10_000;

/// A line that is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Number of the line, from 1.
    pub line: u64,
    /// Why.
    pub why: String,
}

/// Problems of a file: the first ones, and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// The first ones.
    pub first: Vec<Problem>,
    /// All.
    pub count: u64,
}

impl Problems {
    fn add(&mut self, line: u64, why: String) {
        self.count += 1;
        if self.first.len() < MOST_PROBLEMS {
            self.first.push(Problem { line, why });
        }
    }
}

/// What stands in one line.
enum Line {
    Event(Box<Stamped>),
    Bad(String),
    /// It has no end yet: cut off, or still being written. What was read of it is given back by seeking.
    Unfinished,
    End,
}

/// Reads whole lines from a place of the file on.
#[derive(Debug)]
struct Lines {
    file: BufReader<File>,
    /// Where the next line begins.
    offset: u64,
    line: u64,
    buffer: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> io::Result<Self> {
        let file = BufReader::with_capacity(256 << 10, File::open(path)?);
        Ok(Self { file, offset: 0, line: 0, buffer: Vec::new() })
    }

    fn seek(&mut self, offset: u64, line: u64) -> io::Result<()> {
        (self.offset, self.line) = (offset, line);
        self.file.seek(SeekFrom::Start(offset)).map(|_| ())
    }

    fn next(&mut self) -> io::Result<Line> {
        self.buffer.clear();
        let (mut length, mut whole) = (0_u64, false);
        while !whole {
            let available = self.file.fill_buf()?;
            if available.is_empty() {
                break;
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let (taken, done) = end.map_or((available.len(), false), |end| (end + 1, true));
            let room = MOST_BYTES.saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&available[..taken.min(room)]);
            self.file.consume(taken);
            length += taken as u64;
            whole = done;
        }
        if !whole {
            self.file.seek(SeekFrom::Start(self.offset))?;
            return Ok(if length == 0 { Line::End } else { Line::Unfinished });
        }
        self.offset += length;
        self.line += 1;
        if length > MOST_BYTES as u64 {
            return Ok(Line::Bad(format!("it has {length} bytes; {MOST_BYTES} are read at most")));
        }
        Ok(match serde_json::from_slice(&self.buffer) {
            Ok(stamped) => Line::Event(Box::new(stamped)),
            Err(error) => Line::Bad(error.to_string()),
        })
    }
}

impl Lines {
    /// Refuses a file whose first line, which was just read, is of a newer version: its events may mean something else.
    fn must_be_known(&self) -> io::Result<()> {
        let first: serde_json::Value = serde_json::from_slice(&self.buffer).unwrap_or_default();
        match first["schema_version"].as_u64() {
            Some(version) if version > SCHEMA_VERSION.into() => Err(io::Error::other(format!(
                "its events were written by a newer ecomctl (schema {version}, this one reads up to {SCHEMA_VERSION}): \
                 use that one"
            ))),
            _ => Ok(()),
        }
    }
}

/// A state, and where the file goes on behind it.
#[derive(Debug, Clone, Default)]
struct Keyframe {
    state: RunState,
    offset: u64,
    line: u64,
}

/// A run that is over, at any time of it.
#[derive(Debug)]
pub struct Replay {
    lines: Lines,
    /// In order of time; the first one is the beginning.
    keyframes: Vec<Keyframe>,
    /// The state that was asked for last.
    now: Keyframe,
    /// Time of it.
    now_ms: u64,
    end_ms: u64,
    events: u64,
    problems: Problems,
}

impl Replay {
    /// Reads the whole file once.
    ///
    /// # Errors
    /// When the file cannot be read, or was written by a newer version. Lines that are no events are no error: see [`Self::problems`].
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut lines = Lines::open(path)?;
        let mut problems = Problems::default();
        let mut keyframes = vec![Keyframe::default()];
        let (mut state, mut every, mut last_ms) = (RunState::default(), KEYFRAME_MS, 0);
        let mut events = 0;
        loop {
            let line = lines.next()?;
            if lines.line == 1 {
                lines.must_be_known()?;
            }
            match line {
                Line::Event(stamped) => {
                    state.apply(&stamped);
                    events += 1;
                }
                Line::Bad(why) => problems.add(lines.line, why),
                Line::Unfinished => {
                    problems.add(lines.line + 1, "the last line is cut off".into());
                    break;
                }
                Line::End => break,
            }
            if state.t_ms >= last_ms + every {
                last_ms = state.t_ms;
                keyframes.push(Keyframe { state: state.clone(), offset: lines.offset, line: lines.line });
                if keyframes.len() > MOST_KEYFRAMES {
                    let mut kept = 0;
                    // Every second one stays, the beginning among them.
                    keyframes.retain(|_| {
                        kept += 1;
                        kept % 2 == 1
                    });
                    every *= 2;
                }
            }
        }
        lines.seek(0, 0)?;
        Ok(Self { lines, keyframes, now: Keyframe::default(), now_ms: 0, end_ms: state.t_ms, events, problems })
    }

    /// Time of the last event, in milliseconds since the run began.
    pub fn end_ms(&self) -> u64 {
        self.end_ms
    }

    /// Whether no line is an event: then it is no recording.
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Lines that are no events.
    pub fn problems(&self) -> &Problems {
        &self.problems
    }

    /// The state at `t_ms`: after all events up to the first one that is later.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn seek(&mut self, t_ms: u64) -> io::Result<&RunState> {
        let nearest = self.keyframes.iter().rfind(|keyframe| keyframe.state.t_ms <= t_ms);
        let nearest = nearest.unwrap_or(&self.keyframes[0]);
        // From where it stands it may be nearer, but never backwards.
        if t_ms < self.now_ms || nearest.offset > self.now.offset {
            self.now = nearest.clone();
        }
        self.now_ms = t_ms;
        self.lines.seek(self.now.offset, self.now.line)?;
        while let line @ (Line::Event(_) | Line::Bad(_)) = self.lines.next()? {
            if let Line::Event(stamped) = line {
                if stamped.t_ms > t_ms {
                    break;
                }
                self.now.state.apply(&stamped);
            }
            (self.now.offset, self.now.line) = (self.lines.offset, self.lines.line);
        }
        Ok(&self.now.state)
    }
}

/// A run of another process while it goes on.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    lines: Lines,
    state: RunState,
    problems: Problems,
}

/// Events that one [`Follower::poll`] takes in at most: whoever draws wants to be asked again.
const MOST_EVENTS: usize = 20_000;

impl Follower {
    /// Opens the file; nothing is read yet.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let lines = Lines::open(path)?;
        Ok(Self { path: path.to_owned(), lines, state: RunState::default(), problems: Problems::default() })
    }

    /// Takes in what was written since the last time; gives the number of events. A file that became shorter is another
    /// one: it is read from its beginning. With [`MOST_EVENTS`] there may be more at once.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn poll(&mut self) -> io::Result<usize> {
        if std::fs::metadata(&self.path)?.len() < self.lines.offset {
            *self = Self::open(&self.path)?;
        }
        let mut events = 0;
        while events < MOST_EVENTS {
            match self.lines.next()? {
                Line::Event(stamped) => {
                    self.state.apply(&stamped);
                    events += 1;
                }
                Line::Bad(why) => self.problems.add(self.lines.line, why),
                Line::Unfinished | Line::End => break,
            }
        }
        Ok(events)
    }

    /// The state so far.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Lines that are no events.
    pub fn problems(&self) -> &Problems {
        &self.problems
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::event::{Event, LoadSample};

    fn line(t_ms: u64, vus: u32) -> String {
        let event = Event::Load(LoadSample { vus, rps: f64::from(vus), ..LoadSample::default() });
        serde_json::to_string(&Stamped { t_ms, event }).unwrap() + "\n"
    }

    fn file(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    /// The state after all events up to the first one later than `t_ms`, without any index.
    fn plainly(path: &Path, t_ms: u64) -> RunState {
        let mut state = RunState::default();
        let mut text = std::fs::read(path).unwrap();
        // What stands behind the last line break is no line yet.
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        for line in text.split(|byte| *byte == b'\n') {
            let Ok(stamped) = serde_json::from_slice::<Stamped>(line) else { continue };
            if stamped.t_ms > t_ms {
                break;
            }
            state.apply(&stamped);
        }
        state
    }

    #[test]
    fn any_time_of_a_long_run_is_found_whatever_was_asked_before() {
        let text: String = (0..2_000_u64).map(|i| line(i * 1_000, i as u32)).collect();
        let (_folder, path) = file(text.as_bytes());
        let mut replay = Replay::open(&path).unwrap();
        assert_eq!((replay.end_ms(), replay.problems().count), (1_999_000, 0));
        assert!((4..=MOST_KEYFRAMES).contains(&replay.keyframes.len()));
        for t_ms in [5_500, 1_999_000, 0, 1_000_000, 1_000_999, 999_999, 7_000_000, 12_345] {
            let expected = plainly(&path, t_ms);
            assert_eq!(replay.seek(t_ms).unwrap(), &expected, "{t_ms}");
        }
    }

    #[test]
    fn bad_lines_are_reported_and_left_out() {
        let long = format!("{{\"x\":\"{}\"}}\n", "y".repeat(MOST_BYTES));
        let text = [&line(1, 1), "nonsense\n", &long, "\n", &line(2, 2), "{\"t_ms\":3,\"type\":\"lo"].concat();
        let (_folder, path) = file(text.as_bytes());
        let mut replay = Replay::open(&path).unwrap();
        let lines: Vec<_> = replay.problems().first.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [2, 3, 4, 6]);
        assert!(replay.problems().first[1].why.contains("bytes"), "{:?}", replay.problems());
        assert_eq!(replay.seek(9).unwrap().load.as_ref().unwrap().vus, 2);
        assert!(!replay.is_empty());
    }

    #[test]
    fn a_file_of_something_else_is_no_recording() {
        let (_folder, path) = file(b"hello\n\xff\xfe\n");
        assert!(Replay::open(&path).unwrap().is_empty());
    }

    #[test]
    fn a_follower_takes_in_whole_lines_as_they_come() {
        let (_folder, path) = file(b"");
        let mut follower = Follower::open(&path).unwrap();
        assert_eq!(follower.poll().unwrap(), 0);
        let mut writer = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        let second = line(2, 2);
        let (head, rest) = second.split_at(20);
        write!(writer, "{}{head}", line(1, 1)).unwrap();
        assert_eq!((follower.poll().unwrap(), follower.state().t_ms), (1, 1));
        assert_eq!(follower.poll().unwrap(), 0);
        writeln!(writer, "{rest}bad").unwrap();
        assert_eq!((follower.poll().unwrap(), follower.state().t_ms, follower.problems().count), (1, 2, 1));
        std::fs::write(&path, line(7, 7)).unwrap();
        assert_eq!((follower.poll().unwrap(), follower.state().t_ms), (1, 7), "another file has taken its place");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_file_breaks_it_and_every_way_to_a_time_gives_one_state(
            // Times may go back a little: events are stamped before they are queued.
            steps in proptest::collection::vec((0_u64..30_000, 0_u64..500, 0_u32..50, proptest::option::of("\\PC{0,40}")), 0..60),
            asked in proptest::collection::vec(0_u64..1_000_000, 1..12),
            cut in 0_usize..40,
        ) {
            let mut text = String::new();
            let mut t_ms = 0;
            for (step, back, vus, junk) in steps {
                t_ms += step;
                text += &line(t_ms.saturating_sub(back), vus);
                if let Some(junk) = junk {
                    text += &junk;
                    text.push('\n');
                }
            }
            let bytes = text.as_bytes();
            let (_folder, path) = file(&bytes[..bytes.len().saturating_sub(cut)]);
            let mut replay = Replay::open(&path).unwrap();
            for t_ms in asked {
                let expected = plainly(&path, t_ms);
                prop_assert_eq!(replay.seek(t_ms).unwrap(), &expected);
            }
            let mut follower = Follower::open(&path).unwrap();
            follower.poll().unwrap();
            prop_assert_eq!(follower.state().t_ms, replay.end_ms());
        }
    }
}
