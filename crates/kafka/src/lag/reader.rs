//! One long-lived client that reads everything a look needs. No call lasts longer than its time limit.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use contract::names;
use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    groups::GroupInfo,
};
use record::event::watch::{Broker, KafkaSample, Member};

use super::{
    assignment,
    dead::DeadLetters,
    look::{GroupLook, Look, PartitionLook},
    plan::LagPlan,
};
use crate::{Described, FetchSize, GroupReader, Offsets, Oldest, Ranges, TopicMetadata};

/// Longest wait for one call, and for all calls of one look.
const LIMITS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(4));
/// The same while the first connection is made, which may take TLS and a login over a long way.
const FIRST_LIMITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));
/// Leaders and brokers are asked for this often.
const METADATA_EVERY: Duration = Duration::from_secs(3);
/// All topics are searched for offsets of the group this often.
const SEARCH_EVERY: Duration = Duration::from_secs(15);
/// A cluster that did not describe the group in time is not asked again for this long: the call waits for each broker.
const GROUP_PAUSE: Duration = Duration::from_secs(10);
/// Longest wait for the description of the group.
const GROUP_CALL: Duration = Duration::from_millis(1_500);
/// Ends of the names of dead-letter topics: ours, and what newer versions of Spring write.
const DEAD_SUFFIXES: [&str; 2] = [names::DEAD_LETTER_SUFFIX, "-dlt"];

/// What is known of the cluster between looks.
#[derive(Debug, Default)]
struct Known {
    read: Option<Instant>,
    searched: Option<Instant>,
    topics: BTreeMap<String, TopicMetadata>,
    /// Topic → why it cannot be described.
    unread: BTreeMap<String, String>,
    dead_read: Option<Instant>,
    dead: BTreeMap<String, Vec<i32>>,
}

/// The client and what it knows.
pub(super) struct Reader {
    plan: LagPlan,
    client: Option<GroupReader>,
    begun: Instant,
    /// The cluster has answered once.
    met: bool,
    /// Topics of the group that nobody named.
    found: BTreeSet<String>,
    known: Known,
    /// Topic and partition → where its log began and ended when it last had a leader.
    ends: BTreeMap<(String, i32), (i64, i64)>,
    /// Topic and partition → offset and record that was read there. While nothing is committed it stays the oldest.
    stamps: BTreeMap<(String, i32), (i64, Oldest)>,
    group_after: Option<Instant>,
    dead: DeadLetters,
}

impl Reader {
    pub fn new(plan: LagPlan) -> Self {
        Self {
            plan,
            client: None,
            begun: Instant::now(),
            met: false,
            found: BTreeSet::new(),
            known: Known::default(),
            ends: BTreeMap::new(),
            stamps: BTreeMap::new(),
            group_after: None,
            dead: DeadLetters::default(),
        }
    }

    /// Looks once.
    pub fn look(&mut self) -> Result<Look, String> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => GroupReader::new(&self.plan.endpoint, &self.plan.group, FetchSize::Minimal)?,
        };
        let result = self.look_with(&mut client);
        // Errors of connections wait there to be taken.
        while client.client().poll(Duration::ZERO).is_some() {}
        self.client = Some(client);
        self.met |= result.is_ok();
        if result.is_err() {
            self.forget();
        }
        result.map_err(|why| crate::failed(&self.plan.endpoint, &why))
    }

    /// Writes brokers and dead letters into a sample.
    pub fn fill(&self, sample: &mut KafkaSample) {
        let brokers: BTreeMap<i32, &String> =
            self.known.topics.values().flat_map(|topic| &topic.brokers).map(|(id, address)| (*id, address)).collect();
        sample.brokers = brokers.into_iter().map(|(id, address)| Broker { id, address: address.clone() }).collect();
        self.dead.fill(sample);
    }

    /// What the cluster said of its topics is asked for anew.
    fn forget(&mut self) {
        (self.known.read, self.known.dead_read) = (None, None);
    }

    fn look_with(&mut self, reader: &mut GroupReader) -> Result<Look, String> {
        let (call, all) = if self.met { LIMITS } else { FIRST_LIMITS };
        let deadline = Instant::now() + all;
        let left = || match deadline.saturating_duration_since(Instant::now()).min(call) {
            Duration::ZERO => Err(format!("one look took more than {} s", all.as_secs())),
            left => Ok(left),
        };
        self.search(reader.client(), &left)?;
        self.metadata(reader.client(), &left)?;
        let group = self.group(reader.client(), left()?);
        self.assigned(reader.client(), &group, &left)?;
        if self.known.topics.is_empty() {
            return Err(self.nothing(&group));
        }
        let offsets = reader.offsets(&self.known.topics, left)?;
        let client = reader.client();
        let (mut partitions, mut unread) = (Vec::new(), self.known.unread.clone());
        for (name, offsets) in offsets {
            match offsets.and_then(|offsets| self.partitions(client, &name, &offsets)) {
                Ok(looks) => partitions.extend(looks),
                Err(why) => {
                    unread.insert(name, why);
                    // It may have been deleted, or made anew.
                    self.forget();
                }
            }
        }
        if partitions.is_empty() {
            return Err(unread.into_values().collect::<Vec<_>>().join("; "));
        }
        if self.dead.look(client, &self.known.dead, left).is_err() {
            // Their topic may be gone: that says nothing about the group.
            self.forget();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (at_s, now_ms) = (self.begun.elapsed().as_secs_f64(), now.as_secs_f64() * 1_000.0);
        Ok(Look { at_s, now_ms, group, partitions, unread })
    }

    /// Why there is no topic to look at.
    fn nothing(&self, look: &GroupLook) -> String {
        let group = &self.plan.group;
        if !self.known.unread.is_empty() {
            return self.known.unread.values().cloned().collect::<Vec<_>>().join("; ");
        }
        match &look.members {
            None => format!(
                "group {group} committed nothing, and its members cannot be read (a group of the newer protocol, or no \
                 right to describe it): name a topic"
            ),
            Some(members) if members.is_empty() => {
                format!("group {group} has no members and committed nothing: name a topic, or another group")
            }
            Some(_) => format!("group {group} committed nothing, and its members read no topic yet: name a topic"),
        }
    }

    /// Searches all topics for offsets of the group, where nobody said which ones it reads.
    fn search(&mut self, client: &BaseConsumer, left: &impl Fn() -> Result<Duration, String>) -> Result<(), String> {
        if !self.plan.search || self.known.searched.is_some_and(|searched| searched.elapsed() < SEARCH_EVERY) {
            return Ok(());
        }
        let all = crate::topics(client, left()?)?;
        let committed = crate::committed(client, &all, left()?)?;
        let found: BTreeSet<String> = committed.into_keys().collect();
        if found != self.found {
            self.found = found;
            self.forget();
        }
        self.known.searched = Some(Instant::now());
        Ok(())
    }

    fn metadata(&mut self, client: &BaseConsumer, left: &impl Fn() -> Result<Duration, String>) -> Result<(), String> {
        if self.known.read.is_some_and(|read| read.elapsed() < METADATA_EVERY) {
            return Ok(());
        }
        let (mut topics, mut unread) = (BTreeMap::new(), BTreeMap::new());
        for name in self.plan.topics.iter().chain(&self.found).collect::<BTreeSet<_>>() {
            match crate::describe(client, name, left()?)? {
                Ok(topic) => drop(topics.insert(name.clone(), topic)),
                Err(why) => drop(unread.insert(name.clone(), why)),
            }
        }
        // Nobody named it: it is told once, and searched for with the others.
        self.found.retain(|name| !unread.contains_key(name));
        (self.known.topics, self.known.unread, self.known.read) = (topics, unread, Some(Instant::now()));
        self.dead_topics(client, left)
    }

    fn dead_topics(
        &mut self,
        client: &BaseConsumer,
        left: &impl Fn() -> Result<Duration, String>,
    ) -> Result<(), String> {
        if self.known.dead_read.is_some_and(|read| read.elapsed() < SEARCH_EVERY) {
            return Ok(());
        }
        let mut dead = BTreeMap::new();
        for name in self.known.topics.keys().flat_map(|topic| DEAD_SUFFIXES.map(|suffix| format!("{topic}{suffix}"))) {
            // Without such a topic there are no dead letters to count; the rest can be read all the same.
            if let Ok(topic) = crate::metadata(client, &name, left()?) {
                let led = topic.leaders.into_iter().filter(|(_, leader)| leader.is_some());
                dead.insert(name, led.map(|(partition, _)| partition).collect());
            }
        }
        (self.known.dead, self.known.dead_read) = (dead, Some(Instant::now()));
        Ok(())
    }

    /// Topics that members read and nobody has committed on yet.
    fn assigned(
        &mut self,
        client: &BaseConsumer,
        group: &GroupLook,
        left: &impl Fn() -> Result<Duration, String>,
    ) -> Result<(), String> {
        if !self.plan.search {
            return Ok(());
        }
        let assigned = group.members.iter().flatten().flat_map(|member| member.partitions.keys());
        let new: Vec<String> = assigned.filter(|topic| !self.known.topics.contains_key(*topic)).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        self.found.extend(new);
        self.forget();
        self.metadata(client, left)
    }

    /// State and members. A cluster that does not tell them is no reason to tell nothing.
    fn group(&mut self, client: &BaseConsumer, left: Duration) -> GroupLook {
        let unknown = GroupLook { state: "Unknown".into(), members: None };
        if self.group_after.is_some_and(|after| Instant::now() < after) {
            return unknown;
        }
        let limit = if self.met { left.min(GROUP_CALL) } else { left };
        let Ok(list) = client.fetch_group_list(Some(&self.plan.group), limit) else {
            self.group_after = Some(Instant::now() + GROUP_PAUSE);
            return unknown;
        };
        match Described::of(&list, &self.plan.group) {
            Described::Absent => GroupLook { state: "Dead".into(), members: Some(Vec::new()) },
            Described::Untold => unknown,
            Described::Told(group) => GroupLook { state: group.state().to_owned(), members: Some(members(group)) },
        }
    }

    fn partitions(
        &mut self,
        client: &BaseConsumer,
        name: &str,
        offsets: &BTreeMap<i32, Offsets>,
    ) -> Result<Vec<PartitionLook>, String> {
        let leaders = self.known.topics.get(name).map(|topic| topic.leaders.clone()).unwrap_or_default();
        let mut looks: Vec<PartitionLook> = Vec::new();
        for (partition, Offsets { committed, log }) in offsets {
            let key = (name.to_owned(), *partition);
            let at_least = committed.unwrap_or(0);
            let (start, end) = log.or_else(|| self.ends.get(&key).copied()).unwrap_or((at_least, at_least));
            self.ends.insert(key, (start, end));
            looks.push(PartitionLook {
                topic: name.to_owned(),
                partition: *partition,
                start,
                end,
                committed: *committed,
                leader: leaders.get(partition).copied().flatten().filter(|_| log.is_some()),
                oldest: None,
            });
        }
        self.oldest(client, name, &mut looks)?;
        Ok(looks)
    }

    /// Finds the oldest unconsumed record of each partition of a topic.
    fn oldest(&mut self, client: &BaseConsumer, name: &str, looks: &mut [PartitionLook]) -> Result<(), String> {
        let behind = looks.iter().filter(|p| p.leader.is_some() && p.committed.is_some());
        let mut ranges: Ranges = behind
            .map(|p| (p.partition, (p.committed.unwrap_or(p.start).max(p.start), p.end)))
            .filter(|(_, (from, end))| from < end)
            .collect();
        self.stamps.retain(|(topic, partition), (offset, _)| {
            topic != name || ranges.get(partition).is_some_and(|(from, _)| from == offset)
        });
        let known = |stamps: &BTreeMap<_, _>, partition: i32| stamps.contains_key(&(name.to_owned(), partition));
        let unread: Ranges =
            { ranges.iter() }.filter(|(p, _)| !known(&self.stamps, **p)).map(|(p, r)| (*p, *r)).collect();
        let mut found = crate::oldest(client, name, &unread)?;
        for look in looks {
            let key = (name.to_owned(), look.partition);
            let Some((from, _)) = ranges.remove(&look.partition) else { continue };
            look.oldest =
                found.remove(&look.partition).or_else(|| self.stamps.get(&key).map(|(_, oldest)| oldest.clone()));
            if let Some(oldest @ Oldest::Record { .. }) = &look.oldest {
                self.stamps.insert(key, (from, oldest.clone()));
            }
        }
        Ok(())
    }
}

/// Members in the order of their names, which are made to differ.
fn members(group: &GroupInfo) -> Vec<Member> {
    let mut members: Vec<Member> = group
        .members()
        .iter()
        .map(|member| Member {
            client: member.client_id().to_owned(),
            id: member.id().to_owned(),
            host: member.client_host().trim_start_matches('/').to_owned(),
            partitions: member.assignment().and_then(assignment::decode).unwrap_or_default(),
        })
        .collect();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for member in &members {
        *times.entry(member.client.clone()).or_default() += 1;
    }
    for member in members.iter_mut().filter(|member| times.get(&member.client).is_some_and(|n| *n > 1)) {
        let end: Vec<char> = member.id.chars().rev().take(4).collect();
        member.client = format!("{}-{}", member.client, end.into_iter().rev().collect::<String>());
    }
    members.sort_by(|a, b| (&a.client, &a.id).cmp(&(&b.client, &b.id)));
    members
}
