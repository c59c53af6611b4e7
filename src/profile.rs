//! Profiles: what a run does, in YAML.

pub mod model;
