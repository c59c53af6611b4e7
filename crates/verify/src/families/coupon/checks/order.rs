//! CP9 and CP10: the numbers of the grants, and whether who came first was served first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{CheckOutcome, View, conjunction, some_of};
use crate::{
    families::coupon::{
        ledger::{CouponLedger, Told},
        model::Gate,
    },
    model::Known,
};

/// Most missing numbers that are looked for; a gate with more of them is not short of evidence.
const MOST_HOLES: usize = 1_000;

/// CP9: the grant sequence is without hole or duplicate within the epoch.
pub fn cp9(view: &View<'_>) -> CheckOutcome {
    let gate = match view.gate() {
        Ok(gate) => gate,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let numbers = match numbers(gate) {
        Ok(numbers) => numbers,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    if numbers.is_empty() && gate.last_seq.unwrap_or_default() == 0 {
        return if view.is_idle() {
            CheckOutcome::Idle("nothing was granted".into())
        } else {
            CheckOutcome::Unknown("nothing was granted".into())
        };
    }
    let doubled = conjunction(vec![doubled_in_gate(&numbers), doubled_in_events(view), doubled_in_rows(view)]);
    let holes = match view.rebuilt(gate) {
        Ok(false) => holes(&numbers.keys().copied().collect(), 1, gate.last_seq),
        Ok(true) => holes_since_rebuild(view, gate),
        Err(why) => CheckOutcome::Unknown(why),
    };
    conjunction(vec![holes, doubled])
}

/// Number → users that have it.
fn numbers(gate: &Gate) -> Known<BTreeMap<u64, Vec<u64>>> {
    let mut numbers: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (user, seq) in &gate.users {
        let seq = seq.ok_or_else(|| format!("the gate keeps no number for user {user}"))?;
        numbers.entry(seq).or_default().push(*user);
    }
    Ok(numbers)
}

fn doubled_in_gate(numbers: &BTreeMap<u64, Vec<u64>>) -> CheckOutcome {
    let offenders: Vec<String> = numbers
        .iter()
        .filter(|(_, users)| users.len() > 1)
        .map(|(seq, users)| {
            let users = users.iter().map(u64::to_string).collect::<Vec<_>>().join(" and ");
            format!("number {seq}: users {users}")
        })
        .collect();
    doubled("G", offenders)
}

/// Within one epoch two events never share a number.
fn doubled_in_events(view: &View<'_>) -> CheckOutcome {
    let Ok(events) = view.events() else {
        return CheckOutcome::Holds(String::new()); // CP4 tells that K is not known; G alone decides here.
    };
    let mut seen: BTreeMap<(u64, u64), &str> = BTreeMap::new();
    let mut offenders = Vec::new();
    for event in &events.list {
        match seen.get(&(event.counter, event.seq)) {
            Some(other) if *other != event.event_id => {
                offenders.push(format!("number {}: events {other} and {}", event.seq, event.event_id));
            }
            Some(_) => {}
            None => {
                seen.insert((event.counter, event.seq), &event.event_id);
            }
        }
    }
    doubled("K", offenders)
}

fn doubled_in_rows(view: &View<'_>) -> CheckOutcome {
    let (Ok(rows), Ok(gate)) = (view.rows(), view.gate()) else { return CheckOutcome::Holds(String::new()) };
    if view.rebuilt(gate).unwrap_or(true) {
        return CheckOutcome::Holds(String::new()); // rows do not say their epoch
    }
    let mut seen: HashMap<u64, &str> = HashMap::new();
    let mut offenders = Vec::new();
    for row in rows {
        let Some(seq) = row.seq else { continue };
        let other = *seen.entry(seq).or_insert(&row.event_id);
        if other != row.event_id {
            offenders.push(format!("number {seq}: user {} (row {}) and another row", row.user, row.id));
        }
    }
    doubled("M", offenders)
}

fn doubled(set: &str, offenders: Vec<String>) -> CheckOutcome {
    if offenders.is_empty() {
        return CheckOutcome::Holds(String::new());
    }
    CheckOutcome::Violated(format!("given twice in {set}: {}", some_of(&offenders)), offenders)
}

/// Every number from `first` to the last one that was given out is there.
fn holes(numbers: &BTreeSet<u64>, first: u64, last_seq: Option<u64>) -> CheckOutcome {
    let highest = numbers.last().copied().unwrap_or_default();
    let last = last_seq.unwrap_or(highest);
    if highest > last {
        let text = format!("number {highest} is above the last one given out, {last}");
        return CheckOutcome::Violated(text.clone(), vec![text]);
    }
    let missing: Vec<String> = (first..=last)
        .filter(|seq| !numbers.contains(seq))
        .take(MOST_HOLES)
        .map(|seq| format!("number {seq}"))
        .collect();
    if missing.is_empty() {
        return CheckOutcome::Holds(format!("numbers {first} to {last}, each once"));
    }
    CheckOutcome::Violated(format!("{} numbers up to {last}; missing: {}", numbers.len(), some_of(&missing)), missing)
}

/// After a rebuild only the grants since then can be without holes; K tells which these are.
fn holes_since_rebuild(view: &View<'_>, gate: &Gate) -> CheckOutcome {
    let events = match view.events() {
        Ok(events) => events,
        Err(why) => return CheckOutcome::Unknown(format!("the gate was rebuilt, and {why}")),
    };
    let present = events.list.iter().filter(|event| event.counter == gate.counter).map(|event| event.seq);
    let pending = gate.pending.iter().filter_map(|one| *gate.users.get(&one.user?)?);
    let numbers: BTreeSet<u64> = present.chain(pending).collect();
    match numbers.first() {
        Some(first) => holes(&numbers, *first, gate.last_seq),
        None => CheckOutcome::Unknown("the gate was rebuilt and has granted nothing since".into()),
    }
}

/// One grant on the generator's clock.
#[derive(Debug, Clone, Copy)]
struct Grant {
    user: u64,
    seq: u64,
    began: u64,
    ended: Option<u64>,
}

/// CP10: whoever had the answer before another one began to ask has the lower number; and `SOLD_OUT` is told only when
/// at least T grants had begun.
pub fn cp10(view: &View<'_>) -> CheckOutcome {
    let ledger = match view.asked() {
        Ok(ledger) => ledger,
        Err(outcome) => return outcome,
    };
    if let Err(why) = view.whole_ledger() {
        return CheckOutcome::Unknown(why);
    }
    let gate = match view.gate() {
        Ok(gate) => gate,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let rebuilt = match view.rebuilt(gate) {
        Ok(rebuilt) => rebuilt,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let epochs = match epochs(view, ledger, gate, rebuilt) {
        Ok(epochs) => epochs,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let sold_out = too_early(view, ledger, gate, rebuilt);
    let grants: usize = epochs.values().map(Vec::len).sum();
    if grants < 2 && !matches!(sold_out, CheckOutcome::Violated(..)) {
        return CheckOutcome::Unknown(format!("{grants} grants in the ledger: there is no order to compare"));
    }
    conjunction(vec![in_order(epochs.into_values().collect()), sold_out])
}

/// Grants that the ledger timed, by epoch: numbers of different epochs are not compared.
fn epochs(view: &View<'_>, ledger: &CouponLedger, gate: &Gate, rebuilt: bool) -> Known<BTreeMap<u64, Vec<Grant>>> {
    let mut of_user: HashMap<u64, u64> = HashMap::new();
    if rebuilt {
        of_user.extend(view.events()?.list.iter().map(|event| (event.user, event.counter)));
    }
    let mut epochs: BTreeMap<u64, Vec<Grant>> = BTreeMap::new();
    for (user, seq) in &gate.users {
        let Some((told, began)) = ledger.users.get(user).and_then(|told| Some((told, told.began()?))) else { continue };
        let seq = seq.ok_or_else(|| "the gate keeps no numbers".to_owned())?;
        let epoch = of_user.get(user).copied().unwrap_or(gate.counter);
        epochs.entry(epoch).or_default().push(Grant { user: *user, seq, began, ended: told.ended() });
    }
    Ok(epochs)
}

/// Sweeps over the requests by their begin and keeps the highest number that was answered before: O(n log n).
fn in_order(epochs: Vec<Vec<Grant>>) -> CheckOutcome {
    let (mut grants, mut ordered, mut offenders) = (0_usize, 0_usize, Vec::new());
    for mut by_begin in epochs {
        grants += by_begin.len();
        by_begin.sort_unstable_by_key(|grant| grant.began);
        let mut by_end: Vec<(u64, Grant)> = by_begin.iter().filter_map(|grant| Some((grant.ended?, *grant))).collect();
        by_end.sort_unstable_by_key(|(end, _)| *end);
        let mut answered = by_end.into_iter().peekable();
        let mut highest: Option<Grant> = None;
        for later in by_begin {
            while let Some((_, earlier)) = answered.next_if(|(end, _)| *end < later.began) {
                if highest.is_none_or(|grant| grant.seq < earlier.seq) {
                    highest = Some(earlier);
                }
            }
            let Some(earlier) = highest else { continue };
            ordered += 1;
            if earlier.seq > later.seq {
                offenders.push(format!(
                    "user {} (number {}) asked after user {} (number {}) had been answered",
                    later.user, later.seq, earlier.user, earlier.seq
                ));
            }
        }
    }
    let figures = format!("{ordered} of {grants} grants began after another was answered");
    if !offenders.is_empty() {
        return CheckOutcome::Violated(format!("{figures}; out of order: {}", some_of(&offenders)), offenders);
    }
    if ordered == 0 {
        return CheckOutcome::Unknown(format!("{figures}: all ran at once"));
    }
    CheckOutcome::Holds(format!("{figures}, each with a higher number"))
}

/// For the `SOLD_OUT` that ended first at least T grants began before its end. A grant that the ledger did not time may
/// have begun at any time: it counts as early.
fn too_early(view: &View<'_>, ledger: &CouponLedger, gate: &Gate, rebuilt: bool) -> CheckOutcome {
    let Some((end, user)) = ledger.first_sold_out else {
        return CheckOutcome::Holds("nobody was told SOLD_OUT".into());
    };
    if rebuilt {
        return CheckOutcome::Unknown("SOLD_OUT is not judged: the gate was rebuilt, grants may be gone".into());
    }
    let total = match view.total() {
        Ok(total) => total,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let early = |user: &u64| ledger.users.get(user).and_then(Told::began).is_none_or(|began| began < end);
    let begun = gate.users.keys().filter(|user| early(user)).count() as u64;
    let figures = format!("{begun} grants had begun when the first SOLD_OUT ended, T = {total}");
    if begun >= total {
        return CheckOutcome::Holds(figures);
    }
    CheckOutcome::Violated(format!("{figures}: too early"), vec![format!("user {user} was told SOLD_OUT too early")])
}
