//! The flash-sale backend that ecomctl launches.
//!
//! One folder a domain ([`coupon`], [`user`], [`product`], [`point`]): its routes (`api`), what its events become
//! (`consumer`), its figures (`metrics`) and its steps of the schema (`migrations`). `domains` lists what each puts into a
//! process; which of them a process has is said by the description of its system ([`contract::system`]), and nothing else
//! asks which system it is. What they share knows none of them: [`api`] (HTTP), [`consumer`] (a member of a group over a
//! `Sink`), [`producer`], [`db`], [`redis_pool`], [`telemetry`], [`health`].
//!
//! Invariant: what is acknowledged is never lost, and it knows nothing of the tool that launches it: no command line, no
//! terminal, no Engine.
//! Border: on `contract`.

pub mod api;
pub mod consumer;
pub mod coupon;
pub mod db;
mod domains;
pub mod health;
pub mod migrate;
pub mod point;
pub mod producer;
pub mod product;
pub mod redis_pool;
mod run;
mod sync;
pub mod telemetry;
pub mod user;

pub use coupon::epoch;
pub use run::{BackendError, run, runtime};
