//! Rules of `seed:`.

use std::collections::BTreeSet;

use contract::system::Step;

use super::Context;
use crate::{
    fixture::{self, FixtureError},
    model::{CouponSeed, Executor, UserPick},
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

pub(super) fn validate_coupons(c: &mut Context<'_>) {
    let mut seen = BTreeSet::new();
    for (i, coupon) in c.profile.seed.coupons.iter().enumerate() {
        let path = |key: &str| format!("seed.coupons[{i}].{key}");
        if coupon.id == 0 {
            c.problem(path("id"), "ids begin at 1");
        }
        if !seen.insert(coupon.id) {
            c.problem(path("id"), format!("coupon {} stands here twice", coupon.id));
        }
        if !(1..=u64::from(u32::MAX)).contains(&coupon.quantity) {
            let message = format!("{} is out of range; allowed: 1 to {}", coupon.quantity, u32::MAX);
            c.problem(path("quantity"), message);
        }
        if let Some(name) = &coupon.name
            && (name.trim().is_empty() || name.chars().count() > 200)
        {
            c.problem(path("name"), "a name has 1 to 200 letters");
        }
    }
}

/// Ids of the coupons that will exist; none where that cannot be told.
pub(super) fn coupon_ids(c: &Context<'_>) -> Option<BTreeSet<u64>> {
    let ids = |coupons: &[CouponSeed]| coupons.iter().map(|k| k.id).collect();
    if c.profile.seed.coupons.is_empty() {
        c.fixture.map(|f| ids(&f.coupons))
    } else {
        Some(ids(&c.profile.seed.coupons))
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
