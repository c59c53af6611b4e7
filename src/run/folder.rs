//! The folder of a run, `runs/<UTC time>-<profile>/`, and who is writing into it.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use base::files;
use contract::claim::Claim;
use infra::process::ProcessRef;
use record::{
    epoch::Opened,
    event::plan::{Proven, SubjectPlan},
    invariant::Listed,
};
use serde::{Deserialize, Serialize};
use verify::{LEDGER_FOLDER, SETS_FOLDER, Subject};

/// Version of `run.json`.
pub const SCHEMA_VERSION: u32 = 2;

/// File that keeps room for what a run writes last.
const RESERVE: &str = "reserve";
/// Its size in bytes: summary, report and `run.json` together have less than half of that.
const RESERVED: usize = 256 << 10;
/// Longest part of a folder's name that a profile gives, in bytes: a letter of Hangul takes three, a name 255.
const MOST_NAME: usize = 96;

/// The name of a profile as a part of a folder's name: letters and digits of any script stay readable.
fn safe(profile: &str) -> String {
    let mut name: String =
        profile.chars().map(|c| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).collect();
    let end = (0..=MOST_NAME.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    name.truncate(end);
    name
}

/// What is known about a run before it ends: `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name of the profile.
    pub profile: String,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// What `verify` proves afterwards.
    #[serde(flatten)]
    pub proven: Proven,
    /// Checks that the profile requires.
    pub require: Vec<String>,
    /// Nanoseconds since 1970 of the ledger's zero.
    pub origin_unix_ns: u64,
    /// Claim → requests that were sent for it, counted apart from their outcomes; filled in after the load. A number alone
    /// is of the only kind there was, in files of version 1.
    #[serde(default)]
    pub sent: BTreeMap<Claim, u64>,
    /// Claim → the epoch that the run opened: what is found of another one is not its own. Absent in the files of
    /// version 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<Opened>,
    /// Checks that are data: what `verify` looks at afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invariants: Vec<Listed>,
    /// The process that runs it; absent when it has ended.
    pub process: Option<ProcessRef>,
    /// Socket that takes acts while it runs; absent when it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<PathBuf>,
}

/// What can be claimed, each with how many there are.
pub fn subjects(proven: &Proven) -> Vec<Subject> {
    let subject = |plan: &SubjectPlan| Subject { claim: plan.claim, total: Some(plan.total) };
    proven.subjects.iter().map(subject).collect()
}

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Creates a folder below `runs`, named by `now` (UTC) and `profile`. A second run in the same second gets `-2`.
    pub fn create(runs: &Path, profile: &str, now: jiff::Timestamp) -> io::Result<Self> {
        std::fs::create_dir_all(runs)?;
        let name = format!("{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), safe(profile));
        for suffix in 1..100 {
            let path = runs.join(if suffix == 1 { name.clone() } else { format!("{name}-{suffix}") });
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    std::fs::create_dir(path.join("logs"))?;
                    return Ok(Self { path });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("there are a hundred runs named {name}")))
    }

    /// Keeps some room on the disk for what a run writes last: where it fills up meanwhile, [`Self::release`] makes place
    /// for the summary.
    ///
    /// # Errors
    /// When the disk is full already.
    pub fn reserve(&self) -> io::Result<()> {
        std::fs::write(self.path.join(RESERVE), vec![0; RESERVED])
    }

    /// Gives the room back.
    pub fn release(&self) {
        // Where it is missing there is nothing to give back.
        let _ = std::fs::remove_file(self.path.join(RESERVE));
    }

    /// Bytes of all files below `path`, as far as they can be read.
    pub fn size(path: &Path) -> u64 {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries
            .map(|entry| match entry.metadata() {
                Ok(meta) if meta.is_dir() => Self::size(&entry.path()),
                Ok(meta) => meta.len(),
                Err(_) => 0,
            })
            .sum()
    }

    /// The runs below `runs`, oldest first; also those of which nobody may see what they hold.
    pub fn list(runs: &Path) -> io::Result<Vec<Self>> {
        let entries = match std::fs::read_dir(runs) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let is_run = match path.join("run.json").metadata() {
                Ok(file) => file.is_file(),
                Err(e) => !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
            };
            if is_run {
                all.push(Self { path });
            }
        }
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(all)
    }

    /// The run called `name`: its folder's name, a path, or the beginning of exactly one name.
    pub fn find(runs: &Path, name: &str) -> io::Result<Option<Self>> {
        let direct = PathBuf::from(name);
        if direct.join("run.json").is_file() {
            return Ok(Some(Self { path: direct }));
        }
        let mut all = Self::list(runs)?;
        if let Some(exact) = all.iter().find(|run| run.name() == name) {
            return Ok(Some(exact.clone()));
        }
        all.retain(|run| run.name().starts_with(name));
        Ok(if all.len() == 1 { all.pop() } else { None })
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `events.jsonl`
    pub fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// Folder of the ledger.
    pub fn ledger(&self) -> PathBuf {
        self.path.join(LEDGER_FOLDER)
    }

    /// Folder of the sets that were compared.
    pub fn sets(&self) -> PathBuf {
        self.path.join(SETS_FOLDER)
    }

    /// Folder of the logs of backend processes.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// `summary.json`
    pub fn summary(&self) -> PathBuf {
        self.path.join("summary.json")
    }

    /// `report.md`
    pub fn report(&self) -> PathBuf {
        self.path.join("report.md")
    }

    /// Writes `run.json`.
    pub fn write(&self, file: &RunFile) -> io::Result<()> {
        files::replace(&self.path.join("run.json"), &serde_json::to_vec_pretty(file)?)
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// With the file's path, where it cannot be read, is damaged, or was written by a newer version.
    pub fn read(&self) -> io::Result<RunFile> {
        let path = self.path.join("run.json");
        let failed = |kind, why: &dyn std::fmt::Display| io::Error::new(kind, format!("{} {why}", path.display()));
        let bytes = std::fs::read(&path).map_err(|e| failed(e.kind(), &format_args!("cannot be read: {e}")))?;
        let damaged = |e: serde_json::Error| failed(io::ErrorKind::InvalidData, &format_args!("is damaged: {e}"));
        // The version first: a newer file may lack what this version wants.
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
        if let Some(version) = value["schema_version"].as_u64().filter(|version| *version > SCHEMA_VERSION.into()) {
            let newer = format_args!(
                "was written by a newer ecomctl (schema {version}, this one reads up to {SCHEMA_VERSION}): use that one"
            );
            return Err(failed(io::ErrorKind::Other, &newer));
        }
        serde_json::from_value(value).map_err(damaged)
    }
}

#[cfg(test)]
mod tests;
