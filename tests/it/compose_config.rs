//! Compose files mean the same to ecomctl and to `docker compose`, service by service.
//!
//! `ECOMCTL_TEST_COMPOSE` names the program; else it is looked for where packages put it.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use ecomctl::compose::{self, Options, Profiles, files};
use serde_json::{Map, Value, json};

/// Files that are used together.
const COMBINATIONS: &[&[&str]] = &[
    &["base"],
    &["base", "cluster"],
    &["base", "monitoring"],
    &["base", "cluster", "monitoring", "backend"],
    &["base", "backend"],
    &["original"],
    &["original", "backend"],
];

/// What an operator may change: none of it may be lost on the way.
const CHANGED: &[(&str, &str)] = &[
    ("ECOMCTL_IMAGE_MYSQL", "mysql:8.0"),
    ("ECOMCTL_IMAGE_KAFKA", "registry.example:5000/kafka@sha256:aa"),
    ("ECOMCTL_PORT_MYSQL", "13306"),
    ("ECOMCTL_PORT_KAFKA_1", "19192"),
    ("ECOMCTL_PORT_API_SMALL", "13001"),
    ("ECOMCTL_LIMIT_MYSQL_CPUS", "2.5"),
    ("ECOMCTL_LIMIT_MYSQL_MEMORY", "1536m"),
    ("ECOMCTL_KAFKA_JVM", "-Xmx1g -Da=b"),
];

fn compose_program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("ECOMCTL_TEST_COMPOSE") {
        return Some(named.into());
    }
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker/cli-plugins"));
    let plugins = ["/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec"];
    let plugins = plugins.iter().map(|folder| Path::new(folder).join("docker/cli-plugins"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = home.into_iter().chain(plugins).chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join("docker-compose")).find(|program| program.is_file())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The variables of `compose/example.env`, and `more`.
fn variables(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("compose/example.env")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    lines.chain(more.iter().copied()).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn ours(names: &[&str], vars: &BTreeMap<String, String>) -> Value {
    let source = |name: &&str| files::SourceFile {
        name: format!("compose/{name}.yaml"),
        text: std::fs::read_to_string(root().join(format!("compose/{name}.yaml"))).unwrap(),
    };
    let sources: Vec<_> = names.iter().map(source).collect();
    let folder = root().join("compose");
    let options = Options { project_name: None, profiles: Profiles::All, working_dir: &folder };
    let project = compose::load(&sources, vars, &options).unwrap_or_else(|e| panic!("{names:?}: {e}"));
    compose::config(&project)
}

fn theirs(program: &Path, names: &[&str], vars: &BTreeMap<String, String>) -> Value {
    let mut command = Command::new(program);
    command.current_dir(root()).env_clear().envs(vars).env("HOME", root());
    for name in names {
        command.arg("-f").arg(format!("compose/{name}.yaml"));
    }
    let output = command.args(["--profile", "*", "config", "--format", "json"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker compose refuses {names:?}: {said}");
    assert_eq!(said, "", "docker compose warns about {names:?}");
    plain(serde_json::from_slice(&output.stdout).unwrap())
}

/// Their picture without what they add, and with the specification's defaults that they leave out.
fn plain(picture: Value) -> Value {
    let mut picture = undouble(picture);
    let map = picture.as_object_mut().unwrap();
    for section in ["configs", "secrets"] {
        let keys: Vec<String> =
            map.remove(section).and_then(|s| Some(s.as_object()?.keys().cloned().collect())).unwrap_or_default();
        map.insert(section.into(), json!(keys));
    }
    map["networks"]["default"].as_object_mut().unwrap().remove("ipam");
    for (_, service) in map["services"].as_object_mut().unwrap() {
        plain_service(service.as_object_mut().unwrap());
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
    service.retain(|_, value| !value.is_null());
    for port in each(service, "ports") {
        port.remove("mode");
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
    for mount in each(service, "volumes") {
        mount.retain(|key, _| !["bind", "volume"].contains(&key.as_str()));
    }
    for device in service.get_mut("devices").and_then(Value::as_array_mut).into_iter().flatten() {
        if let (Some(source), Some(target)) = (device["source"].as_str(), device["target"].as_str()) {
            *device = json!(format!("{source}:{target}"));
        }
    }
    let memory = service.remove("tmpfs").unwrap_or_else(|| json!([]));
    for target in memory.as_array().unwrap() {
        let mounts = service.entry("volumes").or_insert_with(|| json!([]));
        mounts.as_array_mut().unwrap().push(json!({"type": "tmpfs", "target": target}));
    }
    for (section, folder) in [("configs", "/"), ("secrets", "/run/secrets/")] {
        for grant in each(service, section) {
            let target = format!("{folder}{}", grant["source"].as_str().unwrap());
            for (key, value) in
                [("target", json!(target)), ("uid", json!(0)), ("gid", json!(0)), ("mode", json!(0o444))]
            {
                grant.entry(key).or_insert(value);
            }
        }
    }
    if let Some(Value::Object(check)) = service.get_mut("healthcheck") {
        for (key, value) in [
            ("interval", json!("30s")),
            ("timeout", json!("30s")),
            ("retries", json!(3)),
            ("start_period", json!("0s")),
        ] {
            check.entry(key).or_insert(value);
        }
    }
    plain_resources(service);
}

fn plain_resources(service: &mut Map<String, Value>) {
    let Some(Value::Object(deploy)) = service.get_mut("deploy") else { return };
    deploy.remove("placement");
    for (_, amounts) in entries(deploy, "resources") {
        for (key, amount) in amounts.as_object_mut().unwrap() {
            let number: f64 = amount.as_str().map_or_else(|| amount.as_f64().unwrap(), |text| text.parse().unwrap());
            *amount = if key == "cpus" { json!(number) } else { json!(number as u64) };
        }
    }
}

fn each<'a>(map: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    map.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

fn entries<'a>(map: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    map.get_mut(key).and_then(Value::as_object_mut).into_iter().flatten()
}

#[test]
fn docker_compose_reads_the_same_from_our_files() {
    let Some(program) = compose_program() else {
        // Not by println!, which nobody sees of a test that passes.
        let words = "skipped: docker_compose_reads_the_same_from_our_files: there is no docker-compose; \
                     ECOMCTL_TEST_COMPOSE names one\n";
        std::io::stderr().write_all(words.as_bytes()).unwrap();
        return;
    };
    for names in COMBINATIONS {
        for more in [&[], CHANGED] {
            let vars = variables(more);
            let (ours, theirs) = (ours(names, &vars), theirs(&program, names, &vars));
            for (name, service) in theirs["services"].as_object().unwrap() {
                assert_eq!(&ours["services"][name], service, "{name} of {names:?}");
            }
            assert_eq!(ours, theirs, "{names:?}");
        }
    }
}

#[test]
fn every_file_is_read_and_publishes_for_this_machine_only() {
    for names in COMBINATIONS {
        let picture = ours(names, &variables(&[])).to_string();
        assert!(!picture.contains("change-me"), "a password in the picture of {names:?}");
        let text =
            names.iter().map(|name| std::fs::read_to_string(root().join(format!("compose/{name}.yaml"))).unwrap());
        let published = text.collect::<String>().lines().filter(|l| l.trim().starts_with("- \"127.0.0.1:")).count();
        assert_eq!(picture.matches("\"host_ip\":\"127.0.0.1\"").count(), published, "{names:?}");
    }
}

#[test]
fn nothing_but_the_api_is_on_its_port() {
    let picture = ours(&["base", "cluster", "monitoring", "backend"], &variables(&[]));
    let mut owners = BTreeMap::new();
    for (name, service) in picture["services"].as_object().unwrap() {
        for port in service["ports"].as_array().into_iter().flatten() {
            let other = owners.insert(port["published"].to_string(), name.clone());
            assert_eq!(other, None, "port {} of {name}", port["published"]);
        }
    }
    assert_eq!(owners["\"8080\""], "api");
}

#[test]
fn the_built_in_files_are_those_of_the_folder() {
    let here = root().join("compose");
    let mut folders = vec![here.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&here).unwrap().to_str().unwrap().to_owned();
            // For people and for building; containers get nothing of them.
            let apart = ["kafka/pom.xml", "backend/Dockerfile", "example.env"].contains(&name.as_str());
            let built_in = files::built_in(&name);
            assert_eq!(built_in.is_none(), apart, "{name}: list it in src/compose/files.rs");
            assert!(apart || built_in == std::fs::read_to_string(&path).ok().as_deref(), "{name} is stale");
        }
    }
}
