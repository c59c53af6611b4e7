//! One look at all three servers.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use kafka::Oldest;
use record::{
    epoch::{Opened, continues, taken_over},
    event::{CouponSample, PartitionSample, ProbeSample},
};

use super::{
    ProbePlan,
    gates::{GateReading, Gates},
    partitions::{KafkaLook, Partitions},
    rows::{Rows, RowsReading},
};

/// One look.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub sample: ProbeSample,
    /// Partition → data records that are not consumed; `None` where it is not known.
    pub unconsumed: BTreeMap<i32, Option<u64>>,
    /// Coupon → why its figures are not the run's any more, and will not be again.
    pub taken_over: BTreeMap<u64, String>,
}

/// Long-lived clients of the three servers.
#[derive(Debug)]
pub(super) struct Looker {
    coupons: Vec<u64>,
    opened: Opened,
    rows: Rows,
    partitions: Partitions,
    gates: Gates,
}

impl Looker {
    pub fn new(plan: &ProbePlan) -> Self {
        let (kafka, starts) = (plan.endpoints.kafka.clone(), plan.starts.clone());
        Self {
            coupons: plan.coupons.clone(),
            opened: plan.opened.clone(),
            rows: Rows::new(plan.endpoints.mysql.clone()),
            partitions: Partitions::start(kafka, plan.topic.clone(), plan.group.clone(), starts),
            gates: Gates::new(plan.endpoints.redis.clone()),
        }
    }

    /// Looks once: rows, then Kafka, then Redis.
    pub async fn look(&mut self) -> Look {
        let mut sample = ProbeSample::default();
        let rows = self.rows.read(&self.coupons).await;
        let kafka = self.partitions.read().await;
        let gates = self.gates.read(&self.coupons).await;
        let taken_over = rows.as_ref().map(|rows| self.taken_over(rows)).unwrap_or_default();
        let rows = rows.unwrap_or_else(|why| {
            sample.errors.insert("mysql".into(), why);
            RowsReading::default()
        });
        let kafka = kafka.unwrap_or_else(|why| KafkaLook { error: Some(why), ..KafkaLook::default() });
        sample.mysql_connections = rows.connections;
        match gates {
            Ok((gates, took)) => {
                sample.redis_ms = Some(took.as_secs_f64() * 1_000.0);
                self.fill_coupons(&mut sample, &rows, &gates, &taken_over);
            }
            Err(why) => {
                sample.errors.insert("redis".into(), why);
                self.fill_coupons(&mut sample, &rows, &BTreeMap::new(), &taken_over);
            }
        }
        let unconsumed = fill_kafka(&mut sample, kafka);
        Look { sample, unconsumed, taken_over }
    }

    /// Coupons that MySQL holds in another epoch than the run's, or not at all any more.
    fn taken_over(&self, rows: &RowsReading) -> BTreeMap<u64, String> {
        let present = |coupon: &u64| rows.coupons.get(coupon).and_then(|row| row.epoch.as_deref());
        let why = |(coupon, opened): (&u64, &String)| Some((*coupon, taken_over(*coupon, opened, present(coupon))?));
        self.opened.iter().filter(|(coupon, _)| self.coupons.contains(coupon)).filter_map(why).collect()
    }

    fn fill_coupons(
        &self,
        sample: &mut ProbeSample,
        rows: &RowsReading,
        gates: &BTreeMap<u64, GateReading>,
        taken: &BTreeMap<u64, String>,
    ) {
        for coupon in &self.coupons {
            if let Some(why) = taken.get(coupon) {
                complain(sample, "epoch", why);
                sample.coupons.insert(*coupon, CouponSample::default());
                continue;
            }
            let row = rows.coupons.get(coupon);
            let mut figures = CouponSample {
                rows: row.map(|row| row.count),
                holders: row.and_then(|row| row.holders),
                ..CouponSample::default()
            };
            if let Some(gate) = gates.get(coupon) {
                figures.pending = Some(gate.pending);
                let present = row.and_then(|row| row.epoch.as_deref());
                match unfit(gate, present, self.opened.get(coupon)) {
                    // Figures of another epoch, or of a gate that Redis lost, must not be held against the rows.
                    Some(why) => complain(sample, "redis", &format!("coupon {coupon}: {why}")),
                    None if gate.epoch.is_none() => {}
                    None => {
                        figures.grants = Some(gate.grants);
                        figures.stock = gate.stock;
                        figures.sequence = gate.sequence;
                    }
                }
            }
            sample.coupons.insert(*coupon, figures);
        }
    }
}

/// Why a gate's figures say nothing about the epoch that is looked at: MySQL's present one or, where MySQL does not
/// answer, the run's.
fn unfit(gate: &GateReading, present: Option<&str>, opened: Option<&String>) -> Option<String> {
    match (&gate.epoch, present, opened) {
        (None, Some(_), _) | (None, None, Some(_)) => Some("the gate is closed: Redis holds no epoch".into()),
        (Some(epoch), Some(present), _) if epoch != present => {
            Some(format!("Redis holds epoch {epoch}, MySQL says {present}"))
        }
        (Some(epoch), None, Some(opened)) if !continues(opened, epoch) => {
            Some(format!("Redis holds epoch {epoch}, the run opened {opened}"))
        }
        (Some(_), ..) if gate.restarted => {
            Some("the gate is closed until it is rebuilt: Redis was started anew".into())
        }
        _ => None,
    }
}

/// Adds a reason to those that stand under `key`: each coupon may have one of its own.
fn complain(sample: &mut ProbeSample, key: &str, why: &str) {
    let told = sample.errors.entry(key.to_owned()).or_default();
    if !told.is_empty() {
        told.push_str("; ");
    }
    told.push_str(why);
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
    use contract::endpoint::Endpoints;

    use super::{super::rows::CouponRows, *};

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

    /// One coupon's trouble must not hide another's.
    #[test]
    fn each_coupon_tells_its_own_trouble() {
        let plan = ProbePlan {
            endpoints: Endpoints {
                mysql: "mysql://u:p@127.0.0.1:1/d".parse().unwrap(),
                redis: "redis://127.0.0.1:1".parse().unwrap(),
                kafka: "127.0.0.1:1".parse().unwrap(),
            },
            coupons: vec![1, 2],
            topic: "t".into(),
            group: "g".into(),
            interval: std::time::Duration::from_secs(1),
            starts: super::super::Starts::default(),
            opened: Opened::new(),
        };
        let row = |epoch: &str| CouponRows { epoch: Some(epoch.into()), count: 1, holders: Some(1) };
        let rows = RowsReading { coupons: [(1, row("a:x:1")), (2, row("a:y:2"))].into(), ..RowsReading::default() };
        let gate = |epoch: Option<&str>| GateReading {
            grants: 1,
            stock: Some(1),
            pending: 0,
            epoch: epoch.map(Into::into),
            sequence: Some(1),
            restarted: false,
        };
        let mut sample = ProbeSample::default();
        let looker = Looker::new(&plan);
        let gates = [(1, gate(None)), (2, gate(Some("a:z:3")))].into();
        looker.fill_coupons(&mut sample, &rows, &gates, &BTreeMap::new());
        let told = &sample.errors["redis"];
        assert!(
            told.contains("coupon 1: the gate is closed") && told.contains("coupon 2: Redis holds epoch"),
            "{told}"
        );
        // A coupon that was seeded again has no figures of this run, and nobody says that its server is away.
        let looker = Looker { opened: [(1, "a:old:1".to_owned())].into(), ..looker };
        let taken = looker.taken_over(&rows);
        let mut sample = ProbeSample::default();
        looker.fill_coupons(&mut sample, &rows, &gates, &taken);
        assert_eq!(sample.coupons[&1], CouponSample::default());
        assert!(sample.errors["epoch"].contains("coupon 1 was seeded again while the run went on"), "{sample:?}");
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
