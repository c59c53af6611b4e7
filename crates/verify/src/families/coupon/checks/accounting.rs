//! CP13: does the counter agree with the rows?

use super::{CheckOutcome, View};

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
