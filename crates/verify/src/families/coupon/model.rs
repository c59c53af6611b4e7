//! The sets that the checks compare.

use std::collections::BTreeMap;

use record::epoch::Present;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Known;

/// One row of `coupon_users`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Primary key.
    pub id: u64,
    /// Who holds the coupon.
    pub user: u64,
    /// Event that brought it.
    pub event_id: String,
    /// Its number in the order of grants.
    pub seq: Option<u64>,
    /// When it was written, by MySQL's clock: microseconds since 1970.
    pub created_us: i64,
}

/// One distinct event in Kafka. Copies of it that are equal count once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its id.
    pub event_id: String,
    /// Who was granted a coupon.
    pub user: u64,
    /// Number of the grant.
    pub seq: u64,
    /// Counter of the epoch in which it was granted.
    pub counter: u64,
    /// Partition of its first copy.
    pub partition: i32,
    /// Offset of its first copy.
    pub offset: i64,
    /// How often it is in the log.
    pub copies: u32,
}

/// One distinct dead letter that is an event of the coupon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Id of the event.
    pub event_id: String,
    /// Who was granted a coupon.
    pub user: u64,
    /// Number of the grant.
    pub seq: u64,
    /// Partition in the dead-letter topic.
    pub partition: i32,
    /// Offset in the dead-letter topic.
    pub offset: i64,
    /// Why it is dead, as the consumer wrote it.
    pub reason: String,
}

/// A grant that Kafka has not acknowledged yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Who was granted a coupon; absent when the member cannot be read.
    pub user: Option<u64>,
    /// The member as it stands in Redis.
    pub member: String,
}

/// The gate of one coupon, read in one script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Counter of its epoch.
    pub counter: u64,
    /// Its epoch; empty in the files of version 0.1.
    #[serde(default)]
    pub epoch: String,
    /// T as the gate has it.
    pub total: Option<u64>,
    /// Last number that it gave out.
    pub last_seq: Option<u64>,
    /// Coupons left; absent when the key is gone.
    pub stock: Option<i64>,
    /// User → number of the grant (absent where the gate keeps none).
    #[serde(skip)]
    pub users: BTreeMap<u64, Option<u64>>,
    /// Grants on their way to Kafka.
    pub pending: Vec<Pending>,
}

/// What MySQL says of the coupon itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponFacts {
    /// `coupons.quantity`
    pub quantity: u64,
    /// `coupons.issued`
    pub issued: u64,
    /// The present epoch: `coupons.epoch`, and what `coupon_epochs` has of it.
    #[serde(flatten)]
    pub present: Present,
    /// `coupons.epoch_floor`: events of lower epochs belong to an earlier run.
    pub floor: u64,
    /// How many coupons there were when the epoch was opened.
    #[serde(default)]
    pub opened_total: Option<u64>,
}

/// A unique key, with its columns in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueKey {
    /// Name.
    pub name: String,
    /// Columns; a key over only part of a column shows it as `column(n)`.
    pub columns: Vec<String>,
}

/// One partition of the coupon topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionFacts {
    /// Its number.
    pub partition: i32,
    /// Oldest offset that is still there.
    pub start: i64,
    /// Offset of the next record.
    pub end: i64,
    /// First offset that was read.
    pub from: i64,
    /// Offset that the group committed.
    pub committed: Option<i64>,
    /// Events of the coupons in question that are at or after `committed` (all of them, where nothing was committed).
    pub unconsumed: u64,
    /// Records there that are no events: nobody can tell whose they are.
    #[serde(default)]
    pub unconsumed_unreadable: u64,
}

/// The coupon topic as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TopicFacts {
    /// Id of the cluster that it is in; absent where the cluster does not tell.
    #[serde(default)]
    pub cluster: Option<String>,
    /// Its partitions.
    pub partitions: Vec<PartitionFacts>,
    /// Records that are no coupon event.
    pub malformed: u64,
    /// Dead letters that are no coupon event.
    pub malformed_dead: u64,
    /// Where the first malformed records are.
    pub malformed_at: Vec<String>,
}

/// K of one coupon.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Events {
    /// Distinct events of the present epoch.
    #[serde(skip)]
    pub list: Vec<EventRecord>,
    /// Events of earlier epochs behind the present one's first record: consumers skip and count them.
    pub stale: u64,
    /// Events of epochs that MySQL did not know when it was read.
    #[serde(default)]
    pub foreign: u64,
}

/// Everything read about one coupon in its present epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct CouponSets {
    /// Its id.
    pub coupon: u64,
    /// T: how many there are in all, as the profile says.
    pub total: u64,
    /// What MySQL says of the coupon itself.
    pub facts: Known<CouponFacts>,
    /// G and what belongs to it.
    pub gate: Known<Gate>,
    /// K
    pub events: Known<Events>,
    /// M
    pub rows: Known<Vec<Row>>,
    /// D
    pub dead: Known<Vec<DeadLetter>>,
    /// Why its figures are not at rest, where they are known not to be: what is missing may still come.
    pub moving: Option<String>,
}

impl CouponSets {
    /// A coupon of which nothing is known, because of `why`.
    pub fn unread(coupon: u64, total: u64, why: &str) -> Self {
        Self {
            coupon,
            total,
            facts: Err(why.to_owned()),
            gate: Err(why.to_owned()),
            events: Err(why.to_owned()),
            rows: Err(why.to_owned()),
            dead: Err(why.to_owned()),
            moving: None,
        }
    }

    /// Whether nothing was granted and nothing written, as far as is known.
    pub fn is_empty(&self) -> bool {
        let granted = self.gate.as_ref().map_or(0, |gate| gate.users.len());
        let events = self.events.as_ref().map_or(0, |events| events.list.len());
        let dead = self.dead.as_ref().map_or(0, Vec::len);
        let rows = self.rows.as_ref().map_or(0, Vec::len);
        granted + events + dead + rows == 0
    }
}

/// Everything read from the servers.
#[derive(Debug, Clone, PartialEq)]
pub struct Sets {
    /// The topic.
    pub topic: Known<TopicFacts>,
    /// Unique keys of `coupon_users`.
    pub keys: Known<Vec<UniqueKey>>,
    /// One entry a coupon.
    pub coupons: Vec<CouponSets>,
}

/// Sizes of one coupon's sets; absent where a set is not known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct SetSizes {
    /// Coupon.
    pub coupon: u64,
    /// T
    pub total: u64,
    /// Coupons left in Redis.
    pub stock: Option<i64>,
    /// |G|
    pub grants: Option<u64>,
    /// |K|
    pub events: Option<u64>,
    /// |M|: rows, a doubled one counts twice.
    pub rows: Option<u64>,
    /// |D|
    pub dead: Option<u64>,
    /// Grants on their way to Kafka.
    pub pending: Option<u64>,
    /// |A|: users with an answer QUEUED.
    pub acknowledged: Option<u64>,
    /// |U|: users who may have been granted a coupon or not.
    pub uncertain: Option<u64>,
    /// |F|: users who were refused.
    pub refused: Option<u64>,
    /// Users who were told DUPLICATE.
    pub duplicates: Option<u64>,
}
