//! What a run says and what it came to: [`event`]s, the [`state`] that is made of them and of nothing else, its replay,
//! [`goal`]s and [`alarm`]s over its figures, which [`metric`]s there are, [`invariant`]s of its data, [`act`]s on it, and which
//! [`epoch`] evidence belongs to.
//!
//! Invariant: no I/O but the files of a recorded run. Nothing here connects to a server, draws or keeps the time, so that
//! whoever looks (the run's own process, another one, a replay) has the same state.
//! Border: on `base` and `contract`.

pub mod act;
pub mod alarm;
pub mod epoch;
pub mod event;
pub mod goal;
pub mod invariant;
pub mod metric;
pub mod replay;
pub mod state;
