//! The dashboard. It reads a run's state and draws it; what it wants done it asks for over a channel. It never calls
//! `infra`, `load` or `probe`.
//!
//! ```text
//! source ──► RunState ──► board ──► Board ─┐
//! keys ────► Action ────► view ──► View ───┼──► draw ──► Buffer ──► terminal
//! logs ────► Logs ─────────────────────────┘
//!                          └──► Command ──► whoever holds the other end
//! ```
//!
//! No type of the drawing library leaves this module.
//!
//! Invariant: it draws, and does nothing. No server, no run, no file but the recording that it follows is opened from here.
//! Border: on `base`, `contract` and `record`.

pub mod acts;
pub mod app;
pub mod board;
pub mod draw;
pub mod export;
pub mod keys;
pub mod launch;
pub mod logs;
pub mod model;
pub mod sample;
pub mod source;
pub mod terminal;
pub mod text;
pub mod theme;
pub mod view;

#[cfg(test)]
mod tests;
