//! Looks at MySQL, Kafka and Redis once a second while a run goes on, and waits for them to come to rest after it.
//!
//! Each look reads rows first, then Kafka, then Redis: downstream before upstream, so that |M| ≤ |K| ≤ |G| holds without
//! a pause. A server that is away leaves its figures absent and its name in `errors`; the rest goes on, and it comes
//! back by itself.
//!
//! Invariant: it counts and never changes anything; what it could not read is absent, never zero.
//! Border: on `base`, `contract`, `kafka` and `record`.

mod drain;
mod families;
mod look;
mod partitions;

use std::{collections::BTreeMap, time::Duration};

use contract::{claim::Claim, endpoint::Endpoints};
use record::{epoch::Opened, event::ProbeSample};
use tokio::{sync::mpsc, task::JoinHandle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use self::look::Looker;
pub use self::{
    drain::{DrainPlan, DrainReport, Gone, drain},
    families::run_id,
};

/// What to look at.
#[derive(Debug, Clone)]
pub struct ProbePlan {
    /// The servers.
    pub endpoints: Endpoints,
    /// What can be claimed, and is counted.
    pub subjects: Vec<Claim>,
    /// Topic of the events.
    pub topic: String,
    /// Consumer group whose lag counts.
    pub group: String,
    /// Time from look to look; a second as a rule.
    pub interval: Duration,
    /// Where the run's records begin.
    pub starts: Starts,
    /// The epochs that the run opened: figures of others are told, and not given. Empty: whatever epoch there is.
    pub opened: Opened,
}

/// Where the records of a run begin: the ends of the logs before its load, taken once and the same for whoever looks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Starts {
    /// Partition of the topic of claims → its end; empty where it is not known.
    pub topic: BTreeMap<i32, i64>,
    /// Partition of the dead-letter topic → its end. `None` where it is not known: then nobody knows how many letters
    /// the run has.
    pub dead_letters: Option<BTreeMap<i32, i64>>,
}

/// The probe; see [`Probe::start`].
#[derive(Debug)]
pub struct Probe;

/// A running probe. Dropping it ends the probe too.
#[derive(Debug)]
pub struct ProbeHandle {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Looks once.
pub async fn look(plan: &ProbePlan) -> ProbeSample {
    Looker::new(plan).look().await.sample
}

impl Probe {
    /// Starts looking; must be called within a tokio runtime. A look that takes longer than the interval, or a reader
    /// of `samples` that does not keep up, makes the probe skip looks: they never pile up.
    pub fn start(plan: ProbePlan, samples: mpsc::Sender<ProbeSample>) -> ProbeHandle {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut looker = Looker::new(&plan);
            let mut ticks = tokio::time::interval(plan.interval.max(Duration::from_millis(10)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let looking = async {
                loop {
                    ticks.tick().await;
                    let look = looker.look().await;
                    if samples.send(look.sample).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                () = looking => {}
                () = stopped.cancelled() => {}
            }
        });
        ProbeHandle { stop, task }
    }
}

impl ProbeHandle {
    /// Ends the probe; a look that is under way is given up.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // It only ends early by a panic of its own, and then there is nothing left to wait for.
        let _ = (&mut self.task).await;
    }
}

impl Drop for ProbeHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
