//! Profiles: what a run does, in YAML.
//!
//! Text → variables replaced (`vars`) → tree with line numbers (`yaml::tree`) → `--set` (`overrides`) → shape checked
//! against the schema (`shape`) → typed [`model::Profile`] → rules ([`validate`]). All problems of a file are
//! reported at once, each with its place.
//!
//! Invariant: everything that can be wrong with a profile is found here, before anything is started. Nothing here connects to a
//! server or starts a process.
//! Border: on `base`, `contract` and `record`.

pub mod answer;
mod by_system;
pub mod claim;
pub mod fixture;
mod invariants;
mod later;
pub mod model;
mod overrides;
mod problem;
pub mod request;
mod schema;
mod shape;
mod source;
pub mod validate;
mod vars;

use base::yaml::{
    suggest,
    tree::{Entry, Node, Value},
};
use model::Profile;
pub use overrides::Overrides;
pub use problem::{Place, Problem, ProfileError};
pub use schema::schema;
use serde::Serialize;
pub use source::Source;
use std::path::Path;

/// A profile that is ready to run.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its short name: the file's, without `.yaml`.
    pub name: String,
    /// Where it was found.
    pub source: Source,
    /// What it says, with every default filled in.
    pub profile: Profile,
    /// What is allowed, but perhaps not meant; one line each.
    pub warnings: Vec<String>,
}

/// A line of `ecomctl profiles`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ProfileInfo {
    /// Its name.
    pub name: String,
    /// The system it loads; empty where the file cannot be read.
    pub system: String,
    /// What it is for; where the file is wrong, that.
    pub about: String,
}

/// Loads a profile. A name finds `profiles/<name>.yaml` of the current folder, then the one that is built in; what
/// holds a `/` or ends in `.yaml` is a file.
///
/// # Errors
/// Names the file, the line, the key and what is allowed, for everything that is wrong at once.
pub fn load(name_or_path: &str, overrides: &Overrides) -> Result<Loaded, ProfileError> {
    let (name, source, text) = source::find(name_or_path)?;
    let folder = match &source {
        Source::File(path) => path.parent(),
        Source::BuiltIn(_) => None,
    };
    let (profile, warnings) = read_in(folder, &source.to_string(), &text, overrides)?;
    Ok(Loaded { name, source, profile, warnings })
}

/// All profiles: those of the current folder and those built in.
pub fn list() -> Vec<ProfileInfo> {
    source::names().into_iter().map(info).collect()
}

fn info(name: String) -> ProfileInfo {
    if let Ok(loaded) = load(&name, &Overrides::default()) {
        let Profile { about, system, .. } = loaded.profile;
        return ProfileInfo { name, system: system.name().into(), about };
    }
    let about = format!("(has errors: see ecomctl profiles check {name})");
    ProfileInfo { name, system: String::new(), about }
}

/// The built-in sample: every key with its default and a comment.
pub fn sample() -> &'static str {
    source::built_in("sample").unwrap_or_default()
}

/// Reads the text of a profile. `source_name` stands in messages; files that it names are those of the current folder.
pub fn read(source_name: &str, text: &str, overrides: &Overrides) -> Result<(Profile, Vec<String>), ProfileError> {
    read_in(None, source_name, text, overrides)
}

/// The same; files that it names are relative to `folder`.
fn read_in(
    folder: Option<&Path>,
    source_name: &str,
    text: &str,
    overrides: &Overrides,
) -> Result<(Profile, Vec<String>), ProfileError> {
    let invalid = |mut problems: Vec<Problem>| {
        problems.sort();
        problems.dedup();
        ProfileError::Invalid { source_name: source_name.to_owned(), problems }
    };
    let variables = vars::parse(&overrides.env)?;
    let expanded = vars::expand(text.strip_prefix('\u{feff}').unwrap_or(text), &variables);
    let mut root = vars::parse_tree(&expanded).map_err(invalid)?;
    overrides::apply_set(&mut root, &overrides.set)?;
    let places = root.places();

    let mut problems = invariants::splice(&mut root, folder.unwrap_or(Path::new("")))?;
    let schema = schema::canonical();
    problems.extend(shape::check(&mut root, &schema));
    if !problems.is_empty() {
        fill_gaps(&mut root);
    }
    let mut profile = match serde_json::from_value::<Profile>(root.to_json()) {
        Ok(profile) => profile,
        Err(_) if !problems.is_empty() => return Err(invalid(problems)),
        Err(e) => return Err(invalid(vec![Problem::of_file(1, 1, e.to_string())])),
    };
    by_system::fill(&mut profile, &places);
    if problems.is_empty() {
        overrides::apply_flags(&mut profile, overrides)?;
    }
    let fixture = fixture::load(&profile.seed.fixture).ok();
    let (broken, mut warnings) = validate::run(&profile, fixture.as_ref(), &places, &problems);
    problems.extend(broken);
    if !problems.is_empty() {
        return Err(invalid(problems));
    }
    warnings.sort();
    let unused = expanded
        .unused
        .iter()
        .map(|name| format!("-e {name}: {source_name} has no ${{{name}}}, so it changes nothing"));
    Ok((profile, unused.chain(warnings.iter().map(|w| problem::line(source_name, w))).collect()))
}

/// Puts the least there can be in the place of required sections that are missing or wrong, which is reported, so
/// that the rules can look at the others.
fn fill_gaps(root: &mut Node) {
    let place = root.place.clone();
    let Value::Map(entries) = &mut root.value else { return };
    let defaults = [("system", Value::Text("ecommerce".into())), ("scenarios", Value::Map(Vec::new()))];
    for (key, value) in defaults {
        if !entries.iter().any(|e| e.key == key) {
            let node = Node { place: place.clone(), value };
            entries.push(Entry { key: key.into(), place: place.clone(), node });
        }
    }
}

#[cfg(test)]
mod tests;
