//! Points of the users: balances, and a ledger whose sum they are.

pub mod api;
pub mod ledger;
pub mod migrations;

use std::sync::Arc;

use crate::{api::Limits, db::Db, user::Users};

/// The points of an API process.
pub struct Points {
    /// MySQL.
    pub db: Db,
    /// Whose they are.
    pub users: Arc<Users>,
    /// Limits of a request.
    pub limits: Limits,
}
