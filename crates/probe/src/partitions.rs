//! The partitions of the topic of claims, its group's offsets and its dead letters.
//!
//! librdkafka's calls block, so one long-lived client lives on a thread of its own and is asked over a channel with one
//! place: while it waits for a broker that is away, further looks are refused at once instead of queueing up.

use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    time::{Duration, Instant},
};

use contract::{endpoint::KafkaEndpoint, names};
use kafka::{self, FetchSize, Oldest, Ranges};
use rdkafka::consumer::BaseConsumer;
use record::event::PartitionSample;
use tokio::sync::oneshot;

use super::Starts;

/// Longest wait for one call.
const CALL: Duration = Duration::from_secs(2);
/// Longest time that all calls of one look may take.
const LOOK: Duration = Duration::from_secs(4);
/// Partitions may be added while a run goes on; they are looked for this often.
const PARTITIONS_EVERY: Duration = Duration::from_secs(10);

/// What Kafka says.
#[derive(Debug, Clone, Default)]
pub(super) struct KafkaLook {
    pub partitions: Vec<PartitionSample>,
    /// Partition that is not consumed to its end → its oldest record.
    pub oldest: BTreeMap<i32, Oldest>,
    pub dead_letters: Option<u64>,
    pub error: Option<String>,
}

type Request = oneshot::Sender<KafkaLook>;

/// The thread with the client. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Partitions {
    requests: Result<SyncSender<Request>, String>,
    endpoint: KafkaEndpoint,
}

impl Partitions {
    pub fn start(endpoint: KafkaEndpoint, topic: String, group: String, starts: Starts) -> Self {
        let (requests, asked) = sync_channel(1);
        let mut watch = Watch {
            endpoint: endpoint.clone(),
            dead_topic: names::dead_letter_topic(&topic),
            topic,
            group,
            seen: starts.topic,
            dead_start: starts.dead_letters,
            client: None,
            known: None,
        };
        let thread = std::thread::Builder::new().name("probe-kafka".into()).spawn(move || watch.serve(&asked));
        let requests = thread.map(|_| requests).map_err(|e| format!("no thread for Kafka's probe: {e}"));
        Self { requests, endpoint }
    }

    pub async fn read(&self) -> Result<KafkaLook, String> {
        let fail = |why: &str| kafka::failed(&self.endpoint, &why);
        let (answer, answered) = oneshot::channel();
        match self.requests.as_ref().map_err(Clone::clone)?.try_send(answer) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(fail("the look before is still waiting for a broker")),
            Err(TrySendError::Disconnected(_)) => return Err(fail("the probe's thread has ended")),
        }
        match tokio::time::timeout(LOOK + CALL, answered).await {
            Ok(Ok(look)) => Ok(look),
            Ok(Err(_)) => Err(fail("the probe's thread has ended")),
            Err(_) => Err(fail("no answer in time")),
        }
    }
}

struct Watch {
    endpoint: KafkaEndpoint,
    topic: String,
    dead_topic: String,
    group: String,
    /// Partition → the furthest end that was seen. A log that ends before it is another one.
    seen: BTreeMap<i32, i64>,
    dead_start: Option<BTreeMap<i32, i64>>,
    client: Option<BaseConsumer>,
    /// Partitions of both topics, and when they were asked for.
    known: Option<(Instant, Vec<i32>, Vec<i32>)>,
}

impl Watch {
    fn serve(&mut self, asked: &Receiver<Request>) {
        while let Ok(answer) = asked.recv() {
            let mut look = KafkaLook::default();
            if let Err(why) = self.look(&mut look) {
                look.error = Some(kafka::failed(&self.endpoint, &why));
                self.known = None;
            }
            // The receiver is dropped when the caller timed out.
            let _ = answer.send(look);
        }
    }

    fn look(&mut self, look: &mut KafkaLook) -> Result<(), String> {
        let deadline = Instant::now() + LOOK;
        let client = match self.client.take() {
            Some(client) => client,
            None => kafka::reader(&self.endpoint, &self.group, FetchSize::Small)?,
        };
        let result = self.look_with(&client, deadline, look);
        self.client = Some(client);
        result
    }

    fn look_with(&mut self, client: &BaseConsumer, deadline: Instant, look: &mut KafkaLook) -> Result<(), String> {
        if self.known.as_ref().is_none_or(|(asked, ..)| asked.elapsed() > PARTITIONS_EVERY) {
            let partitions = kafka::partitions(client, &self.topic, left(deadline)?)?;
            // Without a dead-letter topic there are no dead letters to count; the rest can be read all the same.
            let dead = kafka::partitions(client, &self.dead_topic, left(deadline)?).unwrap_or_default();
            self.known = Some((Instant::now(), partitions, dead));
        }
        let (partitions, dead) = self.known.as_ref().map(|(_, p, d)| (p.clone(), d.clone())).unwrap_or_default();
        // Offsets before ends: the other way round a fast group would seem to be ahead of the log.
        let committed = kafka::committed_of(client, &self.topic, &partitions, left(deadline)?)?;
        let ends = kafka::ends(client, &self.topic, &partitions, || left(deadline))?;
        for (partition, (_, end)) in &ends {
            let seen = self.seen.entry(*partition).or_insert(*end);
            if end < seen {
                let topic = &self.topic;
                return Err(format!("the log of {topic}-{partition} ends at {end}, before {seen}: it was made anew"));
            }
            *seen = *end;
        }
        let samples = ends.into_iter().map(|(partition, (start, end))| {
            let committed = committed.get(&partition).copied();
            PartitionSample { partition, start, end, committed }
        });
        look.partitions = samples.collect();
        look.oldest = kafka::oldest(client, &self.topic, &unconsumed(&look.partitions))?;
        look.dead_letters = self.dead_letters(client, &dead, deadline)?;
        Ok(())
    }

    fn dead_letters(
        &self,
        client: &BaseConsumer,
        partitions: &[i32],
        deadline: Instant,
    ) -> Result<Option<u64>, String> {
        let Some(starts) = self.dead_start.as_ref().filter(|_| !partitions.is_empty()) else { return Ok(None) };
        let ends = kafka::ends(client, &self.dead_topic, partitions, || left(deadline))?;
        let since = |partition: &i32| starts.get(partition).copied().unwrap_or_default();
        // A log that ends before its start was made anew: how many letters went with it is not known.
        Ok(ends.iter().map(|(partition, (_, end))| u64::try_from(end - since(partition)).ok()).sum())
    }
}

fn left(deadline: Instant) -> Result<Duration, String> {
    let left = deadline.saturating_duration_since(Instant::now()).min(CALL);
    if left.is_zero() { Err(format!("one look took more than {} s", LOOK.as_secs())) } else { Ok(left) }
}

/// What of each partition is not consumed.
fn unconsumed(partitions: &[PartitionSample]) -> Ranges {
    { partitions.iter() }.map(|p| (p.partition, (p.committed.unwrap_or(p.start).max(p.start), p.end))).collect()
}
