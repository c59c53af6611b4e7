//! Consistency checks over MySQL, Kafka, Redis and the generator's ledger.
//!
//! [`run`] reads the sets from the servers and the ledger, [`checks`] compares them, [`store`] keeps them in the run's
//! folder, and [`offline`] reaches the same verdicts from there. [`live`] looks at a probe's counts while the load
//! runs. Nothing here shares code with the backend but names and addresses: whoever is judged lends no hand.
//!
//! Invariant: nothing of the backend's code is here: whoever is judged lends no hand. It reads, and changes nothing.
//! Border: on `contract`, `kafka`, `load` (the ledger), `probe` and `record`.

pub mod checks;
pub mod invariants;
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
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use contract::{
    claim::Claim,
    endpoint::Endpoints,
    figures::coupon::{GRANTS, PENDING, ROWS},
};
use probe::{self, ProbePlan};
use record::{
    epoch::{OfRun, Opened, continues},
    event::ProbeSample,
    invariant::Listed,
};

use self::{
    checks::Inputs,
    invariants::InvariantPlan,
    ledger::{LedgerSets, Told},
    model::{CouponSets, Known, Sets},
    store::{Context, StoreError},
};
pub use self::{
    checks::catalogue,
    kafka::LogBefore,
    latency::end_to_end,
    live::{LiveFacts, live},
    model::{CheckResult, Overall, SetSizes, Severity, Verdict, VerifyReport},
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
    pub sent: BTreeMap<Claim, u64>,
    /// Folder to write the sets into.
    pub sets_dir: Option<PathBuf>,
    /// Ids of the checks that must hold.
    pub require: Vec<String>,
    /// Wall clock at the run's monotonic start, nanoseconds since 1970; for the end-to-end times.
    pub origin_unix_ns: Option<u64>,
    /// The run that is judged: evidence of other epochs than its own is not held against it. Without one the servers
    /// are judged as they are, by no ledger.
    pub of_run: Option<OfRun>,
    /// What was known of the log before.
    pub before: LogBefore,
    /// Why nothing can be at rest yet, where that is known: the run still goes on.
    pub running: Option<String>,
    /// Checks that are data: those of the system, and those of the profile.
    pub invariants: InvariantPlan,
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

/// Reads the ledger and the servers, and judges. Best at rest: see [`probe::drain`].
///
/// # Errors
/// When the sets cannot be written.
pub async fn run(plan: &VerifyPlan) -> Result<VerifyReport, VerifyError> {
    let mut context = Context {
        sent: plan.sent.clone(),
        origin_unix_ns: plan.origin_unix_ns,
        require: plan.require.clone(),
        ..Context::default()
    };
    // What people were told comes first: who is acknowledged by now must be in what is read afterwards.
    let (folder, running) = (plan.ledger.clone(), plan.running.clone());
    let ledger = tokio::task::spawn_blocking(move || match running {
        Some(why) => Err(why),
        None => read_ledger(folder.as_deref()),
    });
    let ledger = ledger.await?;
    let mut sets = collect(plan).await?;
    let (running, folder) = (plan.running.as_deref(), plan.sets_dir.as_deref());
    context.invariants = invariants::judged(&plan.invariants, &plan.endpoints, running, folder).await;
    let judging =
        tokio::task::spawn_blocking(move || (judge(&sets, &ledger, &context, &context.require), sets, ledger, context));
    let (mut report, read, ledger, context) = judging.await?;
    sets = read;
    // What seems to be missing may only be on its way, as long as figures change.
    let unsettled = report.verdict == Overall::Violated && still_moving(plan, &mut sets).await;
    let folder = plan.sets_dir.clone();
    let judging = tokio::task::spawn_blocking(move || {
        if unsettled {
            report = judge(&sets, &ledger, &context, &context.require);
        }
        match folder {
            Some(folder) => store::write(&folder, &sets, &context).map(|()| report),
            None => Ok(report),
        }
    });
    Ok(judging.await??)
}

/// Looks once more, and notes in each coupon whose figures have changed since they were read that they do.
async fn still_moving(plan: &VerifyPlan, sets: &mut Sets) -> bool {
    let look = ProbePlan {
        endpoints: plan.endpoints.clone(),
        coupons: plan.coupons.iter().map(|coupon| coupon.id).collect(),
        topic: plan.topic.clone(),
        group: plan.group.clone(),
        interval: Duration::from_secs(1),
        starts: probe::Starts::default(),
        opened: Opened::new(),
    };
    let now = probe::look(&look).await;
    let consumed = consumed_since(sets, &now);
    let mut moving = false;
    for coupon in &mut sets.coupons {
        let figures = now.subjects.get(&Claim::coupon(coupon.coupon));
        let changed = |read: Option<u64>, now: Option<u64>| matches!((read, now), (Some(r), Some(n)) if r != n);
        let rows = coupon.rows.as_ref().ok().map(|rows| rows.len() as u64);
        let grants = coupon.gate.as_ref().ok().map(|gate| gate.users.len() as u64);
        let pending = coupon.gate.as_ref().ok().map(|gate| gate.pending.len() as u64);
        if consumed
            || changed(rows, figures.and_then(|f| f.count(ROWS)))
            || changed(grants, figures.and_then(|f| f.count(GRANTS)))
            || changed(pending, figures.and_then(|f| f.count(PENDING)))
        {
            coupon.moving.get_or_insert_with(|| "its figures changed while they were read: nothing is at rest".into());
            moving = true;
        }
    }
    moving
}

/// Whether the group has committed further offsets since the topic was read.
fn consumed_since(sets: &Sets, now: &ProbeSample) -> bool {
    let Ok(topic) = &sets.topic else { return false };
    let further = |read: &model::PartitionFacts| {
        now.partitions.iter().any(|p| p.partition == read.partition && p.committed > read.committed)
    };
    topic.partitions.iter().any(further)
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
pub fn without_sets(
    run_dir: &Path,
    coupons: &[CouponPlan],
    listed: &[Listed],
    require: &[String],
    why: &str,
) -> VerifyReport {
    let unread = |coupon: &CouponPlan| CouponSets {
        coupon: coupon.id,
        total: coupon.total,
        facts: Err(why.to_owned()),
        gate: Err(why.to_owned()),
        events: Err(why.to_owned()),
        rows: Err(why.to_owned()),
        dead: Err(why.to_owned()),
        moving: None,
    };
    let coupons = coupons.iter().map(unread).collect();
    let sets = Sets { topic: Err(why.to_owned()), keys: Err(why.to_owned()), coupons };
    let context = Context { invariants: invariants::unread(listed, why), ..Context::default() };
    judge(&sets, &read_ledger(Some(&run_dir.join(LEDGER_FOLDER))), &context, require)
}

/// Committed offsets first, then M, then K and D, then G: each later set may only have grown.
async fn collect(plan: &VerifyPlan) -> Result<Sets, VerifyError> {
    let ids: Vec<u64> = plan.coupons.iter().map(|coupon| coupon.id).collect();
    let (endpoint, topic, group) = (plan.endpoints.kafka.clone(), plan.topic.clone(), plan.group.clone());
    let before = plan.before.clone();
    let reader = tokio::task::spawn_blocking(move || kafka::LogReader::open(&endpoint, &topic, &group, before)).await?;
    let opened = plan.of_run.as_ref().and_then(|run| run.opened.clone().ok()).unwrap_or_default();
    let mut tables = mysql::read(&plan.endpoints.mysql, &ids, &opened).await;
    let wants: Vec<kafka::Want> = tables
        .coupons
        .iter()
        .filter_map(|(coupon, read)| {
            let (facts, starts) = (read.facts.as_ref().ok()?, read.starts.as_ref().ok()?);
            let epochs = facts.present.life.iter().cloned().collect();
            own(plan, *coupon, read).ok()?;
            Some(kafka::Want { coupon: *coupon, floor: facts.floor, epochs, starts: starts.clone() })
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
        let mut sets = match own(plan, coupon.id, &read) {
            Ok(()) => assemble(*coupon, read, &mut log, gate),
            Err(why) => foreign(*coupon, &read, gate, opened.get(&coupon.id), &why),
        };
        sets.moving.clone_from(&plan.running);
        coupons.push(sets);
    }
    Ok(Sets { topic: log.and_then(|log| log.topic), keys: tables.keys, coupons })
}

/// Whether what MySQL holds of a coupon is the run's own; the present epoch's where no run is judged.
fn own(plan: &VerifyPlan, coupon: u64, read: &mysql::CouponRead) -> Known<()> {
    let Some(run) = &plan.of_run else { return Ok(()) };
    let facts = read.facts.as_ref().map_err(Clone::clone)?;
    run.owns(coupon, &facts.present, read.known_before)
}

/// A coupon of which nothing is known that belongs to the run. Where MySQL does not answer, the gate may still be shown
/// to be the run's own by the name of its epoch.
fn foreign(
    coupon: CouponPlan,
    read: &mysql::CouponRead,
    gate: Known<model::Gate>,
    opened: Option<&String>,
    why: &str,
) -> CouponSets {
    let own = |gate: &model::Gate| read.facts.is_err() && opened.is_some_and(|opened| continues(opened, &gate.epoch));
    CouponSets {
        coupon: coupon.id,
        total: coupon.total,
        gate: gate.ok().filter(own).ok_or_else(|| why.to_owned()),
        facts: Err(why.to_owned()),
        events: Err(why.to_owned()),
        rows: Err(why.to_owned()),
        dead: Err(why.to_owned()),
        moving: None,
    }
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
    let present = read.facts.as_ref().ok().and_then(|facts| facts.present.epoch.clone());
    CouponSets {
        coupon: coupon.id,
        total: coupon.total,
        gate: gate.and_then(|gate| redis::of_present_epoch(gate, present.as_deref())),
        facts: read.facts,
        events,
        rows: read.rows,
        dead,
        moving: None,
    }
}

fn read_ledger(folder: Option<&Path>) -> Known<LedgerSets> {
    let folder = folder.ok_or_else(|| "there is no ledger: nothing is known of what people were told".to_owned())?;
    LedgerSets::read(folder).map_err(|e| e.to_string())
}

/// Runs the checks over what was read.
fn judge(sets: &Sets, ledger: &Known<LedgerSets>, context: &Context, require: &[String]) -> VerifyReport {
    let invariants = &context.invariants;
    let inputs = Inputs { sets, ledger, sent: &context.sent, invariants: &invariants.checks };
    let checks = checks::all(&inputs, require);
    let times = match (ledger, context.origin_unix_ns) {
        (Ok(ledger), Some(origin)) => end_to_end(ledger, sets, origin),
        _ => None,
    };
    VerifyReport {
        verdict: checks::overall(&checks, require, !sets.coupons.is_empty() || !invariants.checks.is_empty()),
        checks,
        sets: sets.coupons.iter().map(|coupon| sizes(coupon, ledger)).collect(),
        notes: notes(sets).into_iter().chain(invariants.notes.iter().cloned()).collect(),
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
            if events.foreign > 0 {
                say(format!("{} events of epochs that MySQL did not know", events.foreign));
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
