//! YAML as people write it: a tree in which every value knows its place, problems that name it, and "did you mean".
//!
//! Profiles and compose files are read through this.

pub mod problem;
pub mod scalar;
pub mod suggest;
pub mod tree;
