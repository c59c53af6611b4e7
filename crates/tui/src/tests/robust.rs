//! Whatever comes: any size, any data, any keys.

use contract::claim::coupon::{ROWS, STOCK};
use proptest::prelude::*;
use record::event::{
    Figures,
    watch::{KafkaSample, PartitionLag},
};

use super::*;
use crate::{keys, model::Word};

/// The made-up moment with figures and texts of all kinds in it.
fn boards() -> impl Strategy<Value = Board> {
    let number = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), Just(0.0), any::<f64>()];
    (any::<bool>(), number, "\\PC{0,80}", any::<u64>(), proptest::collection::vec(any::<Option<u64>>(), 0..40))
        .prop_map(|(trouble, number, words, count, lags)| {
            let mut board = if trouble { sample::trouble() } else { sample::busy() };
            board.at_ms = count;
            board.progress = Some(number);
            board.profile.clone_from(&words);
            board.series.p99.extend([Some(number), None, Some(number)]);
            board.phases.extend(board.phases.clone());
            if let Some(load) = &mut board.load {
                (load.rps, load.p50_ms, load.sent) = (number, Some(number), count);
                load.outcomes.insert(words.clone(), count);
            }
            for subject in &mut board.subjects {
                subject.name.clone_from(&words);
                subject.figures = Figures::default().with(ROWS, count as i64).with(STOCK, count as i64);
            }
            board.attention.push(Word { at_ms: None, tone: crate::model::Tone::Bad, text: words.clone() });
            let partition = |lag: &Option<u64>| PartitionLag {
                topic: words.clone(),
                lag: *lag,
                slope: Some(number),
                drain_s: Some(number),
                ..PartitionLag::default()
            };
            let partitions = lags.iter().map(partition).collect();
            board.kafka.newest = Some(std::sync::Arc::new(KafkaSample { partitions, ..KafkaSample::default() }));
            board
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_that_comes_in_breaks_the_screen(
        board in boards(),
        size in (1_u16..300, 1_u16..100),
        presses in proptest::collection::vec(0_usize..keys::TABLE.len(), 0..12),
        tab in 0_usize..6,
    ) {
        let logs = sample::logs();
        let mut view = View { tab, ..view() };
        drawn(&board, &logs, &view, size);
        for at in presses {
            view.apply(keys::TABLE[at].action, &Data { board: &board, logs: &logs });
            drawn(&board, &logs, &view, size);
        }
    }
}

#[test]
fn every_size_from_one_cell_on() {
    let (board, logs) = (sample::trouble(), sample::logs());
    for width in (1..130).chain([200, 300]) {
        for height in (1..45).step_by(3).chain([24, 60, 100]) {
            for tab in [0, 1, 3] {
                drawn(&board, &logs, &View { tab, ..view() }, (width, height));
            }
        }
    }
}
