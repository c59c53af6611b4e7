//! What was read about coupons, in `sets/` of a run's folder.
//!
//! What is small stands in the index; each large set is a file `coupon-<id>.<set>.ndjson`: a header line with version and
//! count, then one JSON object a line. A file that ends early is noticed by its count.

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
    model::{CouponFacts, CouponSets, Events, Gate, Sets, TopicFacts},
};
use crate::{
    model::Known,
    store::{self, Parts, StoreError, check_version, failed, parse, put, take},
};

/// Version of the files of large sets.
const SCHEMA_VERSION: u32 = 1;

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

/// Writes `sets` into `folder` and the index.
pub(super) fn write(folder: &Path, sets: &Sets, parts: &mut Parts) -> Result<(), StoreError> {
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
    put(folder, parts, "topic", &sets.topic)?;
    put(folder, parts, "keys", &sets.keys)?;
    put(folder, parts, "coupons", &sets.coupons.iter().map(without_large_sets).collect::<Vec<_>>())
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
    let mut parts = store::parts(folder)?;
    let present =
        |one: &IndexedCoupon| Some((Claim::coupon(one.coupon), one.facts.as_ref().ok()?.present.epoch.clone()?));
    let coupons: Vec<IndexedCoupon> = take(folder, &mut parts, "coupons")?.unwrap_or_default();
    let mut recorded = Recorded { epochs: coupons.iter().filter_map(present).collect(), ..Recorded::default() };
    if let Some(Ok(topic)) = take::<Known<TopicFacts>>(folder, &mut parts, "topic")? {
        recorded.log.cluster = topic.cluster;
        recorded.log.ends = topic.partitions.iter().map(|p| (p.partition, p.end)).collect();
    }
    Ok(recorded)
}

/// Reads what [`write`] wrote; none where it wrote nothing.
pub(super) fn read(folder: &Path, parts: &mut Parts) -> Result<Option<Sets>, StoreError> {
    let Some(indexed) = take::<Vec<IndexedCoupon>>(folder, parts, "coupons")? else { return Ok(None) };
    let mut coupons = Vec::with_capacity(indexed.len());
    for one in indexed {
        coupons.push(with_large_sets(folder, one)?);
    }
    let lost = || "it was not kept".to_owned();
    let topic = take(folder, parts, "topic")?.unwrap_or_else(|| Err(lost()));
    let keys = take(folder, parts, "keys")?.unwrap_or_else(|| Err(lost()));
    Ok(Some(Sets { topic, keys, coupons }))
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
    check_version(&path, &header, SCHEMA_VERSION)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use contract::claim::Kind;

    use crate::{
        families::{
            Family,
            coupon::testing::{Sketch, World, world},
        },
        store::Context,
    };

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

    fn write(folder: &Path, world: &World) {
        let coupons: Box<dyn Family> = Box::new(world.coupons.clone());
        store::write(folder, &[(Kind::Coupon, coupons)].into(), &world.context).unwrap();
    }

    fn read(folder: &Path) -> Result<(Option<Sets>, Context), StoreError> {
        let (_, context) = store::read(folder)?;
        Ok((super::read(folder, &mut store::parts(folder)?)?, context))
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let world = two_coupons();
        write(folder.path(), &world);
        let (sets, context) = read(folder.path()).unwrap();
        assert_eq!((sets, context), (Some(world.coupons.sets), world.context));
    }

    #[test]
    fn a_file_that_ends_early_proves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let world = two_coupons();
        write(folder.path(), &world);
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
        let sets = read(folder.path()).unwrap().0.unwrap();
        assert_eq!(sets.coupons[0].facts.as_ref().unwrap().present.epoch.as_deref(), Some("abc:7"));
        let recorded = recorded(folder.path()).unwrap();
        assert_eq!((&recorded.epochs[&Claim::coupon(1)], recorded.log.ends[&0]), (&"abc:7".to_owned(), 9));
    }

    #[test]
    fn a_newer_version_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.json"), r#"{"schema_version": 3, "other": true}"#).unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has version 3"), "{error}");
    }
}
