use contract::claim::coupon::{PENDING, ROWS};
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
    assert_eq!(moving(&anew), ["partition 0: offset 9 was committed, and the log ends at 4: the topic was made anew"]);
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
