//! One look at all three servers.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use contract::claim::Claim;
use kafka::Oldest;
use record::event::{PartitionSample, ProbeSample};

use super::{
    ProbePlan,
    families::Families,
    partitions::{KafkaLook, Partitions},
};

/// One look.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub sample: ProbeSample,
    /// Partition → data records that are not consumed; `None` where it is not known.
    pub unconsumed: BTreeMap<i32, Option<u64>>,
    /// Subject → why its figures are not the run's any more, and will not be again.
    pub taken_over: BTreeMap<Claim, String>,
}

/// Long-lived clients of the three servers.
#[derive(Debug)]
pub(super) struct Looker {
    families: Families,
    partitions: Partitions,
}

impl Looker {
    pub fn new(plan: &ProbePlan) -> Self {
        let (kafka, starts) = (plan.endpoints.kafka.clone(), plan.starts.clone());
        Self {
            families: Families::new(plan),
            partitions: Partitions::start(kafka, plan.topic.clone(), plan.group.clone(), starts),
        }
    }

    /// Looks once: rows, then Kafka, then Redis.
    pub async fn look(&mut self) -> Look {
        let mut sample = ProbeSample::default();
        let rows = self.families.rows().await;
        let kafka = self.partitions.read().await;
        let taken_over = self.families.fill(&mut sample, rows).await;
        let kafka = kafka.unwrap_or_else(|why| KafkaLook { error: Some(why), ..KafkaLook::default() });
        let unconsumed = fill_kafka(&mut sample, kafka);
        Look { sample, unconsumed, taken_over }
    }
}

/// Fills in partitions, lag, time lag and dead letters; gives back what is not consumed.
fn fill_kafka(sample: &mut ProbeSample, look: KafkaLook) -> BTreeMap<i32, Option<u64>> {
    let unconsumed: BTreeMap<i32, Option<u64>> =
        look.partitions.iter().map(|p| (p.partition, unconsumed(p, look.oldest.get(&p.partition)))).collect();
    if !unconsumed.is_empty() {
        // A sum with an unknown part is unknown.
        sample.lag = unconsumed.values().copied().sum();
    }
    sample.time_lag_ms = match sample.lag {
        Some(0) => Some(0.0),
        _ => age_of_oldest(&look.oldest),
    };
    sample.partitions = look.partitions;
    sample.dead_letters = look.dead_letters;
    if let Some(why) = look.error {
        sample.errors.insert("kafka".into(), why);
    }
    unconsumed
}

/// Records of a partition that are not consumed. Offsets alone would count control records, which nobody consumes: where
/// reading found no data at the committed offset there is none. Nothing committed means not known, never the log's end;
/// neither is anything known where more was committed than there is: the topic was made anew.
fn unconsumed(partition: &PartitionSample, oldest: Option<&Oldest>) -> Option<u64> {
    if partition.committed.is_some_and(|committed| committed > partition.end) {
        return None;
    }
    let from = partition.committed.unwrap_or(partition.start).max(partition.start);
    if from >= partition.end || oldest == Some(&Oldest::NoData) {
        return Some(0);
    }
    partition.committed.map(|_| (partition.end - from) as u64)
}

/// Age of the oldest record that is not consumed, in milliseconds. With a partition unread it is not known: the oldest
/// one may be there.
fn age_of_oldest(oldest: &BTreeMap<i32, Oldest>) -> Option<f64> {
    if oldest.values().any(|oldest| *oldest == Oldest::Unread) {
        return None;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64() * 1_000.0;
    let stamps = oldest.values().filter_map(|oldest| match oldest {
        Oldest::Record { timestamp_ms: Some(stamp) } => Some(*stamp),
        _ => None,
    });
    stamps.min().map(|stamp| (now - stamp as f64).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(start: i64, end: i64, committed: Option<i64>) -> PartitionSample {
        PartitionSample { partition: 0, start, end, committed }
    }

    #[test]
    fn lag_is_what_data_is_left() {
        let record = Some(Oldest::Record { timestamp_ms: Some(0) });
        for (partition, oldest, expected) in [
            (partition(0, 10, Some(4)), record.clone(), Some(6)),
            (partition(0, 10, Some(4)), Some(Oldest::Unread), Some(6)),
            (partition(0, 10, Some(10)), None, Some(0)),
            (partition(0, 10, Some(9)), Some(Oldest::NoData), Some(0)),
            (partition(7, 10, Some(4)), record.clone(), Some(3)),
            (partition(0, 10, None), record, None),
            (partition(0, 0, None), None, Some(0)),
            (partition(10, 10, None), None, Some(0)),
            // Committed in a topic of the same name that is gone.
            (partition(0, 4, Some(10)), None, None),
            (partition(0, 0, Some(1)), None, None),
        ] {
            assert_eq!(unconsumed(&partition, oldest.as_ref()), expected, "{partition:?} {oldest:?}");
        }
    }

    #[test]
    fn an_unread_partition_may_have_the_oldest_record() {
        let read = Oldest::Record { timestamp_ms: Some(0) };
        assert!(age_of_oldest(&[(0, read.clone()), (1, Oldest::NoData)].into()).is_some());
        assert_eq!(age_of_oldest(&[(0, read), (1, Oldest::Unread)].into()), None);
        assert_eq!(age_of_oldest(&[(0, Oldest::NoData)].into()), None);
    }

    #[test]
    fn a_sum_with_an_unknown_part_is_unknown() {
        let mut sample = ProbeSample::default();
        let partitions = vec![partition(0, 10, Some(4)), PartitionSample { partition: 1, ..partition(0, 5, None) }];
        fill_kafka(&mut sample, KafkaLook { partitions, ..KafkaLook::default() });
        assert_eq!((sample.lag, sample.time_lag_ms), (None, None));
    }
}
