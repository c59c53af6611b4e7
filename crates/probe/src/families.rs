//! What is looked at of each kind of claims. What a kind's figures are, and where they stand, is its own business; this is
//! the one place that lists them.

mod coupon;

use std::collections::BTreeMap;

use contract::claim::{Claim, Kind};
use record::event::{Figures, ProbeSample};

pub use self::coupon::run_id;
use crate::ProbePlan;

/// Long-lived readers of all that a plan asks for. A kind without figures is looked at by the verdict
/// alone.
#[derive(Debug)]
pub(super) struct Families {
    coupons: coupon::Coupons,
}

/// What MySQL said; see [`Families::rows`].
pub(super) struct Rows(Result<coupon::RowsReading, String>);

impl Families {
    pub fn new(plan: &ProbePlan) -> Self {
        Self { coupons: coupon::Coupons::new(plan) }
    }

    /// Reads what is downstream of everything else.
    pub async fn rows(&mut self) -> Rows {
        Rows(self.coupons.rows.read(&self.coupons.ids).await)
    }

    /// Reads what is upstream of everything else, and fills in both. Gives what is another's by now, with why.
    pub async fn fill(&mut self, sample: &mut ProbeSample, rows: Rows) -> BTreeMap<Claim, String> {
        let gates = self.coupons.gates.read(&self.coupons.ids).await;
        self.coupons.fill(sample, rows.0, gates)
    }
}

/// What of `claim` is not at rest, or not known to be.
pub(super) fn moving(claim: Claim, figures: &Figures) -> Vec<String> {
    // What has no figures has none that move.
    if claim.kind == Kind::Coupon { coupon::moving(claim, figures) } else { Vec::new() }
}

/// What all of it looks like at rest.
pub(super) fn at_rest(sample: &ProbeSample) -> String {
    coupon::at_rest(sample)
}
