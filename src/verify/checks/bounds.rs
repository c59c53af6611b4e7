//! CP1, CP3 and CP8: neither more nor fewer than there are.

use super::{Outcome, View};
use crate::{load::ledger, verify::ledger::Told};

/// CP1: |M| ≤ T.
pub fn cp1(view: &View<'_>) -> Outcome {
    let rows = match view.rows() {
        Ok(rows) => rows.len() as u64,
        Err(why) => return Outcome::Unknown(why),
    };
    let figures = format!("|M| = {rows}, T = {}", view.total());
    if rows > view.total() {
        return Outcome::Violated(format!("{figures}: over-issued by {}", rows - view.total()), Vec::new());
    }
    if view.is_idle() {
        return Outcome::Idle("nothing was issued".into());
    }
    Outcome::Holds(figures)
}

/// CP3: stock ≥ 0 and stock + |G| = T.
pub fn cp3(view: &View<'_>) -> Outcome {
    let gate = match view.gate() {
        Ok(gate) => gate,
        Err(why) => return Outcome::Unknown(why),
    };
    let (grants, total) = (gate.users.len() as u64, view.total());
    let Some(stock) = gate.stock else {
        let text = format!("the stock key is gone (evicted or deleted), |G| = {grants}, T = {total}");
        return Outcome::Violated(text, Vec::new());
    };
    let figures = format!("stock {stock} + |G| {grants} = {}, T = {total}", i128::from(stock) + i128::from(grants));
    if stock < 0 || i128::from(stock) + i128::from(grants) != i128::from(total) {
        return Outcome::Violated(figures, Vec::new());
    }
    if view.is_idle() {
        return Outcome::Idle("nothing was granted".into());
    }
    Outcome::Holds(figures)
}

/// CP8: any `SOLD_OUT` ⇒ |M| + |D| = T; else |A| ≤ |M| + |D| ≤ |A| + |U|.
pub fn cp8(view: &View<'_>) -> Outcome {
    let ledger = match view.asked() {
        Ok(ledger) => ledger,
        Err(outcome) => return outcome,
    };
    let (rows, dead) = match (view.rows(), view.dead()) {
        (Ok(rows), Ok(dead)) => (rows.len() as u64, dead.len() as u64),
        (Err(why), _) | (_, Err(why)) => return Outcome::Unknown(why),
    };
    let sold_out = ledger.count(ledger::Outcome::SoldOut);
    let acknowledged = ledger.size(Told::acknowledged);
    let uncertain = ledger.size(Told::uncertain);
    let (least, most, rule) = if sold_out > 0 {
        (view.total(), view.total(), format!("T = {} as {sold_out} were told SOLD_OUT", view.total()))
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
        return Outcome::Violated(format!("{figures}: {} too many", sum - most), Vec::new());
    }
    if sum < least {
        let coming = view.on_their_way().into_iter().filter(|user| !view.holds(*user)).count() as u64;
        if sum + coming >= least {
            return Outcome::Unknown(format!("{figures}: {coming} still on their way"));
        }
        return Outcome::Violated(format!("{figures}: under-sold by {}", least - sum), Vec::new());
    }
    Outcome::Holds(figures)
}
