//! Ctrl-C and SIGTERM: the first asks for a clean stop, the second forces.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::common::complain;
use crate::exit::Exit;

/// What the signals said so far.
#[derive(Debug, Clone)]
pub struct Signals {
    /// Cancelled by the first signal: stop cleanly.
    pub stop: CancellationToken,
    first: Arc<AtomicU8>,
}

impl Signals {
    /// Listens from now on. The second signal ends the program at once; what it started is then found and reaped by
    /// the next `up`, and backend processes end by themselves because their standard input ends.
    ///
    /// # Errors
    /// When the system gives no signal handler.
    pub fn listen() -> std::io::Result<Self> {
        let signals = Self { stop: CancellationToken::new(), first: Arc::default() };
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let this = signals.clone();
        tokio::spawn(async move {
            loop {
                let exit = tokio::select! {
                    _ = interrupt.recv() => Exit::Interrupted,
                    _ = terminate.recv() => Exit::Terminated,
                    _ = hang_up.recv() => Exit::Terminated,
                };
                if this.stop.is_cancelled() {
                    crate::tui::terminal::leave();
                    complain("stopped at once; `ecomctl down` clears what is left");
                    std::process::exit(i32::from(exit.code()));
                }
                this.first.store(exit.code(), Ordering::SeqCst);
                complain("stopping; once more to stop at once");
                this.stop.cancel();
            }
        });
        Ok(signals)
    }

    /// Does what Ctrl-C does, to whoever listens; in raw mode the terminal sends no signal for it.
    pub fn interrupt() {
        // It cannot fail: the signal exists, and the process does.
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGINT);
    }

    /// The exit code that the first signal asks for.
    pub fn exit(&self) -> Option<Exit> {
        match self.first.load(Ordering::SeqCst) {
            0 => None,
            130 => Some(Exit::Interrupted),
            _ => Some(Exit::Terminated),
        }
    }
}
