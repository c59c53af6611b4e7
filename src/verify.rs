//! Consistency checks over MySQL, Kafka, Redis and the generator's ledger.
//!
//! [`run`] reads the sets from the servers and the ledger, [`checks`] compares them, [`store`] keeps them in the run's
//! folder, and [`offline`] reaches the same verdicts from there. [`live`] looks at a probe's counts while the load
//! runs. Nothing here shares code with the backend but names and addresses: whoever is judged lends no hand.

pub mod checks;
mod kafka;
mod latency;
pub mod ledger;
mod live;
pub mod model;
mod mysql;
mod redis;
pub mod store;
#[cfg(test)]
mod testing;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use backend::endpoint::Endpoints;

use self::{
    checks::Inputs,
    ledger::{LedgerSets, Told},
    model::{CouponSets, Known, Sets},
    store::{Context, StoreError},
};
pub use self::{
    checks::catalogue,
    latency::end_to_end,
    live::{LiveFacts, live},
    model::{CheckResult, Overall, SetSizes, Verdict, VerifyReport},
};

/// Folder of the ledger within a run's folder.
pub const LEDGER_FOLDER: &str = "ledger";
/// Folder of the sets within a run's folder.
pub const SETS_FOLDER: &str = "sets";

/// A coupon that is to be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CouponPlan {
    /// Its id.
    pub id: u64,
    /// T: how many there are in all.
    pub total: u64,
}

/// What is to be proven, and from what.
#[derive(Debug, Clone)]
pub struct VerifyPlan {
    /// The servers.
    pub endpoints: Endpoints,
    /// Topic of the events; its dead letters are in the topic that `names` derives.
    pub topic: String,
    /// Consumer group whose offsets count.
    pub group: String,
    /// Coupons.
    pub coupons: Vec<CouponPlan>,
    /// Folder of the ledger. Without it the checks that rest on it are unknown.
    pub ledger: Option<PathBuf>,
    /// Coupon → requests sent, counted by the generator apart from the outcomes. Without it SY1 is unknown.
    pub sent: BTreeMap<u64, u64>,
    /// Folder to write the sets into.
    pub sets_dir: Option<PathBuf>,
    /// Ids of the checks that must hold.
    pub require: Vec<String>,
    /// Ids of events that the profile made undeliverable on purpose.
    pub planted: BTreeSet<String>,
    /// Wall clock at the run's monotonic start, nanoseconds since 1970; for the end-to-end times.
    pub origin_unix_ns: Option<u64>,
}

/// Why there is no verdict at all. A server that cannot be read is no error: it makes checks unknown.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The sets cannot be kept or read back.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A task of ours ended early.
    #[error("reading Kafka ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Reads the servers and the ledger, and judges. Best at rest: see [`crate::probe::drain`].
///
/// # Errors
/// When the sets cannot be written.
pub async fn run(plan: &VerifyPlan) -> Result<VerifyReport, VerifyError> {
    let sets = collect(plan).await?;
    let context = Context {
        sent: plan.sent.clone(),
        planted: plan.planted.clone(),
        origin_unix_ns: plan.origin_unix_ns,
        require: plan.require.clone(),
    };
    let (ledger, folder) = (plan.ledger.clone(), plan.sets_dir.clone());
    let judging = tokio::task::spawn_blocking(move || {
        if let Some(folder) = folder {
            store::write(&folder, &sets, &context)?;
        }
        let ledger = read_ledger(ledger.as_deref());
        let require = context.require.clone();
        Ok(judge(&sets, &ledger, &context, &require))
    });
    judging.await?
}

/// Reaches the verdict again from a run's folder, without any server. `require` replaces what the run itself required.
///
/// # Errors
/// When `sets/` is missing, damaged or of a newer version.
pub fn offline(run_dir: &Path, require: Option<&[String]>) -> Result<VerifyReport, VerifyError> {
    let (sets, context) = store::read(&run_dir.join(SETS_FOLDER))?;
    let ledger = read_ledger(Some(&run_dir.join(LEDGER_FOLDER)));
    let require = require.map_or_else(|| context.require.clone(), <[String]>::to_vec);
    Ok(judge(&sets, &ledger, &context, &require))
}

/// Whether a run's folder has the sets that [`offline`] reads.
pub fn has_sets(run_dir: &Path) -> bool {
    run_dir.join(SETS_FOLDER).join(store::INDEX).exists()
}

/// The report on a run of which no sets were kept, because of `why`: what needs them is unknown.
pub fn without_sets(run_dir: &Path, coupons: &[CouponPlan], require: &[String], why: &str) -> VerifyReport {
    let unread = |coupon: &CouponPlan| CouponSets {
        coupon: coupon.id,
        total: coupon.total,
        facts: Err(why.to_owned()),
        gate: Err(why.to_owned()),
        events: Err(why.to_owned()),
        rows: Err(why.to_owned()),
        dead: Err(why.to_owned()),
    };
    let coupons = coupons.iter().map(unread).collect();
    let sets = Sets { topic: Err(why.to_owned()), keys: Err(why.to_owned()), coupons };
    judge(&sets, &read_ledger(Some(&run_dir.join(LEDGER_FOLDER))), &Context::default(), require)
}

/// Committed offsets first, then M, then K and D, then G: each later set may only have grown.
async fn collect(plan: &VerifyPlan) -> Result<Sets, VerifyError> {
    let ids: Vec<u64> = plan.coupons.iter().map(|coupon| coupon.id).collect();
    let (endpoint, topic, group) = (plan.endpoints.kafka.clone(), plan.topic.clone(), plan.group.clone());
    let reader = tokio::task::spawn_blocking(move || kafka::LogReader::open(&endpoint, &topic, &group)).await?;
    let mut tables = mysql::read(&plan.endpoints.mysql, &ids).await;
    let wants: Vec<kafka::Want> = tables
        .coupons
        .iter()
        .filter_map(|(coupon, read)| {
            let (facts, starts) = (read.facts.as_ref().ok()?, read.starts.as_ref().ok()?);
            Some(kafka::Want { coupon: *coupon, floor: facts.floor, starts: starts.clone() })
        })
        .collect();
    let mut log = match reader {
        Ok(reader) => tokio::task::spawn_blocking(move || Ok(reader.read(&wants))).await?,
        Err(why) => Err(why),
    };
    let mut gates = redis::read(&plan.endpoints.redis, &ids).await;
    let mut coupons = Vec::with_capacity(plan.coupons.len());
    for coupon in &plan.coupons {
        let Some(read) = tables.coupons.remove(&coupon.id) else { continue };
        let gate = gates.remove(&coupon.id).unwrap_or_else(|| Err("it was not read".into()));
        coupons.push(assemble(*coupon, read, &mut log, gate));
    }
    Ok(Sets { topic: log.and_then(|log| log.topic), keys: tables.keys, coupons })
}

fn assemble(
    coupon: CouponPlan,
    read: mysql::CouponRead,
    log: &mut Known<kafka::Log>,
    gate: Known<model::Gate>,
) -> CouponSets {
    let (events, dead) = match (log.as_mut(), read.starts) {
        (Err(why), _) => (Err(why.clone()), Err(why.clone())),
        (_, Err(why)) => (Err(why.clone()), Err(why)),
        (Ok(log), Ok(_)) => match log.coupons.remove(&coupon.id) {
            Some(found) => (found.events, found.dead),
            None => (Err("it was not read".into()), Err("it was not read".into())),
        },
    };
    let present = read.facts.as_ref().ok().and_then(|facts| facts.epoch.clone());
    CouponSets {
        coupon: coupon.id,
        total: coupon.total,
        gate: gate.and_then(|gate| redis::of_present_epoch(gate, present.as_deref())),
        facts: read.facts,
        events,
        rows: read.rows,
        dead,
    }
}

fn read_ledger(folder: Option<&Path>) -> Known<LedgerSets> {
    let folder = folder.ok_or_else(|| "there is no ledger: nothing is known of what people were told".to_owned())?;
    LedgerSets::read(folder).map_err(|e| e.to_string())
}

/// Runs the checks over what was read.
fn judge(sets: &Sets, ledger: &Known<LedgerSets>, context: &Context, require: &[String]) -> VerifyReport {
    let inputs = Inputs { sets, ledger, sent: &context.sent, planted: &context.planted };
    let checks = checks::all(&inputs, require);
    let times = match (ledger, context.origin_unix_ns) {
        (Ok(ledger), Some(origin)) => end_to_end(ledger, sets, origin),
        _ => None,
    };
    VerifyReport {
        verdict: checks::overall(&checks, require),
        checks,
        sets: sets.coupons.iter().map(|coupon| sizes(coupon, ledger)).collect(),
        planted: context.planted.iter().cloned().collect(),
        notes: notes(sets),
        end_to_end: times,
    }
}

fn sizes(sets: &CouponSets, ledger: &Known<LedgerSets>) -> SetSizes {
    let gate = sets.gate.as_ref().ok();
    let told = ledger.as_ref().ok().and_then(|ledger| ledger.coupons.get(&sets.coupon));
    let size = |of: fn(&Told) -> bool| told.map(|ledger| ledger.size(of));
    SetSizes {
        coupon: sets.coupon,
        total: sets.total,
        stock: gate.and_then(|gate| gate.stock),
        grants: gate.map(|gate| gate.users.len() as u64),
        events: sets.events.as_ref().ok().map(|events| events.list.len() as u64),
        rows: sets.rows.as_ref().ok().map(|rows| rows.len() as u64),
        dead: sets.dead.as_ref().ok().map(|dead| dead.len() as u64),
        pending: gate.map(|gate| gate.pending.len() as u64),
        acknowledged: size(Told::acknowledged),
        uncertain: size(Told::uncertain),
        refused: size(Told::only_refused),
        duplicates: size(|told| told.duplicate),
    }
}

/// What decides no check, but must not go unsaid.
fn notes(sets: &Sets) -> Vec<String> {
    let mut notes = Vec::new();
    if let Ok(topic) = &sets.topic {
        if topic.malformed > 0 {
            notes.push(format!("{} records are no coupon events: {}", topic.malformed, topic.malformed_at.join("; ")));
        }
        if topic.malformed_dead > 0 {
            notes.push(format!("{} dead letters are no coupon events", topic.malformed_dead));
        }
    }
    for one in &sets.coupons {
        let mut say = |text: String| notes.push(format!("coupon {}: {text}", one.coupon));
        if let Ok(events) = &one.events {
            let copies: u64 = events.list.iter().map(|event| u64::from(event.copies.saturating_sub(1))).sum();
            if copies > 0 {
                say(format!("{copies} further copies of events in Kafka (delivered again, counted once)"));
            }
            if events.stale > 0 {
                say(format!("{} events of an earlier epoch, which consumers skip", events.stale));
            }
        }
        let totals = [
            ("coupons.quantity", one.facts.as_ref().ok().map(|facts| facts.quantity)),
            ("the gate", one.gate.as_ref().ok().and_then(|gate| gate.total)),
        ];
        for (place, total) in totals {
            if let Some(total) = total.filter(|total| *total != one.total) {
                say(format!("{place} says {total} coupons, the profile {}", one.total));
            }
        }
        for letter in one.dead.iter().flatten() {
            say(format!("dead letter of user {} (event {}): {}", letter.user, letter.event_id, letter.reason));
        }
    }
    notes.truncate(checks::MOST_ROWS * sets.coupons.len().max(1));
    notes
}
