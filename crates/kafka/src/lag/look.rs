//! What one look at Kafka gave, before anything is concluded from it.

use std::collections::BTreeMap;

use record::event::watch::Member;

use crate::{Offsets, Oldest, Unknown};

/// One look.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Look {
    /// Seconds on a clock that never goes back.
    pub at_s: f64,
    /// Milliseconds since 1970, as the records count them.
    pub now_ms: f64,
    /// The group.
    pub group: GroupLook,
    /// Each partition of each topic that the group reads.
    pub partitions: Vec<PartitionLook>,
    /// Topics that could not be read this time, and why.
    pub unread: BTreeMap<String, String>,
}

/// The group as its coordinator describes it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroupLook {
    /// `Stable`, `Empty` …; `Unknown` where it cannot be read.
    pub state: String,
    /// Members; absent where they cannot be read, as with the newer group protocol.
    pub members: Option<Vec<Member>>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionLook {
    /// Topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// Oldest offset that is still there; while nobody leads the partition as it was last.
    pub start: i64,
    /// Offset of the next record; likewise.
    pub end: i64,
    /// Offset that the group committed.
    pub committed: Option<i64>,
    /// Broker that leads it.
    pub leader: Option<i32>,
    /// The record at the committed offset; absent where nothing is behind.
    pub(crate) oldest: Option<Oldest>,
}

impl PartitionLook {
    /// Records behind. Where reading found only control records, which nobody consumes, nothing is behind.
    pub(super) fn lag(&self) -> Result<u64, Unknown> {
        let log = self.leader.map(|_| (self.start, self.end));
        let lag = Offsets { committed: self.committed, log }.lag()?;
        let only_control = self.committed >= Some(self.start) && self.oldest == Some(Oldest::NoData);
        Ok(if only_control { 0 } else { lag })
    }

    /// Age of the record at the committed offset in milliseconds.
    pub(super) fn time_lag_ms(&self, now_ms: f64) -> Option<f64> {
        match (self.lag().ok()?, &self.oldest) {
            (0, _) => Some(0.0),
            (_, Some(Oldest::Record { timestamp_ms: Some(stamp) })) => Some((now_ms - *stamp as f64).max(0.0)),
            _ => None,
        }
    }
}
