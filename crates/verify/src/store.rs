//! `sets/` of a run's folder: what was read from the servers, so that the verdict can be reached again without them.
//!
//! `index.json` holds what is small, and what decides besides the sets. Each family keeps its own keys in it, and files
//! beside it for what is large.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use contract::{
    claim::{Claim, Kind},
    system::System,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    families::{self, Families},
    invariants::Judged,
};

/// Version of the index. A newer one is refused with a clear message. In version 1 what was sent stood by number.
const SCHEMA_VERSION: u32 = 2;

/// What is written last: a folder without it is a set that was never finished.
pub(crate) const INDEX: &str = "index.json";

/// Why `sets/` cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system said no.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// `write` or `read`.
        what: &'static str,
        /// File.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}, line {line}: {why}; what it proves cannot be trusted")]
    Damaged {
        /// File.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A newer ecomctl wrote it.
    #[error("{path} has version {found}, this ecomctl reads up to {known}: use a newer one")]
    Newer {
        /// File.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that is read.
        known: u32,
    },
}

/// What belongs to the sets of a run besides the sets: it decides verdicts too.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Context {
    /// What the servers serve; files of version 0.1 know of one system only.
    #[serde(default)]
    pub system: System,
    /// Requests sent.
    pub sent: BTreeMap<Claim, u64>,
    /// Wall clock at the run's monotonic start, nanoseconds since 1970.
    pub origin_unix_ns: Option<u64>,
    /// Checks that the profile requires.
    pub require: Vec<String>,
    /// What came of the invariants: without the servers nobody can look again.
    #[serde(default)]
    pub invariants: Judged,
}

/// What families keep in the index, by key.
pub(crate) type Parts = Map<String, Value>;

#[derive(Serialize, Deserialize)]
struct Index {
    schema_version: u32,
    #[serde(flatten)]
    parts: Parts,
    context: Context,
}

/// Only the version, to be read before anything else: the rest of a newer file may look different.
#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

/// Writes what `families` have read into `folder`, which is created.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write(folder: &Path, families: &Families, context: &Context) -> Result<(), StoreError> {
    std::fs::create_dir_all(folder).map_err(failed("write", folder))?;
    let mut parts = Parts::new();
    for family in families.values() {
        family.save(folder, &mut parts)?;
    }
    let index = Index { schema_version: SCHEMA_VERSION, parts, context: context.clone() };
    // The index comes last: a folder without it is a set that was never finished.
    let path = folder.join(INDEX);
    let file = File::create(&path).map_err(failed("write", &path))?;
    let mut file = BufWriter::new(file);
    serde_json::to_writer_pretty(&mut file, &index).map_err(io::Error::from).map_err(failed("write", &path))?;
    file.flush().map_err(failed("write", &path))
}

fn index(folder: &Path) -> Result<Index, StoreError> {
    let path = folder.join(INDEX);
    let text = std::fs::read_to_string(&path).map_err(failed("read", &path))?;
    check_version(&path, &text, SCHEMA_VERSION)?;
    parse(&path, 1, &text)
}

/// What the families kept in the index of `folder`.
///
/// # Errors
/// When there is none, or it is damaged or of a newer version.
pub(crate) fn parts(folder: &Path) -> Result<Parts, StoreError> {
    index(folder).map(|index| index.parts)
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// When it is not there, damaged or of a newer version.
pub(crate) fn read(folder: &Path) -> Result<(Families, Context), StoreError> {
    let Index { mut parts, context, .. } = index(folder)?;
    let mut found = Families::new();
    for kind in Kind::ALL {
        let mut family = families::of(kind);
        if family.load(folder, &mut parts)? {
            found.insert(kind, family);
        }
    }
    Ok((found, context))
}

/// Puts `value` into the index.
///
/// # Errors
/// When it cannot be written as JSON.
pub(crate) fn put(folder: &Path, parts: &mut Parts, key: &str, value: &impl Serialize) -> Result<(), StoreError> {
    let value = serde_json::to_value(value).map_err(io::Error::from).map_err(failed("write", &folder.join(INDEX)))?;
    parts.insert(key.to_owned(), value);
    Ok(())
}

/// Takes what stands in the index; none where nothing does.
///
/// # Errors
/// When it is not what it should be.
pub(crate) fn take<T: DeserializeOwned>(folder: &Path, parts: &mut Parts, key: &str) -> Result<Option<T>, StoreError> {
    let damaged =
        |e: serde_json::Error| StoreError::Damaged { path: folder.join(INDEX), line: 1, why: format!("`{key}`: {e}") };
    parts.remove(key).map(serde_json::from_value).transpose().map_err(damaged)
}

pub(crate) fn check_version(path: &Path, text: &str, known: u32) -> Result<(), StoreError> {
    let Version { schema_version: found } = parse(path, 1, text)?;
    if found > known { Err(StoreError::Newer { path: path.to_owned(), found, known }) } else { Ok(()) }
}

pub(crate) fn parse<T: DeserializeOwned>(path: &Path, line: usize, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Damaged {
        path: path.to_owned(),
        line: line + e.line().saturating_sub(1),
        why: e.to_string(),
    })
}

pub(crate) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}
