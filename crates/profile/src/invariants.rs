//! `invariants:` before its shape is checked: files are put in the place where they are named, and keys that are known
//! but not for profiles are told.

use std::path::Path;

use base::yaml::tree::{self, Entry, Kind, Node, Value, join};
use record::invariant::{self, Invariant, statement};
use schemars::{SchemaGenerator, generate::SchemaSettings};

use super::{
    problem::{Place, Problem, ProfileError},
    shape, source,
};

const SECTION: &str = "invariants";
const FILE: Kind = Kind { name: "file of invariants", needs: "one check, with `says`", refuse: |_| None, strict: true };

/// Replaces entries `{file: …}` by what the files hold. Returns what is wrong with the profile.
///
/// # Errors
/// When a file cannot be read, or what is wrong with it.
pub(super) fn splice(root: &mut Node, folder: &Path) -> Result<Vec<Problem>, ProfileError> {
    let mut problems = Vec::new();
    let Value::Map(sections) = &mut root.value else { return Ok(problems) };
    let Some(section) = sections.iter_mut().find(|entry| entry.key == SECTION) else { return Ok(problems) };
    let Value::Map(entries) = &mut section.node.value else { return Ok(problems) };
    let mut all: Vec<Entry> = Vec::with_capacity(entries.len());
    for mut entry in std::mem::take(entries) {
        let path = join(SECTION, &entry.key);
        if entry.node.get("file").is_none() {
            without_strangers(&mut entry.node, &path, &mut problems);
            all.push(entry);
            continue;
        }
        for found in named_file(&entry.node, folder, &path, &mut problems)? {
            if all.iter().any(|known| known.key == found.key) {
                let message = format!("`{}` of this file is an id already; give one of them another", found.key);
                problems.push(Problem { place: entry.place.clone(), path: path.clone(), message });
            } else {
                all.push(found);
            }
        }
    }
    *entries = all;
    Ok(problems)
}

/// Takes out keys that people may expect, and says why they are not there.
fn without_strangers(node: &mut Node, path: &str, problems: &mut Vec<Problem>) {
    let Value::Map(entries) = &mut node.value else { return };
    entries.retain(|entry| {
        let known = entry.key != "kafka";
        if !known {
            let message = "`kafka` is not supported yet: MySQL and Redis are read".to_owned();
            problems.push(Problem { place: entry.place.clone(), path: join(path, &entry.key), message });
        }
        known
    });
}

/// The entries of the file that `node` names.
fn named_file(node: &Node, folder: &Path, path: &str, problems: &mut Vec<Problem>) -> Result<Vec<Entry>, ProfileError> {
    let mut problem = |place: &Place, key: &str, message: &str| {
        problems.push(Problem { place: place.clone(), path: join(path, key), message: message.to_owned() });
    };
    let (mut file, mut parameters) = (None, Vec::new());
    let Value::Map(keys) = &node.value else { return Ok(Vec::new()) };
    for entry in keys {
        match (entry.key.as_str(), &entry.node.value) {
            ("file", Value::Text(text)) => file = Some(text),
            ("file", _) => problem(&entry.place, "file", "expected the path of a file, relative to the profile"),
            ("parameters", Value::Map(given)) => parameters.clone_from(given),
            (other, _) => problem(&entry.place, other, "beside `file` only `parameters`, a map, may stand"),
        }
    }
    let Some(file) = file else { return Ok(Vec::new()) };
    let mut entries = read(&folder.join(file))?;
    for parameter in &parameters {
        if !fill_in(&mut entries, parameter) {
            let message = format!("no statement of {file} has ${{{}}}", parameter.key);
            problem(&parameter.place, &format!("parameters.{}", parameter.key), &message);
        }
    }
    Ok(entries)
}

/// Gives every invariant that leaves this name open the parameter. False: none does.
fn fill_in(entries: &mut [Entry], parameter: &Entry) -> bool {
    let mut used = false;
    for entry in entries {
        let Ok(invariant) = serde_json::from_value::<Invariant>(entry.node.to_json()) else { continue };
        if !invariant.statements().any(|(_, sql)| statement::names(sql).contains(parameter.key.as_str())) {
            continue;
        }
        used = true;
        let Value::Map(keys) = &mut entry.node.value else { continue };
        if !keys.iter().any(|key| key.key == "parameters") {
            let node = Node { place: parameter.place.clone(), value: Value::Map(Vec::new()) };
            keys.push(Entry { key: "parameters".into(), place: parameter.place.clone(), node });
        }
        for key in keys.iter_mut().filter(|key| key.key == "parameters") {
            let Value::Map(given) = &mut key.node.value else { continue };
            given.retain(|known| known.key != parameter.key);
            given.push(parameter.clone());
        }
    }
    used
}

/// Reads a file of invariants: shape and rules, everything that is wrong at once.
fn read(path: &Path) -> Result<Vec<Entry>, ProfileError> {
    let text = source::read(path)?;
    let invalid = |mut problems: Vec<Problem>| {
        problems.sort();
        ProfileError::Invalid { source_name: path.display().to_string(), problems }
    };
    let at = |line, column| Place::File { line, column: column + 1 };
    let mut root = tree::parse(&text, &FILE, &at).map_err(invalid)?;
    let places = root.places();
    let mut problems = Vec::new();
    if let Value::Map(entries) = &mut root.value {
        for entry in entries {
            without_strangers(&mut entry.node, &entry.key, &mut problems);
        }
    }
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    let schema = generator.into_root_schema_for::<std::collections::BTreeMap<String, Invariant>>().to_value();
    problems.extend(shape::check(&mut root, &schema));
    let Value::Map(entries) = root.value else { return Err(invalid(problems)) };
    for entry in &entries {
        let Ok(one) = serde_json::from_value::<Invariant>(entry.node.to_json()) else { continue };
        problems.extend(invariant::problems(&entry.key, &one).into_iter().map(|(key, message)| {
            let path = if key.is_empty() { entry.key.clone() } else { join(&entry.key, &key) };
            let place = places.get(&path).unwrap_or(&entry.place).clone();
            Problem { place, path, message }
        }));
    }
    if problems.is_empty() { Ok(entries) } else { Err(invalid(problems)) }
}
