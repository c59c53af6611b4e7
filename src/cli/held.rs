//! Words that come while the dashboard has the screen: they are kept, shown in its bottom line, and printed when it has
//! given the terminal back. Nothing else may write to a terminal that somebody draws on.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::tui::terminal;

/// Lines that are kept; of more than this the oldest go.
const MOST: usize = 200;

#[derive(Debug, Default)]
struct Held {
    lines: VecDeque<String>,
    /// The last line that was not shown yet.
    fresh: Option<String>,
}

static HELD: Mutex<Held> = Mutex::new(Held { lines: VecDeque::new(), fresh: None });

fn held() -> MutexGuard<'static, Held> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps `text` if the dashboard has the screen; otherwise it is the caller's to print.
pub fn keep(text: &str) -> bool {
    if !terminal::entered() {
        return false;
    }
    let mut held = held();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if held.lines.len() == MOST {
            held.lines.pop_front();
        }
        held.lines.push_back(line.to_owned());
        held.fresh = Some(line.to_owned());
    }
    true
}

/// The newest line, once.
pub fn fresh() -> Option<String> {
    held().fresh.take()
}

/// Prints what was kept, after the dashboard has left.
pub fn release() {
    let lines = std::mem::take(&mut *held()).lines;
    let mut stderr = io::stderr().lock();
    for line in lines {
        let _ = writeln!(stderr, "{line}");
    }
}

/// Standard error for the log: held like everything else.
#[derive(Debug, Default)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if keep(&String::from_utf8_lossy(bytes)) { Ok(bytes.len()) } else { io::stderr().write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
