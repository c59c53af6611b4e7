//! One run from beginning to end.

pub mod event;
