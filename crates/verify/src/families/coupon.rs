//! Coupons: one of a limited number, at most once for each user, granted by a gate in Redis, sent through Kafka and
//! written to MySQL.
//!
//! [`collect`] reads the sets, [`checks`] compares them with each other and with what people were told ([`ledger`]).

mod checks;
mod collect;
mod kafka;
mod latency;
mod ledger;
mod live;
mod model;
mod mysql;
mod notes;
mod redis;
mod store;
#[cfg(test)]
mod testing;

use std::path::Path;

use ::load::ledger::Entry;
use contract::claim::{Claim, Id, Kind};
use hdrhistogram::Histogram;
use record::event::ProbeSample;
use tokio::task::JoinError;

pub use self::{
    kafka::LogBefore,
    model::SetSizes,
    store::{Recorded, recorded},
};
use self::{
    ledger::{CouponLedger, LedgerSets, Told},
    model::{CouponSets, Sets},
};
use super::{Doing, Family, SetTable, Sizes};
use crate::{
    LiveFacts, VerifyPlan,
    accounting::{Account, Counts},
    model::{CheckResult, Known, Subject},
    store::{Context, Parts, StoreError},
};

/// Everything about coupons: what the servers hold, and what people were told.
#[derive(Debug, Clone)]
pub(crate) struct Coupons {
    sets: Sets,
    ledger: Known<LedgerSets>,
}

impl Default for Coupons {
    fn default() -> Self {
        let unread = "it was not read";
        let sets = Sets { topic: Err(unread.into()), keys: Err(unread.into()), coupons: Vec::new() };
        Self { sets, ledger: Ok(LedgerSets::default()) }
    }
}

/// The sets of all coupons as people read them.
pub(super) fn table(all: &[SetSizes]) -> SetTable {
    let n = |value: Option<u64>| value.map(|n| n as i64);
    let row = |c: &SetSizes| {
        let (dead, acknowledged, uncertain, refused) = (n(c.dead), n(c.acknowledged), n(c.uncertain), n(c.refused));
        let counts = [Some(c.total as i64), n(c.grants), n(c.events), n(c.rows), dead, c.stock];
        (c.coupon.to_string(), counts.into_iter().chain([acknowledged, uncertain, refused]).collect())
    };
    SetTable {
        kind: Kind::Coupon,
        title: "Coupons",
        legend: "T total, G granted in Redis, K events in Kafka, M rows in MySQL, D dead letters, A told QUEUED, U unknown, \
                 F refused.",
        letters: &["coupon", "T", "G", "K", "M", "D", "stock", "A", "U", "F"],
        headings: &[
            "coupon",
            "total",
            "granted",
            "events",
            "rows",
            "dead",
            "left",
            "told QUEUED",
            "unknown",
            "refused",
        ],
        rows: all.iter().map(row).collect(),
    }
}

/// A coupon that is to be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    id: u64,
    /// T: how many there are in all.
    total: u64,
}

/// The coupons among `subjects`.
fn coupons(subjects: &[Subject]) -> Vec<Plan> {
    let coupon = |subject: &Subject| match (subject.claim, subject.total) {
        (Claim { kind: Kind::Coupon, id: Some(Id::Number(id)) }, Some(total)) => Some(Plan { id, total }),
        _ => None,
    };
    subjects.iter().filter_map(coupon).collect()
}

/// What a coupon is called in reports.
fn name_of(coupon: u64) -> String {
    format!("coupon {coupon}")
}

impl Coupons {
    /// The ledger of one coupon: empty where nobody was told anything about it.
    fn ledger_of(&self, coupon: u64) -> Known<&CouponLedger> {
        static NOBODY: std::sync::LazyLock<CouponLedger> = std::sync::LazyLock::new(CouponLedger::default);
        let all = self.ledger.as_ref().map_err(Clone::clone)?;
        Ok(all.coupons.get(&coupon).unwrap_or(&NOBODY))
    }

    /// What was sent and answered for one coupon.
    fn account(&self, sets: &CouponSets, context: &Context) -> Account {
        let sent = context.sent.get(&Claim::coupon(sets.coupon)).copied();
        let answers = self.ledger_of(sets.coupon).map(|ledger| ledger.counts);
        let asked = answers.as_ref().map_or(0, Counts::all) + sent.unwrap_or_default();
        let is_idle = asked == 0 && sets.is_empty();
        Account { subject: name_of(sets.coupon), kind: Kind::Coupon, sent, answers, is_idle }
    }

    fn sizes_of(&self, sets: &CouponSets) -> SetSizes {
        let gate = sets.gate.as_ref().ok();
        let told = self.ledger.as_ref().ok().and_then(|ledger| ledger.coupons.get(&sets.coupon));
        let size = |of: fn(&Told) -> bool| told.map(|ledger| ledger.size(of));
        SetSizes {
            coupon: sets.coupon,
            total: sets.total,
            stock: gate.and_then(|gate| gate.stock),
            grants: gate.map(|gate| gate.users.len() as u64),
            events: sets.events.as_ref().ok().map(|events| events.list.len() as u64),
            rows: sets.rows.as_ref().ok().map(|rows| rows.len() as u64),
            dead: sets.dead.as_ref().ok().map(|dead| dead.len() as u64),
            pending: gate.map(|gate| gate.pending.len() as u64),
            acknowledged: size(Told::acknowledged),
            uncertain: size(Told::uncertain),
            refused: size(Told::only_refused),
            duplicates: size(|told| told.duplicate),
        }
    }
}

impl Family for Coupons {
    fn told(&mut self, entry: &Entry) {
        if let Ok(ledger) = &mut self.ledger {
            ledger.add(entry);
        }
    }

    fn untold(&mut self, why: &str) {
        self.ledger = Err(why.to_owned());
    }

    fn was_told(&self) -> bool {
        self.ledger.as_ref().is_ok_and(|ledger| !ledger.coupons.is_empty())
    }

    fn is_claimed(&self, context: &Context) -> Known<bool> {
        if !self.sets.coupons.is_empty() || context.sent.keys().any(|claim| claim.kind == Kind::Coupon) {
            return Ok(true);
        }
        self.ledger.as_ref().map(|ledger| !ledger.coupons.is_empty()).map_err(Clone::clone)
    }

    fn collect<'a>(&'a mut self, plan: &'a VerifyPlan) -> Doing<'a, Result<(), JoinError>> {
        Box::pin(async {
            self.sets = collect::collect(plan).await?;
            Ok(())
        })
    }

    fn unread(&mut self, subjects: &[Subject], why: &str) {
        let coupons = coupons(subjects).into_iter().map(|plan| CouponSets::unread(plan.id, plan.total, why)).collect();
        self.sets = Sets { topic: Err(why.to_owned()), keys: Err(why.to_owned()), coupons };
    }

    fn is_moving<'a>(&'a mut self, plan: &'a VerifyPlan) -> Doing<'a, bool> {
        Box::pin(collect::is_moving(plan, &mut self.sets))
    }

    fn accounts(&self, context: &Context) -> Vec<Account> {
        self.sets.coupons.iter().map(|sets| self.account(sets, context)).collect()
    }

    fn judge(&self, context: &Context) -> Vec<CheckResult> {
        checks::all(self, context)
    }

    fn sizes(&self) -> Vec<Sizes> {
        self.sets.coupons.iter().map(|sets| Sizes::Coupon(self.sizes_of(sets))).collect()
    }

    fn notes(&self) -> Vec<String> {
        notes::notes(&self.sets)
    }

    fn end_to_end(&self, origin_unix_ns: u64) -> Option<Histogram<u64>> {
        latency::end_to_end(self.ledger.as_ref().ok()?, &self.sets, origin_unix_ns)
    }

    fn save(&self, folder: &Path, parts: &mut Parts) -> Result<(), StoreError> {
        store::write(folder, &self.sets, parts)
    }

    fn load(&mut self, folder: &Path, parts: &mut Parts) -> Result<bool, StoreError> {
        let Some(sets) = store::read(folder, parts)? else { return Ok(false) };
        self.sets = sets;
        Ok(true)
    }

    fn counted(&self) -> &'static [&'static str] {
        &live::CHECKS
    }

    fn live(&self, sample: &ProbeSample, facts: &LiveFacts) -> Vec<CheckResult> {
        live::live(sample, &coupons(&facts.subjects), &facts.topic_starts)
    }
}
