//! Coupons: of each there is a limited number, granted by a gate in Redis; each user gets one at most. Its names in
//! Redis, its figures, and what its checks state.

use super::{Claim, Description, Kind, Outcome};
use crate::figures::{Came, Column, Figure, Step, Table, Wrong};

/// What there is to know of them.
pub(super) const DESCRIPTION: Description = Description {
    name: "coupon",
    classes: &[
        ("QUEUED", Outcome::Acknowledged),
        ("SOLD_OUT", Outcome::Exhausted),
        ("DUPLICATE", Outcome::Duplicate),
        ("ERROR", Outcome::Refused),
        ("UNKNOWN", Outcome::Unknown),
    ],
    checks: &[
        ("CP1", "never over-issued"),
        ("CP2", "one row per coupon and user, under keys that exist"),
        ("CP3", "stock and grants add up to the total"),
        ("CP4", "no phantom row: M ⊆ K ⊆ G"),
        ("CP5", "nothing acknowledged is lost"),
        ("CP6", "nobody refused holds a coupon"),
        ("CP7", "every grant became a row or a dead letter"),
        ("CP8", "never under-sold"),
        ("CP9", "grant sequence without hole or duplicate"),
        ("CP10", "first come, first served"),
        ("CP13", "the issued counter equals the rows"),
        ("CP14", "whoever was told DUPLICATE holds a coupon"),
    ],
    funnel: FUNNEL,
    table: TABLE,
    progress: PROGRESS,
    figures: ALL,
};

impl Claim {
    /// Coupon `id`.
    pub const fn coupon(id: u64) -> Self {
        Self::numbered(Kind::Coupon, id)
    }
}

/// Redis keys of one coupon's gate. The braces are literal: they put the four keys into one cluster slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateKeys {
    /// String: coupons that are left.
    pub stock: String,
    /// Hash: user id → grant sequence, with [`GRANT_PENDING`] behind it until Kafka has acknowledged the grant.
    pub users: String,
    /// Sorted set: `"<sequence>|<event JSON>"` → Redis time of the grant (or of the last claim), in milliseconds.
    pub pending: String,
    /// Hash with the fields [`EPOCH_ID`], [`EPOCH_TOTAL`] and [`EPOCH_SEQUENCE`].
    pub epoch: String,
}

/// Stands behind the number of a grant that Kafka has not acknowledged. Gates of version 0.1 have no such marks.
pub const GRANT_PENDING: &str = "?";
/// Field of the epoch hash: the epoch, `"<run_id>:<life>:<counter>"`.
pub const EPOCH_ID: &str = "id";
/// Field of the epoch hash: T, the number of coupons there are in all.
pub const EPOCH_TOTAL: &str = "total";
/// Field of the epoch hash: the last grant sequence that was given out.
pub const EPOCH_SEQUENCE: &str = "seq";

/// The keys of coupon `coupon_id`.
pub fn gate_keys(coupon_id: u64) -> GateKeys {
    let key = |part: &str| format!("coupon:{{{coupon_id}}}:{part}");
    GateKeys { stock: key("stock"), users: key("users"), pending: key("pending"), epoch: key("epoch") }
}

/// What the three parts of a gate count, each with its size: the stock's value, the users and those that are pending.
pub const GATE_FIGURES: [Figure; 3] = [STOCK, GRANTS, PENDING];

/// What the stock keys of all gates look like, for SCAN.
pub const GATE_PATTERN: &str = "coupon:{*}:stock";

/// The id of the gate whose stock `key` holds; the other way round than [`gate_keys`].
pub fn gate_id(key: &str) -> Option<u64> {
    key.strip_prefix("coupon:{")?.strip_suffix("}:stock")?.parse().ok()
}

/// |M|
pub const ROWS: Figure = Figure { name: "rows", about: "rows in MySQL" };
/// |G|
pub const GRANTS: Figure = Figure { name: "grants", about: "grants in Redis" };
/// T − |G|
pub const STOCK: Figure = Figure { name: "stock", about: "left in Redis" };
/// Between Redis and Kafka.
pub const PENDING: Figure = Figure { name: "pending", about: "granted, not yet acknowledged by Kafka" };
/// Left out where counting them would cost too much.
pub const HOLDERS: Figure = Figure { name: "holders", about: "distinct users among the rows" };
/// Last number that the gate gave out.
pub const SEQUENCE: Figure = Figure { name: "sequence", about: "last grant number that the gate gave out" };

const FUNNEL: &[Step] = &[
    Step { label: "requests", came: Came::Requests },
    Step { label: "granted", came: Came::Sum(GRANTS) },
    Step { label: "in Kafka", came: Came::Without(GRANTS, PENDING) },
    Step { label: "rows", came: Came::Sum(ROWS) },
];
const TABLE: Table = Table {
    heading: "coupon",
    title: "Coupons",
    in_redis: "Stock and grants",
    none: "no coupons are watched",
    columns: &[
        Column { figure: STOCK, heading: "stock", width: 8, from: 0, wrong: Wrong::BelowZero },
        Column { figure: GRANTS, heading: "granted", width: 8, from: 0, wrong: Wrong::AboveTotal },
        Column { figure: PENDING, heading: "pending", width: 7, from: 50, wrong: Wrong::Never },
        Column { figure: ROWS, heading: "rows", width: 8, from: 0, wrong: Wrong::AboveTotal },
    ],
};
const PROGRESS: &[(&str, Figure)] = &[("rows", ROWS), ("left", STOCK)];
const ALL: &[Figure] = &[ROWS, GRANTS, STOCK, PENDING, HOLDERS, SEQUENCE];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_keys_of_a_coupon_share_one_cluster_slot() {
        let keys = gate_keys(7);
        assert_eq!(keys.stock, "coupon:{7}:stock");
        assert_eq!(gate_id(&keys.stock), Some(7));
        assert_eq!(gate_id(&keys.users), None);
        for key in [&keys.users, &keys.pending, &keys.epoch] {
            assert!(key.starts_with("coupon:{7}:"), "{key} hashes by another tag");
        }
    }
}
