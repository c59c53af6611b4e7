//! CP1, CP3 and CP8: neither more nor fewer than there are.

use load::ledger;

use super::{CheckOutcome, View, view::Coming};
use crate::families::coupon::ledger::Told;

/// CP1: |M| ≤ T.
pub fn cp1(view: &View<'_>) -> CheckOutcome {
    let rows = match view.rows() {
        Ok(rows) => rows.len() as u64,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let total = match view.total() {
        Ok(total) => total,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let figures = format!("|M| = {rows}, T = {total}");
    if rows > total {
        return CheckOutcome::Violated(format!("{figures}: over-issued by {}", rows - total), Vec::new());
    }
    if view.is_idle() {
        return CheckOutcome::Idle("nothing was issued".into());
    }
    CheckOutcome::Holds(figures)
}

/// CP3: stock ≥ 0 and stock + |G| = T.
pub fn cp3(view: &View<'_>) -> CheckOutcome {
    let gate = match view.gate() {
        Ok(gate) => gate,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let total = match view.total() {
        Ok(total) => total,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let grants = gate.users.len() as u64;
    let Some(stock) = gate.stock else {
        let text = format!("the stock key is gone (evicted or deleted), |G| = {grants}, T = {total}");
        return CheckOutcome::Violated(text, Vec::new());
    };
    let figures = format!("stock {stock} + |G| {grants} = {}, T = {total}", i128::from(stock) + i128::from(grants));
    if stock < 0 || i128::from(stock) + i128::from(grants) != i128::from(total) {
        return CheckOutcome::Violated(figures, Vec::new());
    }
    if view.is_idle() {
        return CheckOutcome::Idle("nothing was granted".into());
    }
    CheckOutcome::Holds(figures)
}

/// CP8: any `SOLD_OUT` ⇒ |M| + |D| = T; else |A| ≤ |M| + |D| ≤ |A| + |U|.
pub fn cp8(view: &View<'_>) -> CheckOutcome {
    let ledger = match view.asked() {
        Ok(ledger) => ledger,
        Err(outcome) => return outcome,
    };
    let (rows, dead) = match (view.rows(), view.dead()) {
        (Ok(rows), Ok(dead)) => (rows.len() as u64, dead.len() as u64),
        (Err(why), _) | (_, Err(why)) => return CheckOutcome::Unknown(why),
    };
    let total = match view.whole_ledger().and_then(|()| view.total()) {
        Ok(total) => total,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let sold_out = ledger.count(ledger::Outcome::Exhausted);
    let acknowledged = ledger.size(Told::acknowledged);
    let uncertain = ledger.size(Told::uncertain);
    let (least, most, rule) = if sold_out > 0 {
        (total, total, format!("T = {total} as {sold_out} were told SOLD_OUT"))
    } else {
        (
            acknowledged,
            acknowledged + uncertain,
            format!("|A| = {acknowledged}, |A| + |U| = {}", acknowledged + uncertain),
        )
    };
    let sum = rows + dead;
    let figures = format!("|M| + |D| = {rows} + {dead} = {sum}, {rule}");
    if sum > most {
        return CheckOutcome::Violated(format!("{figures}: {} too many", sum - most), Vec::new());
    }
    if sum < least {
        return too_few(view, &figures, (sum, least), sum >= acknowledged);
    }
    CheckOutcome::Holds(figures)
}

/// Fewer than there should be: `sum` of `least`. `covered` tells whether at least those are there who were told QUEUED.
fn too_few(view: &View<'_>, figures: &str, (sum, least): (u64, u64), covered: bool) -> CheckOutcome {
    let coming = view.coming();
    if let Some(why) = coming.doubt() {
        return CheckOutcome::Unknown(format!("{figures}: whether more are on their way is not known: {why}"));
    }
    let Coming::Only(users) = coming else { return CheckOutcome::Unknown(figures.to_owned()) };
    let waiting = users.into_iter().filter(|user| !view.holds(*user)).count() as u64;
    if sum + waiting >= least {
        return CheckOutcome::Unknown(format!("{figures}: {waiting} still on their way"));
    }
    // SOLD_OUT may have stood for grants that nobody was told of, and that Redis lost.
    match view.gate().and_then(|gate| view.rebuilt(gate)) {
        Ok(true) if covered => CheckOutcome::Unknown(format!(
            "{figures}: {} fewer, but the gate was rebuilt: SOLD_OUT may have been told for grants that Redis lost",
            least - sum
        )),
        Ok(_) => CheckOutcome::Violated(format!("{figures}: under-sold by {}", least - sum), Vec::new()),
        Err(why) => CheckOutcome::Unknown(format!("{figures}: whether the gate was rebuilt is not known: {why}")),
    }
}
