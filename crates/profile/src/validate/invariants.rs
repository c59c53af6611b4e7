//! Rules of `invariants:`. What one of them may ask for is decided in `record::invariant`.

use record::{event::names::Check, invariant};

use super::Context;

/// An id means one check: of ids that differ in capitals only people would take one for the other.
pub(super) fn validate_ids(c: &mut Context<'_>) {
    let built_in = invariant::built_in(c.profile.system);
    let built_in = built_in.iter().map(|one| one.id.as_str());
    let taken: Vec<&str> = Check::all().map(|check| check.id).chain(built_in).collect();
    let own: Vec<&String> = c.profile.invariants.keys().collect();
    for (i, id) in own.iter().enumerate() {
        let path = format!("invariants.{id}");
        if let Some(taken) = taken.iter().find(|taken| taken.eq_ignore_ascii_case(id)) {
            c.problem(path, format!("`{taken}` is a check of ecomctl; give this one another id"));
        } else if let Some(other) = own[..i].iter().find(|other| other.eq_ignore_ascii_case(id)) {
            c.problem(path, format!("`{other}` is an id already; give this one another"));
        }
    }
}

pub(super) fn validate_each(c: &mut Context<'_>) {
    for (id, invariant) in &c.profile.invariants {
        for (key, why) in invariant::problems(id, invariant) {
            let dot = if key.is_empty() { "" } else { "." };
            c.problem(format!("invariants.{id}{dot}{key}"), why);
        }
    }
}

/// It could be violated, and never hold.
pub(super) fn warn_of_unexercised(c: &mut Context<'_>) {
    for (id, invariant) in &c.profile.invariants {
        if invariant.exercised.is_none() && invariant.left.is_none() {
            let why = "without `exercised` it is unknown where nothing offends, and never holds";
            c.warn(format!("invariants.{id}"), why);
        }
    }
}
