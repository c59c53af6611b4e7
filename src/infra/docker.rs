//! Docker.

pub mod image;
pub mod places;
pub mod provider;
