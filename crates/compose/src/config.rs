//! A project in the words of `docker compose config --format json`, so that the two can be compared.

use serde_json::{Map, Value, json};

use super::{
    model::{Condition, Content, Grant, Healthcheck, Mount, MountSource, Port, Project, Resources, Restart, Service},
    values::print_duration,
};

/// The project as compose would print it, with every default of the specification filled in. Contents of configs and
/// secrets are left out.
pub fn config(project: &Project) -> Value {
    let services: Map<_, _> = project.services.iter().map(|(name, s)| (name.clone(), service(s))).collect();
    let networks: Map<_, _> = project
        .networks
        .iter()
        .map(|(key, n)| {
            let picture = json!({
                "name": n.name, "external": n.external, "driver": n.driver, "internal": n.internal, "labels": n.labels,
            });
            (key.clone(), pruned(picture))
        })
        .collect();
    let volumes: Map<_, _> = project
        .volumes
        .iter()
        .map(|(key, v)| {
            let picture = json!({"name": v.name, "external": v.external, "driver": v.driver, "labels": v.labels});
            (key.clone(), pruned(picture))
        })
        .collect();
    let keys = |contents: &std::collections::BTreeMap<String, Content>| {
        contents.keys().cloned().map(Value::from).collect::<Vec<_>>()
    };
    json!({
        "name": project.name, "services": services, "networks": networks, "volumes": volumes,
        "configs": keys(&project.configs), "secrets": keys(&project.secrets),
    })
}

fn service(service: &Service) -> Value {
    let ulimits: Map<_, _> =
        service.ulimits.iter().map(|(k, (soft, hard))| (k.clone(), json!({"soft": soft, "hard": hard}))).collect();
    let networks: Map<_, _> =
        service.networks.iter().map(|(key, aliases)| (key.clone(), pruned(json!({"aliases": aliases})))).collect();
    let depends_on: Map<_, _> =
        service.depends_on.iter().map(|(key, c)| (key.clone(), json!({"condition": condition(*c)}))).collect();
    let mut picture = pruned(json!({
        "image": service.image,
        "environment": service.environment,
        "ports": service.ports.iter().map(port).collect::<Vec<_>>(),
        "expose": service.expose.iter().map(u16::to_string).collect::<Vec<_>>(),
        "volumes": service.volumes.iter().map(mount).collect::<Vec<_>>(),
        "configs": service.configs.iter().map(grant).collect::<Vec<_>>(),
        "secrets": service.secrets.iter().map(grant).collect::<Vec<_>>(),
        "healthcheck": service.healthcheck.as_ref().map(healthcheck),
        "depends_on": depends_on,
        "deploy": deploy(&service.resources, service.replicas),
        "ulimits": ulimits,
        "profiles": service.profiles,
        "restart": restart(service.restart),
        "labels": service.labels,
        "container_name": service.container_name,
        "hostname": service.hostname,
        "user": service.user,
        "working_dir": service.working_dir,
        "stop_signal": service.stop_signal,
        "stop_grace_period": service.stop_grace_period.map(print_duration),
        "init": service.init,
        "privileged": service.privileged,
        "read_only": service.read_only,
        "cap_add": service.cap_add,
        "cap_drop": service.cap_drop,
        "security_opt": service.security_opt,
        "extra_hosts": service.extra_hosts,
        "pid": service.pid,
        "devices": service.devices,
        "shm_size": service.shm_size,
        "platform": service.platform,
    }));
    if let Value::Object(map) = &mut picture {
        // An empty command differs from none, and a network without aliases is a network.
        map.extend(service.command.as_ref().map(|words| ("command".into(), json!(words))));
        map.extend(service.entrypoint.as_ref().map(|words| ("entrypoint".into(), json!(words))));
        map.insert("networks".into(), networks.into());
        map.extend(service.extensions.clone());
    }
    picture
}

/// Without what is absent, empty or off.
fn pruned(mut picture: Value) -> Value {
    if let Value::Object(map) = &mut picture {
        map.retain(|_, value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(entries) => !entries.is_empty(),
            _ => true,
        });
    }
    picture
}

fn port(port: &Port) -> Value {
    json!({
        "host_ip": port.host_ip.map(|ip| ip.to_string()),
        "published": port.published.to_string(),
        "target": port.target,
        "protocol": port.protocol,
    })
}

fn mount(mount: &Mount) -> Value {
    let (kind, source, tmpfs) = match &mount.source {
        MountSource::Volume(key) => ("volume", Some(key), Value::Null),
        MountSource::Anonymous => ("volume", None, Value::Null),
        MountSource::Bind(path) => ("bind", Some(path), Value::Null),
        MountSource::Tmpfs(size) => ("tmpfs", None, size.map_or(Value::Null, |size| json!({"size": size}))),
    };
    let read_only = mount.read_only;
    pruned(json!({"type": kind, "source": source, "target": mount.target, "tmpfs": tmpfs, "read_only": read_only}))
}

fn grant(grant: &Grant) -> Value {
    let Grant { source, target, uid, gid, mode } = grant;
    json!({"source": source, "target": target, "uid": uid, "gid": gid, "mode": mode})
}

fn healthcheck(check: &Healthcheck) -> Value {
    pruned(json!({
        "test": check.test,
        "interval": print_duration(check.interval),
        "timeout": print_duration(check.timeout),
        "retries": check.retries,
        "start_period": print_duration(check.start_period),
        "start_interval": check.start_interval.map(print_duration),
    }))
}

fn deploy(resources: &Resources, replicas: u16) -> Value {
    let limits = json!({"cpus": resources.cpus, "memory": resources.memory, "pids": resources.pids});
    let reservations = json!({"cpus": resources.reserved_cpus, "memory": resources.reserved_memory});
    let resources = pruned(json!({"limits": pruned(limits), "reservations": pruned(reservations)}));
    pruned(json!({"replicas": (replicas != 1).then_some(replicas), "resources": resources}))
}

fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::ServiceStarted => "service_started",
        Condition::ServiceHealthy => "service_healthy",
        Condition::ServiceCompletedSuccessfully => "service_completed_successfully",
    }
}

fn restart(restart: Restart) -> Option<String> {
    match restart {
        Restart::No => None,
        Restart::Always => Some("always".into()),
        Restart::UnlessStopped => Some("unless-stopped".into()),
        Restart::OnFailure(None) => Some("on-failure".into()),
        Restart::OnFailure(Some(times)) => Some(format!("on-failure:{times}")),
    }
}
