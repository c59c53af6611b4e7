//! Users: who exists, and what they hold.

pub mod directory;
pub mod migrations;
pub mod routes;
