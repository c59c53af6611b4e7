//! CP7: at rest every grant became a row or a dead letter, and nothing is left on its way.

use super::{CheckOutcome, View, conjunction, some_of};
use crate::families::coupon::model::PartitionFacts;

/// CP7: |G| = |M| + |D|, pending = 0, lag 0.
pub fn cp7(view: &View<'_>) -> CheckOutcome {
    let outcome = conjunction(vec![balance(view), pending(view), lag(view)]);
    match outcome {
        CheckOutcome::Violated(text, _) if view.sets.moving.is_some() => {
            CheckOutcome::Unknown(format!("{text}; {}", view.sets.moving.as_deref().unwrap_or_default()))
        }
        CheckOutcome::Holds(_) if view.is_idle() => CheckOutcome::Idle("nothing was granted".into()),
        other => other,
    }
}

fn balance(view: &View<'_>) -> CheckOutcome {
    let (gate, rows, dead) = match (view.gate(), view.rows(), view.dead()) {
        (Ok(gate), Ok(rows), Ok(dead)) => (gate, rows, dead),
        (Err(why), _, _) | (_, Err(why), _) | (_, _, Err(why)) => return CheckOutcome::Unknown(why),
    };
    let grants = gate.users.len();
    let figures = format!("|G| = {grants}, |M| + |D| = {} + {}", rows.len(), dead.len());
    if grants == rows.len() + dead.len() {
        return CheckOutcome::Holds(figures);
    }
    let buried: std::collections::HashSet<u64> = dead.iter().map(|letter| letter.user).collect();
    let offenders: Vec<String> = gate
        .users
        .keys()
        .filter(|user| !view.holds(**user) && !buried.contains(user))
        .map(|user| format!("user {user}"))
        .collect();
    let text = if offenders.is_empty() { figures } else { format!("{figures}; no row: {}", some_of(&offenders)) };
    CheckOutcome::Violated(text, offenders)
}

fn pending(view: &View<'_>) -> CheckOutcome {
    let pending = match view.gate() {
        Ok(gate) => &gate.pending,
        // `balance` says why already.
        Err(_) => return CheckOutcome::Unknown("pending is not known".into()),
    };
    if pending.is_empty() {
        return CheckOutcome::Holds("pending 0".into());
    }
    let offenders: Vec<String> = pending
        .iter()
        .map(|one| one.user.map_or_else(|| format!("member {}", one.member), |user| format!("user {user}")))
        .collect();
    CheckOutcome::Violated(format!("pending {}: {}", pending.len(), some_of(&offenders)), offenders)
}

fn lag(view: &View<'_>) -> CheckOutcome {
    let topic = match view.topic() {
        Ok(topic) => topic,
        Err(why) => return CheckOutcome::Unknown(why),
    };
    let behind = |p: &&PartitionFacts| p.unconsumed > 0;
    let never: Vec<String> = { topic.partitions.iter() }
        .filter(behind)
        .filter(|p| p.committed.is_none())
        .map(|p| p.partition.to_string())
        .collect();
    let offenders: Vec<String> = { topic.partitions.iter() }
        .filter(behind)
        .filter_map(|p| Some((p, p.committed?)))
        .map(|(p, committed)| {
            format!("partition {}: {} unconsumed (committed {committed}, end {})", p.partition, p.unconsumed, p.end)
        })
        .collect();
    if !offenders.is_empty() {
        let lag: u64 = topic.partitions.iter().map(|p| p.unconsumed).sum();
        return CheckOutcome::Violated(format!("lag {lag}: {}", some_of(&offenders)), offenders);
    }
    // Another group may do the work. Where none does, rows are missing, and that is seen without the lag.
    if !never.is_empty() {
        return CheckOutcome::Unknown(format!("the group has committed nothing in partitions {}", some_of(&never)));
    }
    let unreadable: u64 = topic.partitions.iter().map(|p| p.unconsumed_unreadable).sum();
    if unreadable > 0 {
        return CheckOutcome::Unknown(format!("{unreadable} records that are no events are not consumed"));
    }
    CheckOutcome::Holds("lag 0".into())
}
