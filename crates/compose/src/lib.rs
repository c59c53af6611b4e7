//! Compose files: read, merged and checked, without anything that talks to an engine.
//!
//! The part of the compose specification that the stacks here need, and nothing silently less: a key that is not
//! supported is an error that names file, line and key. <https://github.com/compose-spec/compose-spec>
//!
//! Text → tree with places, variables filled in (`node`, `interpolate`) → typed layer of each file (`document`,
//! `service`) → merged (`merge`) → profiles chosen, references checked, contents read (`resolve`, `check`) →
//! [`model::Project`]. All problems are reported at once.
//!
//! Invariant: what a stack is comes out of files and variables alone. No Engine, no network, no clock: two readings of the same files
//! are equal.
//! Border: on `base`.

mod check;
mod config;
mod document;
mod env_file;
mod error;
pub mod files;
mod interpolate;
mod layer;
mod merge;
pub mod model;
mod node;
mod order;
mod reader;
mod refused;
mod resolve;
mod service;
#[cfg(test)]
mod tests;
mod values;

use std::{collections::BTreeMap, path::Path};

pub use config::config;
pub use error::{ComposeErrors, ComposeProblem};
pub use files::SourceFile;
use layer::FileLayer;
use model::Project;
pub use order::order;
use reader::Reader;
pub use service::keys as service_keys;
pub use values::bytes;

/// How files become a project.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Name of the project; none takes the files' `name:`.
    pub project_name: Option<&'a str>,
    /// Which services with `profiles:` are part of it.
    pub profiles: Profiles<'a>,
    /// Absolute folder from which relative paths are taken; see [`files::working_dir`].
    pub working_dir: &'a Path,
    /// What the caller needs beyond the specification.
    pub demands: Demands<'a>,
}

/// What a caller needs of the services.
#[derive(Debug, Clone, Copy, Default)]
pub struct Demands<'a> {
    /// Services that must be there.
    pub required: &'a [&'a str],
    /// Why the number of a service's containers is not the file's to say, where it is not.
    pub counted: Option<fn(&str) -> Option<&'static str>>,
    /// Services that the caller starts itself, whatever their profiles, with a file that is put into them.
    pub started: Option<fn(&str) -> bool>,
}

/// Profiles that are active.
#[derive(Debug, Clone, Copy)]
pub enum Profiles<'a> {
    /// All.
    All,
    /// These, and services without a profile; `*` stands for all.
    Named(&'a [String]),
}

/// Reads files and merges each over those before it. `vars` are the variables: nothing else is looked at, not even
/// the environment of this process.
///
/// # Errors
/// Names file, line and key of everything that is wrong or not supported.
pub fn load(
    files: &[SourceFile],
    vars: &BTreeMap<String, String>,
    options: &Options<'_>,
) -> Result<Project, ComposeErrors> {
    if files.is_empty() {
        return Err(ComposeErrors::of("no compose file was given"));
    }
    let mut reader = Reader::new(files.iter().map(|file| file.name.clone()).collect(), vars);
    let mut merged = FileLayer::default();
    let mut whole = true;
    for (index, file) in files.iter().enumerate() {
        match node::read(index, &file.name, &file.text, vars) {
            Ok(root) => merge::file(&mut merged, document::read(&mut reader, &root)),
            Err(problems) => {
                whole = false;
                reader.problems.extend(problems);
            }
        }
    }
    // What is missing in a section that could not be read may only be mistyped there.
    whole &= reader.problems.iter().all(|problem| problem.key.contains('.'));
    if reader.problems.is_empty() && merged.services.is_empty() {
        let at = node::At { file: 0, line: 1, column: 1 };
        reader.problem_of(at, "services", "there is no service");
    }
    if whole && !merged.services.is_empty() {
        let project = resolve::project(&mut reader, merged, options);
        if reader.problems.is_empty() {
            return Ok(project);
        }
    }
    let mut problems = reader.problems;
    // A file that is built in is wrong only because of another one.
    let is_theirs = |problem: &ComposeProblem| !problem.file.starts_with(files::BUILT_IN_MARK);
    if problems.iter().any(is_theirs) {
        problems.retain(is_theirs);
    }
    let place = |file: &str| files.iter().position(|f| f.name == file);
    problems.sort_by_cached_key(|p| (place(&p.file), p.line, p.column, p.key.clone(), p.message.clone()));
    problems.dedup();
    Err(ComposeErrors(problems))
}
