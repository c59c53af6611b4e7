//! What the backend, the tool that launches it and the checks that judge it have in common: names, addresses, settings,
//! and how a process is told what to do.
//!
//! Invariant: no behaviour that is judged. Nothing here opens a connection, reads a file or keeps the time; a check may
//! use any of it and still know nothing of the code that it checks.
//! Border: below every other crate; of the project's own it uses none.

pub mod cause;
pub mod claim;
pub mod endpoint;
pub mod failpoint;
pub mod figures;
pub mod human;
pub mod names;
pub mod process;
pub mod settings;
pub mod system;
