//! How long it took from a request's first byte to its row.

use hdrhistogram::Histogram;

use super::{
    ledger::{LedgerSets, Told},
    model::Sets,
};

/// Longest time that is told apart: an hour, in microseconds.
const LONGEST_US: u64 = 3_600_000_000;

/// From the first byte of each acknowledged request (the generator's clock, laid over the wall clock at
/// `origin_unix_ns`, the run's start) to its row's `created_at` (MySQL's clock), in microseconds. Where the clocks
/// disagree a negative time counts as 0. `None` where there is no such row.
pub(super) fn end_to_end(ledger: &LedgerSets, sets: &Sets, origin_unix_ns: u64) -> Option<Histogram<u64>> {
    let mut histogram = Histogram::new_with_bounds(1, LONGEST_US, 3).ok()?;
    for coupon in &sets.coupons {
        let (Ok(rows), Some(ledger)) = (&coupon.rows, ledger.coupons.get(&coupon.coupon)) else { continue };
        for row in rows {
            let told = ledger.users.get(&row.user).filter(|told| told.acknowledged());
            let Some(began) = told.and_then(Told::began) else { continue };
            let began_us = (i128::from(origin_unix_ns) + i128::from(began)) / 1_000;
            let took = i128::from(row.created_us) - began_us;
            histogram.saturating_record(u64::try_from(took).unwrap_or(0).min(LONGEST_US));
        }
    }
    (!histogram.is_empty()).then_some(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::coupon::{
        Coupons,
        testing::{Sketch, world},
    };

    #[test]
    fn time_runs_from_the_first_byte_to_the_row_and_never_backwards() {
        let origin_us = 1_000_000_000_u64;
        let mut world = world(&[Sketch {
            total: 5,
            grants: "1:1 2:2 3:3".into(),
            ledger: Some("1 QUEUED 1000000-1500000\n2 QUEUED 9000000-9500000\n3 UNKNOWN 0-10".into()),
            ..Sketch::default()
        }]);
        for row in world.rows() {
            row.created_us = i64::try_from(origin_us).unwrap() + 6_000;
        }
        let Coupons { sets, ledger } = world.coupons;
        let times = end_to_end(&ledger.unwrap(), &sets, origin_us * 1_000).unwrap();
        assert_eq!((times.len(), times.min()), (2, 0), "two acknowledged, one of them before its request");
        assert!((4_990..=5_010).contains(&times.max()), "{}", times.max());
        assert!(end_to_end(&LedgerSets::default(), &sets, 0).is_none());
    }
}
