//! What holds for any group, however it behaves.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use record::event::watch::{LagStatus, Member};

use super::super::{History, Rules};
use crate::{
    Oldest, Unknown,
    lag::look::{GroupLook, Look, PartitionLook},
};

fn offsets() -> impl Strategy<Value = i64> {
    prop_oneof![0_i64..2_000, any::<i64>(), Just(i64::MAX), Just(-1)]
}

fn oldest() -> impl Strategy<Value = Option<Oldest>> {
    prop_oneof![
        Just(None),
        Just(Some(Oldest::NoData)),
        Just(Some(Oldest::Unread)),
        proptest::option::of(any::<i64>()).prop_map(|timestamp_ms| Some(Oldest::Record { timestamp_ms })),
    ]
}

fn partitions() -> impl Strategy<Value = Vec<PartitionLook>> {
    let leader = proptest::option::weighted(0.9, Just(1));
    let one = (0_i32..4, offsets(), offsets(), proptest::option::of(offsets()), leader, oldest());
    proptest::collection::vec(one, 0..5).prop_map(|all| {
        let mut looks: Vec<PartitionLook> = all
            .into_iter()
            .map(|(partition, start, end, committed, leader, oldest)| PartitionLook {
                topic: "t".into(),
                partition,
                start,
                end,
                committed,
                leader,
                oldest,
            })
            .collect();
        looks.sort_by_key(|look| look.partition);
        looks.dedup_by_key(|look| look.partition);
        looks
    })
}

fn any_look() -> impl Strategy<Value = Look> {
    let states = prop_oneof![Just("Stable"), Just("Empty"), Just("PreparingRebalance"), Just("Unknown"), Just("")];
    let members =
        proptest::option::of(proptest::collection::vec("[ab]".prop_map(|id| Member { id, ..Member::default() }), 0..3));
    (prop_oneof![0.0..100.0_f64, any::<f64>()], any::<f64>(), states, members, partitions()).prop_map(
        |(at_s, now_ms, state, members, partitions)| Look {
            at_s,
            now_ms,
            group: GroupLook { state: state.into(), members },
            partitions,
            unread: BTreeMap::new(),
        },
    )
}

/// One partition with members, second by second.
fn steady(offsets: &[(i64, i64)]) -> Vec<Look> {
    let look = |(second, (committed, end)): (usize, &(i64, i64))| Look {
        at_s: second as f64,
        now_ms: 0.0,
        group: GroupLook { state: "Stable".into(), members: Some(vec![Member::default()]) },
        partitions: vec![PartitionLook {
            topic: "t".into(),
            partition: 0,
            start: 0,
            end: *end,
            committed: Some(*committed),
            leader: Some(1),
            oldest: None,
        }],
        unread: BTreeMap::new(),
    };
    offsets.iter().enumerate().map(look).collect()
}

proptest! {
    #[test]
    fn nothing_makes_it_panic_and_every_figure_is_a_number(
        looks in proptest::collection::vec(any_look(), 0..40), allowed in any::<u64>(), commit in any::<u32>(),
    ) {
        let mut history = History::new(Rules { allowed, commit_interval: Duration::from_millis(u64::from(commit)) });
        for look in looks {
            let sample = history.push("g", &look);
            prop_assert_eq!(sample.partitions.len(), look.partitions.len());
            let worst = sample.partitions.iter().map(|p| p.status).min().unwrap_or_default();
            prop_assert_eq!(sample.status, worst);
            for (p, look) in sample.partitions.iter().zip(&look.partitions) {
                for figure in [p.slope, p.drain_s, p.produced_per_s, p.consumed_per_s] {
                    prop_assert!(figure.is_none_or(f64::is_finite), "{:?}", p);
                }
                prop_assert_eq!(p.status == LagStatus::NoCommit, p.committed.is_none());
                prop_assert_eq!(p.status == LagStatus::Ahead, look.lag() == Err(Unknown::Ahead));
                let known = p.committed.is_some_and(|committed| committed <= p.end) && p.leader.is_some();
                prop_assert_eq!(p.lag.is_some(), known, "{:?}", p);
                if p.lag.is_some_and(|lag| lag <= allowed) {
                    prop_assert_eq!(p.status, LagStatus::Ok);
                }
            }
        }
    }

    #[test]
    fn the_slope_of_a_line_is_the_line(
        base in 0_i64..1_000_000, step in -1_000_i64..1_000, rate in 0_i64..10_000, n in 3_usize..40,
    ) {
        let base = base + step.abs() * n as i64;
        // What comes in is consumed but for `step` a second.
        let line: Vec<_> = (0..n as i64).map(|t| (t * rate, base + t * (rate + step))).collect();
        prop_assume!(rate + step >= 0);
        let mut history = History::new(Rules::default());
        let sample = steady(&line).iter().map(|look| history.push("g", look)).last().unwrap();
        let found = sample.partitions[0].slope.unwrap();
        prop_assert!((found - step as f64).abs() < 1e-6 * base.max(1) as f64, "{} is not {}", found, step);
        prop_assert_eq!(sample.partitions[0].produced_per_s.map(f64::round), Some((rate + step) as f64));
        prop_assert_eq!(sample.partitions[0].consumed_per_s.map(f64::round), Some(rate as f64));
        if let Some(drain) = sample.drain_s.filter(|_| step < 0) {
            let lag = sample.lag.unwrap() as f64;
            prop_assert!((drain - lag / -(step as f64)).abs() < 1e-3 * (drain + 1.0));
        }
    }

    #[test]
    fn with_members_that_commit_it_is_ok_exactly_while_lag_is_allowed_or_level(
        lags in proptest::collection::vec(0_i64..100, 3..40), allowed in 0_u64..100,
    ) {
        // A record is committed each second, so nothing stalls.
        let offsets: Vec<_> = lags.iter().enumerate().map(|(t, lag)| (t as i64 * 200, t as i64 * 200 + lag)).collect();
        let mut history = History::new(Rules { allowed, ..Rules::default() });
        for look in steady(&offsets) {
            let partition = history.push("g", &look).partitions.remove(0);
            let expected = match (partition.lag.unwrap(), partition.slope) {
                (lag, _) if lag <= allowed => LagStatus::Ok,
                (_, None) => LagStatus::Unknown,
                (_, Some(slope)) if slope > 0.0 => LagStatus::Warn,
                (_, Some(slope)) if slope < 0.0 => LagStatus::CatchingUp,
                _ => LagStatus::Ok,
            };
            prop_assert_eq!(partition.status, expected);
        }
    }
}
