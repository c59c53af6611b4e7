//! The flash-sale backend that ecomctl launches.
//!
//! A request walks through it like this: `api` reserves a place in the producer's queue and asks the `gate` (one Lua
//! script in Redis); a grant is sent to Kafka and acknowledged only on the delivery report; a `consumer` writes the row
//! and commits the offset after it; the `reconciler` sends what a killed API left pending, and rebuilds a lost gate.
//!
//! Invariant: what is acknowledged is never lost, and it knows nothing of the tool that launches it: no command line, no
//! terminal, no Engine.
//! Border: on `contract`.

pub mod api;
pub mod consumer;
pub mod coupon;
pub mod db;
pub mod epoch;
pub mod event;
pub mod health;
pub mod migrate;
pub mod point;
pub mod producer;
pub mod product;
pub mod reconciler;
pub mod redis_pool;
pub mod routes;
mod run;
mod sync;
pub mod telemetry;
pub mod user;

pub use run::{BackendError, run, runtime};
