//! Waits until everything that was granted has become a row.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use contract::{
    claim::{Claim, Kind},
    endpoint::Endpoints,
};
use record::{
    epoch::Opened,
    event::{Figures, ProbeSample},
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    ProbePlan, Starts, coupon,
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
    /// Coupons.
    pub coupons: Vec<u64>,
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
/// that has ended, and coupons that somebody seeded again.
pub async fn drain(
    plan: &DrainPlan,
    mut on_sample: impl FnMut(&ProbeSample),
    gone: Gone<'_>,
    cancel: &CancellationToken,
) -> DrainReport {
    let mut looker = Looker::new(&ProbePlan {
        endpoints: plan.endpoints.clone(),
        coupons: plan.coupons.clone(),
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
        moving.extend(match claim.kind {
            Kind::Coupon => coupon::moving(*claim, figures),
            Kind::Point => Vec::new(),
        });
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
    let rest = coupon::at_rest(sample);
    format!("{} partitions consumed to their last record, {rest}{dead}", sample.partitions.len())
}

#[cfg(test)]
mod tests {
    use contract::figures::coupon::{PENDING, ROWS};
    use record::event::PartitionSample;

    use super::*;

    fn look(rows: u64, pending: u64, left: Option<u64>) -> Look {
        let figures = Figures::default().with(ROWS, rows).with(PENDING, pending);
        let partition = PartitionSample { partition: 0, start: 0, end: 9, committed: Some(9) };
        let sample = ProbeSample {
            subjects: [(Claim::coupon(1), figures)].into(),
            partitions: vec![partition],
            ..ProbeSample::default()
        };
        Look { sample, unconsumed: [(0, left)].into(), taken_over: BTreeMap::new() }
    }

    #[test]
    fn rest_is_two_equal_looks() {
        let at = Duration::from_secs;
        let mut rest = Rest::default();
        assert!(rest.add(&look(5, 0, Some(3)), at(0)).is_err(), "lag");
        assert!(rest.add(&look(5, 1, Some(0)), at(1)).is_err(), "pending");
        assert!(rest.add(&look(5, 0, None), at(2)).is_err(), "unknown lag");
        assert_eq!(rest.add(&look(7, 0, Some(0)), at(3)), Ok(None));
        assert_eq!(rest.add(&look(8, 0, Some(0)), at(4)), Ok(None), "a count moved");
        assert_eq!(rest.add(&look(8, 0, Some(0)), at(5)), Ok(Some(at(4))));
    }

    #[test]
    fn what_cannot_be_read_is_not_at_rest() {
        let mut away = look(5, 0, Some(0));
        away.sample.errors.insert("redis".into(), "Redis at x:1: refused".into());
        assert_eq!(moving(&away), ["Redis at x:1: refused"]);
        let nothing = Look { sample: ProbeSample::default(), unconsumed: BTreeMap::new(), taken_over: BTreeMap::new() };
        assert_eq!(moving(&nothing), ["no partition could be read"]);
    }

    /// Offsets of a topic that is gone prove nothing about the one that has its name now.
    #[test]
    fn more_committed_than_there_is_is_not_consumed() {
        let mut anew = look(5, 0, None);
        anew.sample.partitions[0].end = 4;
        assert_eq!(
            moving(&anew),
            ["partition 0: offset 9 was committed, and the log ends at 4: the topic was made anew"]
        );
    }

    /// Nobody waits for a coupon that is another's by now, but for those that are the run's own.
    #[test]
    fn what_was_seeded_again_is_not_waited_for() {
        let mut mixed = look(5, 1, Some(3));
        mixed.sample.errors.insert("epoch".into(), "coupon 1 was seeded again".into());
        mixed.taken_over.insert(Claim::coupon(1), "coupon 1 was seeded again".into());
        assert_eq!(moving(&mixed), Vec::<String>::new(), "it was the only one");
        mixed.sample.subjects.insert(Claim::coupon(2), Figures::default().with(ROWS, 1).with(PENDING, 4));
        assert_eq!(moving(&mixed), ["partition 0: 3 records not consumed", "coupon 2: 4 grants pending"]);
    }
}
