//! Families of checks: one a kind of claims. What a family reads, keeps and compares is its own business; to the rest it is
//! a [`Family`], and [`of`] is the one place that lists them.

pub(crate) mod coupon;
pub(crate) mod point;

use std::{collections::BTreeMap, path::Path, pin::Pin};

use contract::claim::Kind;
use hdrhistogram::Histogram;
use load::ledger::Entry;
use record::event::ProbeSample;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinError;

pub use self::{
    coupon::{LogBefore, Recorded, SetSizes, recorded},
    point::PointSizes,
};
use crate::{
    LiveFacts, VerifyPlan,
    accounting::Account,
    model::{CheckResult, Known, Subject},
    store::{Context, Parts, StoreError},
};

/// What a family does in its own time.
pub(crate) type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The claims of one kind: what people were told about them, what the servers hold, and what comes of comparing the two.
pub(crate) trait Family: Send + Sync {
    /// Takes an answer about one of its kind out of the ledger.
    fn told(&mut self, entry: &Entry);

    /// There is no ledger, or no whole one, because of `why`: nothing is known of what people were told.
    fn untold(&mut self, why: &str);

    /// Whether anybody was told anything.
    fn was_told(&self) -> bool;

    /// Whether anything of its kind is claimed, where that is known. Its checks are not applicable to a run that claims none.
    fn is_claimed(&self, context: &Context) -> Known<bool>;

    /// Reads the servers. What cannot be read is no error, and makes checks unknown.
    fn collect<'a>(&'a mut self, plan: &'a VerifyPlan) -> Doing<'a, Result<(), JoinError>>;

    /// Nothing can be read of `subjects`, because of `why`.
    fn unread(&mut self, subjects: &[Subject], why: &str);

    /// Looks once more at what seems to be wrong, and notes what has changed since: what is missing may be on its way.
    /// True where something has.
    fn is_moving<'a>(&'a mut self, _plan: &'a VerifyPlan) -> Doing<'a, bool> {
        Box::pin(std::future::ready(false))
    }

    /// What was sent and answered, of each thing that is counted apart.
    fn accounts(&self, context: &Context) -> Vec<Account>;

    /// One result for each check of the kind.
    fn judge(&self, context: &Context) -> Vec<CheckResult>;

    /// The sizes of what was compared.
    fn sizes(&self) -> Vec<Sizes>;

    /// What decides no check, but must not go unsaid.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// From a request's first byte to its row in microseconds, by the ledger's zero in nanoseconds since 1970.
    fn end_to_end(&self, _origin_unix_ns: u64) -> Option<Histogram<u64>> {
        None
    }

    /// Writes what was read into `folder`, large sets as files of their own and what is small into `parts`.
    fn save(&self, folder: &Path, parts: &mut Parts) -> Result<(), StoreError>;

    /// Reads what [`Self::save`] wrote; false where it wrote nothing.
    fn load(&mut self, folder: &Path, parts: &mut Parts) -> Result<bool, StoreError>;

    /// The checks that a sample of the running load can prove false.
    fn counted(&self) -> &'static [&'static str] {
        &[]
    }

    /// The statements that a sample of the running load proves false.
    fn live(&self, _sample: &ProbeSample, _facts: &LiveFacts) -> Vec<CheckResult> {
        Vec::new()
    }
}

/// Kind → its family.
pub(crate) type Families = BTreeMap<Kind, Box<dyn Family>>;

/// The family that judges claims of `kind`.
pub(crate) fn of(kind: Kind) -> Box<dyn Family> {
    match kind {
        Kind::Coupon => Box::<coupon::Coupons>::default(),
        Kind::Point => Box::<point::Points>::default(),
    }
}

/// Sizes of what was compared, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Sizes {
    /// Of one coupon.
    Coupon(SetSizes),
    /// Of all bookings of points.
    Point(PointSizes),
}

/// What was compared, by kind, as it stands in a summary.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Sets {
    /// Coupon by coupon, the sets that were compared.
    pub coupons: Vec<SetSizes>,
}

/// Sets of one kind as people read them: a row each, with as many counts as there are headings.
#[derive(Debug)]
pub struct SetTable {
    /// Of which kind.
    pub kind: Kind,
    /// Title.
    pub title: &'static str,
    /// What the letters mean.
    pub legend: &'static str,
    /// Letters over the columns: the first one's is what the rows are called by.
    pub letters: &'static [&'static str],
    /// The same in words.
    pub headings: &'static [&'static str],
    /// What each row is called, and its counts; none where a set is not known.
    pub rows: Vec<(String, Vec<Option<i64>>)>,
}

impl Sets {
    /// Those of `sizes` that are listed one by one.
    pub fn of(sizes: &[Sizes]) -> Self {
        let coupon = |sizes: &Sizes| match sizes {
            Sizes::Coupon(sizes) => Some(sizes.clone()),
            Sizes::Point(_) => None,
        };
        Self { coupons: sizes.iter().filter_map(coupon).collect() }
    }

    /// One table a kind that has any.
    pub fn tables(&self) -> Vec<SetTable> {
        (!self.coupons.is_empty()).then(|| coupon::table(&self.coupons)).into_iter().collect()
    }
}
