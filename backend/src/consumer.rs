//! The consumer: records become rows, and the offset follows the rows.
//!
//! [`group`] polls Kafka on a thread of its own and owns offsets and rebalances; the domain's [`Sink`] puts a batch into
//! MySQL; [`bisect`] finds the record that MySQL will never take; [`dead_letter`] puts that one aside.

pub mod bisect;
pub mod dead_letter;
pub mod group;
mod offsets;

use std::{fmt::Display, future::Future};

/// Statements for each new connection of a sink. READ COMMITTED takes no gap locks, so batches of several consumers meet
/// only at the rows that both of them want.
pub const SESSION: [&str; 1] = ["SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"];

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

/// Turns the records of one topic into rows.
pub trait Sink: Send {
    /// Why a batch has to wait: nothing is wrong with its records.
    type Error: Display;

    /// Writes `records`. Writing one again is harmless.
    ///
    /// # Errors
    /// When the batch has to be tried again; parts of it may be committed by then.
    fn write(&mut self, records: &[Record]) -> impl Future<Output = Result<Written, Self::Error>> + Send;
}

/// What became of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Index of each record that will never be taken, with the reason.
    pub dead: Vec<(usize, String)>,
    /// Rows that were committed.
    pub rows: u64,
    /// Records whose row was there.
    pub there: u64,
    /// Records from before the last reset.
    pub skipped: u64,
}
