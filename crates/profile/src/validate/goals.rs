//! Rules of `goals:`, `checks:` and `drain:`.

use std::collections::BTreeSet;

use contract::human::HumanDuration;
use record::{event::names::Check, invariant, metric::Source};

use super::{Context, is_at_or_below};
use crate::suggest::did_you_mean;

/// Whether `expression` is a goal over `metric`, and if not, why.
pub fn goal_rule(metric: &str, expression: &str) -> Result<Source, String> {
    record::goal::check(metric, expression).map_err(|e| e.to_string())
}

pub(super) fn validate_goals(c: &mut Context<'_>) {
    for (metric, goals) in &c.profile.goals {
        let path = format!("goals.{metric}");
        if goals.is_empty() {
            c.problem(&path, "there is no goal; write one, as in [\"p(95)<100\"], or take the metric away");
        }
        for (i, goal) in goals.iter().enumerate() {
            match goal_rule(metric, goal.expression()) {
                Ok(source) if i == 0 => c.source(path.clone(), metric, source),
                Ok(_) => {}
                Err(why) => c.problem(format!("{path}[{i}]"), why),
            }
        }
    }
}

/// A goal about a request that nobody sends would be unknown, and so missed, at the end of every run.
pub(super) fn validate_goal_tags(c: &mut Context<'_>) {
    if !c.clean(&["scenarios", "goals"]) {
        return;
    }
    let scenarios: BTreeSet<&str> = c.profile.scenarios.keys().map(String::as_str).collect();
    let requests: BTreeSet<&str> =
        c.profile.scenarios.values().flat_map(|s| &s.requests).map(|r| r.name.as_str()).collect();
    for metric in c.profile.goals.keys() {
        let tags = metric.split_once('{').and_then(|(_, rest)| rest.strip_suffix('}')).unwrap_or_default();
        for (key, value) in tags.split(',').filter_map(|tag| tag.split_once(':')) {
            let (what, known) = match key.trim() {
                "name" => ("request", &requests),
                "scenario" => ("scenario", &scenarios),
                _ => continue,
            };
            let value = value.trim();
            if !known.contains(value) {
                let hint = did_you_mean(value, known.iter().copied());
                let all = known.iter().copied().collect::<Vec<_>>().join(", ");
                c.problem(format!("goals.{metric}"), format!("there is no {what} `{value}`{hint}; there is: {all}"));
            }
        }
    }
}

pub(super) fn validate_checks(c: &mut Context<'_>) {
    // One that is not well-formed was taken out: nobody knows what it would be called.
    if c.shape.iter().any(|problem| is_at_or_below(&problem.path, "invariants")) {
        return;
    }
    let mut seen = BTreeSet::new();
    let system = c.profile.system;
    let has = |check: &Check| check.kind.is_none_or(|kind| system.description().has(kind));
    let (here, elsewhere): (Vec<Check>, Vec<Check>) = Check::all().partition(has);
    let listed = invariant::listed(system, &c.profile.invariants);
    let mut all: Vec<&str> = here.into_iter().map(|check| check.id).collect();
    all.extend(listed.iter().map(|one| one.id.as_str()));
    let (system, known) = (system.name(), all.join(", "));
    for (i, id) in c.profile.checks.require.iter().enumerate() {
        let path = format!("checks.require[{i}]");
        if let Some(kind) = elsewhere.iter().find(|check| check.id == id).and_then(|check| check.kind) {
            let why = format!("nothing of the system {system} claims a {kind}");
            c.problem(path, format!("`{id}` is not applicable: {why}; known: {known}"));
        } else if !all.contains(&id.as_str()) {
            let hint = did_you_mean(id, all.iter().copied());
            c.problem(path, format!("`{id}` is no check of the system {system}{hint}; known: {known}"));
        } else if !seen.insert(id) {
            c.warn(path, format!("`{id}` stands here twice"));
        }
    }
}

pub(super) fn validate_drain(c: &mut Context<'_>) {
    let timeout = c.profile.drain.timeout;
    if timeout.0.is_zero() || timeout > HumanDuration::from_secs(86_400) {
        c.problem("drain.timeout", format!("{timeout} is out of range; allowed: above 0s, to 24h"));
    }
}
