//! Claims of the ledger, looked up in `point_entries`.
//!
//! Memory is bounded: the ledger is read as often as it takes to hold a part of its keys at a time.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    fmt,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    time::Duration,
};

use contract::{
    cause,
    claim::{Id, Kind, Outcome},
    endpoint::MysqlEndpoint,
};
use load::ledger::{self, Entry};
use mysql_async::{Error, Transaction, Value, prelude::Queryable};
use serde::{Deserialize, Serialize};
use tokio::task::JoinError;

use super::{
    PointSizes,
    receipts::{Named, Receipts, Suspect, owners},
};
use crate::{
    checks::{MOST_NAMED, MOST_ROWS},
    model::Known,
    mysql::{self, known},
};

/// Longest time that reading everything may take.
const LIMIT: Duration = Duration::from_secs(600);
/// Answers that are held at a time.
const HELD: u64 = 500_000;
/// Claims of one query.
const PAGE: usize = 500;

/// Bookings, of which only the first are named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub named: Vec<String>,
}

impl Listed {
    fn add(&mut self, what: &impl fmt::Display) {
        self.count += 1;
        if self.named.len() < MOST_ROWS {
            self.named.push(what.to_string());
        }
    }

    /// "user 3, key … and 40 more"
    pub fn words(&self) -> String {
        let named = self.named.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join("; ");
        match self.count.saturating_sub(self.named.len().min(MOST_NAMED) as u64) {
            0 => named,
            more => format!("{named} and {more} more"),
        }
    }
}

/// What MySQL has of the ledger's claims. Each booking counts once, however often it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    /// Some answer said that it was made.
    pub acknowledged: u64,
    /// Perhaps it was made, perhaps not.
    pub uncertain: u64,
    /// Every answer was a refusal.
    pub refused: u64,
    /// Answers to requests that had no key of their own: they cannot be looked up.
    pub without_key: u64,
    /// Acknowledged, and not there.
    pub lost: Listed,
    /// Acknowledged, not there as it was told, and it is not known whether the user's entries were removed since.
    pub gone: Listed,
    /// Entries that are the booking's, by the id that was told.
    #[serde(default)]
    pub by_receipt: u64,
    /// Promises that were to tell an entry and told none.
    #[serde(default)]
    pub without_receipt: u64,
    /// Acknowledged and there, but another entry was told.
    #[serde(default)]
    pub other: Listed,
    /// There more than once.
    pub doubled: Listed,
    /// Refused, and there all the same.
    pub made: Listed,
}

impl Found {
    /// How many bookings were asked for.
    pub fn sizes(&self) -> PointSizes {
        let Self { acknowledged, uncertain, refused, .. } = *self;
        PointSizes { kind: Kind::Point, acknowledged, uncertain, refused }
    }
}

/// One booking: whose, and its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Booking {
    pub user: u64,
    pub key: Id,
}

impl fmt::Display for Booking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}, key {}", self.user, self.key)
    }
}

/// What was said about one booking, over all requests for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    acknowledged: bool,
    unknown: bool,
    receipts: Receipts,
}

/// The entries of one booking.
#[derive(Debug, Clone, Copy, Default)]
struct There {
    count: u64,
    /// The first of them.
    id: u64,
}

/// What is looked up, and where.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    pub endpoint: MysqlEndpoint,
    pub ledger: PathBuf,
    /// Answers in the ledger.
    pub answers: u64,
    /// When the first request began: microseconds since 1970. A user whose entries are all younger may have lost older ones.
    pub began_us: Option<i128>,
}

/// Looks every claim up.
pub(super) async fn look(lookup: &Lookup) -> Result<Known<Found>, JoinError> {
    let fail = |why: &dyn fmt::Display| Err(cause::once(&format!("MySQL at {}: {why}", lookup.endpoint)));
    Ok(match tokio::time::timeout(LIMIT, look_all(lookup)).await {
        Ok(Ok(found)) => found,
        Ok(Err(Broken::Mysql(error))) => fail(&error),
        Ok(Err(Broken::Task(error))) => return Err(error),
        Err(_) => fail(&format!("not read within {} s", LIMIT.as_secs())),
    })
}

/// Why reading ended early.
enum Broken {
    Mysql(Error),
    Task(JoinError),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Mysql(error)
    }
}

async fn look_all(lookup: &Lookup) -> Result<Known<Found>, Broken> {
    let fail = |error: &Error| format!("MySQL at {}: {}", lookup.endpoint, cause::chain(error));
    let mut conn = mysql::connect(&lookup.endpoint).await?;
    let mut snapshot = mysql::snapshot(&mut conn).await?;
    if known(mysql::is_read_only(&mut snapshot).await, fail)?.unwrap_or_default() {
        return Ok(Err(format!("MySQL at {} is read-only: it is a copy, which may lag behind", lookup.endpoint)));
    }
    let mut found = Found::default();
    let parts = lookup.answers.div_ceil(HELD).max(1);
    for part in 0..parts {
        let folder = lookup.ledger.clone();
        let reading = tokio::task::spawn_blocking(move || told(&folder, part, parts));
        let (told, without_key) = match reading.await.map_err(Broken::Task)? {
            Ok(told) => told,
            Err(why) => return Ok(Err(why)),
        };
        found.without_key += without_key;
        let all: Vec<(Booking, Told)> = told.into_iter().collect();
        for page in all.chunks(PAGE) {
            if let Err(why) = known(compare(&mut snapshot, page, lookup.began_us, &mut found).await, fail)? {
                return Ok(Err(why));
            }
        }
    }
    snapshot.rollback().await?;
    conn.disconnect().await?;
    Ok(Ok(found))
}

/// What the ledger says about the bookings of one part, and how many answers of that part have no key.
fn told(folder: &Path, part: u64, parts: u64) -> Known<(HashMap<Booking, Told>, u64)> {
    let mut told: HashMap<Booking, Told> = HashMap::new();
    let mut without_key = 0;
    let add = |entry: Entry| {
        if entry.kind != Kind::Point {
            return;
        }
        let Some(key) = entry.key else {
            without_key += u64::from(part == 0);
            return;
        };
        let booking = Booking { user: entry.actor, key };
        if part_of(booking, parts) == part {
            let told = told.entry(booking).or_default();
            told.acknowledged |= entry.outcome == Outcome::Acknowledged;
            told.unknown |= entry.outcome == Outcome::Unknown;
            told.receipts.add(entry.receipt);
        }
    };
    ledger::read(folder, add).map_err(|e| e.to_string())?;
    Ok((told, without_key))
}

fn part_of(booking: Booking, parts: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    booking.hash(&mut hasher);
    hasher.finish() % parts
}

/// Adds what one page of bookings came to.
async fn compare(
    snapshot: &mut Transaction<'_>,
    page: &[(Booking, Told)],
    began_us: Option<i128>,
    found: &mut Found,
) -> Result<(), Error> {
    let entries = entries(snapshot, page).await?;
    let mut suspects = Vec::new();
    for (booking, told) in page {
        let there = entries.get(&(booking.user, booking.key.to_string())).copied().unwrap_or_default();
        let size = match told {
            Told { acknowledged: true, .. } => &mut found.acknowledged,
            Told { unknown: true, .. } => &mut found.uncertain,
            Told { .. } => &mut found.refused,
        };
        *size += 1;
        found.without_receipt += u64::from(told.receipts.missing);
        match (told.acknowledged, told.unknown, there.count) {
            (_, _, 2..) => found.doubled.add(booking),
            (false, false, 1) => found.made.add(booking),
            _ => {}
        }
        if told.acknowledged {
            suspects.extend(suspicious(*booking, told.receipts, there, found));
        }
    }
    if suspects.is_empty() { Ok(()) } else { judge(snapshot, &suspects, began_us, found).await }
}

/// What is not there as it was told; counts what is.
fn suspicious(booking: Booking, receipts: Receipts, there: There, found: &mut Found) -> Vec<Suspect> {
    let has = (there.count > 0).then_some(there.id);
    let (mut suspects, mut told_any) = (Vec::new(), false);
    for told in receipts.told() {
        told_any = true;
        if has == Some(told) {
            found.by_receipt += 1;
        } else {
            suspects.push(Suspect { booking, told: Some(told), has });
        }
    }
    if has.is_none() && told_any {
        // It is lost once, whatever it was called.
        suspects.truncate(1);
    } else if has.is_none() {
        suspects.push(Suspect { booking, told: None, has });
    }
    suspects
}

/// Says of each suspect what it is: lost, told as another entry than it is, or gone with all that its user had.
async fn judge(
    snapshot: &mut Transaction<'_>,
    suspects: &[Suspect],
    began_us: Option<i128>,
    found: &mut Found,
) -> Result<(), Error> {
    let owners = owners(snapshot, suspects).await?;
    let oldest = oldest(snapshot, suspects).await?;
    for suspect in suspects {
        let Suspect { booking, told, has } = suspect;
        let owner = told.and_then(|told| owners.get(&told));
        if owner.is_some_and(|(user, key)| *user == booking.user && *key == booking.key.to_string()) {
            // There more than once, which is told already; this is one of them.
            found.by_receipt += 1;
            continue;
        }
        let before = |us: &i64| began_us.is_some_and(|began| i128::from(*us) < began);
        let listed = match (oldest.get(&booking.user).is_some_and(before), has) {
            (false, _) => &mut found.gone,
            (true, None) => &mut found.lost,
            (true, Some(_)) => &mut found.other,
        };
        listed.add(&Named(suspect, owner));
    }
    Ok(())
}

/// User and key → entries.
async fn entries(
    snapshot: &mut Transaction<'_>,
    page: &[(Booking, Told)],
) -> Result<HashMap<(u64, String), There>, Error> {
    let marks = vec!["(?, ?)"; page.len()].join(", ");
    let sql = format!(
        "SELECT user_id, idempotency_key, COUNT(*), MIN(id) FROM point_entries \
         WHERE (user_id, idempotency_key) IN ({marks}) GROUP BY user_id, idempotency_key"
    );
    let pairs = page.iter().flat_map(|(booking, _)| [Value::from(booking.user), booking.key.to_string().into()]);
    let rows: Vec<(u64, String, u64, u64)> = snapshot.exec(sql, pairs.collect::<Vec<_>>()).await?;
    Ok(rows.into_iter().map(|(user, key, count, id)| ((user, key), There { count, id })).collect())
}

/// User → when their oldest entry was made, microseconds since 1970. A seed that begins a balance anew removes all of its
/// entries, so an old one tells that none was removed since.
async fn oldest(snapshot: &mut Transaction<'_>, suspects: &[Suspect]) -> Result<HashMap<u64, i64>, Error> {
    let marks = vec!["?"; suspects.len()].join(", ");
    let sql = format!(
        "SELECT user_id, CAST(UNIX_TIMESTAMP(MIN(created_at)) * 1000000 AS SIGNED) FROM point_entries \
         WHERE user_id IN ({marks}) GROUP BY user_id"
    );
    let users: Vec<Value> = suspects.iter().map(|suspect| suspect.booking.user.into()).collect();
    let rows: Vec<(u64, Option<i64>)> = snapshot.exec(sql, users).await?;
    Ok(rows.into_iter().filter_map(|(user, us)| Some((user, us?))).collect())
}

#[cfg(test)]
mod tests {
    use load::ledger::LedgerWriter;
    use proptest::prelude::*;

    use super::*;

    fn written(entries: &[(u64, u64, Outcome)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = LedgerWriter::create(folder.path(), 0).unwrap();
        for (user, key, outcome) in entries {
            let (kind, key) = (Kind::Point, Some(Id::Number(*key)));
            let (actor, outcome) = (*user, *outcome);
            writer.push(Entry { kind, key, actor, start_ns: 1, end_ns: 2, outcome, receipt: None }).unwrap();
        }
        writer.finish().unwrap();
        folder
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop::sample::select(vec![Outcome::Acknowledged, Outcome::Refused, Outcome::Unknown])
    }

    proptest! {
        /// However many parts the ledger is read in, each booking is looked up once, with all that was said about it.
        #[test]
        fn parts_are_the_whole(
            entries in prop::collection::vec((1_u64..5, 1_u64..20, outcome()), 1..60),
            parts in 1_u64..6,
        ) {
            let folder = written(&entries);
            let (whole, _) = told(folder.path(), 0, 1).unwrap();
            let mut together = HashMap::new();
            for part in 0..parts {
                for (booking, told) in told(folder.path(), part, parts).unwrap().0 {
                    prop_assert!(together.insert(booking, told).is_none(), "{:?} is in two parts", booking);
                }
            }
            prop_assert_eq!(&together, &whole);
            for (user, key, outcome) in entries {
                let told = whole[&Booking { user, key: Id::Number(key) }];
                prop_assert!(told.acknowledged || outcome != Outcome::Acknowledged);
                prop_assert!(told.unknown || outcome != Outcome::Unknown);
            }
        }
    }

    #[test]
    fn only_the_first_are_named() {
        let mut listed = Listed::default();
        for key in 0..50 {
            listed.add(&Booking { user: 1, key: Id::Number(key) });
        }
        assert_eq!((listed.count, listed.named.len()), (50, MOST_ROWS));
        assert!(listed.words().ends_with("user 1, key 4 and 45 more"), "{}", listed.words());
    }
}
