//! Compose files: read, merged and checked, without anything that talks to an engine.
//!
//! The part of the compose specification that the stacks here need, and nothing silently less: a key that is not
//! supported is an error that names file, line and key. <https://github.com/compose-spec/compose-spec>

pub mod model;
