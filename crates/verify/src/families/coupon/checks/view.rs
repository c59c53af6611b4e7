//! One coupon's sets with the look-ups that the checks share.

use std::collections::{HashMap, HashSet};

use crate::{
    accounting::Account,
    families::coupon::{
        Coupons,
        ledger::CouponLedger,
        model::{CouponSets, DeadLetter, Events, Gate, Row, TopicFacts, UniqueKey},
    },
    model::Known,
    store::Context,
};

/// One coupon as the checks see it.
#[derive(Debug)]
pub struct View<'a> {
    /// What was read about it.
    pub sets: &'a CouponSets,
    /// What was sent for it and answered.
    pub account: Account,
    /// Why its ledger cannot be used, or the ledger.
    ledger: Known<&'a CouponLedger>,
    topic: &'a Known<TopicFacts>,
    keys: &'a Known<Vec<UniqueKey>>,
    holders: HashSet<u64>,
    row_events: HashSet<&'a str>,
}

impl<'a> View<'a> {
    /// Builds the look-ups.
    pub fn new(coupons: &'a Coupons, sets: &'a CouponSets, context: &Context) -> Self {
        let rows: &[Row] = sets.rows.as_deref().unwrap_or_default();
        let account = coupons.account(sets, context);
        let ledger = account.adds_up().and_then(|()| coupons.ledger_of(sets.coupon));
        Self {
            sets,
            account,
            ledger,
            topic: &coupons.sets.topic,
            keys: &coupons.sets.keys,
            holders: rows.iter().map(|row| row.user).collect(),
            row_events: rows.iter().map(|row| row.event_id.as_str()).collect(),
        }
    }

    /// T. It is known where the profile, MySQL's row and the opening of the epoch agree about it: somebody who changes
    /// a coupon's quantity meanwhile, or seeds it from another profile, makes none of the figures wrong.
    pub fn total(&self) -> Known<u64> {
        let total = self.sets.total;
        let Ok(facts) = &self.sets.facts else { return Ok(total) };
        if facts.quantity == total && facts.opened_total.is_none_or(|opened| opened == total) {
            return Ok(total);
        }
        let opened =
            facts.opened_total.map_or_else(String::new, |opened| format!(", the epoch was opened with {opened}"));
        Err(format!(
            "T is not known: the profile says {total}, coupons.quantity is {}{opened}: it was seeded from another \
             profile, or changed since",
            facts.quantity
        ))
    }

    /// Whether the gate was rebuilt since the epoch was opened: then grants that Redis lost may be gone.
    pub fn rebuilt(&self, gate: &Gate) -> Known<bool> {
        let facts = self.sets.facts.as_ref().map_err(|why| format!("the epoch's floor is not known: {why}"))?;
        Ok(gate.counter != facts.floor)
    }

    /// Whether the ledger has all answers.
    pub fn whole_ledger(&self) -> Known<()> {
        self.account.is_whole()
    }
    /// M.
    pub fn rows(&self) -> Known<&'a [Row]> {
        self.sets.rows.as_deref().map_err(|why| format!("M is not known: {why}"))
    }
    /// K.
    pub fn events(&self) -> Known<&'a Events> {
        self.sets.events.as_ref().map_err(|why| format!("K is not known: {why}"))
    }
    /// G.
    pub fn gate(&self) -> Known<&'a Gate> {
        self.sets.gate.as_ref().map_err(|why| format!("G is not known: {why}"))
    }
    /// The coupon topic.
    pub fn topic(&self) -> Known<&'a TopicFacts> {
        self.topic.as_ref().map_err(|why| format!("the topic is not known: {why}"))
    }
    /// Unique keys of the table.
    pub fn keys(&self) -> Known<&'a [UniqueKey]> {
        self.keys.as_deref().map_err(|why| format!("the table's keys are not known: {why}"))
    }

    /// D: dead-lettered events that have no row. One that was written after all counts among the rows.
    pub fn dead(&self) -> Known<Vec<&'a DeadLetter>> {
        let dead = self.sets.dead.as_deref().map_err(|why| format!("D is not known: {why}"))?;
        let written = |letter: &DeadLetter| self.row_events.contains(letter.event_id.as_str());
        Ok(dead.iter().filter(|letter| !written(letter)).collect())
    }

    /// Whether `user` has a row.
    pub fn holds(&self, user: u64) -> bool {
        self.holders.contains(&user)
    }

    /// Whether the coupon was not touched: nothing granted, nothing written, nobody answered. Then its statements are
    /// true of nothing. Only what is known counts.
    pub fn is_idle(&self) -> bool {
        self.account.is_idle
    }

    /// The ledger, where it can be used and has at least one answer for this coupon.
    pub fn asked(&self) -> Result<&'a CouponLedger, super::CheckOutcome> {
        use super::CheckOutcome::{Idle, Unknown};
        match &self.ledger {
            Err(why) => Err(Unknown(why.clone())),
            Ok(ledger) if ledger.answers() == 0 && self.is_idle() => Err(Idle("nobody asked for it".into())),
            Ok(ledger) if ledger.answers() == 0 => Err(Unknown("the ledger has no answer for it".into())),
            Ok(ledger) => Ok(ledger),
        }
    }

    /// Who may still get a row.
    pub fn coming(&self) -> Coming<'_> {
        let sets = self.sets;
        if let Some(why) = &sets.moving {
            return Coming::Anybody(why);
        }
        let mut users = HashSet::new();
        // Not known to be pending in Redis, or not known to wait in Kafka, is not known to be lost.
        let gate = sets.gate.as_ref().map_err(String::as_str);
        if let Ok(gate) = gate {
            users.extend(gate.pending.iter().filter_map(|pending| pending.user));
        }
        let (topic, events) = match (self.topic, &sets.events) {
            (Ok(topic), Ok(events)) => (topic, events),
            (Err(why), _) | (_, Err(why)) => return Coming::Anybody(why),
        };
        let committed: HashMap<i32, Option<i64>> =
            topic.partitions.iter().map(|p| (p.partition, p.committed)).collect();
        let waits = |partition, offset| match committed.get(&partition) {
            Some(Some(committed)) => offset >= *committed,
            Some(None) | None => true,
        };
        let (waiting, consumed): (Vec<_>, Vec<_>) = events.list.iter().partition(|e| waits(e.partition, e.offset));
        users.extend(waiting.iter().map(|e| e.user));
        match gate {
            Ok(_) => Coming::Only(users),
            Err(why) => {
                Coming::AllBut(consumed.iter().map(|e| e.user).filter(|user| !users.contains(user)).collect(), why)
            }
        }
    }
}

/// Users whose grant may still be on its way to a row: pending in Redis, or in Kafka and not consumed.
#[derive(Debug)]
pub enum Coming<'a> {
    /// These.
    Only(HashSet<u64>),
    /// What is pending is not known, and why: everybody but these, whose events were consumed.
    AllBut(HashSet<u64>, &'a str),
    /// Nobody can be excluded, and why.
    Anybody(&'a str),
}

impl Coming<'_> {
    /// Whether the row of `user` may still come.
    pub fn may_come(&self, user: u64) -> bool {
        match self {
            Self::Only(users) => users.contains(&user),
            Self::AllBut(users, _) => !users.contains(&user),
            Self::Anybody(_) => true,
        }
    }

    /// Why it is not known who is on the way, where that is so.
    pub fn doubt(&self) -> Option<&str> {
        match self {
            Self::Only(_) => None,
            Self::AllBut(_, why) | Self::Anybody(why) => Some(why),
        }
    }

    /// "still on their way", or why that is not known.
    pub fn words(&self) -> String {
        self.doubt().map_or_else(
            || "still on their way".into(),
            |why| format!("perhaps on their way, which is not known: {why}"),
        )
    }
}
