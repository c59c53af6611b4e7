//! CP7: at rest every grant became a row or a dead letter, and nothing is left on its way.

use super::{Outcome, View, conjunction, some_of};

/// CP7: |G| = |M| + |D|, pending = 0, lag 0.
pub fn cp7(view: &View<'_>) -> Outcome {
    let outcome = conjunction(vec![balance(view), pending(view), lag(view)]);
    match outcome {
        Outcome::Holds(_) if view.is_idle() => Outcome::Idle("nothing was granted".into()),
        other => other,
    }
}

fn balance(view: &View<'_>) -> Outcome {
    let (gate, rows, dead) = match (view.gate(), view.rows(), view.dead()) {
        (Ok(gate), Ok(rows), Ok(dead)) => (gate, rows, dead),
        (Err(why), _, _) | (_, Err(why), _) | (_, _, Err(why)) => return Outcome::Unknown(why),
    };
    let grants = gate.users.len();
    let figures = format!("|G| = {grants}, |M| + |D| = {} + {}", rows.len(), dead.len());
    if grants == rows.len() + dead.len() {
        return Outcome::Holds(figures);
    }
    let buried: std::collections::HashSet<u64> = dead.iter().map(|letter| letter.user).collect();
    let offenders: Vec<String> = gate
        .users
        .keys()
        .filter(|user| !view.holds(**user) && !buried.contains(user))
        .map(|user| format!("user {user}"))
        .collect();
    let text = if offenders.is_empty() { figures } else { format!("{figures}; no row: {}", some_of(&offenders)) };
    Outcome::Violated(text, offenders)
}

fn pending(view: &View<'_>) -> Outcome {
    let pending = match view.gate() {
        Ok(gate) => &gate.pending,
        // `balance` says why already.
        Err(_) => return Outcome::Unknown("pending is not known".into()),
    };
    if pending.is_empty() {
        return Outcome::Holds("pending 0".into());
    }
    let offenders: Vec<String> = pending
        .iter()
        .map(|one| one.user.map_or_else(|| format!("member {}", one.member), |user| format!("user {user}")))
        .collect();
    Outcome::Violated(format!("pending {}: {}", pending.len(), some_of(&offenders)), offenders)
}

fn lag(view: &View<'_>) -> Outcome {
    let topic = match view.topic() {
        Ok(topic) => topic,
        Err(why) => return Outcome::Unknown(why),
    };
    let lag: u64 = topic.partitions.iter().map(|p| p.unconsumed).sum();
    if lag == 0 {
        return Outcome::Holds("lag 0".into());
    }
    let offenders: Vec<String> = topic
        .partitions
        .iter()
        .filter(|p| p.unconsumed > 0)
        .map(|p| {
            let committed = p.committed.map_or_else(|| "nothing".into(), |offset| offset.to_string());
            format!("partition {}: {} unconsumed (committed {committed}, end {})", p.partition, p.unconsumed, p.end)
        })
        .collect();
    Outcome::Violated(format!("lag {lag}: {}", some_of(&offenders)), offenders)
}
