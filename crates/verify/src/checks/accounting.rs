//! SY1 and CP13: do the counts add up?

use contract::claim::Kind;

use super::{CheckOutcome, View};

/// SY1: sent = `QUEUED` + `SOLD_OUT` + `DUPLICATE` + `ERROR` + `UNKNOWN`.
pub fn sy1(view: &View<'_>) -> CheckOutcome {
    let ledger = match &view.raw_ledger {
        Ok(ledger) => ledger,
        Err(why) => return CheckOutcome::Unknown(why.clone()),
    };
    let named = Kind::Coupon.classes().iter().map(|(name, outcome)| format!("{} {name}", ledger.count(*outcome)));
    let sum = named.collect::<Vec<_>>().join(" + ");
    match view.sent {
        None if view.is_idle() => CheckOutcome::Idle("nobody asked for it".into()),
        None => CheckOutcome::Unknown(format!("how many requests were sent is not known; outcomes: {sum}")),
        Some(0) if ledger.answers() == 0 => CheckOutcome::Idle("nobody asked for it".into()),
        Some(sent) if sent == ledger.answers() => CheckOutcome::Holds(format!("{sent} sent = {sum}")),
        Some(sent) => CheckOutcome::Violated(format!("{sent} sent, but {sum} = {}", ledger.answers()), Vec::new()),
    }
}

/// CP13: coupons.issued = count of rows.
pub fn cp13(view: &View<'_>) -> CheckOutcome {
    let rows = match view.rows() {
        Ok(rows) => rows.len() as u64,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let issued = match &view.sets.facts {
        Ok(facts) => facts.issued,
        Err(why) => return CheckOutcome::Unknown(format!("coupons.issued is not known: {why}")),
    };
    if issued != rows {
        return CheckOutcome::Violated(format!("coupons.issued = {issued}, rows = {rows}"), Vec::new());
    }
    if view.is_idle() {
        return CheckOutcome::Idle("nothing was issued".into());
    }
    CheckOutcome::Holds(format!("coupons.issued = rows = {rows}"))
}
