//! K and D: events and dead letters of the present epoch, read from the log itself.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use contract::{endpoint::KafkaEndpoint, names};
use kafka::{self, FetchSize, Ranges, Reading};
use rdkafka::{
    Message,
    consumer::{BaseConsumer, Consumer},
    message::BorrowedMessage,
};
use record::epoch::counter_of;
use serde::Deserialize;

use super::model::{DeadLetter, EventRecord, Events, PartitionFacts, TopicFacts};
use crate::model::Known;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest silence while the log is read.
const PATIENCE: Duration = Duration::from_secs(15);
/// Most malformed records that are named.
const MOST_NAMED: usize = 5;

/// Topic → partition → offset, as written down when the epoch was opened.
pub(super) type LogStarts = BTreeMap<String, BTreeMap<i32, i64>>;

/// What of a coupon is wanted.
#[derive(Debug, Clone)]
pub(super) struct Want {
    pub coupon: u64,
    /// Lowest counter of the present life.
    pub floor: u64,
    /// The epochs of the present life: events of others are not its own, whatever their number is.
    pub epochs: BTreeSet<String>,
    pub starts: LogStarts,
}

/// K and D of one coupon.
pub(super) struct Found {
    pub events: Known<Events>,
    pub dead: Known<Vec<DeadLetter>>,
}

/// What Kafka gave.
pub(super) struct Log {
    pub topic: Known<TopicFacts>,
    pub coupons: BTreeMap<u64, Found>,
}

/// The event as it is in the log. Further fields are allowed: they are not judged.
#[derive(Deserialize)]
struct Body {
    event_id: String,
    coupon_id: u64,
    user_id: u64,
    grant_seq: u64,
    epoch: String,
}

fn body_of(message: &BorrowedMessage<'_>) -> Result<(Body, u64), String> {
    let body: Body = serde_json::from_slice(message.payload().unwrap_or_default()).map_err(|e| e.to_string())?;
    let counter = counter_of(&body.epoch).ok_or_else(|| format!("`{}` is no epoch", body.epoch))?;
    Ok((body, counter))
}

/// A reader that has taken the committed offsets already: they are read first, so that whatever is below them must be
/// in what is read afterwards.
pub(super) struct LogReader {
    endpoint: KafkaEndpoint,
    topic: String,
    consumer: BaseConsumer,
    committed: BTreeMap<i32, i64>,
    before: LogBefore,
}

/// What was known of the log before this reading: a log that is shorter now is another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogBefore {
    /// Id of the cluster, where it was asked for.
    pub cluster: Option<String>,
    /// Partition of the topic → the furthest end that was seen.
    pub ends: BTreeMap<i32, i64>,
}

impl LogReader {
    pub fn open(endpoint: &KafkaEndpoint, topic: &str, group: &str, before: LogBefore) -> Known<Self> {
        let fail = |why: String| kafka::failed(endpoint, &why);
        let consumer = kafka::reader(endpoint, group, FetchSize::Bulk)?;
        let partitions = kafka::partitions(&consumer, topic, TIMEOUT).map_err(fail)?;
        let committed = kafka::committed_of(&consumer, topic, &partitions, TIMEOUT).map_err(fail)?;
        Ok(Self { endpoint: endpoint.clone(), topic: topic.to_owned(), consumer, committed, before })
    }

    /// Reads both topics once for all coupons.
    pub fn read(&self, wants: &[Want]) -> Log {
        let mut gathered = Gathered::default();
        let cluster = self.consumer.client().fetch_cluster_id(TIMEOUT);
        let elsewhere = self.elsewhere(cluster.as_deref());
        let topic = elsewhere.clone().and_then(|()| self.read_topic(wants, &mut gathered));
        let dead_topic = names::dead_letter_topic(&self.topic);
        let dead = elsewhere.and_then(|()| self.read_dead(&dead_topic, wants, &mut gathered));
        let mut coupons = BTreeMap::new();
        for want in wants {
            let events = match &topic {
                Ok((_, spans)) => covered(&self.topic, want, spans).map(|()| gathered.events_of(want.coupon)),
                Err(why) => Err(why.clone()),
            };
            let letters = match &dead {
                Ok(spans) => covered(&dead_topic, want, spans).map(|()| gathered.dead_of(want.coupon)),
                Err(why) => Err(why.clone()),
            };
            coupons.insert(want.coupon, Found { events, dead: letters });
        }
        let topic = topic.map(|(partitions, _)| TopicFacts {
            cluster,
            partitions,
            malformed: gathered.malformed,
            malformed_dead: gathered.malformed_dead,
            malformed_at: gathered.malformed_at,
        });
        Log { topic, coupons }
    }

    /// Whether this is another cluster than before.
    fn elsewhere(&self, cluster: Option<&str>) -> Known<()> {
        match (self.before.cluster.as_deref(), cluster) {
            (Some(before), Some(now)) if before != now => {
                Err(kafka::failed(&self.endpoint, &format!("this is cluster {now}, the run's was {before}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether a log is the one that was written to and consumed from before.
    fn same_log(&self, spans: &Spans) -> Known<()> {
        for (partition, (_, end)) in spans {
            let before =
                [("committed", self.committed.get(partition)), ("seen before", self.before.ends.get(partition))];
            for (what, offset) in before {
                if let Some(offset) = offset.filter(|offset| *offset > end) {
                    return Err(made_anew(&self.topic, *partition, *end, &format!("offset {offset} was {what}")));
                }
            }
        }
        Ok(())
    }

    fn read_topic(&self, wants: &[Want], gathered: &mut Gathered) -> Known<(Vec<PartitionFacts>, Spans)> {
        let spans = self.spans(&self.topic)?;
        self.same_log(&spans)?;
        let ranges = ranges(&self.topic, wants, &spans);
        let mut unconsumed: BTreeMap<i32, (u64, u64)> = BTreeMap::new();
        self.read_all(&self.topic, &ranges, |message| {
            let (partition, offset) = (message.partition(), message.offset());
            let whose = gathered.event(&self.topic, message, wants);
            if self.committed.get(&partition).is_none_or(|committed| offset >= *committed) {
                let (ours, unreadable) = unconsumed.entry(partition).or_default();
                match whose {
                    Whose::Ours => *ours += 1,
                    Whose::Unreadable => *unreadable += 1,
                    Whose::Others => {}
                }
            }
        })?;
        let facts = spans
            .iter()
            .map(|(partition, (start, end))| PartitionFacts {
                partition: *partition,
                start: *start,
                end: *end,
                from: ranges.get(partition).map_or(*end, |(from, _)| *from),
                committed: self.committed.get(partition).copied(),
                unconsumed: unconsumed.get(partition).map_or(0, |(ours, _)| *ours),
                unconsumed_unreadable: unconsumed.get(partition).map_or(0, |(_, unreadable)| *unreadable),
            })
            .collect();
        Ok((facts, spans))
    }

    fn read_dead(&self, topic: &str, wants: &[Want], gathered: &mut Gathered) -> Known<Spans> {
        let spans = self.spans(topic)?;
        let ranges = ranges(topic, wants, &spans);
        self.read_all(topic, &ranges, |message| gathered.dead_letter(topic, message, wants))?;
        Ok(spans)
    }

    /// Partition → oldest offset that is still there, and the log's end.
    fn spans(&self, topic: &str) -> Known<Spans> {
        let fail = |why: String| kafka::failed(&self.endpoint, &why);
        let mut spans = Spans::new();
        for partition in kafka::partitions(&self.consumer, topic, TIMEOUT).map_err(fail)? {
            let marks = self.consumer.fetch_watermarks(topic, partition, TIMEOUT);
            let marks = marks.map_err(|e| fail(format!("ends of {topic}-{partition}: {e}")))?;
            spans.insert(partition, marks);
        }
        Ok(spans)
    }

    fn read_all(&self, topic: &str, ranges: &Ranges, mut visit: impl FnMut(&BorrowedMessage<'_>)) -> Known<()> {
        let fail = |why: String| kafka::failed(&self.endpoint, &why);
        let reading = kafka::read(&self.consumer, topic, ranges, PATIENCE, None, |message| {
            visit(message);
            true
        });
        match reading.map_err(fail)? {
            Reading::Complete | Reading::Enough => Ok(()),
            Reading::Stalled(partitions, error) => {
                let list = partitions.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
                Err(fail(format!("{topic}, partitions {list}: not read to the end ({error})")))
            }
        }
    }
}

/// Partition → oldest offset that is still there, and the log's end.
type Spans = BTreeMap<i32, (i64, i64)>;

fn start_of(topic: &str, want: &Want, partition: i32) -> i64 {
    // A partition that was added later begins with the epoch already open.
    want.starts.get(topic).and_then(|starts| starts.get(&partition)).copied().unwrap_or_default()
}

/// From the earliest start of any coupon to the end.
fn ranges(topic: &str, wants: &[Want], spans: &Spans) -> Ranges {
    let earliest = |partition| wants.iter().map(|want| start_of(topic, want, partition)).min();
    spans.iter().filter_map(|(p, (low, end))| Some((*p, (earliest(*p)?.max(*low), *end)))).collect()
}

/// Whether the log still holds everything since the coupon's epoch was opened.
fn covered(topic: &str, want: &Want, spans: &Spans) -> Known<()> {
    if !want.starts.contains_key(topic) {
        return Err(format!("where {topic} ended when the epoch was opened was not recorded"));
    }
    for (partition, (low, end)) in spans {
        let start = start_of(topic, want, *partition);
        if *low > start {
            return Err(format!(
                "the log of {topic}-{partition} begins at {low}, past the epoch's first record at {start}: \
                 its retention was too short"
            ));
        }
        if *end < start {
            return Err(made_anew(topic, *partition, *end, &format!("the epoch's first record is at {start}")));
        }
    }
    Ok(())
}

fn made_anew(topic: &str, partition: i32, end: i64, but: &str) -> String {
    format!("the log of {topic}-{partition} ends at {end}, but {but}: the topic was made anew")
}

/// Whom a record concerns.
enum Whose {
    /// It is an event of a coupon in question, of its present life.
    Ours,
    /// It is an event of another coupon or epoch.
    Others,
    /// It is no event.
    Unreadable,
}

#[derive(Default)]
struct Gathered {
    events: HashMap<u64, CouponEvents>,
    dead: HashMap<u64, Vec<DeadLetter>>,
    dead_ids: HashSet<String>,
    malformed: u64,
    malformed_dead: u64,
    malformed_at: Vec<String>,
}

#[derive(Default)]
struct CouponEvents {
    events: Events,
    /// Event id → places of its distinct contents: more than one only where something is badly wrong.
    places: HashMap<String, Vec<usize>>,
}

impl Gathered {
    fn event(&mut self, topic: &str, message: &BorrowedMessage<'_>, wants: &[Want]) -> Whose {
        let (partition, offset) = (message.partition(), message.offset());
        let (body, counter) = match body_of(message) {
            Ok(parsed) => parsed,
            Err(why) => {
                self.malformed += 1;
                if self.malformed_at.len() < MOST_NAMED {
                    self.malformed_at.push(format!("{topic}-{partition} offset {offset}: {why}"));
                }
                return Whose::Unreadable;
            }
        };
        let Some(want) = wanted(topic, message, &body, wants) else { return Whose::Others };
        let coupon = self.events.entry(want.coupon).or_default();
        if !want.epochs.contains(&body.epoch) {
            let other = if counter < want.floor { &mut coupon.events.stale } else { &mut coupon.events.foreign };
            *other += 1;
            return Whose::Others;
        }
        let list = &mut coupon.events.list;
        let places = coupon.places.entry(body.event_id.clone()).or_default();
        let same =
            |event: &EventRecord| (event.user, event.seq, event.counter) == (body.user_id, body.grant_seq, counter);
        if let Some(copy) = places.iter().find(|place| list.get(**place).is_some_and(same)) {
            if let Some(event) = list.get_mut(*copy) {
                event.copies += 1;
            }
            return Whose::Ours;
        }
        places.push(list.len());
        list.push(EventRecord {
            event_id: body.event_id,
            user: body.user_id,
            seq: body.grant_seq,
            counter,
            partition,
            offset,
            copies: 1,
        });
        Whose::Ours
    }

    fn dead_letter(&mut self, topic: &str, message: &BorrowedMessage<'_>, wants: &[Want]) {
        let Ok((body, _)) = body_of(message) else {
            self.malformed_dead += 1;
            return;
        };
        let Some(want) = wanted(topic, message, &body, wants) else { return };
        let letters = self.dead.entry(want.coupon).or_default();
        // A consumer that dies between the dead letter and the offset writes it again: one event, one letter.
        if !want.epochs.contains(&body.epoch) || !self.dead_ids.insert(body.event_id.clone()) {
            return;
        }
        letters.push(DeadLetter {
            event_id: body.event_id,
            user: body.user_id,
            seq: body.grant_seq,
            partition: message.partition(),
            offset: message.offset(),
            reason: reason_of(message),
        });
    }

    fn events_of(&mut self, coupon: u64) -> Events {
        self.events.remove(&coupon).unwrap_or_default().events
    }

    fn dead_of(&mut self, coupon: u64) -> Vec<DeadLetter> {
        self.dead.remove(&coupon).unwrap_or_default()
    }
}

/// The coupon that a record belongs to, if it was written since that coupon's epoch was opened.
fn wanted<'w>(topic: &str, message: &BorrowedMessage<'_>, body: &Body, wants: &'w [Want]) -> Option<&'w Want> {
    let want = wants.iter().find(|want| want.coupon == body.coupon_id)?;
    (message.offset() >= start_of(topic, want, message.partition())).then_some(want)
}

fn reason_of(message: &BorrowedMessage<'_>) -> String {
    kafka::header(message, names::HEADER_ERROR).unwrap_or_else(|| "no reason given".into())
}
