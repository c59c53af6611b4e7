//! CP4, CP5, CP6 and CP14: who is in which set.

use std::collections::{HashMap, HashSet};

use load::ledger;

use super::{CheckOutcome, View, conjunction, some_of};
use crate::families::coupon::{
    ledger::Told,
    model::{EventRecord, Events, Gate, Row},
};

/// CP4: M ⊆ K ⊆ G.
pub fn cp4(view: &View<'_>) -> CheckOutcome {
    let outcome = conjunction(vec![rows_in_events(view), events_in_gate(view), rows_in_gate(view)]);
    match outcome {
        CheckOutcome::Holds(_) if view.is_idle() => CheckOutcome::Idle("nothing was granted".into()),
        other => other,
    }
}

/// M ⊆ K: each row has its event, and both name the same user and number.
fn rows_in_events(view: &View<'_>) -> CheckOutcome {
    let (rows, events) = match (view.rows(), view.events()) {
        (Ok(rows), Ok(events)) => (rows, events),
        (Err(why), _) | (_, Err(why)) => return CheckOutcome::Unknown(why),
    };
    let mut by_id: HashMap<&str, Vec<&EventRecord>> = HashMap::new();
    for event in &events.list {
        by_id.entry(&event.event_id).or_default().push(event);
    }
    let mut offenders: Vec<String> =
        rows.iter().filter_map(|row| phantom(row, by_id.get(row.event_id.as_str()))).collect();
    let mut clashes: Vec<&&str> = by_id.iter().filter(|(_, events)| events.len() > 1).map(|(id, _)| id).collect();
    clashes.sort_unstable();
    offenders.extend(clashes.into_iter().map(|id| format!("event {id} is in Kafka with different contents")));
    let figures = format!("|M| = {}, |K| = {}", rows.len(), events.list.len());
    if offenders.is_empty() {
        return CheckOutcome::Holds(figures);
    }
    CheckOutcome::Violated(format!("{figures}; M ⊄ K: {}", some_of(&offenders)), offenders)
}

/// What is wrong with a row, given the events of its id.
fn phantom(row: &Row, events: Option<&Vec<&EventRecord>>) -> Option<String> {
    let Some(events) = events else {
        return Some(format!("user {} (row {}, no event {})", row.user, row.id, row.event_id));
    };
    let fits = |event: &&EventRecord| event.user == row.user && row.seq.is_none_or(|seq| seq == event.seq);
    if events.iter().any(fits) {
        return None;
    }
    let event = events.first()?;
    let seq = row.seq.map_or_else(|| "none".into(), |seq| seq.to_string());
    Some(format!(
        "user {} (row {}: user {}, number {seq}; its event: user {}, number {})",
        row.user, row.id, row.user, event.user, event.seq
    ))
}

/// K ⊆ G: each event's user was granted a coupon; in the present epoch under the same number.
fn events_in_gate(view: &View<'_>) -> CheckOutcome {
    let (events, gate) = match (view.events(), view.gate()) {
        (Ok(events), Ok(gate)) => (events, gate),
        (Err(why), _) | (_, Err(why)) => return CheckOutcome::Unknown(why),
    };
    let offenders = strangers(events, gate);
    let figures = format!("|K| = {}, |G| = {}", events.list.len(), gate.users.len());
    if offenders.is_empty() {
        return CheckOutcome::Holds(figures);
    }
    CheckOutcome::Violated(format!("{figures}; K ⊄ G: {}", some_of(&offenders)), offenders)
}

fn strangers(events: &Events, gate: &Gate) -> Vec<String> {
    let mut offenders = Vec::new();
    for event in &events.list {
        match gate.users.get(&event.user) {
            None => offenders.push(format!("user {} (event {}, no grant)", event.user, event.event_id)),
            // After a rebuild a user may have an older event besides; only the present epoch's number is the gate's.
            Some(Some(seq)) if event.counter == gate.counter && *seq != event.seq => {
                offenders.push(format!("user {} (event number {}, granted number {seq})", event.user, event.seq));
            }
            Some(_) => {}
        }
    }
    offenders
}

/// M ⊆ G follows from the two, and can be seen even where Kafka cannot be read.
fn rows_in_gate(view: &View<'_>) -> CheckOutcome {
    let (Ok(rows), Ok(gate)) = (view.rows(), view.gate()) else {
        // The other two have told why.
        return CheckOutcome::Unknown("M ⊆ G is not known".into());
    };
    let offenders: Vec<String> = rows
        .iter()
        .filter(|row| !gate.users.contains_key(&row.user))
        .map(|row| format!("user {} (row {}, no grant)", row.user, row.id))
        .collect();
    if offenders.is_empty() {
        return CheckOutcome::Holds("M ⊆ G".into());
    }
    CheckOutcome::Violated(format!("M ⊄ G: {}", some_of(&offenders)), offenders)
}

/// CP5: A ⊆ M. A dead letter is no coupon.
pub fn cp5(view: &View<'_>) -> CheckOutcome {
    let ledger = match view.asked() {
        Ok(ledger) => ledger,
        Err(outcome) => return outcome,
    };
    let rows = match view.rows() {
        Ok(rows) => rows,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let acknowledged = ledger.members(Told::acknowledged);
    if acknowledged.is_empty() {
        return CheckOutcome::Unknown("nobody was told QUEUED".into());
    }
    // The dead letters only say why: without them a loss is as sure.
    let dead = view.dead().unwrap_or_default();
    let buried: HashMap<u64, &str> = dead.iter().map(|d| (d.user, d.reason.as_str())).collect();
    let coming = view.coming();
    let missing = acknowledged.iter().copied().filter(|user| !view.holds(*user));
    let (waiting, lost): (Vec<u64>, Vec<u64>) = missing.partition(|user| coming.may_come(*user));
    let figures = format!("|M| = {}, |A| = {}", rows.len(), acknowledged.len());
    if !lost.is_empty() {
        let name = |user: &u64| match buried.get(user) {
            Some(reason) => format!("user {user} (dead-lettered: {reason})"),
            None => format!("user {user}"),
        };
        let offenders: Vec<String> = lost.iter().map(name).collect();
        return CheckOutcome::Violated(format!("{figures}; lost: {}", some_of(&offenders)), offenders);
    }
    if !waiting.is_empty() {
        return CheckOutcome::Unknown(format!("{figures}; {} acknowledged are {}", waiting.len(), coming.words()));
    }
    // What a ledger lacks can hide a loss, and make none.
    match view.whole_ledger() {
        Ok(()) => CheckOutcome::Holds(format!("{figures}; none lost")),
        Err(why) => CheckOutcome::Unknown(format!("{figures}; none of them lost, but {why}")),
    }
}

/// CP6: F ∩ M = ∅.
pub fn cp6(view: &View<'_>) -> CheckOutcome {
    let ledger = match view.asked() {
        Ok(ledger) => ledger,
        Err(outcome) => return outcome,
    };
    // An answer that is not in the ledger may have been another one than a refusal.
    if let Err(why) = view.rows().and_then(|_| view.whole_ledger()) {
        return CheckOutcome::Unknown(why);
    }
    let refused = ledger.members(Told::only_refused);
    if refused.is_empty() {
        return CheckOutcome::Unknown("nobody was refused".into());
    }
    let offenders: Vec<String> =
        refused.iter().filter(|user| view.holds(**user)).map(|user| format!("user {user}")).collect();
    let figures = format!("|F| = {}", refused.len());
    if offenders.is_empty() {
        return CheckOutcome::Holds(format!("{figures}, none of them has a row"));
    }
    CheckOutcome::Violated(format!("{figures}; refused, yet has a row: {}", some_of(&offenders)), offenders)
}

/// CP14: whoever was told DUPLICATE is in M ∪ D.
pub fn cp14(view: &View<'_>) -> CheckOutcome {
    let ledger = match view.asked() {
        Ok(ledger) => ledger,
        Err(outcome) => return outcome,
    };
    if ledger.count(ledger::Outcome::Duplicate) == 0 {
        return CheckOutcome::Unknown("nobody was told DUPLICATE".into());
    }
    if let Err(why) = view.rows() {
        return CheckOutcome::Unknown(why);
    }
    let told = ledger.members(|told| told.duplicate);
    let without: Vec<u64> = told.iter().copied().filter(|user| !view.holds(*user)).collect();
    let figures = format!("{} users were told DUPLICATE", told.len());
    let holds = |text: String| match view.whole_ledger() {
        Ok(()) => CheckOutcome::Holds(text),
        Err(why) => CheckOutcome::Unknown(format!("{text}, but {why}")),
    };
    if without.is_empty() {
        return holds(format!("{figures}, all of them hold a coupon"));
    }
    let buried: HashSet<u64> = match view.dead() {
        Ok(dead) => dead.iter().map(|letter| letter.user).collect(),
        Err(why) => return CheckOutcome::Unknown(format!("{figures}, {} have no row; {why}", without.len())),
    };
    let coming = view.coming();
    let missing = without.into_iter().filter(|user| !buried.contains(user));
    let (waiting, empty_handed): (Vec<u64>, Vec<u64>) = missing.partition(|user| coming.may_come(*user));
    if !empty_handed.is_empty() {
        let offenders: Vec<String> = empty_handed.iter().map(|user| format!("user {user}")).collect();
        return CheckOutcome::Violated(format!("{figures}; without a coupon: {}", some_of(&offenders)), offenders);
    }
    if !waiting.is_empty() {
        return CheckOutcome::Unknown(format!("{figures}, {} of their grants are {}", waiting.len(), coming.words()));
    }
    holds(format!("{figures}, all of them are in M ∪ D"))
}
