//! First-come-first-served coupons.
//!
//! A request walks through it like this: [`api`] looks coupon and user up; [`issue`] reserves a place in the producer's
//! queue and asks the [`gate`] (one Lua script in Redis); a grant becomes an [`event`] in Kafka and is acknowledged only
//! on the delivery report, and then leaves [`pending`]; the [`consumer`] writes the row; the [`reconciler`] sends what a
//! killed API left pending, and rebuilds a lost gate in a new [`epoch`].

pub mod api;
pub mod cache;
pub mod consumer;
pub mod delivered;
pub mod epoch;
pub mod event;
pub mod gate;
pub mod issue;
pub mod issuer;
pub mod metrics;
pub mod migrations;
pub mod pending;
pub mod reconciler;
