//! The consumer: events become rows, and the offset follows the rows.
//!
//! [`group`] polls Kafka on a thread of its own and owns offsets and rebalances; [`write`] puts a batch into MySQL;
//! [`bisect`] finds the record that MySQL will never take; [`dead_letter`] puts that one aside.

pub mod bisect;
pub mod dead_letter;
pub mod group;
mod offsets;
pub mod write;

/// One record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Key, where it has one.
    pub key: Option<Vec<u8>>,
    /// Value, where it has one.
    pub value: Option<Vec<u8>>,
}
