//! `sets/` of a run's folder: what was read from the servers, so that the verdict can be reached again without them.
//!
//! `index.json` holds what is small; each large set is a file `coupon-<id>.<set>.ndjson`: a header line with
//! version and count, then one JSON object a line. A file that ends early is noticed by its count.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use contract::claim::Claim;
use record::epoch::Opened;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    LogBefore,
    invariants::Judged,
    model::{CouponFacts, CouponSets, Events, Gate, Known, Sets, TopicFacts, UniqueKey},
};

/// Version of these files. A newer one is refused with a clear message.
pub const SCHEMA_VERSION: u32 = 1;

/// What is written last: a folder without it is a set that was never finished.
pub(super) const INDEX: &str = "index.json";

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
    #[error("{path} has version {found}, this ecomctl reads up to {SCHEMA_VERSION}: use a newer one")]
    Newer {
        /// File.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

/// What belongs to the sets of a run besides the sets: it decides verdicts too.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// Requests sent by claim.
    pub sent: BTreeMap<Claim, u64>,
    /// Wall clock at the run's monotonic start, nanoseconds since 1970.
    pub origin_unix_ns: Option<u64>,
    /// Checks that the profile requires.
    pub require: Vec<String>,
    /// What came of the invariants: without the servers nobody can look again.
    #[serde(default)]
    pub invariants: Judged,
}

#[derive(Serialize, Deserialize)]
struct Index {
    schema_version: u32,
    topic: Known<TopicFacts>,
    keys: Known<Vec<UniqueKey>>,
    coupons: Vec<IndexedCoupon>,
    context: Context,
}

/// A coupon without its large sets.
#[derive(Serialize, Deserialize)]
struct IndexedCoupon {
    coupon: u64,
    total: u64,
    facts: Known<CouponFacts>,
    gate: Known<Gate>,
    events: Known<Events>,
    rows: Known<()>,
    dead: Known<()>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moving: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    schema_version: u32,
    set: String,
    coupon: u64,
    count: usize,
}

/// Only the version, to be read before anything else: the rest of a newer file may look different.
#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

/// Writes `sets` into `folder`, which is created.
pub fn write(folder: &Path, sets: &Sets, context: &Context) -> Result<(), StoreError> {
    std::fs::create_dir_all(folder).map_err(failed("write", folder))?;
    for one in &sets.coupons {
        let lines = |set: &str| file_of(folder, one.coupon, set);
        if let Ok(rows) = &one.rows {
            write_lines(&lines("rows"), "rows", one.coupon, rows.len(), rows.iter())?;
        }
        if let Ok(events) = &one.events {
            write_lines(&lines("events"), "events", one.coupon, events.list.len(), events.list.iter())?;
        }
        if let Ok(gate) = &one.gate {
            write_lines(&lines("grants"), "grants", one.coupon, gate.users.len(), gate.users.iter())?;
        }
        if let Ok(dead) = &one.dead {
            write_lines(&lines("dead"), "dead", one.coupon, dead.len(), dead.iter())?;
        }
    }
    let index = Index {
        schema_version: SCHEMA_VERSION,
        topic: sets.topic.clone(),
        keys: sets.keys.clone(),
        coupons: sets.coupons.iter().map(without_large_sets).collect(),
        context: context.clone(),
    };
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
    check_version(&path, &text)?;
    parse(&path, 1, &text)
}

/// What a run's sets tell of the servers that they were read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The epochs that they were read in.
    pub epochs: Opened,
    /// The log as it was.
    pub log: LogBefore,
}

/// Reads no more than where the sets come from.
///
/// # Errors
/// When there are none, or they are damaged or of a newer version.
pub fn recorded(folder: &Path) -> Result<Recorded, StoreError> {
    let index = index(folder)?;
    let present = |one: &IndexedCoupon| Some((one.coupon, one.facts.as_ref().ok()?.present.epoch.clone()?));
    let mut recorded = Recorded { epochs: index.coupons.iter().filter_map(present).collect(), ..Recorded::default() };
    if let Ok(topic) = index.topic {
        recorded.log.cluster = topic.cluster;
        recorded.log.ends = topic.partitions.iter().map(|p| (p.partition, p.end)).collect();
    }
    Ok(recorded)
}

/// Reads what [`write`] wrote.
pub fn read(folder: &Path) -> Result<(Sets, Context), StoreError> {
    let index = index(folder)?;
    let mut coupons = Vec::with_capacity(index.coupons.len());
    for one in index.coupons {
        coupons.push(with_large_sets(folder, one)?);
    }
    Ok((Sets { topic: index.topic, keys: index.keys, coupons }, index.context))
}

fn without_large_sets(one: &CouponSets) -> IndexedCoupon {
    let no_users = |gate: &Gate| Gate {
        users: BTreeMap::new(),
        pending: gate.pending.clone(),
        epoch: gate.epoch.clone(),
        ..*gate
    };
    IndexedCoupon {
        coupon: one.coupon,
        total: one.total,
        facts: one.facts.clone(),
        gate: one.gate.as_ref().map(no_users).map_err(Clone::clone),
        events: one.events.as_ref().map(|events| Events { list: Vec::new(), ..*events }).map_err(Clone::clone),
        rows: one.rows.as_ref().map(|_| ()).map_err(Clone::clone),
        dead: one.dead.as_ref().map(|_| ()).map_err(Clone::clone),
        moving: one.moving.clone(),
    }
}

fn with_large_sets(folder: &Path, one: IndexedCoupon) -> Result<CouponSets, StoreError> {
    let coupon = one.coupon;
    let gate = match one.gate {
        Ok(gate) => Ok(Gate { users: lines(folder, coupon, "grants")?.into_iter().collect(), ..gate }),
        Err(why) => Err(why),
    };
    let events = match one.events {
        Ok(events) => Ok(Events { list: lines(folder, coupon, "events")?, ..events }),
        Err(why) => Err(why),
    };
    Ok(CouponSets {
        coupon,
        total: one.total,
        facts: one.facts,
        gate,
        events,
        rows: one.rows.map(|()| lines(folder, coupon, "rows")).transpose_known()?,
        dead: one.dead.map(|()| lines(folder, coupon, "dead")).transpose_known()?,
        moving: one.moving,
    })
}

/// Turns "known, and reading it failed" inside out.
trait TransposeKnown<T> {
    fn transpose_known(self) -> Result<Known<T>, StoreError>;
}

impl<T> TransposeKnown<T> for Known<Result<T, StoreError>> {
    fn transpose_known(self) -> Result<Known<T>, StoreError> {
        match self {
            Ok(Ok(value)) => Ok(Ok(value)),
            Ok(Err(error)) => Err(error),
            Err(why) => Ok(Err(why)),
        }
    }
}

fn file_of(folder: &Path, coupon: u64, set: &str) -> PathBuf {
    folder.join(format!("coupon-{coupon}.{set}.ndjson"))
}

fn write_lines<T: Serialize>(
    path: &Path,
    set: &str,
    coupon: u64,
    count: usize,
    items: impl Iterator<Item = T>,
) -> Result<(), StoreError> {
    let fail = || failed("write", path);
    let mut file = BufWriter::with_capacity(1 << 16, File::create(path).map_err(fail())?);
    let header = Header { schema_version: SCHEMA_VERSION, set: set.to_owned(), coupon, count };
    let mut line = |json: &mut dyn FnMut(&mut BufWriter<File>) -> serde_json::Result<()>| {
        json(&mut file).map_err(io::Error::from).and_then(|()| file.write_all(b"\n"))
    };
    line(&mut |file| serde_json::to_writer(file, &header)).map_err(fail())?;
    for item in items {
        line(&mut |file| serde_json::to_writer(file, &item)).map_err(fail())?;
    }
    file.flush().map_err(fail())
}

fn lines<T: DeserializeOwned>(folder: &Path, coupon: u64, set: &str) -> Result<Vec<T>, StoreError> {
    let path = file_of(folder, coupon, set);
    let file = File::open(&path).map_err(failed("read", &path))?;
    let mut reader = BufReader::with_capacity(1 << 16, file).lines();
    let header = reader.next().transpose().map_err(failed("read", &path))?.unwrap_or_default();
    check_version(&path, &header)?;
    let header: Header = parse(&path, 1, &header)?;
    let mut items = Vec::with_capacity(header.count.min(1 << 20));
    for (number, line) in reader.enumerate() {
        items.push(parse(&path, number + 2, &line.map_err(failed("read", &path))?)?);
    }
    if items.len() == header.count && header.set == set && header.coupon == coupon {
        return Ok(items);
    }
    let why =
        format!("it announces {} {} of coupon {} and has {}", header.count, header.set, header.coupon, items.len());
    Err(StoreError::Damaged { path, line: 1, why })
}

fn check_version(path: &Path, text: &str) -> Result<(), StoreError> {
    let Version { schema_version: found } = parse(path, 1, text)?;
    if found > SCHEMA_VERSION { Err(StoreError::Newer { path: path.to_owned(), found }) } else { Ok(()) }
}

fn parse<T: DeserializeOwned>(path: &Path, line: usize, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Damaged {
        path: path.to_owned(),
        line: line + e.line().saturating_sub(1),
        why: e.to_string(),
    })
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Sketch, World, world};

    fn two_coupons() -> World {
        let mut world = world(&[
            Sketch {
                coupon: Some(1),
                total: 5,
                grants: "1:1 2:2 3:3".into(),
                rows: Some("1:1 3:3".into()),
                dead: "2:2".into(),
                pending: "3:3".into(),
                ledger: Some("1 QUEUED 0-10\n2 QUEUED 20-30\n3 UNKNOWN 5-6\n4 DUPLICATE 50-60".into()),
                ..Sketch::default()
            },
            Sketch {
                coupon: Some(2),
                total: 9,
                grants: "7:1".into(),
                unknown: vec!["events".into()],
                ..Sketch::default()
            },
        ]);
        world.rows()[0].event_id = "with \"quotes\", commas\nand lines".into();
        world.context.require = vec!["CP5".into()];
        world
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let world = two_coupons();
        write(folder.path(), &world.sets, &world.context).unwrap();
        let (sets, context) = read(folder.path()).unwrap();
        assert_eq!((sets, context), (world.sets, world.context));
    }

    #[test]
    fn a_file_that_ends_early_proves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let world = two_coupons();
        write(folder.path(), &world.sets, &world.context).unwrap();
        let path = folder.path().join("coupon-1.grants.ndjson");
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        std::fs::write(&path, lines[..lines.len() - 1].join("\n")).unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("coupon-1.grants.ndjson") && error.contains("announces 3"), "{error}");
        std::fs::write(&path, lines.join("\n").replace("[3,", "[x,")).unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("line 4"), "{error}");
    }

    /// Sets of version 0.1 knew neither lives of epochs nor clusters, and named what was planted: they are judged as ever,
    /// and say which epoch they are of.
    #[test]
    fn sets_of_the_first_version_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let index = r#"{"schema_version": 1, "keys": {"Ok": []},
            "topic": {"Ok": {"partitions": [{"partition": 0, "start": 0, "end": 9, "from": 2, "committed": 9,
                "unconsumed": 0}], "malformed": 0, "malformed_dead": 0, "malformed_at": []}},
            "coupons": [{"coupon": 1, "total": 5, "facts": {"Ok": {"quantity": 5, "issued": 0, "epoch": "abc:7",
                "floor": 7}}, "gate": {"Ok": {"counter": 7, "total": 5, "last_seq": 0, "stock": 5, "pending": []}},
                "events": {"Err": "away"}, "rows": {"Err": "away"}, "dead": {"Err": "away"}}],
            "context": {"sent": {}, "planted": ["e1"], "origin_unix_ns": null, "require": []}}"#;
        std::fs::write(folder.path().join("index.json"), index).unwrap();
        let header = r#"{"schema_version":1,"set":"grants","coupon":1,"count":0}"#;
        std::fs::write(folder.path().join("coupon-1.grants.ndjson"), format!("{header}\n")).unwrap();
        let (sets, _) = read(folder.path()).unwrap();
        assert_eq!(sets.coupons[0].facts.as_ref().unwrap().present.epoch.as_deref(), Some("abc:7"));
        let recorded = recorded(folder.path()).unwrap();
        assert_eq!((&recorded.epochs[&1], recorded.log.ends[&0]), (&"abc:7".to_owned(), 9));
    }

    #[test]
    fn a_newer_version_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.json"), r#"{"schema_version": 2, "other": true}"#).unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has version 2"), "{error}");
    }
}
