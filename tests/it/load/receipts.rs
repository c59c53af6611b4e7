//! Ids out of answers, from a server that sends them in every form, in pieces, and not at all.

use load::ledger::{Entry, Receipt};

use super::*;

/// Forms of answers, one after the other.
const TURNS: u64 = 8;

fn uuid_of(n: u64) -> String {
    format!("018f3c1e-0000-7000-8000-{n:012x}")
}

/// What the answer to request `n` says, in pieces, and what is to be seen in it.
fn answer(n: u64) -> (Vec<String>, Outcome, Option<Id>) {
    let of_length = |status: u16, body: &str| {
        let head = format!(
            "HTTP/1.1 {status} Text\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let (first, second) = body.split_at(body.len() / 2);
        vec![format!("{head}{first}"), second.to_owned()]
    };
    let (promised, id) = (Outcome::Acknowledged, Some(Id::Number(n)));
    let body = format!("{{\"result\":\"OK\",\"data\":{{\"id\":{n}}}}}");
    match n % TURNS {
        0 => (of_length(200, &body), promised, id),
        1 => {
            let id = uuid_of(n);
            let parts = ["{\"data\":{\"id\":\"", &id[..7], &id[7..], "\"}}"];
            let chunks = parts.iter().map(|part| format!("{:x}\r\n{part}\r\n", part.len()));
            let head = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
            (std::iter::once(head).chain(chunks).chain(["0\r\n\r\n".into()]).collect(), promised, id.parse().ok())
        }
        2 => (of_length(200, "{\"data\":{}}"), promised, None),
        3 => (of_length(200, "fine"), promised, None),
        4 => (of_length(200, &format!("{body}{}", " ".repeat(64 << 10))), promised, None),
        5 => (of_length(422, &body), Outcome::Refused, None),
        6 => (of_length(503, &body), Outcome::Unknown, None),
        // Broken off in the middle.
        _ => (vec![of_length(200, &body)[0].clone()], Outcome::Unknown, None),
    }
}

/// A server that answers its requests one after the other, each in its turn.
fn turns() -> SocketAddr {
    let n = AtomicU64::new(0);
    raw(move |mut connection| {
        while read_request(&mut connection) {
            let n = n.fetch_add(1, Ordering::SeqCst);
            let pieces = answer(n).0;
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            if !write_pieces(&mut connection, &pieces) || n % TURNS == TURNS - 1 {
                break;
            }
        }
    })
}

fn order(claim: Value) -> Value {
    json!({"name": "order", "path": "/order?key=${uuid}", "outcomes": {"422": "REFUSED"}, "claim": claim})
}

fn loaded(claim: Value) -> (LoadSummary, Vec<Entry>) {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(turns(), constant(1, "2s", order(claim)));
    plan.ledger = Some(folder.path().join("ledger"));
    let (summary, _) = run(&plan);
    let entries = entries(&folder.path().join("ledger"));
    assert!(summary.sent >= 2 * TURNS, "{} requests", summary.sent);
    (summary, entries)
}

/// The outcome is what it is without the id, and nothing is made up where there is none.
#[test]
fn what_an_answer_calls_a_claim_goes_into_the_ledger() {
    let receipt = json!({"json": "$.data.id"});
    let (summary, entries) = loaded(json!([
        {"kind": "point", "id": "${uuid}", "receipt": receipt},
        {"kind": "point", "id": receipt},
    ]));
    assert_eq!(entries.len() as u64, 2 * summary.sent);
    let (mut missing, mut long) = (0, 0);
    for (n, pair) in entries.chunks(2).enumerate() {
        let (_, outcome, id) = answer(n as u64);
        let promised = outcome == Outcome::Acknowledged;
        let told = promised.then_some(id.map_or(Receipt::Missing, Receipt::Given));
        assert_eq!(pair.iter().map(|entry| entry.outcome).collect::<Vec<_>>(), [outcome; 2], "request {n}");
        assert!(pair[0].key.is_some() && pair[0].receipt == told, "request {n}: {:?}", pair[0]);
        assert!(pair[1].key == id && pair[1].receipt.is_none(), "request {n}: {:?}", pair[1]);
        missing += u64::from(promised && id.is_none());
        long += u64::from(n as u64 % TURNS == 4);
    }
    let [all] = &summary.claimed[..] else { panic!("{:#?}", summary.claimed) };
    assert_eq!((all.claim, all.sent), (Claim { kind: Kind::Point, id: None }, 2 * summary.sent));
    assert_eq!((all.receipts_missing, all.done + all.refused + all.unknown), (Some(2 * missing), all.sent));
    assert_eq!(all.refusals, BTreeMap::from([(422, all.refused)]));
    let told: Vec<_> = summary.notes.iter().filter(|note| note.starts_with("receipts missing")).collect();
    let promises = all.done / 2;
    let words = format!("receipts missing: {missing} of {promises} promises of a point by request `order` of `event`");
    assert!(told.len() == 2 && told.iter().all(|note| note.starts_with(&words)), "{told:?}");
    assert!(told[0].contains(&format!("; {long} of these answers have more than 65536 bytes")), "{told:?}");
}

/// Who asks for none has none, and none is missing.
#[test]
fn an_id_that_nobody_asks_for_is_not_looked_for() {
    let (summary, entries) = loaded(json!({"kind": "point", "id": "${uuid}"}));
    assert!(entries.iter().all(|entry| entry.receipt.is_none() && entry.key.is_some()));
    assert_eq!(summary.claimed[0].receipts_missing, None);
    assert!(!summary.notes.iter().any(|note| note.contains("receipts")), "{:?}", summary.notes);
}
