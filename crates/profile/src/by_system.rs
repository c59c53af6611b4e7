//! What a profile leaves to its system: numbers that nobody wrote.

use std::collections::BTreeMap;

use contract::settings::Settings;

use super::{
    model::{PortSpec, Profile, SeedSpec},
    problem::Place,
};

/// Puts the numbers of the profile's system where `places` has no key.
pub(crate) fn fill(profile: &mut Profile, places: &BTreeMap<String, Place>) {
    fn put<T>(places: &BTreeMap<String, Place>, path: &str, target: &mut T, value: T) {
        if !places.contains_key(path) {
            *target = value;
        }
    }
    let system = profile.system;
    let (settings, ports, seed) = (Settings::of(system), PortSpec::of(system), SeedSpec::of(system));
    put(places, "backend.consumers", &mut profile.backend.consumers, settings.consumers);
    put(places, "backend.partitions", &mut profile.backend.partitions, settings.partitions);
    put(places, "stack.ports.mysql", &mut profile.stack.ports.mysql, ports.mysql);
    put(places, "stack.ports.redis", &mut profile.stack.ports.redis, ports.redis);
    put(places, "stack.ports.kafka", &mut profile.stack.ports.kafka, ports.kafka);
    put(places, "seed.fixture", &mut profile.seed.fixture, seed.fixture);
    put(places, "seed.users", &mut profile.seed.users, seed.users);
    put(places, "seed.products", &mut profile.seed.products, seed.products);
}
