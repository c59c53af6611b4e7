//! What decides no check, but must not go unsaid.

use super::model::Sets;
use crate::checks;

/// What decides no check, but must not go unsaid.
pub(super) fn notes(sets: &Sets) -> Vec<String> {
    let mut notes = Vec::new();
    if let Ok(topic) = &sets.topic {
        if topic.malformed > 0 {
            notes.push(format!("{} records are no coupon events: {}", topic.malformed, topic.malformed_at.join("; ")));
        }
        if topic.malformed_dead > 0 {
            notes.push(format!("{} dead letters are no coupon events", topic.malformed_dead));
        }
    }
    for one in &sets.coupons {
        let mut say = |text: String| notes.push(format!("coupon {}: {text}", one.coupon));
        if let Ok(events) = &one.events {
            let copies: u64 = events.list.iter().map(|event| u64::from(event.copies.saturating_sub(1))).sum();
            if copies > 0 {
                say(format!("{copies} further copies of events in Kafka (delivered again, counted once)"));
            }
            if events.stale > 0 {
                say(format!("{} events of an earlier epoch, which consumers skip", events.stale));
            }
            if events.foreign > 0 {
                say(format!("{} events of epochs that MySQL did not know", events.foreign));
            }
        }
        let totals = [
            ("coupons.quantity", one.facts.as_ref().ok().map(|facts| facts.quantity)),
            ("the gate", one.gate.as_ref().ok().and_then(|gate| gate.total)),
        ];
        for (place, total) in totals {
            if let Some(total) = total.filter(|total| *total != one.total) {
                say(format!("{place} says {total} coupons, the profile {}", one.total));
            }
        }
        for letter in one.dead.iter().flatten() {
            say(format!("dead letter of user {} (event {}): {}", letter.user, letter.event_id, letter.reason));
        }
    }
    notes.truncate(checks::MOST_ROWS * sets.coupons.len().max(1));
    notes
}
