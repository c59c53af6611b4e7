//! One coupon's sets with the look-ups that the checks share.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::verify::{
    ledger::CouponLedger,
    model::{CouponSets, DeadLetter, Events, Gate, Known, Row, Sets, TopicFacts, UniqueKey},
};

/// One coupon as the checks see it.
#[derive(Debug)]
pub struct View<'a> {
    /// What was read about it.
    pub sets: &'a CouponSets,
    /// Why its ledger cannot be used, or the ledger.
    pub ledger: Known<&'a CouponLedger>,
    /// Why there is no ledger of it at all, or the ledger, added up or not. Only SY1 may look here.
    pub raw_ledger: Known<&'a CouponLedger>,
    /// Requests that the generator counted when it sent them.
    pub sent: Option<u64>,
    topic: &'a Known<TopicFacts>,
    keys: &'a Known<Vec<UniqueKey>>,
    planted: &'a BTreeSet<String>,
    holders: HashSet<u64>,
    row_events: HashSet<&'a str>,
}

impl<'a> View<'a> {
    /// Builds the look-ups.
    pub fn new(
        all: &'a Sets,
        sets: &'a CouponSets,
        raw_ledger: Known<&'a CouponLedger>,
        sent: Option<u64>,
        planted: &'a BTreeSet<String>,
    ) -> Self {
        let rows: &[Row] = sets.rows.as_deref().unwrap_or_default();
        let ledger = match (&raw_ledger, sent) {
            (Ok(ledger), Some(sent)) if ledger.answers() != sent => Err(format!(
                "the ledger does not add up ({sent} requests sent, {} outcomes): it proves nothing",
                ledger.answers()
            )),
            _ => raw_ledger.clone(),
        };
        Self {
            sets,
            ledger,
            raw_ledger,
            sent,
            topic: &all.topic,
            keys: &all.keys,
            planted,
            holders: rows.iter().map(|row| row.user).collect(),
            row_events: rows.iter().map(|row| row.event_id.as_str()).collect(),
        }
    }

    /// T.
    pub fn total(&self) -> u64 {
        self.sets.total
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

    /// D: dead-lettered events that have no row. A planted event of somebody who was never granted a coupon is no
    /// coupon; one that was written after all counts among the rows.
    pub fn dead(&self) -> Known<Vec<&'a DeadLetter>> {
        let dead = self.sets.dead.as_deref().map_err(|why| format!("D is not known: {why}"))?;
        let foreign = |letter: &DeadLetter| self.is_planted(&letter.event_id) && !self.is_granted(letter.user);
        let written = |letter: &DeadLetter| self.row_events.contains(letter.event_id.as_str());
        Ok(dead.iter().filter(|letter| !foreign(letter) && !written(letter)).collect())
    }

    /// Whether `user` has a row.
    pub fn holds(&self, user: u64) -> bool {
        self.holders.contains(&user)
    }
    /// Whether the gate granted `user` a coupon; false when G is not known.
    pub fn is_granted(&self, user: u64) -> bool {
        self.sets.gate.as_ref().is_ok_and(|gate| gate.users.contains_key(&user))
    }
    /// Whether the profile made this event undeliverable on purpose.
    pub fn is_planted(&self, event_id: &str) -> bool {
        self.planted.contains(event_id)
    }

    /// Whether the profile made any event undeliverable on purpose.
    pub fn has_planted(&self) -> bool {
        !self.planted.is_empty()
    }

    /// Whether the coupon was not touched: nothing granted, nothing written, nobody answered. Then its statements are
    /// true of nothing. Only what is known counts.
    pub fn is_idle(&self) -> bool {
        let asked = self.raw_ledger.as_ref().map_or(0, |ledger| ledger.answers()) + self.sent.unwrap_or_default();
        let granted = self.sets.gate.as_ref().map_or(0, |gate| gate.users.len());
        let events = self.sets.events.as_ref().map_or(0, |events| events.list.len());
        let dead = self.sets.dead.as_ref().map_or(0, Vec::len);
        asked == 0 && granted + events + dead + self.holders.len() == 0
    }

    /// The ledger, where it can be used and has at least one answer for this coupon.
    pub fn asked(&self) -> Result<&'a CouponLedger, super::Outcome> {
        use super::Outcome::{Idle, Unknown};
        match &self.ledger {
            Err(why) => Err(Unknown(why.clone())),
            Ok(ledger) if ledger.answers() == 0 && self.is_idle() => Err(Idle("nobody asked for it".into())),
            Ok(ledger) if ledger.answers() == 0 => Err(Unknown("the ledger has no answer for it".into())),
            Ok(ledger) => Ok(ledger),
        }
    }

    /// Users whose grant is still on its way to a row: pending in Redis, or in Kafka and not consumed. What is not
    /// known counts as none on its way.
    pub fn on_their_way(&self) -> HashSet<u64> {
        let mut users = HashSet::new();
        if let Ok(gate) = &self.sets.gate {
            users.extend(gate.pending.iter().filter_map(|pending| pending.user));
        }
        if let (Ok(topic), Ok(events)) = (self.topic, &self.sets.events) {
            let committed: HashMap<i32, Option<i64>> =
                topic.partitions.iter().map(|p| (p.partition, p.committed)).collect();
            let waits = |partition, offset| match committed.get(&partition) {
                Some(Some(committed)) => offset >= *committed,
                Some(None) => true,
                None => false,
            };
            users.extend(events.list.iter().filter(|e| waits(e.partition, e.offset)).map(|e| e.user));
        }
        users
    }
}
