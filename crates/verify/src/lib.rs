//! Consistency checks over MySQL, Kafka, Redis and the generator's ledger.
//!
//! What is claimed is judged by a family of checks for each kind of claims ([`families`]). [`run`] lets each read what
//! people were told, then the servers, and compare the two; [`store`] keeps what was read in the run's folder, and
//! [`offline`] reaches the same verdicts from there. [`live`] looks at a probe's figures while the load runs.
//!
//! Invariant: nothing of the backend's code is here: whoever is judged lends no hand. It reads, and changes nothing.
//! Border: on `contract`, `kafka`, `load` (the ledger), `probe` and `record`.

mod accounting;
mod checks;
mod families;
pub mod invariants;
mod model;
mod mysql;
mod store;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use contract::{
    claim::{Claim, Kind},
    endpoint::Endpoints,
    system::System,
};
use load::ledger::{self, Entry};
use record::{
    epoch::OfRun,
    event::ProbeSample,
    invariant::{self, Listed},
};

pub use self::{
    checks::catalogue,
    families::{LogBefore, PointSizes, Recorded, SetSizes, SetTable, Sets, Sizes, recorded},
    model::{CheckResult, Known, Overall, Severity, Subject, Verdict, VerifyReport},
    store::StoreError,
};
use self::{families::Families, invariants::InvariantPlan, store::Context};

/// Folder of the ledger within a run's folder.
pub const LEDGER_FOLDER: &str = "ledger";
/// Folder of the sets within a run's folder.
pub const SETS_FOLDER: &str = "sets";

/// What is to be proven, and from what.
#[derive(Debug, Clone)]
pub struct VerifyPlan {
    /// The servers.
    pub endpoints: Endpoints,
    /// What they serve.
    pub system: System,
    /// Topic of what is granted; its dead letters are in the topic that `names` derives.
    pub topic: String,
    /// Consumer group whose offsets count.
    pub group: String,
    /// What can be claimed.
    pub subjects: Vec<Subject>,
    /// Folder of the ledger. Without it the checks that rest on it are unknown.
    pub ledger: Option<PathBuf>,
    /// Requests sent, counted by the generator apart from the outcomes. Without it SY1 is unknown.
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

/// What the figures of a sample are held against while the load runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveFacts {
    /// What can be claimed.
    pub subjects: Vec<Subject>,
    /// Partition → end of the topic when the epoch was opened. Without it nothing is compared with the log.
    pub topic_starts: BTreeMap<i32, i64>,
}

/// Reads the ledger and the servers, and judges. Best at rest: see [`probe::drain`].
///
/// # Errors
/// When the sets cannot be written.
pub async fn run(plan: &VerifyPlan) -> Result<VerifyReport, VerifyError> {
    let context = Context {
        system: plan.system,
        sent: plan.sent.clone(),
        origin_unix_ns: plan.origin_unix_ns,
        require: plan.require.clone(),
        ..Context::default()
    };
    // What people were told comes first: who is acknowledged by now must be in what is read afterwards.
    let (folder, running, subjects) = (plan.ledger.clone(), plan.running.clone(), plan.subjects.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let ledger = running.map_or_else(|| there_is(folder.as_deref()), Err);
        Court::hear(ledger.as_deref().map_err(Clone::clone), &subjects, context)
    });
    let mut court = reading.await?;
    for family in court.families.values_mut() {
        family.collect(plan).await?;
    }
    let (running, folder) = (plan.running.as_deref(), plan.sets_dir.as_deref());
    court.context.invariants = invariants::judged(&plan.invariants, &plan.endpoints, running, folder).await;
    let judging = tokio::task::spawn_blocking(move || (court.judge(), court));
    let (mut report, mut court) = judging.await?;
    // What seems to be missing may only be on its way, as long as figures change.
    let mut unsettled = false;
    if report.verdict == Overall::Violated {
        for family in court.families.values_mut() {
            unsettled |= family.is_moving(plan).await;
        }
    }
    let folder = plan.sets_dir.clone();
    let judging = tokio::task::spawn_blocking(move || {
        if unsettled {
            report = court.judge();
        }
        match folder {
            Some(folder) => store::write(&folder, &court.families, &court.context).map(|()| report),
            None => Ok(report),
        }
    });
    Ok(judging.await??)
}

/// Reaches the verdict again from a run's folder, without any server. `require` replaces what the run itself required.
///
/// # Errors
/// When `sets/` is missing, damaged or of a newer version.
pub fn offline(run_dir: &Path, require: Option<&[String]>) -> Result<VerifyReport, VerifyError> {
    let (mut families, mut context) = store::read(&run_dir.join(SETS_FOLDER))?;
    if let Some(require) = require {
        context.require = require.to_vec();
    }
    let ledger = there_is(Some(&run_dir.join(LEDGER_FOLDER)));
    tell(&mut families, ledger.as_deref().map_err(Clone::clone));
    Ok(Court { families, context }.judge())
}

/// Whether a run's folder has the sets that [`offline`] reads.
pub fn has_sets(run_dir: &Path) -> bool {
    run_dir.join(SETS_FOLDER).join(store::INDEX).exists()
}

/// The report on a run of which no sets were kept, because of `why`: what needs them is unknown.
pub fn without_sets(
    run_dir: &Path,
    subjects: &[Subject],
    listed: &[Listed],
    require: &[String],
    why: &str,
) -> VerifyReport {
    let invariants = invariants::unread(listed, why);
    let context = Context { require: require.to_vec(), invariants, ..Context::default() };
    let ledger = there_is(Some(&run_dir.join(LEDGER_FOLDER)));
    let mut court = Court::hear(ledger.as_deref().map_err(Clone::clone), subjects, context);
    for family in court.families.values_mut() {
        family.unread(subjects, why);
    }
    court.judge()
}

/// The statements that a sample of the running load proves false. Nothing can be proven from counts, so only violations
/// are told.
pub fn live(sample: &ProbeSample, facts: &LiveFacts) -> Vec<CheckResult> {
    Kind::ALL.into_iter().flat_map(|kind| families::of(kind).live(sample, facts)).collect()
}

/// The checks that [`live`] looks at, of what is to be proven.
pub fn counted(facts: &LiveFacts) -> Vec<&'static str> {
    let kinds: BTreeSet<Kind> = facts.subjects.iter().map(|subject| subject.claim.kind).collect();
    kinds.into_iter().flat_map(|kind| families::of(kind).counted()).copied().collect()
}

/// The families that judge, and what decides besides what they read.
struct Court {
    families: Families,
    context: Context,
}

impl Court {
    /// Reads the ledger, or takes why there is none, and keeps the families that have something to judge: those of what was
    /// claimed, of `subjects` and of what is required. Where there is none, those of the whole system say so.
    fn hear(ledger: Known<&Path>, subjects: &[Subject], context: Context) -> Self {
        let mut families: Families = Kind::ALL.into_iter().map(|kind| (kind, families::of(kind))).collect();
        tell(&mut families, ledger);
        let here = |kind: &Kind| context.system.description().has(*kind);
        let mut judged: BTreeSet<Kind> =
            context.require.iter().filter_map(|id| checks::kind_of(id)).filter(here).collect();
        judged.extend(subjects.iter().map(|subject| subject.claim.kind));
        judged.extend(context.sent.keys().map(|claim| claim.kind));
        judged.extend(families.iter().filter(|(_, family)| family.was_told()).map(|(kind, _)| *kind));
        if judged.is_empty() {
            judged.extend(Kind::ALL.into_iter().filter(here));
        }
        families.retain(|kind, _| judged.contains(kind));
        Self { families, context }
    }

    /// Runs the checks over what was read.
    fn judge(&self) -> VerifyReport {
        let Self { families, context } = self;
        let mut results = vec![accounting::sy1(families, context)];
        results.extend(families.values().flat_map(|family| family.judge(context)));
        // The system's own invariants are looked at unasked. As with the checks of a family, those of a kind of which nothing
        // is claimed or required are told only where they are violated.
        let kinds = invariant::kinds(context.system);
        let is_told = |check: &&CheckResult| {
            kinds.get(&check.id).is_none_or(|kind| families.contains_key(kind))
                || check.is_violated()
                || context.require.contains(&check.id)
        };
        let told: Vec<&CheckResult> = context.invariants.checks.iter().filter(is_told).collect();
        let asked = told.iter().any(|check| !kinds.contains_key(&check.id) || check.verdict != Verdict::Unknown);
        results.extend(told.into_iter().cloned());
        let checks = checks::complete(results, &context.require, context.system);
        let claims = families.values().any(|family| !family.accounts(context).is_empty());
        let notes = families.values().flat_map(|family| family.notes());
        VerifyReport {
            verdict: checks::overall(&checks, &context.require, claims || asked),
            checks,
            sets: families.values().flat_map(|family| family.sizes()).collect(),
            notes: notes.chain(context.invariants.notes.iter().cloned()).collect(),
            end_to_end: families.values().find_map(|family| family.end_to_end(context.origin_unix_ns?)),
        }
    }
}

fn there_is(ledger: Option<&Path>) -> Known<PathBuf> {
    let ledger = ledger
        .filter(|folder| folder.exists())
        .ok_or("there is no ledger: nothing is known of what people were told")?;
    Ok(ledger.to_owned())
}

/// Tells each family what the ledger in `folder` has of its kind. A ledger is whole or proves nothing.
fn tell(families: &mut Families, folder: Known<&Path>) {
    let tell = |entry: Entry| {
        if let Some(family) = families.get_mut(&entry.kind) {
            family.told(&entry);
        }
    };
    let read = folder.and_then(|folder| ledger::read(folder, tell).map_err(|e| e.to_string()));
    if let Err(why) = read {
        for family in families.values_mut() {
            family.untold(&why);
        }
    }
}

#[cfg(test)]
mod tests;
