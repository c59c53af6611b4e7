//! Small worlds for tests: sets and ledger, written down in a line each.

use std::collections::BTreeMap;

use contract::claim::{Claim, Id, Kind};
use load::ledger::Entry;
use record::epoch::Present;
use serde::Deserialize;

use super::{
    Coupons,
    ledger::LedgerSets,
    model::{
        CouponFacts, CouponSets, DeadLetter, EventRecord, Events, Gate, PartitionFacts, Pending, Row, Sets, TopicFacts,
        UniqueKey,
    },
};
use crate::{
    Court,
    families::Family,
    model::{CheckResult, Known, Verdict},
    store::Context,
};

/// Everything the checks look at, and nothing of the servers.
#[derive(Debug, Clone)]
pub struct World {
    pub coupons: Coupons,
    pub context: Context,
}

impl World {
    pub fn check(&self) -> BTreeMap<String, CheckResult> {
        let coupons: Box<dyn Family> = Box::new(self.coupons.clone());
        let court = Court { families: [(Kind::Coupon, coupons)].into(), context: self.context.clone() };
        court.judge().checks.into_iter().map(|result| (result.id.clone(), result)).collect()
    }

    pub fn violated(&self) -> Vec<String> {
        self.check().into_values().filter(|r| r.verdict == Verdict::Violated).map(|r| r.id).collect()
    }

    pub fn coupon(&mut self) -> &mut CouponSets {
        &mut self.coupons.sets.coupons[0]
    }
    pub fn rows(&mut self) -> &mut Vec<Row> {
        self.coupon().rows.as_mut().unwrap()
    }
    pub fn gate(&mut self) -> &mut Gate {
        self.coupon().gate.as_mut().unwrap()
    }
    pub fn events(&mut self) -> &mut Vec<EventRecord> {
        &mut self.coupon().events.as_mut().unwrap().list
    }
    pub fn facts(&mut self) -> &mut CouponFacts {
        self.coupon().facts.as_mut().unwrap()
    }
}

/// One coupon as a case file describes it. `user:number` pairs are separated by blanks; `user:number@event` names the
/// event, which is `e<user>` otherwise. What is left out follows from what is there: the world is in order.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sketch {
    pub coupon: Option<u64>,
    pub total: u64,
    pub stock: Option<i64>,
    pub no_stock: bool,
    pub grants: String,
    pub last_seq: Option<u64>,
    /// Counters of the gate's epoch and of the run's first one.
    pub counter: Option<u64>,
    pub floor: Option<u64>,
    /// Further: `user:number@event#counter`.
    pub events: Option<String>,
    pub rows: Option<String>,
    pub dead: String,
    pub pending: String,
    pub issued: Option<u64>,
    /// Records not consumed, from the end of partition 0.
    pub lag: u64,
    /// `user OUTCOME begin-end`, one a line; absent: there is no ledger.
    pub ledger: Option<String>,
    /// Absent: as many as the ledger has; -1: not known.
    pub sent: Option<i64>,
    /// As `coupons.quantity` has it; absent: as the profile says.
    pub quantity: Option<u64>,
    /// Partition 0 was never committed.
    pub uncommitted: bool,
    /// Records at the end of partition 0 that are no events.
    pub unreadable: u64,
    /// Figures change while they are read.
    pub moving: bool,
    pub keys: Option<Vec<Vec<String>>>,
    /// `grants`, `events`, `rows`, `dead`, `keys`, `facts`, `topic`: cannot be read.
    pub unknown: Vec<String>,
}

struct Item {
    user: u64,
    seq: u64,
    event: String,
    counter: Option<u64>,
}

fn items(text: &str) -> Vec<Item> {
    text.split_whitespace()
        .map(|word| {
            let (word, counter) = word.split_once('#').map_or((word, None), |(w, c)| (w, Some(c.parse().unwrap())));
            let (pair, event) = word.split_once('@').map_or((word, None), |(p, e)| (p, Some(e.to_owned())));
            let (user, seq) = pair.split_once(':').unwrap();
            let user = user.parse().unwrap();
            Item { user, seq: seq.parse().unwrap(), event: event.unwrap_or_else(|| format!("e{user}")), counter }
        })
        .collect()
}

fn entries(coupon: u64, text: &str) -> Vec<Entry> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (start, end) = words[2].split_once('-').unwrap();
            let (kind, key) = (Kind::Coupon, Some(Id::Number(coupon)));
            let outcome = kind.outcome(words[1]).unwrap();
            let (start_ns, end_ns) = (start.parse().unwrap(), end.parse().unwrap());
            Entry { kind, key, actor: words[0].parse().unwrap(), start_ns, end_ns, outcome, receipt: None }
        })
        .collect()
}

/// The keys as the migrations make them.
pub fn both_keys() -> Vec<UniqueKey> {
    let key = |name: &str, columns: &[&str]| UniqueKey {
        name: name.into(),
        columns: columns.iter().map(ToString::to_string).collect(),
    };
    vec![
        key("PRIMARY", &["id"]),
        key("uk_coupon_users_coupon_user", &["coupon_id", "user_id"]),
        key("uk_coupon_users_event", &["event_id"]),
    ]
}

/// Several coupons over one topic.
pub fn world(sketches: &[Sketch]) -> World {
    let mut world = World {
        coupons: Coupons {
            sets: Sets { topic: Ok(TopicFacts::default()), keys: Ok(both_keys()), coupons: Vec::new() },
            ledger: Err("there is no ledger".into()),
        },
        context: Context::default(),
    };
    let mut records = 0;
    for sketch in sketches {
        add(&mut world, sketch, &mut records);
    }
    let lag: u64 = sketches.iter().map(|sketch| sketch.lag).sum();
    let partition = PartitionFacts {
        partition: 0,
        start: 0,
        end: records,
        from: 0,
        committed: (!sketches.iter().any(|sketch| sketch.uncommitted)).then_some(records - lag as i64),
        unconsumed: lag,
        unconsumed_unreadable: sketches.iter().map(|sketch| sketch.unreadable).sum(),
    };
    if let Ok(topic) = &mut world.coupons.sets.topic {
        topic.partitions.push(partition);
    }
    world
}

fn add(world: &mut World, sketch: &Sketch, records: &mut i64) {
    let coupon = sketch.coupon.unwrap_or(1);
    let counter = sketch.counter.unwrap_or(1);
    let unknown = |set: &str| sketch.unknown.iter().any(|name| name == set);
    let cannot = || Err("it cannot be read".to_owned());
    let events_text = sketch.events.as_ref().unwrap_or(&sketch.grants);
    let rows: Vec<Row> = items(sketch.rows.as_ref().unwrap_or(events_text))
        .into_iter()
        .zip(1..)
        .map(|(item, id)| Row { id, user: item.user, event_id: item.event, seq: Some(item.seq), created_us: id as i64 })
        .collect();
    let events: Vec<EventRecord> = items(events_text)
        .into_iter()
        .map(|item| {
            *records += 1;
            EventRecord {
                event_id: item.event,
                user: item.user,
                seq: item.seq,
                counter: item.counter.unwrap_or(counter),
                partition: 0,
                offset: *records - 1,
                copies: 1,
            }
        })
        .collect();
    let issued = sketch.issued.unwrap_or(rows.len() as u64);
    let facts = CouponFacts {
        quantity: sketch.quantity.unwrap_or(sketch.total),
        issued,
        present: Present { epoch: Some(format!("run:{counter}")), ..Present::default() },
        floor: sketch.floor.unwrap_or(counter),
        opened_total: Some(sketch.total),
    };
    let dead = items(&sketch.dead).into_iter().map(letter).collect();
    if let Some(text) = &sketch.ledger {
        let ledger = world.coupons.ledger.get_or_insert_default();
        let all = entries(coupon, text);
        for entry in &all {
            ledger.add(entry);
        }
        let sent = sketch.sent.unwrap_or(all.len() as i64);
        if let Ok(sent) = u64::try_from(sent) {
            world.context.sent.insert(Claim::coupon(coupon), sent);
        }
    }
    if let Some(keys) = &sketch.keys {
        let key = |columns: &Vec<String>| UniqueKey { name: columns.join("_"), columns: columns.clone() };
        world.coupons.sets.keys = Ok(keys.iter().map(key).collect());
    }
    if unknown("keys") {
        world.coupons.sets.keys = cannot().map(|()| Vec::new());
    }
    if unknown("topic") {
        world.coupons.sets.topic = cannot().map(|()| TopicFacts::default());
    }
    world.coupons.sets.coupons.push(CouponSets {
        coupon,
        total: sketch.total,
        facts: if unknown("facts") { cannot().map(|()| facts) } else { Ok(facts) },
        gate: if unknown("grants") { Err("it cannot be read".into()) } else { Ok(gate(sketch, counter)) },
        events: if unknown("events") {
            Err("it cannot be read".into())
        } else {
            Ok(Events { list: events, ..Events::default() })
        },
        rows: if unknown("rows") { Err("it cannot be read".into()) } else { Ok(rows) },
        dead: if unknown("dead") { Err("it cannot be read".into()) } else { Ok(dead) },
        moving: sketch.moving.then(|| "its figures still change".to_owned()),
    });
}

/// `Known` of a ledger that may not be there yet.
trait GetOrInsert {
    fn get_or_insert_default(&mut self) -> &mut LedgerSets;
}

impl GetOrInsert for Known<LedgerSets> {
    fn get_or_insert_default(&mut self) -> &mut LedgerSets {
        if self.is_err() {
            *self = Ok(LedgerSets::default());
        }
        self.as_mut().unwrap()
    }
}

fn gate(sketch: &Sketch, counter: u64) -> Gate {
    let users: BTreeMap<u64, Option<u64>> =
        items(&sketch.grants).into_iter().map(|item| (item.user, Some(item.seq))).collect();
    let stock = sketch.stock.unwrap_or(sketch.total as i64 - users.len() as i64);
    Gate {
        counter,
        epoch: format!("run:{counter}"),
        total: Some(sketch.total),
        last_seq: Some(sketch.last_seq.unwrap_or_else(|| users.values().flatten().copied().max().unwrap_or(0))),
        stock: (!sketch.no_stock).then_some(stock),
        pending: items(&sketch.pending)
            .into_iter()
            .map(|item| Pending { user: Some(item.user), member: format!("{}|{{}}", item.seq) })
            .collect(),
        users,
    }
}

fn letter(item: Item) -> DeadLetter {
    let reason = "a test buried it".into();
    DeadLetter { event_id: item.event, user: item.user, seq: item.seq, partition: 0, offset: 0, reason }
}
