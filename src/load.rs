//! The load generator.

pub mod ledger;
