//! Points: a booking on a user's balance. Its id is the key that makes it happen once, so that each request claims another.

use super::{Description, Outcome};
use crate::figures::Table;

/// What there is to know of them.
pub(super) const DESCRIPTION: Description = Description {
    name: "point",
    classes: &[
        ("OK", Outcome::Acknowledged),
        ("REFUSED", Outcome::Refused),
        ("ERROR", Outcome::Refused),
        ("UNKNOWN", Outcome::Unknown),
    ],
    checks: &[("PT6", "every acknowledged charge or use of points has exactly one entry")],
    funnel: &[],
    table: Table { heading: "point", title: "Points", in_redis: "Points", none: "no points are watched", columns: &[] },
    progress: &[],
    figures: &[],
};
