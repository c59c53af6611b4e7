//! Points of the users.

pub mod migrations;
