//! Consumer lag of a group: how far it is behind, where that leads, and who reads what.
//!
//! [`Sampler`] looks at Kafka once a second from a thread of its own; [`History`] keeps the last looks and says what they
//! mean (`docs/lag.md` has the rules in words). The rules are pure: they know no clock and no client.

mod assignment;
mod dead;
mod group;
mod look;
mod plan;
mod reader;
mod rules;
mod sampler;
mod track;

pub use self::{
    look::{GroupLook, Look, PartitionLook},
    plan::LagPlan,
    rules::{History, Rules},
    sampler::{Handle, Sampler},
};
