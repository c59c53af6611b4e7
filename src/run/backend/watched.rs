//! What the watching of a backend process has in common, whether it is a child or a container: it is started again with
//! back-off when it ends unasked, and its owner can stop it or leave it alone.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use infra::launched::Roster;
use record::event::{Event, names::ProcessState};
use tokio::{sync::oneshot, task::JoinHandle};

use super::Running;
use crate::run::recorder::Emitter;

/// First pause before a process is started again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A process that lived this long had started well: the pause begins anew.
const LIVED_WELL: Duration = Duration::from_secs(10);

/// One process of the backend, as its watcher sees it.
pub(super) trait Watched: Send + 'static {
    /// `api-1`, `consumer-2` …
    fn name(&self) -> &str;

    /// What it is now; restarts are the watcher's to count.
    fn running(&self) -> Running;

    /// Its pid or container, in words.
    fn reference(&self) -> String;

    /// Waits until it ends, and says how it ended.
    fn ended(&mut self) -> impl Future<Output = String> + Send;

    /// Starts it again.
    ///
    /// # Errors
    /// Why it cannot be started.
    fn start_again(&mut self) -> impl Future<Output = Result<(), String>> + Send;

    /// Ends it; after `grace` by force. Says whether force was needed.
    fn stop(&mut self, grace: Duration) -> impl Future<Output = bool> + Send;

    /// Its owner is gone without a word: nobody will ever come back for it.
    fn orphaned(&mut self) -> impl Future<Output = ()> + Send;
}

/// What the watcher is told.
#[derive(Debug)]
enum Order {
    Stop { grace: Duration, done: oneshot::Sender<Option<String>> },
    Leave,
}

/// The owner's end of a watcher. Dropping it orphans the process.
#[derive(Debug)]
pub(super) struct Watcher {
    orders: oneshot::Sender<Order>,
    restarts: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

/// Where a watcher tells what it sees.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// The run's events.
    pub emitter: Emitter,
    /// What has been launched, for other shells.
    pub roster: Roster,
}

impl Watcher {
    /// Starts the task that watches a process which runs already.
    pub fn start(watched: impl Watched, told: Told) -> Self {
        let (orders, receiver) = oneshot::channel();
        let restarts = Arc::default();
        let task = tokio::spawn(watch(watched, told, Arc::clone(&restarts), receiver));
        Self { orders, restarts, task }
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Whether nobody starts the process again any more.
    pub fn is_gone(&self) -> bool {
        self.task.is_finished()
    }

    /// Asks the process to end, and ends it by force after `grace`. Gives its name if force was needed.
    pub async fn stop(self, grace: Duration) -> Option<String> {
        let (done, answer) = oneshot::channel();
        if self.orders.send(Order::Stop { grace, done }).is_err() {
            return None;
        }
        let forced = answer.await.ok().flatten();
        let _ = self.task.await;
        forced
    }

    /// Lets the process go on without us.
    pub fn leave(self) {
        let _ = self.orders.send(Order::Leave);
    }
}

async fn watch(mut watched: impl Watched, told: Told, restarts: Arc<AtomicU32>, mut orders: oneshot::Receiver<Order>) {
    let name = watched.name().to_owned();
    let Told { emitter, roster } = told;
    let write_down = |running: Running| {
        let running = Running { restarts: restarts.load(Ordering::Relaxed), ..running };
        roster.put(&running.name, running.component());
    };
    write_down(watched.running());
    say(&name, &emitter, ProcessState::Started, watched.reference()).await;
    let mut pause = FIRST_PAUSE;
    loop {
        let born = Instant::now();
        let how = tokio::select! {
            how = watched.ended() => how,
            order = &mut orders => return obey(watched, order.ok(), &roster).await,
        };
        say(&name, &emitter, ProcessState::Exited, how).await;
        if born.elapsed() > LIVED_WELL {
            pause = FIRST_PAUSE;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            order = &mut orders => return obey(watched, order.ok(), &roster).await,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        match watched.start_again().await {
            Ok(()) => {
                restarts.fetch_add(1, Ordering::Relaxed);
                write_down(watched.running());
                say(&name, &emitter, ProcessState::Restarted, watched.reference()).await;
            }
            Err(why) => say(&name, &emitter, ProcessState::Exited, format!("cannot be started again: {why}")).await,
        }
    }
}

async fn obey(mut watched: impl Watched, order: Option<Order>, roster: &Roster) {
    let name = watched.name().to_owned();
    match order {
        Some(Order::Stop { grace, done }) => {
            let forced = watched.stop(grace).await;
            roster.remove(&name);
            let _ = done.send(forced.then_some(name));
        }
        // Whoever leaves it writes it into `stack.json`.
        Some(Order::Leave) => roster.remove(&name),
        None => {
            watched.orphaned().await;
            roster.remove(&name);
        }
    }
}

async fn say(name: &str, emitter: &Emitter, state: ProcessState, detail: String) {
    emitter.emit(Event::Process { name: name.to_owned(), state, detail }).await;
}
