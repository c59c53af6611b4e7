//! Ctrl-C and SIGTERM: the first asks for a clean stop, the second forces. What was ignored when ecomctl was started
//! (`nohup`, `trap '' HUP`, a script's background job) stays ignored, here and in everything that it starts.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicU8, Ordering},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use super::common::complain;
use crate::exit::Exit;

/// How often Ctrl-C was typed where the terminal sends no signal for it.
static TYPED: LazyLock<watch::Sender<u64>> = LazyLock::new(|| watch::Sender::new(0));

/// One kind of signal; none where it was ignored when the program was started.
pub(super) struct Listener(Option<Signal>);

impl Listener {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system gives no signal handler.
    pub fn on(kind: SignalKind) -> std::io::Result<Self> {
        if is_ignored(kind) {
            return Ok(Self(None));
        }
        signal(kind).map(Some).map(Self)
    }

    /// Waits for the next one, for ever where it is ignored.
    pub async fn heard(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

/// Whether whoever started this program had the signal ignored; elsewhere than on Linux nobody can tell.
fn is_ignored(kind: SignalKind) -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, kind.as_raw_value()))
}

/// Whether the mask `SigIgn` of `/proc/<pid>/status` has this number.
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    (1..=64).contains(&signal) && mask & (1 << (signal - 1)) != 0
}

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
        let mut interrupt = Listener::on(SignalKind::interrupt())?;
        let mut terminate = Listener::on(SignalKind::terminate())?;
        let mut hang_up = Listener::on(SignalKind::hangup())?;
        let mut typed = TYPED.subscribe();
        let this = signals.clone();
        tokio::spawn(async move {
            loop {
                let exit = tokio::select! {
                    () = interrupt.heard() => Exit::Interrupted,
                    // Its sender lives as long as the program.
                    _ = typed.changed() => Exit::Interrupted,
                    () = terminate.heard() => Exit::Terminated,
                    () = hang_up.heard() => Exit::Terminated,
                };
                if this.stop.is_cancelled() {
                    tui::terminal::leave();
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
        TYPED.send_modify(|times| *times += 1);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `nohup` ignores SIGHUP, and a run under it once ended with the terminal all the same.
    #[test]
    fn a_signal_that_was_ignored_at_the_start_is_known() {
        let status = "Name:\tecomctl\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001003\nSigCgt:\t0\n";
        assert!(ignores(status, SignalKind::hangup().as_raw_value()));
        assert!(ignores(status, SignalKind::interrupt().as_raw_value()));
        assert!(!ignores(status, SignalKind::terminate().as_raw_value()));
        assert!(!ignores("", 1) && !ignores("SigIgn:\tx", 1) && !ignores(status, 0) && !ignores(status, 99));
    }
}
