//! The folder of a run, `runs/<UTC time>-<profile>/`, and who is writing into it.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use base::files;
use contract::claim::Claim;
use infra::process::ProcessRef;
use record::{epoch::Opened, invariant::Listed};
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
    /// Coupons and how many there are of each: what `verify` proves afterwards.
    pub coupons: Vec<(u64, u64)>,
    /// Checks that the profile requires.
    pub require: Vec<String>,
    /// Nanoseconds since 1970 of the ledger's zero.
    pub origin_unix_ns: u64,
    /// Claim → requests that were sent for it, counted apart from their outcomes; filled in after the load. A number alone is
    /// a coupon's, in files of version 1.
    #[serde(default)]
    pub sent: BTreeMap<Claim, u64>,
    /// Coupon → the epoch that the run opened: what is found of another one is not its own. Absent in the files of
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

/// The coupons that can be claimed, each with how many there are.
pub fn subjects(coupons: &[(u64, u64)]) -> Vec<Subject> {
    let subject = |(id, total): &(u64, u64)| Subject { claim: Claim::coupon(*id), total: Some(*total) };
    coupons.iter().map(subject).collect()
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
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_by_name_or_beginning_and_come_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let now: jiff::Timestamp = "2026-11-21T06:00:00Z".parse().unwrap();
        let file = RunFile {
            schema_version: SCHEMA_VERSION,
            profile: "x".into(),
            started_at: now.to_string(),
            coupons: vec![(1, 10)],
            require: vec!["CP5".into()],
            origin_unix_ns: 0,
            sent: [(Claim::coupon(1), 12)].into(),
            epochs: Some([(1, "a:b:7".to_owned())].into()),
            invariants: Vec::new(),
            process: None,
            control: None,
        };
        for profile in ["a/../b", "a/../b", "quick"] {
            RunFolder::create(folder.path(), profile, now).unwrap().write(&file).unwrap();
        }
        let names: Vec<_> = RunFolder::list(folder.path()).unwrap().iter().map(RunFolder::name).collect();
        assert_eq!(names, ["20261121T060000Z-a----b", "20261121T060000Z-a----b-2", "20261121T060000Z-quick"]);
        let found = RunFolder::find(folder.path(), "20261121T060000Z-q").unwrap().unwrap();
        assert_eq!(found.read().unwrap(), file);
        assert_eq!(RunFolder::find(folder.path(), "2026").unwrap(), None, "several begin so");
    }

    /// A name is readable in the script in which it was written, and never longer than a folder's name may be.
    #[test]
    fn names_of_profiles_stay_readable() {
        for (profile, name) in [("선착순 쿠폰_2", "선착순-쿠폰_2"), ("café", "café"), ("a/../b", "a----b"), ("", "")]
        {
            assert_eq!(safe(profile), name);
        }
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(folder.path(), &"쿠폰".repeat(100), jiff::Timestamp::UNIX_EPOCH).unwrap();
        assert!(run.name().starts_with("19700101T000000Z-쿠폰쿠폰") && run.name().len() < 128, "{}", run.name());
    }

    /// Room for the summary is kept from the beginning, and what a folder takes is counted.
    #[test]
    fn room_is_kept_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(folder.path(), "x", jiff::Timestamp::UNIX_EPOCH).unwrap();
        run.reserve().unwrap();
        std::fs::write(run.logs().join("a.log"), "12345").unwrap();
        assert_eq!(RunFolder::size(folder.path()), RESERVED as u64 + 5);
        run.release();
        run.release();
        assert_eq!(RunFolder::size(folder.path()), 5);
    }

    #[test]
    fn what_version_1_counted_was_for_coupons() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(folder.path(), "x", jiff::Timestamp::UNIX_EPOCH).unwrap();
        let older = r#"{"schema_version":1,"profile":"x","started_at":"","coupons":[[7,10]],"require":[],"origin_unix_ns":0,"sent":{"7":12},"process":null}"#;
        std::fs::write(run.path().join("run.json"), older).unwrap();
        assert_eq!(run.read().unwrap().sent, [(Claim::coupon(7), 12)].into());
    }

    #[test]
    fn a_newer_run_is_refused_with_a_clear_word() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(folder.path(), "x", jiff::Timestamp::UNIX_EPOCH).unwrap();
        let newer = r#"{"schema_version":9,"profile":"x","started_at":"","coupons":[],"require":[],"origin_unix_ns":0,"process":null}"#;
        std::fs::write(run.path().join("run.json"), newer).unwrap();
        assert!(run.read().unwrap_err().to_string().contains("newer ecomctl"));
    }
}
