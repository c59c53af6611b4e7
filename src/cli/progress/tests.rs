use std::collections::BTreeMap;

use super::*;
use contract::claim::{
    Claim,
    coupon::{ROWS, STOCK},
};
use record::event::{Figures, LoadSample, ProbeSample};

/// A regular line right behind that of a new stage said the same a second time.
#[test]
fn nothing_is_said_twice() {
    let mut plain = Plain::default();
    let mut state = RunState::default();
    assert_eq!(plain.next(&state), None, "before the first stage there is nothing to say");
    (state.stage, state.t_ms) = (Some(Stage::Backend), 4_010);
    assert_eq!(plain.next(&state).as_deref(), Some("00:04 backend"));
    state.t_ms = 4_900;
    assert_eq!(plain.next(&state), None);
    state.t_ms = 5_000;
    assert_eq!(plain.next(&state).as_deref(), Some("00:05 backend"));
}

#[test]
fn the_line_shows_client_servers_and_what_cannot_be_read() {
    let coupon = Figures::default().with(ROWS, 990).with(STOCK, 0);
    let state = RunState {
        t_ms: 72_500,
        stage: Some(Stage::Load),
        load: Some(LoadSample {
            vus: 500,
            rps: 2_310.4,
            p95_ms: Some(12.1),
            outcomes: BTreeMap::from([("QUEUED".into(), 1_000), ("ERROR".into(), 0)]),
            failures: BTreeMap::from([("refused".into(), 12)]),
            ..LoadSample::default()
        }),
        probe: Some(ProbeSample {
            subjects: BTreeMap::from([(Claim::coupon(1), coupon)]),
            errors: BTreeMap::from([("kafka".into(), "gone".into())]),
            ..ProbeSample::default()
        }),
        ..RunState::default()
    };
    assert_eq!(
        line(&state),
        "01:12 load · 500 VU · 2,310/s · p95 12.1 ms · QUEUED 1,000 · no answer: refused 12 · rows 990 · left 0 · lag - · kafka NOT READABLE"
    );
}
