//! Where a group stands: what it committed beside the ends of the log.

use std::{collections::BTreeMap, time::Duration};

use contract::endpoint::KafkaEndpoint;
use rdkafka::consumer::BaseConsumer;

use super::{FetchSize, TopicMetadata, committed, ends, reader, uncommitted};

/// Where a group stands on a partition, and where its log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offsets {
    /// Offset that the group committed; absent where it committed none.
    pub committed: Option<i64>,
    /// Oldest offset that is still there, and that of the next record; absent while nobody leads the partition.
    pub log: Option<(i64, i64)>,
}

/// Why nobody can say how far a group is behind on a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// The group committed nothing there. Where it will begin is its own matter.
    NoCommit,
    /// Nobody leads the partition, so nobody knows where its log ends.
    NoLeader,
    /// The group committed an offset that the log does not have: it is another log than the one that was consumed.
    Ahead,
}

impl Unknown {
    /// Why, for people.
    pub fn why(self) -> &'static str {
        match self {
            Self::NoCommit => "nothing committed",
            Self::NoLeader => "no broker leads the partition",
            Self::Ahead => "committed beyond the log's end: the topic was made anew, or lost records",
        }
    }
}

impl Offsets {
    /// Records behind.
    ///
    /// # Errors
    /// Why that is not known.
    pub fn lag(&self) -> Result<u64, Unknown> {
        let committed = self.committed.ok_or(Unknown::NoCommit)?;
        let (_, end) = self.log.ok_or(Unknown::NoLeader)?;
        u64::try_from(end.saturating_sub(committed)).map_err(|_| Unknown::Ahead)
    }
}

/// Partition → where the group stands there; or why the topic cannot be read.
pub type Read = Result<BTreeMap<i32, Offsets>, String>;

/// Reads where a group stands, on any topics, with clients that live from look to look.
pub struct GroupReader {
    endpoint: KafkaEndpoint,
    client: BaseConsumer,
    /// Sees records of open transactions too; made when it is needed first.
    uncommitted: Option<BaseConsumer>,
}

impl GroupReader {
    /// A reader for `group`, which it neither joins nor commits for.
    ///
    /// # Errors
    /// When the client cannot be made from these settings.
    pub fn new(endpoint: &KafkaEndpoint, group: &str, fetch: FetchSize) -> Result<Self, String> {
        Ok(Self { endpoint: endpoint.clone(), client: reader(endpoint, group, fetch)?, uncommitted: None })
    }

    /// The client, for everything else that it can read.
    pub fn client(&self) -> &BaseConsumer {
        &self.client
    }

    /// Topic → partition → where the group stands there. A topic that cannot be read (deleted, made anew, not allowed)
    /// says why, and the others go on.
    ///
    /// # Errors
    /// When the group's coordinator or all brokers do not answer in time.
    pub fn offsets(
        &mut self,
        topics: &BTreeMap<String, TopicMetadata>,
        left: impl Fn() -> Result<Duration, String>,
    ) -> Result<BTreeMap<String, Read>, String> {
        // Offsets before ends: the other way round a fast group would seem to be ahead of the log.
        let numbers = topics.iter().map(|(name, topic)| (name.clone(), topic.leaders.keys().copied().collect()));
        let committed = committed(&self.client, &numbers.collect(), left()?)?;
        let mut found = BTreeMap::new();
        for (name, topic) in topics {
            let committed = committed.get(name);
            let read = ends(&self.client, name, &topic.led(), &left).and_then(|ends| {
                let mut offsets: BTreeMap<i32, Offsets> = BTreeMap::new();
                for partition in topic.leaders.keys() {
                    let committed = committed.and_then(|all| all.get(partition)).copied();
                    offsets.insert(*partition, Offsets { committed, log: ends.get(partition).copied() });
                }
                self.confirm(name, &mut offsets, &left)?;
                Ok(offsets)
            });
            found.insert(name.clone(), read);
        }
        Ok(found)
    }

    /// The end that the client reads is that of the last transaction that is closed. A group that reads open ones too
    /// may have committed beyond it, and is not ahead of the log.
    fn confirm(
        &mut self,
        topic: &str,
        offsets: &mut BTreeMap<i32, Offsets>,
        left: impl Fn() -> Result<Duration, String>,
    ) -> Result<(), String> {
        let ahead = offsets.iter().filter(|(_, offsets)| offsets.lag() == Err(Unknown::Ahead));
        let ahead: Vec<i32> = ahead.map(|(partition, _)| *partition).collect();
        if ahead.is_empty() {
            return Ok(());
        }
        let client = match self.uncommitted.take() {
            Some(client) => client,
            None => uncommitted(&self.endpoint)?,
        };
        let ends = ends(&client, topic, &ahead, left);
        self.uncommitted = Some(client);
        for (partition, log) in ends? {
            if let Some(offsets) = offsets.get_mut(&partition) {
                offsets.log = Some(log);
            }
        }
        Ok(())
    }
}
