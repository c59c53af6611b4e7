//! A, U and F: what the generator's own ledger says that people were told.

use std::collections::{BTreeMap, HashMap};

use contract::claim::{Id, Kind};
use load::ledger::{Entry, Outcome};

use crate::accounting::Counts;

/// What one user was told about one coupon, over all of their requests. Times are nanoseconds on the run's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a user may have had any mixture of answers")]
pub struct Told {
    /// Some answer was QUEUED.
    pub queued: bool,
    /// Some answer was a 5xx, a time-out or a reset.
    pub unknown: bool,
    /// Some answer was `SOLD_OUT` or a 4xx other than DUPLICATE.
    pub refused: bool,
    /// Some answer was DUPLICATE.
    pub duplicate: bool,
    /// Earliest begin of a request that was answered QUEUED.
    queued_start: u64,
    /// Earliest end of a request that was answered QUEUED.
    queued_end: u64,
    /// Earliest begin of a request whose outcome is not known.
    unknown_start: u64,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            queued: false,
            unknown: false,
            refused: false,
            duplicate: false,
            queued_start: u64::MAX,
            queued_end: u64::MAX,
            unknown_start: u64::MAX,
        }
    }
}

impl Told {
    fn add(&mut self, entry: &Entry) {
        match entry.outcome {
            Outcome::Acknowledged => {
                self.queued = true;
                self.queued_start = self.queued_start.min(entry.start_ns);
                self.queued_end = self.queued_end.min(entry.end_ns);
            }
            Outcome::Unknown => {
                self.unknown = true;
                self.unknown_start = self.unknown_start.min(entry.start_ns);
            }
            Outcome::Exhausted | Outcome::Refused => self.refused = true,
            Outcome::Duplicate => self.duplicate = true,
        }
    }

    /// In A: acknowledged.
    pub fn acknowledged(&self) -> bool {
        self.queued
    }

    /// In U: perhaps granted, perhaps not. It is never counted as refused.
    pub fn uncertain(&self) -> bool {
        self.unknown && !self.queued
    }

    /// In F: every answer was a refusal.
    pub fn only_refused(&self) -> bool {
        self.refused && !self.queued && !self.unknown && !self.duplicate
    }

    /// When the request that may have been granted began; `None` where no request can have been.
    pub fn began(&self) -> Option<u64> {
        match (self.queued, self.unknown) {
            (true, _) => Some(self.queued_start),
            (false, true) => Some(self.unknown_start),
            (false, false) => None,
        }
    }

    /// When the answer QUEUED had been read; `None` without such an answer.
    pub fn ended(&self) -> Option<u64> {
        self.queued.then_some(self.queued_end)
    }
}

/// The ledger of one coupon. Memory grows with distinct users, not with requests.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CouponLedger {
    /// What each user was told.
    pub users: HashMap<u64, Told>,
    /// Answers by outcome.
    pub counts: Counts,
    /// The `SOLD_OUT` answer that ended first: its time and its user.
    pub first_sold_out: Option<(u64, u64)>,
}

impl CouponLedger {
    /// Adds one answer.
    pub fn add(&mut self, entry: &Entry) {
        self.users.entry(entry.actor).or_default().add(entry);
        self.counts.add(entry.outcome);
        if entry.outcome == Outcome::Exhausted && self.first_sold_out.is_none_or(|(end, _)| entry.end_ns < end) {
            self.first_sold_out = Some((entry.end_ns, entry.actor));
        }
    }

    /// Answers with this outcome.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.counts.of(outcome)
    }

    /// All answers.
    pub fn answers(&self) -> u64 {
        self.counts.all()
    }

    /// How many users are in a set.
    pub fn size(&self, of: impl Fn(&Told) -> bool) -> u64 {
        self.users.values().filter(|told| of(told)).count() as u64
    }

    /// The users of a set, in their order.
    pub fn members(&self, of: impl Fn(&Told) -> bool) -> Vec<u64> {
        let mut users: Vec<u64> = self.users.iter().filter(|(_, told)| of(told)).map(|(user, _)| *user).collect();
        users.sort_unstable();
        users
    }
}

/// The whole ledger by coupon.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LedgerSets {
    /// Coupon → its answers.
    pub coupons: BTreeMap<u64, CouponLedger>,
}

impl LedgerSets {
    /// Adds one answer.
    pub fn add(&mut self, entry: &Entry) {
        if let (Kind::Coupon, Some(Id::Number(coupon))) = (entry.kind, entry.key) {
            self.coupons.entry(coupon).or_default().add(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(outcomes: &[Outcome]) -> Told {
        let mut told = Told::default();
        for (i, outcome) in outcomes.iter().enumerate() {
            let start_ns = 10 * i as u64;
            let (kind, key) = (Kind::Coupon, Some(Id::Number(1)));
            let end_ns = start_ns + 5;
            told.add(&Entry { kind, key, actor: 1, start_ns, end_ns, outcome: *outcome, receipt: None });
        }
        told
    }

    #[test]
    fn the_sets_are_those_of_the_definition() {
        use Outcome::{Acknowledged, Duplicate, Exhausted, Refused, Unknown};
        for (outcomes, in_a, in_u, in_f) in [
            (vec![Acknowledged], true, false, false),
            (vec![Unknown, Acknowledged], true, false, false),
            (vec![Exhausted, Acknowledged], true, false, false),
            (vec![Unknown], false, true, false),
            (vec![Exhausted, Unknown], false, true, false),
            (vec![Exhausted], false, false, true),
            (vec![Refused, Exhausted], false, false, true),
            (vec![Exhausted, Duplicate], false, false, false),
            (vec![Duplicate], false, false, false),
        ] {
            let told = told(&outcomes);
            let sets = (told.acknowledged(), told.uncertain(), told.only_refused());
            assert_eq!(sets, (in_a, in_u, in_f), "{outcomes:?}");
        }
    }

    #[test]
    fn a_grant_begins_with_the_request_that_was_acknowledged() {
        let told = told(&[Outcome::Unknown, Outcome::Acknowledged, Outcome::Duplicate]);
        assert_eq!((told.began(), told.ended()), (Some(10), Some(15)));
    }
}
