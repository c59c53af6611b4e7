//! The terminal: entered once, and left whatever happens.
//!
//! Dropping the guard leaves it; so does a panic (its message is then readable), and whoever ends the process by hand
//! calls [`leave`] first. Signals are the command line's: it asks the dashboard to close.
#![expect(
    clippy::disallowed_methods,
    reason = "the dashboard draws on standard output; nothing else writes there meanwhile"
)]

use std::{
    ffi::OsStr,
    io::{self, Stdout, Write},
    os::fd::AsFd as _,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crossterm::{
    cursor::Show,
    event::{DisableBracketedPaste, EnableBracketedPaste},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, raise},
};
use ratatui::{Terminal, backend::CrosstermBackend};

/// The terminal is ours at the moment.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Is the screen the dashboard's? Whoever else wants to write waits until it is not.
pub fn entered() -> bool {
    ENTERED.load(Ordering::SeqCst)
}

/// Whether a terminal that calls itself `term` (the variable `TERM`) can be drawn on.
pub fn can_draw(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Gives the terminal back as it was. Harmless when it was never taken, and from any thread.
pub fn leave() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        // Errors are ignored: the terminal may be closed.
        let _ = execute!(out, DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = out.flush();
        let _ = disable_raw_mode();
    }
}

/// What can be read from the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Something.
    Waiting,
    /// Nothing yet.
    None,
    /// Nothing ever again: its window was closed, or the connection to it was cut.
    Gone,
}

/// Waits up to `limit` for something to read. Whoever reads from a terminal that is gone reads nothing, at once and for
/// ever, so this is asked first.
///
/// # Errors
/// When the system cannot tell.
pub fn input_within(limit: Duration) -> io::Result<Input> {
    let stdin = io::stdin();
    let mut asked = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    match poll(&mut asked, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)) {
        Ok(0) | Err(Errno::EINTR) => return Ok(Input::None),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    let is_gone = asked[0].revents().is_some_and(|answer| answer.intersects(gone));
    Ok(if is_gone { Input::Gone } else { Input::Waiting })
}

/// Has crossterm look at the terminal again. Of a key and another size that come at the same moment it takes the size, and
/// looks at the key only when more comes in (0.29: `UnixInternalEventSource::try_read` returns at the first of the tokens
/// that mio told of, and mio tells of each but once). So something is made to come in: the terminal's answer to a question.
pub fn look_again() {
    // A terminal that does not answer costs a pause, and the key waits for the next one as it would have.
    let _ = crossterm::cursor::position();
}

/// The terminal while it is ours.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").finish_non_exhaustive()
    }
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When standard output is no terminal, or it cannot be changed.
    pub fn enter() -> io::Result<Self> {
        hook();
        enable_raw_mode()?;
        // From here on there is something to give back, also when the next step fails.
        ENTERED.store(true, Ordering::SeqCst);
        let entered = execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match entered {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                leave();
                Err(error)
            }
        }
    }

    /// The terminal to draw on.
    pub fn terminal(&mut self) -> &mut Terminal<CrosstermBackend<Stdout>> {
        &mut self.terminal
    }

    /// Gives the terminal to the shell, as Ctrl-Z does everywhere, and takes it again when the shell lets us go on.
    ///
    /// # Errors
    /// When the terminal cannot be changed.
    pub fn suspend(&mut self) -> io::Result<()> {
        leave();
        // To this thread: it must not go on and take the terminal again before the whole process stands still.
        raise(Signal::SIGTSTP)?;
        enable_raw_mode()?;
        ENTERED.store(true, Ordering::SeqCst);
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        self.terminal.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// A panic gives the terminal back before its message is written.
fn hook() {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            before(panic);
        }));
    });
}
