//! `docker compose config --format json` in the one spelling that `compose::config` has: without what compose adds, and
//! with the specification's defaults that it leaves out.

use serde_json::{Map, Value, json};

/// Their picture, in our spelling.
pub fn plain(picture: Value) -> Value {
    let mut picture = undouble(picture);
    let map = picture.as_object_mut().unwrap();
    for section in ["configs", "secrets"] {
        let keys: Vec<String> =
            map.remove(section).and_then(|s| Some(s.as_object()?.keys().cloned().collect())).unwrap_or_default();
        map.insert(section.into(), json!(keys));
    }
    for (_, network) in entries(map, "networks") {
        network.as_object_mut().unwrap().remove("ipam");
    }
    for (_, service) in map["services"].as_object_mut().unwrap() {
        plain_service(service.as_object_mut().unwrap());
    }
    picture
}

/// Our picture without `x-…` of services, which compose does not print.
pub fn without_extensions(mut picture: Value) -> Value {
    for (_, service) in picture["services"].as_object_mut().unwrap() {
        service.as_object_mut().unwrap().retain(|key, _| !key.starts_with("x-"));
    }
    picture
}

/// A printed `$$` is one dollar sign.
fn undouble(value: Value) -> Value {
    match value {
        Value::String(text) => text.replace("$$", "$").into(),
        Value::Array(items) => items.into_iter().map(undouble).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, undouble(value))).collect(),
        other => other,
    }
}

fn plain_service(service: &mut Map<String, Value>) {
    service.retain(|key, value| !value.is_null() && !key.starts_with("x-"));
    for port in each(service, "ports") {
        port.remove("mode");
    }
    if let Some(Value::Object(environment)) = service.get_mut("environment") {
        environment.retain(|_, value| !value.is_null());
    }
    for (_, edge) in entries(service, "depends_on") {
        edge.as_object_mut().unwrap().remove("required");
    }
    for (_, network) in entries(service, "networks") {
        if network.is_null() {
            *network = json!({});
        }
    }
    for (_, limit) in entries(service, "ulimits") {
        if limit.is_number() {
            *limit = json!({"soft": limit, "hard": limit});
        }
    }
    for device in items(service, "devices") {
        if let (Some(source), Some(target)) = (device["source"].as_str(), device["target"].as_str()) {
            *device = json!(format!("{source}:{target}"));
        }
    }
    for line in items(service, "extra_hosts") {
        *line = line.as_str().unwrap().replacen('=', ":", 1).into();
    }
    if let Some(Value::Array(expose)) = service.get_mut("expose") {
        *expose = expose.iter().flat_map(|range| spread(range.as_str().unwrap())).collect();
    }
    if let Some(size) = service.get_mut("shm_size") {
        *size = json!(whole(size));
    }
    grants(service);
    mounts(service);
    healthcheck(service);
    deploy(service);
}

fn grants(service: &mut Map<String, Value>) {
    for (section, folder) in [("configs", "/"), ("secrets", "/run/secrets/")] {
        for grant in each(service, section) {
            let target = grant.get("target").unwrap_or(&grant["source"]).as_str().unwrap();
            let target = if target.starts_with('/') { target.to_owned() } else { format!("{folder}{target}") };
            grant.insert("target".into(), target.into());
            for key in ["uid", "gid"] {
                let id = grant.get(key).map_or(0, whole);
                grant.insert(key.into(), json!(id));
            }
            let mode = match grant.get("mode") {
                Some(Value::String(octal)) => u64::from_str_radix(octal, 8).unwrap(),
                Some(mode) => whole(mode),
                None => 0o444,
            };
            grant.insert("mode".into(), json!(mode));
        }
    }
}

fn mounts(service: &mut Map<String, Value>) {
    for mount in each(service, "volumes") {
        mount.retain(|key, _| !["bind", "volume"].contains(&key.as_str()));
        for (_, size) in entries(mount, "tmpfs") {
            *size = json!(whole(size));
        }
    }
    let memory = service.remove("tmpfs").unwrap_or_else(|| json!([]));
    for line in memory.as_array().unwrap() {
        let line = line.as_str().unwrap();
        let (target, mebibytes) = line.strip_suffix('m').and_then(|l| l.split_once(":size=")).unwrap_or((line, ""));
        let mut mount = json!({"type": "tmpfs", "target": target});
        if let Ok(mebibytes) = mebibytes.parse::<u64>() {
            mount["tmpfs"] = json!({"size": mebibytes << 20});
        }
        service.entry("volumes").or_insert_with(|| json!([])).as_array_mut().unwrap().push(mount);
    }
}

fn healthcheck(service: &mut Map<String, Value>) {
    let Some(Value::Object(check)) = service.get_mut("healthcheck") else { return };
    if check.remove("disable") == Some(json!(true)) {
        check.insert("test".into(), json!(["NONE"]));
    }
    let defaults =
        [("interval", json!("30s")), ("timeout", json!("30s")), ("retries", json!(3)), ("start_period", json!("0s"))];
    for (key, value) in defaults {
        check.entry(key).or_insert(value);
    }
}

fn deploy(service: &mut Map<String, Value>) {
    if let Some(count) = service.remove("scale") {
        service.entry("deploy").or_insert_with(|| json!({}))["replicas"] = count;
    }
    let Some(Value::Object(deploy)) = service.get_mut("deploy") else { return };
    deploy.remove("placement");
    for (_, amounts) in entries(deploy, "resources") {
        for (key, amount) in amounts.as_object_mut().unwrap() {
            *amount = if key == "cpus" { json!(float(amount)) } else { json!(whole(amount)) };
        }
    }
}

/// `7000-7001` → both.
fn spread(range: &str) -> Vec<Value> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().unwrap(), last.parse().unwrap());
    (first..=last).map(|port| port.to_string().into()).collect()
}

fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn items<'a>(map: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'a mut Value> {
    map.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

fn each<'a>(map: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    items(map, key).filter_map(Value::as_object_mut)
}

fn entries<'a>(map: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    map.get_mut(key).and_then(Value::as_object_mut).into_iter().flatten()
}
