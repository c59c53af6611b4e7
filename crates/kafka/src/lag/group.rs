//! What the group did over the last looks: whether it has members, and whether it comes to rest.

use std::collections::VecDeque;

use record::event::watch::Member;

use super::look::GroupLook;

/// Looks without a member after which the group counts as stopped: one alone may fall between two members.
const EMPTY_LOOKS: u32 = 2;
/// Longest rebalance that is nothing special, in seconds.
const LONG_REBALANCE_S: f64 = 10.0;
/// As many rebalances within a minute are a storm.
const STORM: usize = 3;
const MINUTE_S: f64 = 60.0;

/// The group's course.
#[derive(Debug, Default)]
pub(super) struct GroupTrack {
    /// Of the look before: whether it was rebalancing, and its members where they were known.
    before: Option<(bool, Option<Vec<Member>>)>,
    count: u32,
    /// When the rebalances of the last minute began.
    recent: VecDeque<f64>,
    unsettled_since: Option<f64>,
    empty: u32,
}

impl GroupTrack {
    pub fn push(&mut self, at_s: f64, look: &GroupLook) {
        let unsettled = is_rebalancing(&look.state);
        if self.rebalanced(look, unsettled) {
            self.count = self.count.saturating_add(1);
            self.recent.push_back(at_s);
        }
        while self.recent.front().is_some_and(|began| at_s - began >= MINUTE_S) {
            self.recent.pop_front();
        }
        self.unsettled_since = if unsettled { self.unsettled_since.or(Some(at_s)) } else { None };
        self.empty = match &look.members {
            Some(members) if members.is_empty() => self.empty.saturating_add(1),
            _ => 0,
        };
        // While it rebalances nobody is assigned anything: what was before counts until it is settled again.
        let members = if unsettled { self.before.take().and_then(|before| before.1) } else { look.members.clone() };
        self.before = Some((unsettled, members));
    }

    /// A rebalance may be over before the next look: then it shows by who reads what.
    fn rebalanced(&self, look: &GroupLook, unsettled: bool) -> bool {
        let Some((was_unsettled, members)) = &self.before else { return unsettled };
        if unsettled || *was_unsettled {
            return unsettled && !was_unsettled;
        }
        match (members, &look.members) {
            (Some(before), Some(now)) => !now.is_empty() && before != now,
            _ => false,
        }
    }

    /// Nothing was seen for a while: what must hold without a pause begins anew.
    pub fn gap(&mut self) {
        self.unsettled_since = None;
        self.empty = 0;
    }

    /// Rebalances since the watch began.
    pub fn rebalances(&self) -> u32 {
        self.count
    }

    /// It has no members. Members that cannot be read may be there.
    pub fn is_stopped(&self) -> bool {
        self.empty >= EMPTY_LOOKS
    }

    /// It does not come to rest.
    pub fn is_stormy(&self, at_s: f64) -> bool {
        self.unsettled_since.is_some_and(|since| at_s - since > LONG_REBALANCE_S) || self.recent.len() >= STORM
    }
}

/// Both group protocols' words for "on the way".
fn is_rebalancing(state: &str) -> bool {
    let states = ["PreparingRebalance", "CompletingRebalance", "AwaitingSync", "Assigning", "Reconciling"];
    states.iter().any(|known| known.eq_ignore_ascii_case(state))
}
