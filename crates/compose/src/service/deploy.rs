//! `deploy`: containers and resources of a service.

use super::replicas;
use crate::{
    layer::ServiceLayer,
    model::Resources,
    node::Node,
    reader::{Key, Reader},
};

const KEYS: &[Key<ServiceLayer>] = &[
    ("replicas", |r, s, n| s.deploy_replicas = replicas(r, n)),
    ("resources", |r, s, n| r.fields(n, RESOURCES, &[], &mut s.resources)),
];

const REFUSED: &[&str] =
    &["endpoint_mode", "labels", "mode", "placement", "restart_policy", "rollback_config", "update_config"];

const RESOURCES: &[Key<Resources>] = &[
    ("limits", |r, s, n| r.fields(n, LIMITS, &["devices", "generic_resources"], s)),
    ("reservations", |r, s, n| r.fields(n, RESERVATIONS, &["devices", "generic_resources", "pids"], s)),
];

const LIMITS: &[Key<Resources>] = &[
    ("cpus", |r, s, n| s.cpus = r.cpus(n)),
    ("memory", |r, s, n| s.memory = r.bytes(n)),
    ("pids", |r, s, n| s.pids = r.integer(n)),
];

const RESERVATIONS: &[Key<Resources>] =
    &[("cpus", |r, s, n| s.reserved_cpus = r.cpus(n)), ("memory", |r, s, n| s.reserved_memory = r.bytes(n))];

/// Reads `deploy`.
pub(super) fn read(reader: &mut Reader<'_>, service: &mut ServiceLayer, node: &Node) {
    reader.fields(node, KEYS, REFUSED, service);
}
