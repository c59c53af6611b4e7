//! A simulated run that is right violates nothing; one thing changed in it violates the check that is there for it.

use std::collections::BTreeMap;

use contract::claim::{Claim, Id, Kind};
use load::ledger::{Entry, Outcome};
use proptest::prelude::*;

use crate::{
    families::coupon::{
        ledger::LedgerSets,
        model::{EventRecord, Row},
        testing::{Sketch, World, world},
    },
    model::Verdict,
};

/// What happens to one request on its way.
#[derive(Debug, Clone, Copy)]
struct Request {
    user: u64,
    /// Steps after the one before.
    after: u64,
    /// How long until the gate decides, and from there to the answer.
    to_gate: u64,
    to_answer: u64,
    /// The answer is lost on its way: a time-out for the generator, whatever the gate did.
    lost: bool,
}

fn request() -> impl Strategy<Value = Request> {
    (1_u64..40, 0_u64..20, 1_u64..30, 1_u64..30, prop::bool::weighted(0.1))
        .prop_map(|(user, after, to_gate, to_answer, lost)| Request { user, after, to_gate, to_answer, lost })
}

/// Runs the requests through a gate that is right; the pipeline behind it loses nothing.
fn simulate(total: u64, requests: &[Request]) -> World {
    let mut decisions: Vec<(u64, u64, usize)> = Vec::new();
    let mut start = 0;
    for (i, request) in requests.iter().enumerate() {
        start += request.after;
        decisions.push((start + request.to_gate, start, i));
    }
    decisions.sort_unstable();
    let mut granted: BTreeMap<u64, u64> = BTreeMap::new();
    let mut entries = Vec::new();
    for (decided, start_ns, i) in decisions {
        let request = requests[i];
        let outcome = if granted.contains_key(&request.user) {
            Outcome::Duplicate
        } else if granted.len() as u64 == total {
            Outcome::Exhausted
        } else {
            granted.insert(request.user, granted.len() as u64 + 1);
            Outcome::Acknowledged
        };
        let outcome = if request.lost { Outcome::Unknown } else { outcome };
        let (kind, key, end_ns) = (Kind::Coupon, Some(Id::Number(1)), decided + request.to_answer);
        entries.push(Entry { kind, key, actor: request.user, start_ns, end_ns, outcome, receipt: None });
    }
    let grants = granted.iter().map(|(user, seq)| format!("{user}:{seq}")).collect::<Vec<_>>().join(" ");
    let mut world = world(&[Sketch { total, grants, ..Sketch::default() }]);
    let mut ledger = LedgerSets::default();
    for entry in &entries {
        ledger.add(entry);
    }
    world.context.sent.insert(Claim::coupon(1), entries.len() as u64);
    world.coupons.ledger = Ok(ledger);
    world
}

fn run() -> impl Strategy<Value = World> {
    (1_u64..30, prop::collection::vec(request(), 1..120)).prop_map(|(total, requests)| simulate(total, &requests))
}

/// A change to a world that is in order, and the checks of which at least one must notice it.
type Mutation = (&'static str, fn(&mut World, usize) -> bool, &'static [&'static str]);

const MUTATIONS: [Mutation; 12] = [
    ("a row is dropped", drop_row, &["CP7"]),
    ("a row appears from nowhere", add_row, &["CP4"]),
    ("a row is doubled", double_row, &["CP2"]),
    ("a row changes its number", renumber_row, &["CP4"]),
    ("a row changes its user", reassign_row, &["CP4"]),
    ("the stock is raised", |w, _| w.gate().stock.as_mut().map(|stock| *stock += 1).is_some(), &["CP3"]),
    ("the stock falls below zero", |w, _| w.gate().stock.replace(-1).is_some(), &["CP3"]),
    ("a grant is taken back", take_grant_back, &["CP3", "CP4"]),
    ("two grants share a number", share_number, &["CP9"]),
    (
        "the counter is off",
        |w, _| {
            w.facts().issued += 1;
            true
        },
        &["CP13"],
    ),
    (
        "the ledger misses a request",
        |w, _| {
            *w.context.sent.entry(Claim::coupon(1)).or_default() += 1;
            true
        },
        &["SY1"],
    ),
    ("an event appears from nowhere", add_event, &["CP4"]),
];

fn drop_row(world: &mut World, pick: usize) -> bool {
    let rows = world.rows();
    if rows.is_empty() {
        return false;
    }
    rows.remove(pick % rows.len());
    true
}

fn add_row(world: &mut World, _: usize) -> bool {
    let row = Row { id: 999, user: 999, event_id: "nowhere".into(), seq: Some(999), created_us: 0 };
    world.rows().push(row);
    true
}

fn double_row(world: &mut World, pick: usize) -> bool {
    let rows = world.rows();
    let Some(row) = rows.get(pick % rows.len().max(1)).cloned() else { return false };
    rows.push(Row { id: 999, event_id: "another".into(), ..row });
    true
}

fn renumber_row(world: &mut World, pick: usize) -> bool {
    let rows = world.rows();
    let len = rows.len().max(1);
    rows.get_mut(pick % len).is_some_and(|row| row.seq.replace(777).is_some())
}

fn reassign_row(world: &mut World, pick: usize) -> bool {
    let rows = world.rows();
    let len = rows.len().max(1);
    rows.get_mut(pick % len).map(|row| row.user = 888).is_some()
}

fn take_grant_back(world: &mut World, pick: usize) -> bool {
    let users: Vec<u64> = world.gate().users.keys().copied().collect();
    let Some(user) = users.get(pick % users.len().max(1)) else { return false };
    world.gate().users.remove(user).is_some()
}

fn share_number(world: &mut World, pick: usize) -> bool {
    let users = &mut world.gate().users;
    if users.len() < 2 {
        return false;
    }
    let seqs: Vec<Option<u64>> = users.values().copied().collect();
    let (one, other) = (pick % seqs.len(), (pick + 1) % seqs.len());
    let user = *users.keys().nth(one).unwrap();
    users.insert(user, seqs[other]);
    true
}

fn add_event(world: &mut World, _: usize) -> bool {
    let nowhere =
        EventRecord { event_id: "nowhere".into(), user: 999, seq: 999, counter: 1, partition: 0, offset: 0, copies: 1 };
    world.events().push(nowhere);
    true
}

/// CP10 by its definition: every pair, O(n²).
fn out_of_order(world: &World) -> bool {
    let gate = world.coupons.sets.coupons[0].gate.as_ref().unwrap();
    let ledger = &world.coupons.ledger.as_ref().unwrap().coupons[&1];
    let timed = |user: &u64| {
        let told = ledger.users.get(user)?;
        Some((told.began()?, told.ended()))
    };
    let grants: Vec<(u64, u64, Option<u64>)> = gate
        .users
        .iter()
        .filter_map(|(user, seq)| timed(user).map(|(began, ended)| (seq.unwrap(), began, ended)))
        .collect();
    grants.iter().any(|(seq_a, _, ended)| {
        grants.iter().any(|(seq_b, began, _)| ended.is_some_and(|ended| ended < *began) && seq_a > seq_b)
    })
}

proptest! {
    #[test]
    fn a_run_that_is_right_violates_nothing(world in run()) {
        prop_assert_eq!(world.violated(), Vec::<String>::new());
    }

    #[test]
    fn each_change_is_noticed(world in run(), pick in 0_usize..1000) {
        for (what, mutate, noticed_by) in MUTATIONS {
            let mut changed = world.clone();
            if mutate(&mut changed, pick) {
                let violated = changed.violated();
                for id in noticed_by {
                    prop_assert!(violated.contains(&(*id).to_string()), "{}: only {:?}", what, violated);
                }
            }
        }
    }

    /// A lost row is CP5's exactly when its user was told QUEUED; for the others CP7 or CP14 is there.
    #[test]
    fn a_lost_row_of_an_acknowledged_user_is_named(world in run(), pick in 0_usize..1000) {
        let mut changed = world;
        let rows = changed.rows();
        if !rows.is_empty() {
            let user = rows.remove(pick % rows.len()).user;
            let told = changed.coupons.ledger.as_ref().unwrap().coupons[&1].users.get(&user).copied().unwrap();
            let found = changed.check();
            prop_assert_eq!(found["CP5"].verdict == Verdict::Violated, told.acknowledged());
            if told.acknowledged() {
                prop_assert_eq!(&found["CP5"].rows, &vec![format!("user {user}")]);
            }
            prop_assert_eq!(found["CP14"].verdict == Verdict::Violated, told.duplicate);
        }
    }

    /// The sweep finds what comparing every pair finds, whatever the numbers are.
    #[test]
    fn the_order_is_that_of_the_definition(world in run(), swaps in prop::collection::vec((0_usize..100, 0_usize..100), 0..4)) {
        let mut changed = world;
        let users = &mut changed.gate().users;
        let mut seqs: Vec<Option<u64>> = users.values().copied().collect();
        for (one, other) in swaps {
            if !seqs.is_empty() {
                let len = seqs.len();
                seqs.swap(one % len, other % len);
            }
        }
        users.values_mut().zip(seqs).for_each(|(seq, new)| *seq = new);
        let violated = changed.check()["CP10"].verdict == Verdict::Violated;
        prop_assert_eq!(violated, out_of_order(&changed));
    }

    /// What cannot be read makes checks unknown, never violated: not knowing is no finding.
    #[test]
    fn not_knowing_is_no_finding(world in run(), hidden in prop::collection::vec(0_usize..8, 1..4)) {
        let mut changed = world;
        let why = || "hidden".to_owned();
        for set in hidden {
            match set {
                0 => changed.coupon().rows = Err(why()),
                1 => changed.coupon().events = Err(why()),
                2 => changed.coupon().gate = Err(why()),
                3 => changed.coupon().dead = Err(why()),
                4 => changed.coupon().facts = Err(why()),
                5 => changed.coupons.sets.keys = Err(why()),
                6 => changed.coupons.sets.topic = Err(why()),
                _ => changed.coupons.ledger = Err(why()),
            }
        }
        prop_assert_eq!(changed.violated(), Vec::<String>::new());
    }
}
