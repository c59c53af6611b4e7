//! What several crates use and none owns: YAML that knows its lines, figures as people read them, files, HTTP, tables,
//! the identity of a process, a line of a log.
//!
//! Invariant: no word of what the project is about. Nothing here knows a server, a run or a profile.
//! Border: of the project's own it uses none.

pub mod figure;
pub mod files;
pub mod held;
pub mod http;
pub mod log_line;
pub mod process;
pub mod table;
pub mod yaml;
