//! A log that is a file: its last lines, and what comes after them.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use base::log_line::stamp;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::Range;

/// Logs are read from the end in blocks of this size.
const BLOCK: u64 = 64 * 1024;
/// No line is longer than this; what follows is cut into further ones.
const LONGEST: usize = 1 << 20;

/// A file is new for so long: then its first lines are as old as it is.
const NEW: SignedDuration = SignedDuration::from_secs(10);

/// With a beginning instead of a number, no more lines than this are looked through.
const MOST: usize = 200_000;

/// The last `lines` lines of a file, however large it is. Bytes that are no UTF-8 are replaced.
pub fn tail(path: &Path, lines: usize) -> io::Result<Vec<String>> {
    Ok(tail_of(&mut File::open(path)?, lines)?.0)
}

/// The last lines, and the length of the file at that time: what is behind it is new.
fn tail_of(file: &mut File, lines: usize) -> io::Result<(Vec<String>, u64)> {
    let length = file.metadata()?.len();
    let mut at = length;
    let mut bytes: Vec<u8> = Vec::new();
    let mut ends = 0;
    while at > 0 && ends <= lines && bytes.len() < lines.saturating_mul(LONGEST) {
        let step = at.min(BLOCK);
        at -= step;
        file.seek(SeekFrom::Start(at))?;
        let mut block = vec![0; step as usize];
        file.read_exact(&mut block)?;
        ends += String::from_utf8_lossy(&block).matches('\n').count();
        block.append(&mut bytes);
        bytes = block;
    }
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    Ok((all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect(), length))
}

/// A line with its time.
pub(super) type Timed = (Timestamp, String);

/// Gives lines their times: that which the line begins with, else that of the line before.
#[derive(Debug)]
pub(super) struct Clock {
    zone: TimeZone,
    last: Option<Timestamp>,
}

impl Clock {
    pub fn new() -> Self {
        Self { zone: TimeZone::UTC, last: None }
    }

    /// Times of lines that were written just now, to a file that was made at `made`. What a program writes before its
    /// first line with a time is not later than that line.
    pub fn fresh(&mut self, lines: Vec<String>, made: Option<Timestamp>) -> Vec<Timed> {
        let now = Timestamp::now();
        let new = |made: &Timestamp| now.duration_since(*made) < NEW;
        self.all(lines, made.filter(new).unwrap_or(now))
    }

    fn read(&mut self, line: &str) -> Option<Timestamp> {
        self.last = stamp::of(line, &self.zone).or(self.last);
        self.last
    }

    /// Times of lines one behind the other. Those before the first time take it; where there is none, `written` counts.
    fn all(&mut self, lines: Vec<String>, written: Timestamp) -> Vec<Timed> {
        let first = lines.iter().find_map(|line| stamp::of(line, &self.zone)).unwrap_or(written);
        let lines = lines.into_iter().filter(|line| !line.is_empty());
        lines.map(|line| (self.read(&line).unwrap_or(first), line)).collect()
    }
}

/// The lines of `range`, and the place where what is written later begins. A file that is not there has none.
pub(super) fn read(path: &Path, range: Range, clock: &mut Clock) -> io::Result<(Vec<Timed>, Place)> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Place::default())),
        Err(e) => return Err(e),
    };
    let metadata = file.metadata()?;
    let written = metadata.modified().ok().and_then(|at| Timestamp::try_from(at).ok()).unwrap_or_else(Timestamp::now);
    let mut want = range.lines.unwrap_or(if range.since.is_some() { 1_000 } else { MOST });
    loop {
        let (lines, length) = tail_of(&mut file, want)?;
        let all = lines.len() < want;
        let timed = clock.all(lines, written);
        let reaches = range.since.is_none_or(|since| timed.first().is_none_or(|(at, _)| *at < since));
        if all || reaches || range.lines.is_some() || want >= MOST {
            let lines = timed.into_iter().filter(|(at, _)| range.since.is_none_or(|since| *at >= since)).collect();
            return Ok((lines, Place { inode: metadata.ino(), at: length }));
        }
        want = (want * 4).min(MOST);
    }
}

/// A place in a file that may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    inode: u64,
    at: u64,
}

/// Reads what a file has gained since it was looked at last. A file that is replaced (a restart), cut, or not there yet
/// is read from its beginning.
#[derive(Debug)]
pub(super) struct Follow {
    path: PathBuf,
    open: Option<(File, u64)>,
    rest: Vec<u8>,
}

impl Follow {
    pub fn new(path: PathBuf, place: Place) -> Self {
        let open = File::open(&path).ok().and_then(|mut file| {
            let inode = file.metadata().ok()?.ino();
            let same = inode == place.inode;
            file.seek(SeekFrom::Start(if same { place.at } else { 0 })).ok()?;
            Some((file, inode))
        });
        Self { path, open, rest: Vec::new() }
    }

    /// When the file was made, where the file system says so.
    pub fn made(&self) -> Option<Timestamp> {
        let made = self.open.as_ref()?.0.metadata().ok()?.created().ok()?;
        Timestamp::try_from(made).ok()
    }

    /// The whole lines (but empty ones) that are new; at most a block of them, so that who reads can keep up.
    pub fn next(&mut self) -> io::Result<Vec<String>> {
        if let Some((file, _)) = &mut self.open
            && file.take(BLOCK).read_to_end(&mut self.rest)? > 0
        {
            return Ok(whole(&mut self.rest));
        }
        let now = std::fs::metadata(&self.path).ok().map(|m| (m.ino(), m.len()));
        let had = self.open.as_mut().and_then(|(file, inode)| Some((*inode, file.stream_position().ok()?)));
        match (now, had) {
            (Some((inode, length)), Some((old, position))) if inode == old && length >= position => {}
            (Some((inode, _)), _) => {
                self.rest.push(b'\n');
                self.open = File::open(&self.path).ok().map(|file| (file, inode));
                return Ok(whole(&mut self.rest));
            }
            (None, _) => {}
        }
        Ok(Vec::new())
    }
}

/// Takes the whole lines out of `rest`, and leaves what is not a line yet.
fn whole(rest: &mut Vec<u8>) -> Vec<String> {
    let end = match rest.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => end + 1,
        None if rest.len() > LONGEST => rest.len(),
        None => return Vec::new(),
    };
    let text = String::from_utf8_lossy(&rest[..end]).into_owned();
    rest.drain(..end);
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// How long a file that has nothing new is left alone.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    #[test]
    fn the_tail_is_the_last_lines_whatever_the_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let text = (0..30_000).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        fs::write(&path, &text).unwrap();
        assert_eq!(tail(&path, 2).unwrap(), ["line 29998", "line 29999"]);
        assert_eq!(tail(&path, 20_000).unwrap()[0], "line 10000");
        assert_eq!(tail(&path, 100_000).unwrap().len(), 30_000);
        fs::write(&path, b"a\n\xff\nlast without end").unwrap();
        assert_eq!(tail(&path, 2).unwrap(), ["\u{fffd}", "last without end"]);
        fs::write(&path, "").unwrap();
        assert!(tail(&path, 5).unwrap().is_empty());
    }

    fn all(path: &Path, lines: Option<usize>, since: Option<&str>) -> Vec<String> {
        let range = Range { lines, since: since.map(|since| since.parse().unwrap()) };
        read(path, range, &mut Clock::new()).unwrap().0.into_iter().map(|(_, line)| line).collect()
    }

    #[test]
    fn a_line_without_a_time_belongs_to_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let text = "before the first time\n2026-11-21T10:00:00Z ERROR\n\n\tat Kafka.main\n2026-11-21T10:00:05Z INFO\n";
        fs::write(&path, text).unwrap();
        let (lines, _) = read(&path, Range::default(), &mut Clock::new()).unwrap();
        let seconds: Vec<_> = lines.iter().map(|(at, _)| at.strftime("%S").to_string()).collect();
        assert_eq!(seconds, ["00", "00", "00", "05"], "{lines:?}");
        assert_eq!(all(&path, None, Some("2026-11-21T10:00:01Z")), ["2026-11-21T10:00:05Z INFO"]);
        assert_eq!(all(&path, Some(2), None), ["\tat Kafka.main", "2026-11-21T10:00:05Z INFO"]);
        assert!(all(&dir.path().join("none"), None, None).is_empty());
    }

    #[test]
    fn a_beginning_is_found_however_far_back_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let line = |n: u32| format!("2026-11-21T{:02}:{:02}:{:02}Z n\n", n / 3_600, n / 60 % 60, n % 60);
        fs::write(&path, (0..20_000).map(line).collect::<String>()).unwrap();
        assert_eq!(all(&path, None, Some("2026-11-21T01:00:00Z")).len(), 20_000 - 3_600);
        assert_eq!(all(&path, Some(10), Some("2026-11-21T01:00:00Z")).len(), 10);
    }

    #[test]
    fn new_lines_come_through_a_restart_and_none_is_lost_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let append = |text: &[u8]| {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
            file.write_all(text).unwrap();
        };
        append(b"old\n");
        let (_, place) = read(&path, Range::default(), &mut Clock::new()).unwrap();
        append(b"between\n");
        let mut follow = Follow::new(path.clone(), place);
        let mut seen = Vec::new();
        append(b"one\ntw");
        seen.extend(follow.next().unwrap());
        fs::rename(&path, dir.path().join("log.1")).unwrap();
        assert!(follow.next().unwrap().is_empty(), "there is no file");
        append(b"three\n");
        for _ in 0..3 {
            seen.extend(follow.next().unwrap());
        }
        assert_eq!(seen, ["between", "one", "tw", "three"]);
    }
}
