//! Reads one service of one file.

mod deploy;
mod grants;
mod health;
mod mounts;
mod ports;

use super::{
    env_file,
    layer::ServiceLayer,
    model::{Condition, Restart},
    node::{Node, Value},
    reader::{Key, Placed, Reader},
    values,
};

/// Keys that are supported, and what reads them.
const KEYS: &[Key<ServiceLayer>] = &[
    ("cap_add", |r, s, n| s.cap_add = r.texts(n)),
    ("cap_drop", |r, s, n| s.cap_drop = r.texts(n)),
    ("command", |r, s, n| s.command = command_line(r, n)),
    ("configs", |r, s, n| s.configs = grants::configs(r, n)),
    ("container_name", |r, s, n| {
        s.container_name = container_name(r, n).map(|value| Placed { at: n.at, value });
    }),
    ("depends_on", depends_on),
    ("deploy", deploy::read),
    ("devices", |r, s, n| s.devices = r.items(n, device)),
    ("entrypoint", |r, s, n| s.entrypoint = command_line(r, n)),
    ("env_file", |r, s, n| s.env_files.extend(env_file::list(r, n))),
    ("environment", |r, s, n| s.environment = r.pairs(n)),
    ("expose", |r, s, n| s.expose = ports::expose(r, n)),
    ("extra_hosts", extra_hosts),
    ("healthcheck", |r, s, n| s.healthcheck = Some(health::read(r, n))),
    ("hostname", |r, s, n| s.hostname = r.word(n)),
    ("image", |r, s, n| s.image = r.word(n)),
    ("init", |r, s, n| s.init = r.boolean(n)),
    ("labels", |r, s, n| s.labels = labels(r, n)),
    ("networks", networks),
    ("pid", |r, s, n| s.pid = r.word(n)),
    ("platform", |r, s, n| s.platform = r.word(n)),
    ("ports", |r, s, n| s.ports = ports::read(r, n)),
    ("privileged", |r, s, n| s.privileged = r.boolean(n)),
    ("profiles", |r, s, n| s.profiles = r.texts(n)),
    ("read_only", |r, s, n| s.read_only = r.boolean(n).map(|value| Placed { at: n.at, value })),
    ("restart", |r, s, n| s.restart = r.parsed(n, "no, always, unless-stopped or on-failure[:times]", restart)),
    ("scale", |r, s, n| s.scale = replicas(r, n)),
    ("secrets", |r, s, n| s.secrets = grants::secrets(r, n)),
    ("security_opt", |r, s, n| s.security_opt = r.texts(n)),
    ("shm_size", |r, s, n| s.shm_size = r.bytes(n)),
    ("stop_grace_period", |r, s, n| s.stop_grace_period = r.duration(n)),
    ("stop_signal", |r, s, n| s.stop_signal = r.word(n)),
    ("tmpfs", |r, s, n| s.volumes.extend(mounts::tmpfs(r, n))),
    ("ulimits", ulimits),
    ("user", |r, s, n| s.user = r.word(n)),
    ("volumes", |r, s, n| s.volumes.extend(mounts::read(r, n))),
    ("working_dir", |r, s, n| s.working_dir = r.word(n)),
];

/// Names of the keys of a service that are supported.
pub fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _)| *key)
}

/// Keys of the specification that are not supported; everything else is a slip.
#[rustfmt::skip]
const REFUSED: &[&str] = &[
    "annotations", "attach", "blkio_config", "build", "cgroup", "cgroup_parent", "cpu_count", "cpu_percent",
    "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares", "cpus", "cpuset", "credential_spec",
    "develop", "device_cgroup_rules", "dns", "dns_opt", "dns_search", "domainname", "driver_opts",
    "extends", "external_links", "gpus", "group_add", "ipc", "isolation", "label_file", "links", "logging",
    "mac_address", "mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "models", "network_mode",
    "oom_kill_disable", "oom_score_adj", "pids_limit", "post_start", "pre_stop", "provider", "pull_policy",
    "pull_refresh_after", "runtime", "stdin_open", "storage_opt", "sysctls", "tty", "use_api_socket",
    "userns_mode", "uts", "volumes_from",
];

/// Reads a service.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> ServiceLayer {
    let mut service = ServiceLayer::default();
    reader.fields(node, KEYS, REFUSED, &mut service);
    if let Value::Map(entries) = &node.value {
        let own = entries.iter().filter(|e| e.key.starts_with("x-"));
        service.extensions = own.map(|e| (e.key.clone(), e.node.to_json())).collect();
    }
    service
}

/// A list is taken as it is; a text is split as by a shell.
fn command_line(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    if let Value::List(_) = node.value {
        return Some(reader.items(node, Reader::loose));
    }
    let line = reader.text(node)?;
    match values::words(&line) {
        Ok(words) => Some(words),
        Err(why) => {
            reader.problem(node.at, format!("the command line cannot be split: {why}"));
            None
        }
    }
}

fn device(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    reader.parsed(node, "/PATH:/PATH[:rwm]", |text| {
        let parts: Vec<&str> = text.split(':').collect();
        let paths = parts.iter().take(2).all(|part| part.starts_with('/'));
        let rights = parts.get(2).is_none_or(|rights| !rights.is_empty() && rights.chars().all(|c| "rwm".contains(c)));
        (paths && rights && (1..=3).contains(&parts.len())).then(|| text.to_owned())
    })
}

fn container_name(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    reader.parsed(node, "a name of letters, digits, `_`, `.` and `-`", |text| is_name(text).then(|| text.to_owned()))
}

/// Letters, digits, `_`, `.` and `-`, and the first one is a letter or digit.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn restart(text: &str) -> Option<Restart> {
    Some(match text {
        "no" => Restart::No,
        "always" => Restart::Always,
        "unless-stopped" => Restart::UnlessStopped,
        "on-failure" => Restart::OnFailure(None),
        _ => Restart::OnFailure(Some(text.strip_prefix("on-failure:")?.parse().ok()?)),
    })
}

fn replicas(reader: &mut Reader<'_>, node: &Node) -> Option<Placed<u16>> {
    reader.number(node, "a number of containers, 0 to 65535").map(|value| Placed { at: node.at, value })
}

/// Labels; one without a value is empty.
pub(super) fn labels(reader: &mut Reader<'_>, node: &Node) -> std::collections::BTreeMap<String, String> {
    reader.pairs(node).into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
}

fn depends_on(reader: &mut Reader<'_>, service: &mut ServiceLayer, node: &Node) {
    if let Value::List(_) = node.value {
        let names = reader.items(node, |reader, item| reader.word(item).map(|name| (name, item.at)));
        let started = |at| Placed { at, value: Condition::ServiceStarted };
        service.depends_on = names.into_iter().map(|(name, at)| (name, started(at))).collect();
        return;
    }
    for entry in reader.map(node) {
        let mut condition = None;
        reader.below(&entry.key, |r| r.fields(&entry.node, EDGE, &[], &mut condition));
        let value = condition.unwrap_or(Condition::ServiceStarted);
        service.depends_on.insert(entry.key.clone(), Placed { at: entry.at, value });
    }
}

const EDGE: &[Key<Option<Condition>>] = &[
    ("condition", |r, condition, n| {
        let wanted = "service_started, service_healthy or service_completed_successfully";
        *condition = r.parsed(n, wanted, |text| match text {
            "service_started" => Some(Condition::ServiceStarted),
            "service_healthy" => Some(Condition::ServiceHealthy),
            "service_completed_successfully" => Some(Condition::ServiceCompletedSuccessfully),
            _ => None,
        });
    }),
    ("required", |r, _, n| only(r, n, true)),
    ("restart", |r, _, n| only(r, n, false)),
];

/// The one value of a switch that is supported.
fn only(reader: &mut Reader<'_>, node: &Node, supported: bool) {
    if reader.boolean(node) == Some(!supported) {
        reader.problem(node.at, format!("`{}` is not supported by ecomctl; write {supported} or nothing", !supported));
    }
}

/// What may be said of a service in a network.
const MEMBER: &[Key<Vec<String>>] = &[("aliases", |r, aliases, n| *aliases = r.texts(n))];

#[rustfmt::skip]
const MEMBER_REFUSED: &[&str] = &[
    "driver_opts", "gw_priority", "interface_name", "ipv4_address", "ipv6_address", "link_local_ips", "mac_address",
    "priority",
];

fn networks(reader: &mut Reader<'_>, service: &mut ServiceLayer, node: &Node) {
    let networks = service.networks.get_or_insert_default();
    if let Value::List(_) = node.value {
        let names = reader.items(node, |reader, item| reader.word(item).map(|name| (name, item.at)));
        networks.extend(names.into_iter().map(|(name, at)| (name, Placed { at, value: Vec::new() })));
        return;
    }
    for entry in reader.map(node) {
        let mut aliases = Vec::new();
        reader.below(&entry.key, |r| r.fields(&entry.node, MEMBER, MEMBER_REFUSED, &mut aliases));
        networks.insert(entry.key.clone(), Placed { at: entry.at, value: aliases });
    }
}

fn extra_hosts(reader: &mut Reader<'_>, service: &mut ServiceLayer, node: &Node) {
    let hosts = if let Value::List(_) = node.value {
        reader.items(node, |reader, item| {
            reader.parsed(item, "host:address or host=address", |text| {
                // An IPv6 address has colons of its own: the first sign parts.
                let (host, address) = text.split_once(['=', ':'])?;
                (!host.is_empty() && !address.is_empty()).then(|| (host.to_owned(), address.to_owned()))
            })
        })
    } else {
        let mut hosts = Vec::new();
        for entry in reader.map(node) {
            let address = reader.below(&entry.key, |reader| reader.word(&entry.node));
            hosts.extend(address.map(|address| (entry.key.clone(), address)));
        }
        hosts
    };
    service.extra_hosts = hosts.into_iter().map(|(host, address)| format!("{host}:{address}")).collect();
}

fn ulimits(reader: &mut Reader<'_>, service: &mut ServiceLayer, node: &Node) {
    type Pair = (Option<i64>, Option<i64>);
    const KEYS: &[Key<Pair>] =
        &[("hard", |r, pair, n| pair.1 = r.integer(n)), ("soft", |r, pair, n| pair.0 = r.integer(n))];
    for entry in reader.map(node) {
        let limits = reader.below(&entry.key, |reader| {
            if let Value::Scalar(_) = entry.node.value {
                return reader.integer(&entry.node).map(|limit| (limit, limit));
            }
            let mut pair = (None, None);
            reader.fields(&entry.node, KEYS, &[], &mut pair);
            if let (Some(soft), Some(hard)) = pair {
                return Some((soft, hard));
            }
            reader.problem(entry.at, "give one number, or both `soft` and `hard`");
            None
        });
        service.ulimits.extend(limits.map(|limits| (entry.key.clone(), limits)));
    }
}
