//! ecomctl: one binary that brings up a MySQL + Redis + Kafka stack, loads it, and proves that nothing was lost, doubled
//! or over-sold.
//!
//! Data take one way: [`profile`] → [`infra`] (stack) → [`seed`] → backend processes → [`load`] (phases, ledger) with
//! [`probe`] beside it → drain → [`verify`] → [`summary`] → [`report`]; [`kafka::lag`] looks at any consumer group. [`run`]
//! walks it and owns the run's state; every stage emits events on one bounded channel, one recorder writes them down;
//! [`tui`] draws what it recorded. [`cli`] parses and prints, and does nothing else.
//!
//! Invariant: here things are put together; what can be said of one thing alone stands in its crate.
//! Border: on all of them, and none on this one.

pub mod cli;
pub mod exit;
pub mod report;
pub mod run;
pub mod seed;
pub mod summary;
pub mod watch;
