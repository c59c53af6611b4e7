//! The servers of a stack: bringing them up, looking at them, taking them down.
//!
//! [`up`] chooses a provider for each server: [`native`] starts private ones, [`external`] finds those of the user.
//! What runs stands in [`stack`]'s `stack.json`, below the [`state`] folder, and every other command goes by it.
//!
//! Invariant: it starts, finds and ends servers, and touches nothing that is not its own ([`owned`]). It knows no run, no load
//! and no verdict.
//! Border: on `base`, `compose`, `contract`, `kafka`, `profile` and `record`.

pub mod choice;
pub mod clients;
pub mod conf;
pub mod docker;
pub mod down;
pub mod env;
pub mod error;
pub mod external;
pub mod gates;
pub mod launched;
pub mod logs;
pub mod native;
pub mod owned;
pub mod ports;
pub mod preflight;
pub mod process;
pub mod ready;
mod restart;
mod room;
pub mod stack;
pub mod state;
pub mod stats;
pub mod status;
pub mod topics;
pub mod up;

pub use down::{Down, DownReport, down, down_as, down_by_label};
pub use error::InfraError;
pub use restart::{RestartReport, Restarted, restart, stop};
pub use state::StateDir;
pub use status::{Status, status};
pub use up::{UpEvent, UpReport, UpRequest, up};
