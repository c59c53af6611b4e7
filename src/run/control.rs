//! Acts on a run while it goes on: what a person may do, and the two ways to ask for it.
//!
//! In the run's own process a [`Control`] is handed to [`super::walk::Show::control`]. From another process
//! [`send`] speaks to the Unix socket that `run.json` names under `control`: one line of JSON in, one line out.
//!
//! ```text
//! {"act":"set_vus","value":200}      →  {"done":true,"text":"200 virtual users from now on"}
//! {"act":"stop_load"}                →  {"done":false,"text":"no load is running"}
//! ```
//!
//! Both ways end in the one task of `perform`, which writes every act and its result into the run's events. A load that
//! was stopped is not started again within its run: its ledger is closed, and the run goes on to drain and verdict.

mod perform;
mod socket;

use std::{io, path::Path, time::Duration};

use record::act::{Act, ActResult};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    sync::{mpsc, oneshot},
};

pub(super) use self::perform::{Live, Performer};
pub use self::socket::Server;

/// Acts that may wait; more are refused.
const QUEUE: usize = 16;
/// Longest line on the socket.
pub const MOST_BYTES: usize = 4 << 10;
/// Longest wait for a result: a server that is restarted takes its time.
const RESULT_WITHIN: Duration = Duration::from_secs(120);

/// An act with the place where its result is waited for.
#[derive(Debug)]
pub struct Asked {
    /// What.
    pub act: Act,
    /// Where its result goes.
    pub answer: oneshot::Sender<ActResult>,
}

/// Asks for acts within the run's own process. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Control {
    sender: mpsc::Sender<Asked>,
}

impl Control {
    /// A control, and the end where its acts arrive.
    pub fn channel() -> (Self, mpsc::Receiver<Asked>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self { sender }, receiver)
    }

    /// Asks for `act` and waits for its result.
    pub async fn act(&self, act: Act) -> ActResult {
        let (answer, result) = oneshot::channel();
        match self.sender.try_send(Asked { act, answer }) {
            Ok(()) => result.await.unwrap_or_else(|_| ActResult::refused("the run has ended")),
            Err(mpsc::error::TrySendError::Full(_)) => ActResult::refused("too many acts wait already"),
            Err(mpsc::error::TrySendError::Closed(_)) => ActResult::refused("the run has ended"),
        }
    }
}

/// Asks the run behind `socket` for `act` and waits for its result.
///
/// # Errors
/// When nobody listens there any more, or the answer is none.
pub async fn send(socket: &Path, act: &Act) -> io::Result<ActResult> {
    let exchange = async {
        let (reading, mut writing) = UnixStream::connect(socket).await?.into_split();
        let mut line = serde_json::to_vec(act)?;
        line.push(b'\n');
        writing.write_all(&line).await?;
        let mut answer = Vec::new();
        BufReader::new(reading.take(MOST_BYTES as u64)).read_until(b'\n', &mut answer).await?;
        Ok(serde_json::from_slice(&answer)?)
    };
    match tokio::time::timeout(RESULT_WITHIN, exchange).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the run did not say what came of it")),
    }
}
