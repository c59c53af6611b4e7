//! Waits until everything that was granted has become a row.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use contract::{claim::Claim, endpoint::Endpoints};
use record::{
    epoch::Opened,
    event::{Figures, ProbeSample},
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    ProbePlan, Starts, families,
    look::{Look, Looker},
};

/// Time from look to look.
const INTERVAL: Duration = Duration::from_millis(250);
/// Looks in a row that must show rest, with the same counts.
const LOOKS: u32 = 2;
/// How long a system must be gone: whoever restarts it has taken its old process away a moment before.
const GONE_FOR: Duration = Duration::from_secs(3);

/// Whether a system (`mysql`, `redis`, `kafka`) is known to be gone at the moment, and how; asked for those alone that
/// cannot be read.
pub type Gone<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// What must come to rest.
#[derive(Debug, Clone)]
pub struct DrainPlan {
    /// The servers.
    pub endpoints: Endpoints,
    /// What can be claimed, and must come to rest.
    pub subjects: Vec<Claim>,
    /// Topic of the events.
    pub topic: String,
    /// Consumer group that consumes it.
    pub group: String,
    /// Where the run's records begin.
    pub starts: Starts,
    /// The epochs that the run opened; see [`ProbePlan::opened`].
    pub opened: Opened,
    /// Longest wait.
    pub timeout: Duration,
}

/// How the wait ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrainReport {
    /// Whether everything came to rest. If not, that is a finding of its own.
    pub drained: bool,
    /// How long it took until rest was first seen, or until the wait was given up.
    pub seconds: f64,
    /// What rest looked like, or what was still moving.
    pub why: String,
}

/// Looks until every partition is consumed up to its last data record, nothing is pending in Redis, and the counts stay
/// the same over two looks. Each look is handed to `on_sample`. What is known to be gone is not waited for: a server
/// that has ended, and what somebody seeded again.
pub async fn drain(
    plan: &DrainPlan,
    mut on_sample: impl FnMut(&ProbeSample),
    gone: Gone<'_>,
    cancel: &CancellationToken,
) -> DrainReport {
    let mut looker = Looker::new(&ProbePlan {
        endpoints: plan.endpoints.clone(),
        subjects: plan.subjects.clone(),
        topic: plan.topic.clone(),
        group: plan.group.clone(),
        interval: INTERVAL,
        starts: plan.starts.clone(),
        opened: plan.opened.clone(),
    });
    let began = Instant::now();
    let mut rest = Rest::default();
    let mut missed: Option<Instant> = None;
    let mut why = "nothing could be read".to_owned();
    let ended = |drained, since: Duration, why| DrainReport { drained, seconds: since.as_secs_f64(), why };
    loop {
        let left = plan.timeout.saturating_sub(began.elapsed());
        let look = tokio::select! {
            look = looker.look() => look,
            () = cancel.cancelled() => return ended(false, began.elapsed(), format!("interrupted; {why}")),
            () = tokio::time::sleep(left) => {
                return ended(false, began.elapsed(), format!("not at rest after {:.0?}: {why}", plan.timeout));
            }
        };
        on_sample(&look.sample);
        let losses: Vec<String> = look.sample.errors.keys().filter_map(|system| gone(system)).collect();
        missed = if losses.is_empty() { None } else { missed.or_else(|| Some(Instant::now())) };
        if missed.is_some_and(|since| since.elapsed() >= GONE_FOR) {
            let why = format!("{}: what is not consumed will not be", losses.join("; "));
            return ended(false, began.elapsed(), why);
        }
        match rest.add(&look, began.elapsed()) {
            Ok(Some(since)) if look.taken_over.is_empty() => return ended(true, since, summary(&look.sample)),
            Ok(Some(since)) => {
                let taken: Vec<String> = look.taken_over.into_values().collect();
                return ended(false, since, taken.join("; "));
            }
            Ok(None) => why = "the counts had only just settled".into(),
            Err(moving) => why = moving,
        }
        let pause = INTERVAL.min(plan.timeout.saturating_sub(began.elapsed()));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancel.cancelled() => return ended(false, began.elapsed(), format!("interrupted; {why}")),
        }
    }
}

/// The figures that must not change any more.
#[derive(Debug, PartialEq)]
struct Counts {
    subjects: BTreeMap<Claim, Figures>,
    ends: Vec<(i32, i64, Option<i64>)>,
}

/// Looks that showed rest, so far.
#[derive(Debug, Default)]
struct Rest {
    seen: Option<(Counts, Duration, u32)>,
}

impl Rest {
    /// Adds a look made `at`. Gives the time at which rest was first seen once it has been seen often enough, or what is
    /// still moving.
    fn add(&mut self, look: &Look, at: Duration) -> Result<Option<Duration>, String> {
        let moving = moving(look);
        if !moving.is_empty() {
            self.seen = None;
            return Err(moving.join("; "));
        }
        let counts = Counts {
            subjects: look.sample.subjects.clone(),
            ends: look.sample.partitions.iter().map(|p| (p.partition, p.end, p.committed)).collect(),
        };
        let (since, looks) = match self.seen.take() {
            Some((before, since, looks)) if before == counts => (since, looks + 1),
            _ => (at, 1),
        };
        self.seen = Some((counts, since, looks));
        Ok((looks >= LOOKS).then_some(since))
    }
}

/// What is not at rest, or not known to be.
fn moving(look: &Look) -> Vec<String> {
    if !look.taken_over.is_empty() && look.taken_over.len() == look.sample.subjects.len() {
        return Vec::new();
    }
    // What was taken over is told, and not waited for.
    let errors = look.sample.errors.iter().filter(|(key, _)| *key != "epoch");
    let mut moving: Vec<String> = errors.map(|(_, why)| why.clone()).collect();
    if look.unconsumed.is_empty() && !look.sample.errors.contains_key("kafka") {
        moving.push("no partition could be read".into());
    }
    for (partition, left) in &look.unconsumed {
        match left {
            Some(0) => {}
            Some(left) => moving.push(format!("partition {partition}: {left} records not consumed")),
            None => moving.push(format!("partition {partition}: {}", unknown_lag(look, *partition))),
        }
    }
    for (claim, figures) in look.sample.subjects.iter().filter(|(claim, _)| !look.taken_over.contains_key(claim)) {
        moving.extend(families::moving(*claim, figures));
    }
    moving
}

fn unknown_lag(look: &Look, partition: i32) -> String {
    let sample = look.sample.partitions.iter().find(|p| p.partition == partition);
    match sample.and_then(|p| Some((p.committed?, p.end))) {
        Some((committed, end)) => {
            format!("offset {committed} was committed, and the log ends at {end}: the topic was made anew")
        }
        None => "the group has committed nothing".into(),
    }
}

fn summary(sample: &ProbeSample) -> String {
    let dead = match sample.dead_letters {
        Some(dead) if dead > 0 => format!(", {dead} dead letters"),
        _ => String::new(),
    };
    let rest = families::at_rest(sample);
    format!("{} partitions consumed to their last record, {rest}{dead}", sample.partitions.len())
}

#[cfg(test)]
mod tests;
