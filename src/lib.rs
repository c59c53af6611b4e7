//! ecomctl: one binary that brings up a MySQL + Redis + Kafka stack, loads it, and proves that nothing was lost,
//! doubled or over-sold.
//!
//! Data take one way: [`profile`] → [`infra`] (stack) → [`seed`] → backend processes → [`load`] (phases, ledger) with
//! [`probe`] beside it → drain → [`verify`] → [`summary`] → [`report`]; [`lag`] looks at any consumer group. [`run`]
//! walks it and owns the run's state; every stage emits events on one bounded channel, one recorder writes them down;
//! [`tui`] draws what it recorded. [`cli`] parses and prints, and does nothing else.

pub mod alarm;
pub mod cli;
pub mod compose;
pub mod epoch;
pub mod event;
pub mod exit;
pub mod figure;
mod files;
pub mod goal;
mod held;
pub mod http;
pub mod infra;
mod kafka;
pub mod lag;
pub mod load;
pub mod probe;
pub mod profile;
pub mod report;
pub mod run;
pub mod seed;
pub mod summary;
pub mod table;
pub mod tui;
pub mod verify;
pub mod watch;
mod yaml;
