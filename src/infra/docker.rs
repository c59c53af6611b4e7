//! Docker.

pub mod image;
pub mod logs;
pub mod stats;
