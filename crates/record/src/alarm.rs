//! Alarms: levels that a metric should not stay at while a run goes on.
//!
//! [`crate::metric`] holds the metrics that exist, and reads them from events; [`machine`] decides when a level counts and
//! when it is over, and [`watch`] does both for all alarms of a run. Only the recorder of a run has a watch: what it
//! finds becomes an event, so that whoever attaches or replays sees the same, and nothing is judged twice.
//!
//! An alarm changes no exit code: goals say what a run must reach, alarms where somebody should look meanwhile.

pub mod machine;
pub mod watch;
