//! CP2: one row per coupon and user, and the keys that see to it exist.

use std::collections::{BTreeMap, BTreeSet};

use super::{CheckOutcome, View, conjunction, some_of};
use crate::families::coupon::model::Row;

/// Column sets that must be unique, whatever the keys are called.
const REQUIRED: [&[&str]; 2] = [&["event_id"], &["coupon_id", "user_id"]];

/// CP2: one row per (coupon, user) and per event, and the UNIQUE keys really exist.
pub fn cp2(view: &View<'_>) -> CheckOutcome {
    let outcome = conjunction(vec![keys(view), rows(view)]);
    match outcome {
        CheckOutcome::Holds(_) if view.is_idle() => CheckOutcome::Idle("nothing was issued".into()),
        other => other,
    }
}

fn keys(view: &View<'_>) -> CheckOutcome {
    let keys = match view.keys() {
        Ok(keys) => keys,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let missing: Vec<String> = REQUIRED
        .iter()
        .filter(|columns| {
            let wanted: BTreeSet<&str> = columns.iter().copied().collect();
            let same = |found: &[String]| {
                found.len() == wanted.len() && found.iter().map(String::as_str).collect::<BTreeSet<_>>() == wanted
            };
            !keys.iter().any(|key| same(&key.columns))
        })
        .map(|columns| format!("UNIQUE({})", columns.join(", ")))
        .collect();
    if missing.is_empty() {
        return CheckOutcome::Holds("both unique keys exist".into());
    }
    CheckOutcome::Violated(format!("coupon_users has no {}", missing.join(" and no ")), Vec::new())
}

fn rows(view: &View<'_>) -> CheckOutcome {
    let rows = match view.rows() {
        Ok(rows) => rows,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let mut offenders = repeated(rows, |row| row.user, |user| format!("user {user}"));
    offenders.extend(repeated(rows, |row| &row.event_id, |event| format!("event {event}")));
    if offenders.is_empty() {
        return CheckOutcome::Holds(format!("{} rows for {} users", rows.len(), rows.len()));
    }
    CheckOutcome::Violated(format!("|M| = {}; more than one row: {}", rows.len(), some_of(&offenders)), offenders)
}

/// "user 7 (rows 3, 9)" for each value that more than one row has.
fn repeated<'a, K: Ord>(rows: &'a [Row], key: impl Fn(&'a Row) -> K, name: impl Fn(&K) -> String) -> Vec<String> {
    let mut ids: BTreeMap<K, Vec<u64>> = BTreeMap::new();
    for row in rows {
        ids.entry(key(row)).or_default().push(row.id);
    }
    let list = |ids: Vec<u64>| ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    ids.into_iter()
        .filter(|(_, ids)| ids.len() > 1)
        .map(|(value, ids)| format!("{} (rows {})", name(&value), list(ids)))
        .collect()
}
