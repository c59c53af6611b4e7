//! What one look at Kafka gave, before anything is concluded from it.

use crate::{event::watch::Member, probe::kafka::Oldest};

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
    /// Oldest offset that is still there.
    pub start: i64,
    /// Offset of the next record.
    pub end: i64,
    /// Offset that the group committed.
    pub committed: Option<i64>,
    /// Broker that leads it.
    pub leader: Option<i32>,
    /// The record at the committed offset; absent where nothing is behind.
    pub(crate) oldest: Option<Oldest>,
}

impl PartitionLook {
    /// Records behind. Never committed means not known, never the log's end; and where reading found only control
    /// records, which nobody consumes, nothing is behind.
    pub(super) fn lag(&self) -> Option<u64> {
        let committed = self.committed?;
        if committed >= self.start && self.oldest == Some(Oldest::NoData) {
            return Some(0);
        }
        Some(self.end.saturating_sub(committed).max(0) as u64)
    }

    /// Age of the record at the committed offset in milliseconds.
    pub(super) fn time_lag_ms(&self, now_ms: f64) -> Option<f64> {
        match (self.lag()?, &self.oldest) {
            (0, _) => Some(0.0),
            (_, Some(Oldest::Record { timestamp_ms: Some(stamp) })) => Some((now_ms - *stamp as f64).max(0.0)),
            _ => None,
        }
    }
}
