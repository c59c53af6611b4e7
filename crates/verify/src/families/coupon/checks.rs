//! The checks on coupons: pure functions from what was read to a verdict. No server is asked here.
//!
//! [`bounds`] (CP1, CP3, CP8), [`uniqueness`] (CP2), [`membership`] (CP4, CP5, CP6, CP14), [`rest`] (CP7), [`order`]
//! (CP9, CP10), [`accounting`] (CP13).

mod accounting;
mod bounds;
mod membership;
mod order;
mod rest;
mod uniqueness;
mod view;

use contract::claim::Kind;

use self::view::View;
use super::Coupons;
use crate::{
    checks::{self, CheckOutcome, conjunction, some_of},
    families::Family,
    model::CheckResult,
    store::Context,
};

/// A check: what it says about one coupon.
type Judge = fn(&View<'_>) -> CheckOutcome;

/// All of them.
const ALL: [(&str, Judge); 12] = [
    ("CP1", bounds::cp1),
    ("CP2", uniqueness::cp2),
    ("CP3", bounds::cp3),
    ("CP4", membership::cp4),
    ("CP5", membership::cp5),
    ("CP6", membership::cp6),
    ("CP7", rest::cp7),
    ("CP8", bounds::cp8),
    ("CP9", order::cp9),
    ("CP10", order::cp10),
    ("CP13", accounting::cp13),
    ("CP14", membership::cp14),
];

/// Runs every check over every coupon. A ledger that does not add up proves nothing: whatever rests on it is unknown.
pub(super) fn all(coupons: &Coupons, context: &Context) -> Vec<CheckResult> {
    let views: Vec<View<'_>> = coupons.sets.coupons.iter().map(|sets| View::new(coupons, sets, context)).collect();
    let said = |judge: Judge| views.iter().map(|view| (view.account.subject.clone(), judge(view))).collect();
    let merge = |id, judge| checks::merge(id, Some(Kind::Coupon), said(judge), || coupons.is_claimed(context));
    ALL.into_iter().map(|(id, judge)| merge(id, judge)).collect()
}

#[cfg(test)]
mod tests;
