//! Rules of `seed:`.

use contract::system::Step;

use super::Context;
use crate::{
    fixture::{self, FixtureError},
    model::{Executor, UserPick},
    suggest::did_you_mean,
};

/// Most users or products: more would be a bench of the seeder.
const MOST_ROWS: u64 = 10_000_000;

pub(super) fn validate_fixture(c: &mut Context<'_>) {
    if let Some(fixture) = c.fixture {
        let system = c.profile.system;
        let lacks = fixture.lacks(system);
        if !lacks.is_empty() {
            let (name, lacks) = (&c.profile.seed.fixture, lacks.join(" and no "));
            let message = format!("`{name}` has no {lacks}, which the system {} needs", system.name());
            c.problem("seed.fixture", message);
        }
        return;
    }
    let name = &c.profile.seed.fixture;
    // It is there, and of no use: what is wrong in it is what helps.
    if let Err(error @ FixtureError::Invalid { .. }) = fixture::load(name) {
        c.problem("seed.fixture", error.to_string());
        return;
    }
    let known = fixture::names();
    let hint = did_you_mean(name, known.iter().map(String::as_str));
    c.problem("seed.fixture", format!("there is no fixture `{name}`{hint}; known: {}", known.join(", ")));
}

/// What the system has not cannot be seeded: a number of it was meant for another system.
pub(super) fn validate_keys(c: &mut Context<'_>) {
    let system = c.profile.system;
    if c.is_written("seed.products") && !system.has(Step::Products) {
        c.problem("seed.products", format!("the system {} has no products; take the key away", system.name()));
    }
}

pub(super) fn validate_amounts(c: &mut Context<'_>) {
    let seed = &c.profile.seed;
    for (key, value, least) in [("users", seed.users, 1), ("products", seed.products, 0)] {
        if !(least..=MOST_ROWS).contains(&value) {
            c.problem(format!("seed.{key}"), format!("{value} is out of range; allowed: {least} to {MOST_ROWS}"));
        }
    }
}

/// What only one kind of what can be claimed asks of its rows.
pub(super) fn validate_kinds(c: &mut Context<'_>) {
    for (path, why) in c.profile.seed.problems() {
        c.problem(path, why);
    }
}

pub(super) fn warn_of_shared_users(c: &mut Context<'_>) {
    let users = c.profile.seed.users;
    for (name, scenario) in &c.profile.scenarios {
        let vus = match &scenario.executor {
            Executor::RampingVus { start_vus, stages } => {
                stages.iter().map(|s| s.target).max().unwrap_or(0).max(*start_vus)
            }
            Executor::ConstantVus { vus, .. } => *vus,
            Executor::ConstantArrivalRate { .. } => continue,
        };
        if scenario.user == UserPick::PerVu && u64::from(vus) > users {
            let message = format!("{vus} virtual users share {users} people: `seed.users` is smaller");
            c.warn(format!("scenarios.{name}"), message);
        }
    }
}
