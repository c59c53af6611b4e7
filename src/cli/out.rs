//! The one way out for everything that is printed. Standard output carries only the result of a command, standard error
//! what a person should know meanwhile.
//!
//! - A reader that has gone (`| head -1`) has read what it wanted: that is no error, and the exit code is what the command
//!   came to. Whoever prints without end stops at once ([`reader_gone`]).
//! - A result that cannot be written for another reason (a full disk) is an error.
//! - What cannot be said on standard error is lost: there is nobody to tell.
//! - While the dashboard has the screen nothing else may write to it: words are kept, shown in its bottom line, and printed
//!   when it has given the terminal back.
#![expect(clippy::disallowed_methods, reason = "the one place that writes to the standard streams")]

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IsTerminal as _, Write},
    os::fd::AsFd as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use contract::{
    cause,
    endpoint::{mask, mask_argument},
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tui::terminal;

/// How often it is looked for a reader while there is nothing to print.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Lines that are kept while the dashboard has the screen; of more than this the oldest go.
const MOST_KEPT: usize = 200;

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Results.
    Out,
    /// Everything else.
    Err,
}

/// Whether `stream` is a terminal.
pub fn is_terminal(stream: Stream) -> bool {
    match stream {
        Stream::Out => io::stdout().is_terminal(),
        Stream::Err => io::stderr().is_terminal(),
    }
}

/// Whether what stands on `stream` may be written over: a terminal that says what it is, and can move its cursor.
pub fn drawable(stream: Stream) -> bool {
    is_terminal(stream) && terminal::can_draw(std::env::var_os("TERM").as_deref())
}

/// Whether `stream` may be coloured.
pub fn coloured(stream: Stream) -> bool {
    drawable(stream) && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// Prints a line of the result.
///
/// # Errors
/// When it cannot be written although somebody reads.
pub fn out(text: &str) -> anyhow::Result<()> {
    out_if_read(text).map(drop)
}

/// As [`out`]; false when nobody reads any more: whoever prints without end stops then.
///
/// # Errors
/// As [`out`].
pub fn out_if_read(text: &str) -> anyhow::Result<bool> {
    if keep(text) {
        return Ok(true);
    }
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end_matches('\n')).and_then(|()| stdout.flush());
    read(written)
}

/// Prints what the parser of the command line has to say: help and versions are results, the rest is said, without the
/// login of an address that was typed in the wrong place.
///
/// # Errors
/// As [`out`].
pub fn parsed(said: &clap::Error) -> anyhow::Result<()> {
    if !said.use_stderr() {
        return read(said.print().and_then(|()| io::stdout().flush())).map(drop);
    }
    let plain = said.render().to_string();
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let masked = mask(&arguments.fold(plain.clone(), |text, argument| mask_argument(&text, &argument)));
    if masked == plain {
        let _ = said.print();
    } else {
        say(masked.as_bytes());
    }
    Ok(())
}

fn read(written: io::Result<()>) -> anyhow::Result<bool> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true).context("cannot write the result to standard output"),
    }
}

/// Comes back when nobody reads standard output any more. A file or a terminal that is there is always read.
pub async fn reader_gone() {
    loop {
        let stdout = io::stdout();
        let mut asked = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
        if poll(&mut asked, PollTimeout::ZERO).is_ok_and(|answers| answers > 0)
            && asked[0].revents().is_some_and(|answer| answer.intersects(gone))
        {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Says something to the person, on standard error. Whoever's words it repeats: the login of an address is not among them.
pub fn note(text: &str) {
    let text = mask(text);
    if !keep(&text) {
        say(format!("{text}\n").as_bytes());
    }
}

/// Asks the person something, on standard error; the answer is typed behind it.
pub fn ask(question: &str) {
    say(question.as_bytes());
}

/// Says what went wrong, on standard error.
pub fn complain(text: &str) {
    note(&format!("ecomctl: {text}"));
}

/// Says why something failed, each cause once.
pub fn fail(error: &anyhow::Error) {
    complain(&cause::chain(error.as_ref()));
}

fn say(bytes: &[u8]) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(bytes);
}

/// Where the log goes: standard error. It never fails, because a log that cannot be written would itself be told there,
/// and end the program.
#[derive(Debug, Default)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = mask(&String::from_utf8_lossy(bytes));
        if !keep(&text) {
            say(text.as_bytes());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    /// The last line that was not shown yet.
    fresh: Option<String>,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { lines: VecDeque::new(), fresh: None });

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps `text` if the dashboard has the screen; otherwise it is the caller's to print.
fn keep(text: &str) -> bool {
    if !terminal::entered() {
        return false;
    }
    let mut kept = kept();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if kept.lines.len() == MOST_KEPT {
            kept.lines.pop_front();
        }
        kept.lines.push_back(line.to_owned());
        kept.fresh = Some(line.to_owned());
    }
    true
}

/// The newest line that was kept, once.
pub fn fresh() -> Option<String> {
    kept().fresh.take()
}

/// Prints what was kept, after the dashboard has left.
pub fn release() {
    let lines = std::mem::take(&mut *kept()).lines;
    for line in lines {
        say(format!("{line}\n").as_bytes());
    }
}
