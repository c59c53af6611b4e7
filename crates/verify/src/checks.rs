//! The checks: pure functions from what was read to a verdict. No server is asked here.
//!
//! One file a family: [`accounting`] (SY1, CP13), [`bounds`] (CP1, CP3, CP8), [`uniqueness`] (CP2),
//! [`membership`] (CP4, CP5, CP6, CP14), [`rest`] (CP7), [`order`] (CP9, CP10).

pub mod accounting;
pub mod bounds;
pub mod membership;
pub mod order;
pub mod rest;
pub mod uniqueness;
mod view;

use std::collections::BTreeMap;

use contract::claim::Claim;
use record::event::names::Check;
pub use view::View;

use super::{
    ledger::{CouponLedger, LedgerSets},
    model::{CheckResult, CouponSets, Known, Overall, Sets, Severity, Verdict},
};

/// Most offending rows that a result lists.
pub const MOST_ROWS: usize = 20;
/// Most offenders that the evidence names.
const MOST_NAMED: usize = 5;

/// What one check says about one coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It is true; the figures.
    Holds(String),
    /// It is false; the figures and the offenders.
    Violated(String, Vec<String>),
    /// It cannot be read or nothing exercised it; why.
    Unknown(String),
    /// Nobody asked for this coupon, so that it says nothing about the others; why.
    Idle(String),
}

/// Everything that the checks look at.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// From the servers.
    pub sets: &'a Sets,
    /// From the generator.
    pub ledger: &'a Known<LedgerSets>,
    /// Coupon → requests that the generator counted when it sent them. Without it SY1 is unknown.
    pub sent: &'a BTreeMap<Claim, u64>,
    /// What came of the invariants.
    pub invariants: &'a [CheckResult],
}

/// The function that decides `check`.
fn judge(check: Check) -> fn(&View<'_>) -> CheckOutcome {
    match check {
        Check::Sy1 => accounting::sy1,
        Check::Cp1 => bounds::cp1,
        Check::Cp2 => uniqueness::cp2,
        Check::Cp3 => bounds::cp3,
        Check::Cp4 => membership::cp4,
        Check::Cp5 => membership::cp5,
        Check::Cp6 => membership::cp6,
        Check::Cp7 => rest::cp7,
        Check::Cp8 => bounds::cp8,
        Check::Cp9 => order::cp9,
        Check::Cp10 => order::cp10,
        Check::Cp13 => accounting::cp13,
        Check::Cp14 => membership::cp14,
    }
}

/// Ids and statements of the checks, in the order of reports.
pub fn catalogue() -> impl Iterator<Item = (&'static str, &'static str)> {
    Check::ALL.into_iter().map(|check| (check.id(), check.states()))
}

/// Runs every check over every coupon. The ledger is checked first: one that does not add up proves nothing, so
/// whatever rests on it becomes unknown. The invariants come behind; an id in `require` without a result gets one, too:
/// unknown.
pub fn all(inputs: &Inputs<'_>, require: &[String]) -> Vec<CheckResult> {
    let views: Vec<View<'_>> = inputs.sets.coupons.iter().map(|sets| view_of(inputs, sets)).collect();
    let mut results: Vec<CheckResult> = Check::ALL
        .into_iter()
        .map(|check| {
            let outcomes = views.iter().map(|view| (view.sets.coupon, judge(check)(view))).collect();
            merge(check.id(), outcomes)
        })
        .collect();
    results.extend_from_slice(inputs.invariants);
    for id in require {
        if !results.iter().any(|result| result.id == *id) {
            results.push(CheckResult {
                id: id.clone(),
                verdict: Verdict::Unknown,
                severity: Severity::Violation,
                evidence: "there is no result: this version has no such check, or it is an invariant that was not \
                           looked at, which needs the servers"
                    .into(),
                rows: Vec::new(),
            });
        }
    }
    results
}

/// All results together: any violation decides; else every required check must hold. With none required at least one
/// check must hold: a verdict over nothing would be no proof. Where nothing is claimed and nothing is required
/// (`claims` is false) there is nothing that could be proven, and nothing is missing.
pub fn overall(results: &[CheckResult], require: &[String], claims: bool) -> Overall {
    let verdict_of = |id: &String| results.iter().find(|result| result.id == *id).map(|result| result.verdict);
    if results.iter().any(CheckResult::is_violated) {
        return Overall::Violated;
    }
    if !claims && require.is_empty() {
        return Overall::NothingToProve;
    }
    let proven = if require.is_empty() {
        results.iter().any(|result| result.verdict == Verdict::Holds)
    } else {
        require.iter().all(|id| verdict_of(id) == Some(Verdict::Holds))
    };
    if proven { Overall::Consistent } else { Overall::Unproven }
}

fn view_of<'a>(inputs: &'a Inputs<'a>, sets: &'a CouponSets) -> View<'a> {
    static NOBODY: std::sync::LazyLock<CouponLedger> = std::sync::LazyLock::new(CouponLedger::default);
    let ledger = match inputs.ledger {
        Ok(all) => Ok(all.coupons.get(&sets.coupon).unwrap_or(&NOBODY)),
        Err(why) => Err(why.clone()),
    };
    let sent = inputs.sent.get(&Claim::coupon(sets.coupon)).copied();
    View::new(inputs.sets, sets, ledger, sent)
}

/// One result from what the check says about each coupon. The worst verdict wins; its evidence comes first.
fn merge(id: &str, outcomes: Vec<(u64, CheckOutcome)>) -> CheckResult {
    let several = outcomes.len() > 1;
    let anybody = outcomes.iter().any(|(_, outcome)| !matches!(outcome, CheckOutcome::Idle(_)));
    let mut parts: Vec<(Verdict, String)> = Vec::new();
    let mut offenders = Vec::new();
    for (coupon, outcome) in outcomes {
        let (verdict, text) = match outcome {
            // Where another coupon has something to say, one that nobody touched has no say.
            CheckOutcome::Idle(text) if !anybody => (Verdict::Unknown, text),
            CheckOutcome::Holds(text) | CheckOutcome::Idle(text) => (Verdict::Holds, text),
            CheckOutcome::Unknown(text) => (Verdict::Unknown, text),
            CheckOutcome::Violated(text, rows) => {
                offenders.extend(rows.into_iter().map(|row| named(several, coupon, &row)));
                (Verdict::Violated, text)
            }
        };
        parts.push((verdict, named(several, coupon, &text)));
    }
    parts.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
    offenders.truncate(MOST_ROWS);
    CheckResult {
        id: id.to_owned(),
        verdict: parts.first().map_or(Verdict::Unknown, |(verdict, _)| *verdict),
        severity: Severity::Violation,
        evidence: if parts.is_empty() {
            "nothing claims a coupon: there is nothing to look at".into()
        } else {
            parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("; ")
        },
        rows: offenders,
    }
}

fn named(several: bool, coupon: u64, text: &str) -> String {
    if several { format!("coupon {coupon}: {text}") } else { text.to_owned() }
}

/// "user 3, user 9 and 40 more"
pub(crate) fn some_of(offenders: &[String]) -> String {
    let text = offenders.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    match offenders.len().saturating_sub(MOST_NAMED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// Several statements about one coupon: any violation wins, then any that is not known.
pub(crate) fn conjunction(parts: Vec<CheckOutcome>) -> CheckOutcome {
    let (mut bad, mut rows, mut unknown, mut good) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        match part {
            CheckOutcome::Violated(text, offenders) => {
                bad.push(text);
                rows.extend(offenders);
            }
            CheckOutcome::Unknown(text) | CheckOutcome::Idle(text) => unknown.push(text),
            CheckOutcome::Holds(text) if text.is_empty() => {}
            CheckOutcome::Holds(text) => good.push(text),
        }
    }
    if !bad.is_empty() {
        return CheckOutcome::Violated(bad.join("; "), rows);
    }
    if unknown.is_empty() { CheckOutcome::Holds(good.join("; ")) } else { CheckOutcome::Unknown(unknown.join("; ")) }
}

#[cfg(test)]
mod tests;
