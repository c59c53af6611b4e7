//! Puts one compose file over another, as the specification says: maps by key, command lines and tests as a whole,
//! ports and other lists one behind the other, mounts by their target.

use std::collections::BTreeMap;

use super::{
    layer::{ContentLayer, FileLayer, HealthLayer, ResourceLayer, ServiceLayer},
    model::{Grant, Mount, Resources},
    reader::Placed,
};

/// The later value counts where there is one.
macro_rules! over {
    ($base:ident, $top:ident: $($field:ident),+) => { $(if $top.$field.is_some() { $base.$field = $top.$field; })+ };
}

/// Items of the later list that are not there yet are put behind.
macro_rules! behind {
    ($base:ident, $top:ident: $($field:ident),+) => { $(append(&mut $base.$field, $top.$field);)+ };
}

/// Puts `top` over `base`.
pub(super) fn file(base: &mut FileLayer, top: FileLayer) {
    over!(base, top: name);
    by_key(&mut base.services, top.services, service);
    by_key(&mut base.networks, top.networks, resource);
    by_key(&mut base.volumes, top.volumes, resource);
    by_key(&mut base.configs, top.configs, content);
    by_key(&mut base.secrets, top.secrets, content);
}

fn by_key<T>(base: &mut BTreeMap<String, T>, top: BTreeMap<String, T>, merge: fn(&mut T, T)) {
    for (key, value) in top {
        match base.get_mut(&key) {
            Some(below) => merge(below, value),
            None => {
                base.insert(key, value);
            }
        }
    }
}

fn append<T: PartialEq>(base: &mut Vec<T>, top: Vec<T>) {
    for item in top {
        if !base.contains(&item) {
            base.push(item);
        }
    }
}

/// Items that stand for the same thing replace each other where they stand.
fn append_by<T, K: PartialEq>(base: &mut Vec<Placed<T>>, top: Vec<Placed<T>>, key: impl Fn(&T) -> K) {
    for item in top {
        match base.iter_mut().find(|below| key(&below.value) == key(&item.value)) {
            Some(below) => *below = item,
            None => base.push(item),
        }
    }
}

fn resource(base: &mut Placed<ResourceLayer>, top: Placed<ResourceLayer>) {
    base.at = top.at;
    let (base, top) = (&mut base.value, top.value);
    over!(base, top: name, external, driver, internal);
    base.labels.extend(top.labels);
}

fn content(base: &mut Placed<ContentLayer>, top: Placed<ContentLayer>) {
    *base = top;
}

fn service(base: &mut ServiceLayer, top: ServiceLayer) {
    base.at = top.at;
    over!(base, top: image, command, entrypoint, deploy_replicas, scale, restart, container_name, hostname, user);
    over!(base, top: working_dir, stop_signal, stop_grace_period, init, privileged, read_only, pid, shm_size, platform);
    behind!(base, top: env_files, expose, profiles, cap_add, cap_drop, security_opt, extra_hosts, devices);
    base.environment.extend(top.environment);
    base.labels.extend(top.labels);
    base.depends_on.extend(top.depends_on);
    base.ulimits.extend(top.ulimits);
    base.extensions.extend(top.extensions);
    append_by(&mut base.ports, top.ports, Clone::clone);
    append_by(&mut base.volumes, top.volumes, |mount: &Mount| mount.target.clone());
    append_by(&mut base.configs, top.configs, |grant: &Grant| grant.target.clone());
    append_by(&mut base.secrets, top.secrets, |grant: &Grant| grant.target.clone());
    if let Some(networks) = top.networks {
        by_key(base.networks.get_or_insert_default(), networks, |below, above| {
            below.at = above.at;
            append(&mut below.value, above.value);
        });
    }
    if let Some(check) = top.healthcheck {
        health(base.healthcheck.get_or_insert_default(), check);
    }
    resources(&mut base.resources, top.resources);
}

fn health(base: &mut HealthLayer, top: HealthLayer) {
    over!(base, top: test, disable, interval, timeout, retries, start_period, start_interval);
}

fn resources(base: &mut Resources, top: Resources) {
    over!(base, top: cpus, memory, pids, reserved_cpus, reserved_memory);
}
