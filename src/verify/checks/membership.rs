//! CP4, CP5, CP6 and CP14: who is in which set.

use std::collections::{HashMap, HashSet};

use super::{Outcome, View, conjunction, some_of};
use crate::{
    load::ledger,
    verify::{
        ledger::Told,
        model::{EventRecord, Events, Gate, Row},
    },
};

/// CP4: M ⊆ K ⊆ G.
pub fn cp4(view: &View<'_>) -> Outcome {
    let outcome = conjunction(vec![rows_in_events(view), events_in_gate(view), rows_in_gate(view)]);
    match outcome {
        Outcome::Holds(_) if view.is_idle() => Outcome::Idle("nothing was granted".into()),
        other => other,
    }
}

/// M ⊆ K: each row has its event, and both name the same user and number.
fn rows_in_events(view: &View<'_>) -> Outcome {
    let (rows, events) = match (view.rows(), view.events()) {
        (Ok(rows), Ok(events)) => (rows, events),
        (Err(why), _) | (_, Err(why)) => return Outcome::Unknown(why),
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
        return Outcome::Holds(figures);
    }
    Outcome::Violated(format!("{figures}; M ⊄ K: {}", some_of(&offenders)), offenders)
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
fn events_in_gate(view: &View<'_>) -> Outcome {
    let (events, gate) = match (view.events(), view.gate()) {
        (Ok(events), Ok(gate)) => (events, gate),
        (Err(why), _) | (_, Err(why)) => return Outcome::Unknown(why),
    };
    let offenders = strangers(view, events, gate);
    let figures = format!("|K| = {}, |G| = {}", events.list.len(), gate.users.len());
    if offenders.is_empty() {
        return Outcome::Holds(figures);
    }
    Outcome::Violated(format!("{figures}; K ⊄ G: {}", some_of(&offenders)), offenders)
}

fn strangers(view: &View<'_>, events: &Events, gate: &Gate) -> Vec<String> {
    let mut offenders = Vec::new();
    for event in &events.list {
        match gate.users.get(&event.user) {
            None if view.is_planted(&event.event_id) => {}
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
fn rows_in_gate(view: &View<'_>) -> Outcome {
    let (Ok(rows), Ok(gate)) = (view.rows(), view.gate()) else {
        // The other two have told why.
        return Outcome::Unknown("M ⊆ G is not known".into());
    };
    let offenders: Vec<String> = rows
        .iter()
        .filter(|row| !gate.users.contains_key(&row.user) && !view.is_planted(&row.event_id))
        .map(|row| format!("user {} (row {}, no grant)", row.user, row.id))
        .collect();
    if offenders.is_empty() {
        return Outcome::Holds("M ⊆ G".into());
    }
    Outcome::Violated(format!("M ⊄ G: {}", some_of(&offenders)), offenders)
}

/// CP5: A ⊆ M. A dead letter counts only if it was planted.
pub fn cp5(view: &View<'_>) -> Outcome {
    let ledger = match view.asked() {
        Ok(ledger) => ledger,
        Err(outcome) => return outcome,
    };
    let rows = match view.rows() {
        Ok(rows) => rows,
        Err(why) => return Outcome::Unknown(why),
    };
    let acknowledged = ledger.members(Told::acknowledged);
    if acknowledged.is_empty() {
        return Outcome::Unknown("nobody was told QUEUED".into());
    }
    let dead = match view.dead() {
        Ok(dead) => dead,
        // A planted one may be excused by its dead letter: without D nobody can tell.
        Err(why) if view.has_planted() => return Outcome::Unknown(why),
        Err(_) => Vec::new(),
    };
    let planted: HashSet<u64> = dead.iter().filter(|d| view.is_planted(&d.event_id)).map(|d| d.user).collect();
    let buried: HashMap<u64, &str> = dead.iter().map(|d| (d.user, d.reason.as_str())).collect();
    let coming = view.on_their_way();
    let missing = acknowledged.iter().copied().filter(|user| !view.holds(*user) && !planted.contains(user));
    let (waiting, lost): (Vec<u64>, Vec<u64>) = missing.partition(|user| coming.contains(user));
    let figures = format!("|M| = {}, |A| = {}", rows.len(), acknowledged.len());
    if !lost.is_empty() {
        let name = |user: &u64| match buried.get(user) {
            Some(reason) => format!("user {user} (dead-lettered: {reason})"),
            None => format!("user {user}"),
        };
        let offenders: Vec<String> = lost.iter().map(name).collect();
        return Outcome::Violated(format!("{figures}; lost: {}", some_of(&offenders)), offenders);
    }
    if !waiting.is_empty() {
        return Outcome::Unknown(format!("{figures}; {} acknowledged are still on their way", waiting.len()));
    }
    let spared = if planted.is_empty() { String::new() } else { format!(", {} planted", planted.len()) };
    Outcome::Holds(format!("{figures}{spared}; none lost"))
}

/// CP6: F ∩ M = ∅.
pub fn cp6(view: &View<'_>) -> Outcome {
    let ledger = match view.asked() {
        Ok(ledger) => ledger,
        Err(outcome) => return outcome,
    };
    if let Err(why) = view.rows() {
        return Outcome::Unknown(why);
    }
    let refused = ledger.members(Told::only_refused);
    if refused.is_empty() {
        return Outcome::Unknown("nobody was refused".into());
    }
    let offenders: Vec<String> =
        refused.iter().filter(|user| view.holds(**user)).map(|user| format!("user {user}")).collect();
    let figures = format!("|F| = {}", refused.len());
    if offenders.is_empty() {
        return Outcome::Holds(format!("{figures}, none of them has a row"));
    }
    Outcome::Violated(format!("{figures}; refused, yet has a row: {}", some_of(&offenders)), offenders)
}

/// CP14: whoever was told DUPLICATE is in M ∪ D.
pub fn cp14(view: &View<'_>) -> Outcome {
    let ledger = match view.asked() {
        Ok(ledger) => ledger,
        Err(outcome) => return outcome,
    };
    if ledger.count(ledger::Outcome::Duplicate) == 0 {
        return Outcome::Unknown("nobody was told DUPLICATE".into());
    }
    if let Err(why) = view.rows() {
        return Outcome::Unknown(why);
    }
    let told = ledger.members(|told| told.duplicate);
    let without: Vec<u64> = told.iter().copied().filter(|user| !view.holds(*user)).collect();
    let figures = format!("{} users were told DUPLICATE", told.len());
    if without.is_empty() {
        return Outcome::Holds(format!("{figures}, all of them hold a coupon"));
    }
    let buried: HashSet<u64> = match view.dead() {
        Ok(dead) => dead.iter().map(|letter| letter.user).collect(),
        Err(why) => return Outcome::Unknown(format!("{figures}, {} have no row; {why}", without.len())),
    };
    let coming = view.on_their_way();
    let missing = without.into_iter().filter(|user| !buried.contains(user));
    let (waiting, empty_handed): (Vec<u64>, Vec<u64>) = missing.partition(|user| coming.contains(user));
    if !empty_handed.is_empty() {
        let offenders: Vec<String> = empty_handed.iter().map(|user| format!("user {user}")).collect();
        return Outcome::Violated(format!("{figures}; without a coupon: {}", some_of(&offenders)), offenders);
    }
    if !waiting.is_empty() {
        return Outcome::Unknown(format!("{figures}, {} of their grants are still on their way", waiting.len()));
    }
    Outcome::Holds(format!("{figures}, all of them are in M ∪ D"))
}
