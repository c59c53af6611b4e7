//! Docker.

pub mod image;
