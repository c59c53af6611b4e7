//! State folders of ecomctl 0.1.0, which have no mark. They are known by what is in their files, never by names alone: an
//! ordinary folder may have a `data` and a `conf` too.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Everything that 0.1.0 put into its folder.
const ENTRIES: [&str; 9] =
    [".gitignore", "stack.json", "stack.lock", "run.lock", "serve.lock", "data", "conf", "logs", "runs"];

/// System → compose project of a folder that 0.1.0 made; an error says why it is none, as the end of a sentence.
pub(super) fn recognise(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let ignore = fs::read(folder.join(".gitignore"));
    if !ignore.is_ok_and(|text| text == b"*\n") {
        return Err("it is not empty".into());
    }
    let names = entries(folder);
    if let Some(name) = names.iter().find(|name| !ENTRIES.contains(&name.as_str()) && !is_half_written(name)) {
        return Err(format!("`{name}` is in it, which is none of ecomctl's"));
    }
    let systems: Vec<String> = entries(&folder.join("data"));
    if let Some(stranger) = systems.iter().find(|system| !is_system(&folder.join("data").join(system))) {
        return Err(format!("`data/{stranger}` in it is none of ecomctl's"));
    }
    let stack = json(&folder.join("stack.json")).filter(is_stack);
    let holds = |name: &str| names.iter().any(|n| n == name);
    if holds("stack.json") && stack.is_none() {
        return Err("its stack.json is none of ecomctl's".into());
    }
    let runs = entries(&folder.join("runs"));
    let a_run =
        runs.iter().any(|run| json(&folder.join("runs").join(run).join("run.json")).is_some_and(|r| is_run(&r)));
    // After `down -v` no more is left than logs and a lock, and nothing that could be lost.
    let only_locks = names.iter().all(|name| name == ".gitignore" || has_extension(name, "lock"));
    let left = (runs.is_empty() || a_run) && is_lock(&folder.join("stack.lock"));
    let bare = !holds("data") && !holds("conf") && (left || only_locks);
    if stack.is_none() && systems.is_empty() && !bare {
        return Err("none of its files says that ecomctl made it".into());
    }
    let recorded = stack.as_ref().and_then(|stack| stack["system"].as_str()).map(str::to_owned);
    let project = stack.as_ref().and_then(|stack| stack["docker"]["project"].as_str()).map(str::to_owned);
    let project = project.filter(|project| super::is_plain(project)).unwrap_or_else(|| project_of(folder));
    let systems = systems.into_iter().chain(recorded).filter(|system| super::is_plain(system));
    Ok(systems.map(|system| (system, project.clone())).collect())
}

/// Name that 0.1.0 gave the compose project of a folder.
fn project_of(folder: &Path) -> String {
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    format!("ecomctl-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
}

fn entries(folder: &Path) -> Vec<String> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// What a killed command leaves of a file that it was writing.
fn is_half_written(name: &str) -> bool {
    name.starts_with('.') && has_extension(name, "tmp")
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Places of the native servers, or of those in Docker.
fn is_system(folder: &Path) -> bool {
    let is_places = |places: Value| {
        let login = |name: &str| places[name]["port"].is_u64() && places[name]["password"].is_string();
        let whole = places["schema_version"] == 1 && login("mysql") && login("redis");
        whole && places["kafka"].is_array() && places["cluster_id"].as_str().is_some_and(|id| id.len() == 22)
    };
    ["places.json", "docker.json"].iter().any(|name| json(&folder.join(name)).is_some_and(is_places))
}

fn is_stack(stack: &Value) -> bool {
    let known = stack["system"].is_string() && stack["components"].is_object() && stack["started_at"].is_string();
    stack["schema_version"] == 1 && known && stack["endpoints"]["kafka"]["brokers"].is_string()
}

fn is_run(run: &Value) -> bool {
    run["schema_version"].is_u64() && run["profile"].is_string() && run["origin_unix_ns"].is_u64()
}

/// `<pid> <command>`
fn is_lock(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim().split_once(' ').is_some_and(|(pid, command)| {
        pid.parse::<u32>().is_ok() && ["up", "down", "stop", "restart"].contains(&command)
    })
}
