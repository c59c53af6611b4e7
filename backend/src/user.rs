//! Users: who exists, and what they hold.

pub mod directory;
pub mod routes;
