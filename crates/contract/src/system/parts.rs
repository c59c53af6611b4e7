//! What systems are put together from: domains of the backend, and steps of their schemas.

use crate::claim::Kind;

/// A part of what the backend serves, with routes, rows and figures of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// Who there is.
    Users,
    /// What is sold.
    Products,
    /// Points of the users.
    Points,
    /// Coupons, granted by a gate.
    Coupons,
}

impl Domain {
    /// What can be claimed of it.
    pub const fn claims(self) -> Option<Kind> {
        match self {
            Self::Users | Self::Products => None,
            Self::Points => Some(Kind::Point),
            Self::Coupons => Some(Kind::Coupon),
        }
    }
}

/// A step of the schema. The statements stand with the backend's domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `users`.
    Users,
    /// `users` with a public id.
    PublicUsers,
    /// `products`.
    Products,
    /// `points`: balances.
    Points,
    /// `point_entries`: what happened to each balance.
    PointEntries,
    /// `coupons`, `coupon_users`, `coupon_epochs`.
    Coupons,
}
