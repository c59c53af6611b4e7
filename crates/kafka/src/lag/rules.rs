//! What the last looks mean: each partition's state, the group's, and which partition is hot.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use record::event::watch::{KafkaSample, LagStatus, Member, PartitionLag};

use super::{
    group::GroupTrack,
    look::{Look, PartitionLook},
    track::{self, Track, WINDOW},
};
use crate::Unknown;

/// Lag from which a partition can be hot.
const HOT_LAG: u64 = 1_000;
/// It must be as many times the median of the others.
const HOT_TIMES: f64 = 3.0;
/// Time for which a partition must get too large a share, in seconds.
const CROWDED_S: f64 = 30.0;
/// Records within the window below which shares are chance.
const CROWD: u64 = 100;

/// What may differ from group to group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Lag of a partition up to which all is well.
    pub allowed: u64,
    /// How often the members commit; a stall is told after three of them, but not before 5 s.
    pub commit_interval: Duration,
}

/// The last looks at one group.
#[derive(Debug, Default)]
pub struct History {
    rules: Rules,
    group: GroupTrack,
    partitions: BTreeMap<(String, i32), Track>,
    /// Time and Σ lag.
    totals: VecDeque<(f64, f64)>,
}

impl History {
    /// Nothing was seen yet.
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Seconds after which a partition that is behind and stands still is a stall.
    pub fn patience_s(rules: Rules) -> f64 {
        track::patience_s(rules.commit_interval)
    }

    /// Kafka could not be looked at for a while: nothing can be said of that time.
    pub fn gap(&mut self) {
        self.group.gap();
        self.partitions.values_mut().for_each(Track::gap);
    }

    /// Adds a look and says what it means. Brokers and dead letters are not its business.
    pub fn push(&mut self, name: &str, look: &Look) -> KafkaSample {
        self.group.push(look.at_s, &look.group);
        let present: BTreeSet<(String, i32)> = look.partitions.iter().map(key).collect();
        self.partitions.retain(|key, _| present.contains(key) || look.unread.contains_key(&key.0));
        for (_, track) in self.partitions.iter_mut().filter(|(key, _)| !present.contains(key)) {
            track.gap();
        }
        for partition in &look.partitions {
            self.partitions.entry(key(partition)).or_default().push(look.at_s, partition);
        }
        let hot = self.hot(look);
        let members = look.group.members.as_deref().unwrap_or_default();
        let rows: Vec<PartitionLag> =
            look.partitions.iter().map(|p| self.row(look, p, hot.contains(&key(p)), members)).collect();
        self.sum(name, look, rows)
    }

    fn row(&self, look: &Look, partition: &PartitionLook, hot: bool, members: &[Member]) -> PartitionLag {
        let track = self.partitions.get(&key(partition));
        let (lag, slope) = (partition.lag().ok(), track.and_then(Track::slope));
        PartitionLag {
            topic: partition.topic.clone(),
            partition: partition.partition,
            start: partition.start,
            end: partition.end,
            committed: partition.committed,
            lag,
            status: track.map_or(LagStatus::NoCommit, |track| self.status(look.at_s, partition, track)),
            slope,
            drain_s: drain(lag, slope),
            time_lag_ms: partition.time_lag_ms(look.now_ms),
            produced_per_s: track.and_then(Track::produced_per_s),
            consumed_per_s: track.and_then(Track::consumed_per_s),
            hot,
            leader: partition.leader,
            member: members.iter().find(|member| reads(member, partition)).map(|member| member.client.clone()),
        }
    }

    /// The first that holds, in this order.
    fn status(&self, at_s: f64, partition: &PartitionLook, track: &Track) -> LagStatus {
        let lag = match partition.lag() {
            Ok(lag) => lag,
            Err(Unknown::NoCommit) => return LagStatus::NoCommit,
            Err(Unknown::Ahead) => return LagStatus::Ahead,
            Err(Unknown::NoLeader) => return LagStatus::Unknown,
        };
        let slope = track.slope();
        if lag <= self.rules.allowed {
            LagStatus::Ok
        } else if partition.committed < Some(partition.start) {
            LagStatus::Lost
        } else if self.group.is_stopped() {
            LagStatus::Stop
        } else if self.group.is_stormy(at_s) {
            LagStatus::Rebalancing
        } else if track.fell() {
            LagStatus::Rewind
        } else if track.is_stalled(at_s, self.rules.commit_interval) {
            LagStatus::Stall
        } else {
            match slope {
                Some(slope) if slope > 0.0 => LagStatus::Warn,
                Some(slope) if slope < 0.0 => LagStatus::CatchingUp,
                Some(_) if track.moves() => LagStatus::Ok,
                // Behind, and not looked at for long enough: it may stand still, or be about to commit.
                _ => LagStatus::Unknown,
            }
        }
    }

    fn sum(&mut self, name: &str, look: &Look, partitions: Vec<PartitionLag>) -> KafkaSample {
        // A sum with an unknown part is unknown; a partition that never held a record adds nothing to it.
        let part = |p: &PartitionLook| match p.lag() {
            Err(Unknown::NoCommit) if p.leader.is_some() && p.start >= p.end => Some(0),
            lag => lag.ok(),
        };
        let lag = look.partitions.iter().map(part).try_fold(0_u64, |sum, lag| Some(sum.saturating_add(lag?)));
        let lag = lag.filter(|_| look.unread.is_empty());
        if lag.is_none() || self.partitions.values().any(Track::just_fell) {
            self.totals.clear();
        }
        if let Some(lag) = lag {
            if self.totals.len() >= WINDOW {
                self.totals.pop_front();
            }
            self.totals.push_back((look.at_s, lag as f64));
        }
        let unread = look.unread.keys().map(|_| LagStatus::Unknown);
        KafkaSample {
            group: name.to_owned(),
            state: look.group.state.clone(),
            status: partitions.iter().map(|p| p.status).chain(unread).min().unwrap_or_default(),
            lag,
            slope: track::slope(self.totals.iter().copied()),
            drain_s: most(partitions.iter().filter(|p| p.lag != Some(0)).map(|p| p.drain_s)),
            time_lag_ms: most(partitions.iter().map(|p| p.time_lag_ms)),
            produced_per_s: partitions.iter().map(|p| p.produced_per_s).sum(),
            consumed_per_s: partitions.iter().map(|p| p.consumed_per_s.or(p.committed.is_none().then_some(0.0))).sum(),
            partitions,
            unread: look.unread.clone(),
            members: look.group.members.clone(),
            rebalances: self.group.rebalances(),
            ..KafkaSample::default()
        }
    }

    /// Partitions that are behind by far more than the others of their topic, or get far more than they.
    fn hot(&mut self, look: &Look) -> BTreeSet<(String, i32)> {
        let mut hot = BTreeSet::new();
        let topics: BTreeSet<&str> = look.partitions.iter().map(|p| p.topic.as_str()).collect();
        for topic in topics {
            let all: Vec<&PartitionLook> = look.partitions.iter().filter(|p| p.topic == topic).collect();
            hot.extend(all.iter().filter(|p| is_behind_the_others(p, &all)).map(|p| key(p)));
            hot.extend(self.crowded(look.at_s, &all));
        }
        hot
    }

    /// Partitions of one topic that got too large a share of what was produced for long enough.
    fn crowded(&mut self, at_s: f64, all: &[&PartitionLook]) -> Vec<(String, i32)> {
        let produced = |track: Option<&Track>| track.map_or(0, Track::produced);
        let total = all.iter().map(|p| produced(self.partitions.get(&key(p)))).fold(0, u64::saturating_add);
        let limit = match all.len() {
            0 | 1 => return Vec::new(),
            2 => 0.8,
            n => 2.0 / n as f64,
        };
        let mut crowded = Vec::new();
        for key in all.iter().map(|p| key(p)) {
            let Some(track) = self.partitions.get_mut(&key) else { continue };
            let large = total >= CROWD && track.produced() as f64 / total as f64 > limit;
            track.crowded_since = if large { track.crowded_since.or(Some(at_s)) } else { None };
            if track.crowded_since.is_some_and(|since| at_s - since >= CROWDED_S) {
                crowded.push(key);
            }
        }
        crowded
    }
}

fn key(partition: &PartitionLook) -> (String, i32) {
    (partition.topic.clone(), partition.partition)
}

fn reads(member: &Member, partition: &PartitionLook) -> bool {
    member.partitions.get(&partition.topic).is_some_and(|numbers| numbers.contains(&partition.partition))
}

/// Seconds until it is consumed; absent while it does not shrink.
fn drain(lag: Option<u64>, slope: Option<f64>) -> Option<f64> {
    match (lag?, slope) {
        (0, _) => Some(0.0),
        (lag, Some(slope)) if slope < 0.0 => Some(lag as f64 / -slope).filter(|seconds| seconds.is_finite()),
        _ => None,
    }
}

/// The largest; unknown when one of them is, for that may be the largest.
fn most(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut largest = 0.0_f64;
    for value in values {
        largest = largest.max(value?);
    }
    Some(largest)
}

fn is_behind_the_others(partition: &PartitionLook, all: &[&PartitionLook]) -> bool {
    let Some(lag) = partition.lag().ok().filter(|lag| *lag >= HOT_LAG) else { return false };
    let others = all.iter().filter(|other| other.partition != partition.partition);
    let mut others: Vec<u64> = others.filter_map(|other| other.lag().ok()).collect();
    others.sort_unstable();
    let middle = others.len() / 2;
    let median = match (others.get(middle), others.len() % 2) {
        (None, _) => return false,
        (Some(upper), 0) => {
            let lower = others.get(middle.saturating_sub(1)).unwrap_or(upper);
            f64::midpoint(*lower as f64, *upper as f64)
        }
        (Some(one), _) => *one as f64,
    };
    lag as f64 > HOT_TIMES * median + 1.0
}

#[cfg(test)]
mod tests;
