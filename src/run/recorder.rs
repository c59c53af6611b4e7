//! The one task that owns a run's state: it writes events down and publishes snapshots; everybody else only reads.
//! It also watches the run's alarms: what they come to is an event like any other.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use record::{
    alarm::watch::Watch,
    event::{Event, Stamped, names::Stage},
    state::RunState,
};
use tokio::{
    fs::File,
    io::{AsyncWriteExt, BufWriter},
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// Events that may wait for the recorder. A sender waits when it is full: no event is ever dropped.
const QUEUE: usize = 1_024;
/// Shortest time between two snapshots: nobody looks more often, and each costs a copy.
const PUBLISH_EVERY: Duration = Duration::from_millis(50);

/// Sends events to the recorder; every stage has one.
#[derive(Debug, Clone)]
pub struct Emitter {
    sender: mpsc::Sender<Item>,
    origin: Instant,
}

impl Emitter {
    /// Sends `event`, stamped with the time since the run began.
    pub async fn emit(&self, event: Event) {
        // A recorder that is gone has reported its own failure.
        let _ = self.sender.send(Item::Event(self.stamp(event))).await;
    }

    /// Sends `event` if there is room for it at once. For samples, of which the next one comes anyway.
    pub fn offer(&self, event: Event) {
        let _ = self.sender.try_send(Item::Event(self.stamp(event)));
    }

    /// Waits until everything that was sent before stands in the published state.
    pub async fn settle(&self) {
        let (settled, wait) = oneshot::channel();
        if self.sender.send(Item::Settle(settled)).await.is_ok() {
            let _ = wait.await;
        }
    }

    /// The same from a thread that is not a task.
    pub fn emit_blocking(&self, event: Event) {
        let _ = self.sender.blocking_send(Item::Event(self.stamp(event)));
    }

    /// Says that the run entered `name`.
    pub async fn stage(&self, name: Stage) {
        self.emit(Event::Stage { name }).await;
    }

    fn stamp(&self, event: Event) -> Stamped {
        Stamped { t_ms: self.origin.elapsed().as_millis() as u64, event }
    }
}

/// What the recorder is sent.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are events; the channel has room for them as they are")]
enum Item {
    Event(Stamped),
    Settle(oneshot::Sender<()>),
}

/// The recorder at work.
#[derive(Debug)]
pub struct Recorder {
    /// Snapshots of the state, for whoever shows it.
    pub snapshots: watch::Receiver<Arc<RunState>>,
    failed: CancellationToken,
    task: JoinHandle<io::Result<RunState>>,
}

impl Recorder {
    /// Starts the recorder; it writes one line an event to `path`.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub async fn start(path: &Path, origin: Instant) -> io::Result<(Emitter, Self)> {
        let file = BufWriter::new(File::create(path).await?);
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (publish, snapshots) = watch::channel(Arc::new(RunState::default()));
        let failed = CancellationToken::new();
        let task = tokio::spawn(record(file, receiver, publish, failed.clone()));
        Ok((Emitter { sender, origin }, Self { snapshots, failed, task }))
    }

    /// Cancelled as soon as events cannot be written any more: the run is to end then.
    pub fn failed(&self) -> CancellationToken {
        self.failed.clone()
    }

    /// Waits until every [`Emitter`] is gone and all is written; gives the state as it ended.
    ///
    /// # Errors
    /// When events could not be written (a full disk, say).
    pub async fn finish(self) -> io::Result<RunState> {
        self.task.await.map_err(io::Error::other)?
    }
}

async fn record(
    mut file: BufWriter<File>,
    mut items: mpsc::Receiver<Item>,
    publish: watch::Sender<Arc<RunState>>,
    failed: CancellationToken,
) -> io::Result<RunState> {
    let (mut state, mut alarms) = (RunState::default(), Watch::default());
    let (mut flushed, mut published, mut unseen) = (Instant::now(), Instant::now(), false);
    let mut outcome = Ok(());
    // After a failed write the events are still taken: a full disk must not stall whoever sends them.
    loop {
        let item = tokio::select! {
            item = items.recv() => item,
            () = tokio::time::sleep_until((published + PUBLISH_EVERY).into()), if unseen => {
                publish.send_replace(Arc::new(state.clone()));
                (published, unseen) = (Instant::now(), false);
                continue;
            }
        };
        let Some(item) = item else { break };
        let (settled, urgent) = match item {
            Item::Event(stamped) => {
                // What an event raises stands right behind it, with its time.
                let raised = alarms.see(&stamped).into_iter().map(|event| Stamped { t_ms: stamped.t_ms, event });
                for stamped in std::iter::once(&stamped).chain(&raised.collect::<Vec<_>>()) {
                    if outcome.is_ok() {
                        outcome = write_line(&mut file, stamped).await;
                    }
                    state.apply(stamped);
                }
                // Whoever follows sees a new stage, or what somebody did, at once.
                (None, matches!(stamped.event, Event::Stage { .. } | Event::Act { .. } | Event::Finished { .. }))
            }
            Item::Settle(settled) => (Some(settled), true),
        };
        unseen = true;
        if urgent || published.elapsed() >= PUBLISH_EVERY {
            publish.send_replace(Arc::new(state.clone()));
            (published, unseen) = (Instant::now(), false);
        }
        if outcome.is_ok() && (urgent || flushed.elapsed() > Duration::from_secs(1)) {
            outcome = file.flush().await;
            flushed = Instant::now();
        }
        if outcome.is_err() {
            failed.cancel();
        }
        if let Some(settled) = settled {
            let _ = settled.send(());
        }
    }
    publish.send_replace(Arc::new(state.clone()));
    outcome?;
    file.flush().await?;
    Ok(state)
}

async fn write_line(file: &mut BufWriter<File>, stamped: &Stamped) -> io::Result<()> {
    let mut line = serde_json::to_vec(stamped)?;
    line.push(b'\n');
    file.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::event::{
        AlarmLevel, ProbeSample,
        plan::{AlarmPlan, RunPlan},
    };

    #[tokio::test]
    async fn an_alarm_is_an_event_behind_its_sample_and_whoever_reads_the_file_has_the_same_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let (emitter, recorder) = Recorder::start(&path, Instant::now()).await.unwrap();
        let alarm = AlarmPlan { metric: "consumer_lag".into(), critical: Some(5.0), ..AlarmPlan::default() };
        let plan = RunPlan { alarms: vec![alarm], ..RunPlan::default() };
        let (profile, plan) = ("p".to_owned(), Some(Box::new(plan)));
        emitter.emit(Event::RunStarted { schema_version: 1, profile, at: String::new(), plan }).await;
        for lag in [1, 7, 8] {
            emitter.emit(Event::Probe(ProbeSample { lag: Some(lag), ..ProbeSample::default() })).await;
        }
        drop(emitter);
        let state = recorder.finish().await.unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let events: Vec<Stamped> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let Event::Alarm { level, value, threshold, .. } = &events[3].event else { panic!("{text}") };
        assert_eq!((events.len(), *level, *value, *threshold), (5, AlarmLevel::Critical, 7.0, 5.0));
        assert_eq!(events[3].t_ms, events[2].t_ms);
        let mut again = RunState::default();
        for event in &events {
            again.apply(event);
        }
        assert_eq!(again, state);
        assert_eq!((state.alarms["consumer_lag"].level, state.alarms["consumer_lag"].value), (*level, Some(8.0)));
    }

    /// A disk that fills up ends the run; it neither stalls whoever sends events nor loses the state of them.
    #[tokio::test]
    async fn a_full_disk_is_told_at_once_and_stalls_nobody() {
        let (emitter, recorder) = Recorder::start(Path::new("/dev/full"), Instant::now()).await.unwrap();
        let (failed, snapshots) = (recorder.failed(), recorder.snapshots.clone());
        emitter.stage(Stage::Load).await;
        tokio::time::timeout(Duration::from_secs(10), failed.cancelled()).await.unwrap();
        for i in 0..3 * QUEUE {
            emitter.emit(Event::Warning { message: format!("{i}") }).await;
        }
        emitter.settle().await;
        assert!(snapshots.borrow().stage == Some(Stage::Load) && !snapshots.borrow().warnings.is_empty());
        drop(emitter);
        assert_eq!(recorder.finish().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[tokio::test]
    async fn every_event_is_written_and_readable_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let (emitter, recorder) = Recorder::start(&path, Instant::now()).await.unwrap();
        for i in 0..3_000 {
            emitter.emit(Event::Warning { message: format!("{i}") }).await;
        }
        emitter.stage(Stage::Load).await;
        drop(emitter);
        let state = recorder.finish().await.unwrap();
        assert_eq!((state.warnings.len(), state.stage), (record::state::MOST_WARNINGS, Some(Stage::Load)));
        let text = std::fs::read_to_string(path).unwrap();
        let events: Vec<Stamped> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(events.len(), 3_001);
    }
}
