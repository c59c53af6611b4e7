//! The servers of a stack: bringing them up, looking at them, taking them down.

pub mod stack;
