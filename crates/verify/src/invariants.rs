//! Asks the servers what invariants ask for, and judges what came back.
//!
//! All statements for MySQL of one look share one consistent snapshot, in a read-only transaction with a limit of time
//! ([`mysql`]); Redis is asked by the few commands that `invariant::command` lists ([`redis`]). What offends is counted,
//! some of it is shown, and all of it goes to a file ([`keep`]). What a statement may be is decided by `invariant`
//! before anything is started, and once more here before it is sent.

mod compare;
mod judge;
mod keep;
mod mysql;
mod redis;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use contract::endpoint::Endpoints;
use record::invariant::{Asked, Invariant, Listed, Reading, When, command, statement};
use serde::{Deserialize, Serialize};

pub use self::watch::watch;
use self::{
    judge::{Exercised, Found},
    keep::Keeper,
    mysql::Snapshot,
    redis::Reader,
};
use super::model::{CheckResult, Known};

/// Longest time of one statement or command when everything is at rest.
const AT_REST: Duration = Duration::from_secs(60);
/// Looks until two of them must agree about what offends, and the pause before each further one.
const LOOKS: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// The invariants that are to be proven.
#[derive(Debug, Clone, Default)]
pub struct InvariantPlan {
    /// All of them.
    pub listed: Vec<Listed>,
    /// What was violated while the load ran, by id: what holds at every moment is not mended by the end.
    pub under_load: BTreeMap<String, CheckResult>,
}

/// What came of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// One result an invariant that was looked at.
    pub checks: Vec<CheckResult>,
    /// Those that were left out, and why.
    pub notes: Vec<String>,
}

/// One look at all of them.
#[derive(Default)]
struct Look {
    found: BTreeMap<String, Known<Found>>,
    /// Id → the table that the database has not.
    left_out: BTreeMap<String, String>,
}

/// Looks at all invariants, and judges. `running` says why nothing can be at rest yet; into `folder` goes what offends.
pub(super) async fn judged(
    plan: &InvariantPlan,
    endpoints: &Endpoints,
    running: Option<&str>,
    folder: Option<&Path>,
) -> Judged {
    let asked = |listed: &&Listed| running.is_none() || listed.invariant.when == When::Load;
    let listed: Vec<&Listed> = plan.listed.iter().filter(asked).collect();
    let mut look = look(endpoints, &listed, AT_REST, folder).await;
    settle(endpoints, &listed, &mut look, folder).await;
    let mut judged = Judged { notes: left_out(&look.left_out), ..Judged::default() };
    for one in plan.listed.iter().filter(|one| !look.left_out.contains_key(&one.id)) {
        let found = look.found.remove(&one.id).unwrap_or_else(|| Err(running.unwrap_or("it was not read").to_owned()));
        let result = judge::result(one, found);
        judged.checks.push(match plan.under_load.get(&one.id) {
            Some(earlier) => judge::and_under_load(result, earlier),
            None => result,
        });
    }
    judged
}

/// What was not looked at, a line for each table that is not there.
fn left_out(tables: &BTreeMap<String, String>) -> Vec<String> {
    let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, table) in tables {
        ids.entry(table).or_default().push(id);
    }
    ids.iter().map(|(table, ids)| format!("not looked at, as there is no table {table}: {}", ids.join(", "))).collect()
}

/// Every one of them is unknown because of `why`.
pub(super) fn unread(listed: &[Listed], why: &str) -> Judged {
    let checks = listed.iter().map(|one| judge::result(one, Err(why.to_owned()))).collect();
    Judged { checks, notes: Vec::new() }
}

/// What offends at rest must offend a moment later, too: else it was on its way, and nobody is accused. The newest look
/// counts.
async fn settle(endpoints: &Endpoints, listed: &[&Listed], newest: &mut Look, folder: Option<&Path>) {
    let mut open = offending(listed, newest);
    for _ in 1..LOOKS {
        if open.is_empty() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
        let unsettled: Vec<&Listed> = listed.iter().copied().filter(|one| open.contains_key(&one.id)).collect();
        let mut again = look(endpoints, &unsettled, AT_REST, folder).await;
        let now = offending(&unsettled, &again);
        newest.found.append(&mut again.found);
        open = now.into_iter().filter(|(id, digest)| open.get(id) != Some(digest)).collect();
    }
    for id in open.into_keys() {
        newest.found.insert(id, Err("what offends changed while it was looked at: nothing is at rest".into()));
    }
}

/// Those that must hold at rest only and do not: id → digest of what offends.
fn offending(listed: &[&Listed], look: &Look) -> BTreeMap<String, u64> {
    let digest = |one: &&Listed| match look.found.get(&one.id) {
        Some(Ok(found)) if found.offenders > 0 => Some((one.id.clone(), found.digest)),
        _ => None,
    };
    listed.iter().filter(|one| one.invariant.when == When::Rest).filter_map(digest).collect()
}

/// Reads what each asks for. One server that is away leaves the others known.
async fn look(endpoints: &Endpoints, listed: &[&Listed], limit: Duration, folder: Option<&Path>) -> Look {
    let mut look = Look::default();
    let mut stores = Stores {
        mysql: if listed.iter().any(|one| one.invariant.statements().next().is_some()) {
            Snapshot::open(&endpoints.mysql, limit).await
        } else {
            Err("it was not asked".into())
        },
        redis: Reader::new(&endpoints.redis, limit),
    };
    for one in listed {
        match stores.absent(one).await {
            Ok(Some(table)) => drop(look.left_out.insert(one.id.clone(), table)),
            Ok(None) => drop(look.found.insert(one.id.clone(), stores.find(one, folder).await)),
            Err(why) => drop(look.found.insert(one.id.clone(), Err(why))),
        }
    }
    if let Ok(snapshot) = stores.mysql {
        snapshot.close().await;
    }
    look
}

/// The servers in one look.
struct Stores {
    mysql: Known<Snapshot>,
    redis: Reader,
}

/// What a reading gives row by row: names of the columns, and their values.
type Each<'a> = &'a mut (dyn FnMut(&[String], Vec<serde_json::Value>) -> Known<()> + Send);

impl Stores {
    /// The table of a built-in invariant that the database has not, if any.
    async fn absent(&mut self, one: &Listed) -> Known<Option<String>> {
        if !one.built_in {
            return Ok(None);
        }
        let names: BTreeSet<&str> = one.invariant.statements().flat_map(|(_, sql)| statement::names(sql)).collect();
        for name in names {
            let Some(own) = name.strip_prefix("table.") else { continue };
            let table = one.invariant.parameters.get(name).map_or(own, String::as_str);
            if !self.snapshot()?.has_table(table).await? {
                return Ok(Some(table.to_owned()));
            }
        }
        Ok(None)
    }

    fn snapshot(&mut self) -> Known<&mut Snapshot> {
        self.mysql.as_mut().map_err(|why| why.clone())
    }

    async fn find(&mut self, one: &Listed, folder: Option<&Path>) -> Known<Found> {
        let invariant = &one.invariant;
        let mut keeper = Keeper::new(&one.id, invariant.keep, folder);
        let mut compared = None;
        match invariant.asks() {
            Some(Asked::Offenders(reading)) => {
                let asked = self.read(invariant, &reading, &mut |columns, row| keeper.take(columns, row)).await;
                // What came before the rest failed offends all the same.
                if let Err(why) = asked
                    && keeper.is_empty()
                {
                    return Err(why);
                }
            }
            Some(Asked::Equal(left, right, key)) => {
                let left = self.side(invariant, &left, &key).await.map_err(|why| format!("left: {why}"))?;
                let right = self.side(invariant, &right, &key).await.map_err(|why| format!("right: {why}"))?;
                compared = Some(compare::compare(&left, &right, &key, &mut keeper)?);
            }
            None => return Err("it asks for nothing".into()),
        }
        let exercised = match (&invariant.exercised, compared) {
            (Some(reading), _) => self.number(invariant, reading).await.map_err(|why| format!("exercised: {why}")),
            (None, Some(keys)) => Ok(Exercised::Number(keys.to_string())),
            (None, None) => Ok(Exercised::NotAsked),
        };
        keeper.finish(exercised)
    }

    async fn side(&mut self, invariant: &Invariant, reading: &Reading, key: &str) -> Known<compare::Side> {
        let mut side = compare::Side::new(matches!(reading, Reading::Select(_)).then_some(key));
        self.read(invariant, reading, &mut |columns, row| side.take(columns, &row)).await?;
        Ok(side)
    }

    /// The value of the first row: of the pair that a command of Redis gives, the second.
    async fn number(&mut self, invariant: &Invariant, reading: &Reading) -> Known<Exercised> {
        let mut found = Exercised::Absent;
        self.read(invariant, reading, &mut |_, mut row| {
            if let (Exercised::Absent, Some(value)) = (&found, row.pop().filter(|value| !value.is_null())) {
                found = Exercised::Number(keep::text(&value));
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }

    async fn read(&mut self, invariant: &Invariant, reading: &Reading, each: Each<'_>) -> Known<()> {
        match reading {
            Reading::Select(sql) => {
                let sql = statement::checked(sql, &invariant.parameters)?;
                self.snapshot()?.rows(&sql, each).await
            }
            Reading::Command(words) => {
                let command = command::checked(words)?;
                self.redis.rows(command, words, each).await
            }
        }
    }
}
