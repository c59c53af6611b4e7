//! What types cannot say: one function for each rule.

mod alarms;
mod backend;
mod claims;
mod goals;
mod invariants;
mod requests;
mod scenarios;
mod seed;
mod stack;

use std::collections::BTreeMap;

pub use goals::goal_rule;
use record::metric::Source;
pub(crate) use scenarios::MOST_VUS;
pub use stack::external;

use super::{
    fixture::Fixture,
    model::Profile,
    problem::{Place, Problem},
};

/// The rules, in the order of the sections.
const RULES: &[fn(&mut Context<'_>)] = &[
    stack::validate_brokers,
    stack::validate_ports,
    stack::validate_docker_only,
    stack::validate_external,
    backend::validate_numbers,
    backend::validate_durations,
    backend::validate_pool_order,
    backend::validate_poll_interval,
    backend::validate_failpoints,
    backend::validate_size,
    backend::warn_of_idle_consumers,
    backend::warn_of_early_reconciler,
    seed::validate_fixture,
    seed::validate_keys,
    seed::validate_amounts,
    seed::validate_kinds,
    seed::warn_of_shared_users,
    scenarios::validate_any,
    scenarios::validate_names,
    scenarios::validate_stages,
    scenarios::validate_vus,
    scenarios::validate_rate,
    scenarios::validate_durations,
    scenarios::validate_once,
    scenarios::warn_of_useless_think,
    requests::validate_any,
    requests::validate_names,
    requests::validate_methods,
    requests::validate_paths,
    requests::validate_bodies,
    requests::validate_outcomes,
    requests::validate_headers,
    claims::validate_ids,
    claims::validate_outcomes,
    claims::validate_kinds,
    goals::validate_goals,
    goals::validate_goal_tags,
    alarms::validate_metrics,
    alarms::validate_levels,
    alarms::validate_holds,
    alarms::validate_acts,
    goals::validate_checks,
    invariants::validate_ids,
    invariants::validate_each,
    invariants::warn_of_unexercised,
    goals::validate_drain,
];

/// What a rule looks at, and where it reports.
pub(crate) struct Context<'a> {
    pub profile: &'a Profile,
    /// None: there is no such fixture.
    pub fixture: Option<&'a Fixture>,
    places: &'a BTreeMap<String, Place>,
    /// What is wrong with the shape. Nothing is said twice.
    shape: &'a [Problem],
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

/// Holds `profile` against every rule. Returns problems and warnings.
pub(crate) fn run(
    profile: &Profile,
    fixture: Option<&Fixture>,
    places: &BTreeMap<String, Place>,
    shape: &[Problem],
) -> (Vec<Problem>, Vec<Problem>) {
    let mut context = Context { profile, fixture, places, shape, problems: Vec::new(), warnings: Vec::new() };
    for rule in RULES {
        rule(&mut context);
    }
    (context.problems, context.warnings)
}

impl Context<'_> {
    /// Reports that `path` breaks a rule.
    fn problem(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let path = path.into();
        // Where the shape is wrong already, the rule saw only what was left of the value.
        if !self.shape.iter().any(|p| is_at_or_below(&p.path, &path)) {
            let place = self.place(&path);
            self.problems.push(Problem { place, path, message: message.into() });
        }
    }

    /// Reports that the system has nothing that could give values of `metric`.
    fn source(&mut self, path: String, metric: &str, source: Source) {
        let system = self.profile.system;
        // What an API of somebody else says is not known before it is asked.
        let is_foreign = source == Source::Cache && self.profile.stack.external.api_url.is_some();
        if !is_foreign && !source.is_of(system) {
            let (source, system) = (source.name(), system.name());
            self.problem(path, format!("`{metric}` is measured by {source}, and the system {system} has none"));
        }
    }

    /// Says something that is allowed, but perhaps not meant.
    fn warn(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let path = path.into();
        let place = self.place(&path);
        self.warnings.push(Problem { place, path, message: message.into() });
    }

    /// Whether somebody wrote the key `path`.
    fn is_written(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// Whether these sections are as they were written. A rule across sections asks first.
    fn clean(&self, sections: &[&str]) -> bool {
        const KNOWN: [&str; 11] = [
            "about",
            "system",
            "stack",
            "backend",
            "seed",
            "scenarios",
            "goals",
            "alarms",
            "checks",
            "invariants",
            "drain",
        ];
        self.shape.iter().all(|p| {
            let section = p.path.split(['.', '[']).next().unwrap_or_default();
            KNOWN.contains(&section) && !sections.contains(&section)
        })
    }

    /// The place of `path`, or of what it stands in where it is a default.
    fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return place.clone();
            }
            path = path.rfind(['.', '[']).map_or("", |at| &path[..at]);
            if path.is_empty() {
                return self.places.get("").cloned().unwrap_or(Place::File { line: 1, column: 1 });
            }
        }
    }
}

/// Whether `path` is `above`, or a key below it.
pub(super) fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
