//! First-come-first-served coupons: the gate that grants them, and the routes in front of it.

pub mod cache;
pub mod delivered;
pub mod gate;
pub mod issue;
pub mod migrations;
pub mod pending;
pub mod routes;
