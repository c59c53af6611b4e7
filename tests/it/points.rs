//! Points of the shop, loaded and proven: a system part without gate and topic, whose checks are files and a ledger.

use std::{collections::BTreeSet, path::Path};

use contract::claim::{Id, Kind, Outcome};
use load::ledger::{self, Entry};
use mysql_async::{Conn, Row, prelude::Queryable};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{
    promise::{backend_process, kill_9, run_with_harm},
    support::{Stack, exit_of, shared, write},
};

const IDS: [&str; 7] = ["SY1", "PT1", "PT2", "PT3", "PT4", "PT5", "PT6"];

/// A few seconds of charges and uses as a file of `stack`.
fn small(stack: &Stack) -> String {
    let path = stack.scratch().join("points.yaml");
    write(&path, include_str!("profiles/points.yaml"));
    path.to_string_lossy().into_owned()
}

fn verdict<'a>(report: &'a Value, id: &str) -> &'a str {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|c| c["id"] == id).and_then(|c| c["verdict"].as_str()).unwrap_or("absent")
}

/// All checks of points hold, and nothing of coupons was held against a run that has none.
pub fn assert_proven(report: &Value) {
    assert_eq!(report["verdict"], "consistent", "{report:#}");
    for id in IDS {
        assert_eq!(verdict(report, id), "holds", "{id}: {report:#}");
    }
    for check in report["checks"].as_array().unwrap() {
        let id = check["id"].as_str().unwrap();
        assert!(IDS.contains(&id), "{id} is no check of this run: {report:#}");
    }
}

fn sql(stack: &Stack, statements: &[String]) {
    let opts = stack.endpoints().mysql.opts(0, 1);
    Runtime::new().unwrap().block_on(async {
        let mut conn = Conn::new(opts).await.unwrap();
        for statement in statements {
            conn.query_drop(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
        conn.disconnect().await.unwrap();
    });
}

fn first_row(stack: &Stack, query: &str) -> Row {
    let opts = stack.endpoints().mysql.opts(0, 1);
    Runtime::new().unwrap().block_on(async {
        let mut conn = Conn::new(opts).await.unwrap();
        let row = conn.query_first(query).await.unwrap();
        conn.disconnect().await.unwrap();
        row.unwrap_or_else(|| panic!("no row: {query}"))
    })
}

/// Somebody's use that was refused: user and key.
fn refused(run: &Path) -> (u64, Id) {
    let (mut refused, mut others) = (BTreeSet::new(), BTreeSet::new());
    let sort = |entry: Entry| {
        assert_eq!(entry.kind, Kind::Point);
        let to = if entry.outcome == Outcome::Refused { &mut refused } else { &mut others };
        to.insert((entry.actor, entry.key.unwrap()));
    };
    ledger::read(&run.join("ledger"), sort).unwrap();
    refused.difference(&others).next().copied().expect("nobody was refused")
}

#[test]
fn points_are_charged_used_and_proven() {
    let stack = shared();
    let output = stack.ok(&["run", "points-quick", "--format", "json"]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_proven(&summary);
    assert_eq!(summary["coupons"], serde_json::json!([]), "nobody asked for one: {summary:#}");
    let outcomes = summary["outcomes"].as_object().unwrap();
    assert!(outcomes["OK"].as_u64() > Some(100) && outcomes["REFUSED"].as_u64() > Some(50), "{outcomes:#?}");
    let claims = summary["claims"].as_array().unwrap();
    assert_eq!(claims.len(), 2, "each request its own, and the gift: {claims:#?}");
    for claim in claims {
        let n = |key: &str| claim[key].as_u64().unwrap();
        assert!(claim["kind"] == "point" && n("done") > 0 && n("refused") > 0, "{claim:#}");
        assert_eq!((n("done") + n("refused") + n("unknown"), n("receipts_missing")), (n("sent"), 0), "{claim:#}");
    }
    let gifts = "SELECT COUNT(*), COUNT(DISTINCT user_id) FROM point_entries \
                 WHERE idempotency_key = '5eed0000-0000-4000-8000-000000000001'";
    let gifts: (u64, u64) = mysql_async::from_row(first_row(&stack, gifts));
    assert_eq!(gifts, (5, 5), "asked for again and again, given once to each");

    let pt6 = summary["checks"].as_array().unwrap().iter().find(|check| check["id"] == "PT6").unwrap();
    assert!(pt6["evidence"].as_str().unwrap().contains("are the entries that were told"), "{pt6}");

    let run = summary["run"].as_str().unwrap();
    let (code, report) = stack.json(&["verify"]);
    assert_eq!(code, 0, "{report:#}");
    assert_proven(&report);
    let report = String::from_utf8(stack.ok(&["report", run]).stdout).unwrap();
    assert!(report.contains("PT6") && report.contains("receipts missing"), "{report}");
    let (code, history) = stack.json(&["verify", "--history", run]);
    assert_eq!(code, 0, "{history:#}");
    assert_proven(&history);
}

/// Who got no answer has an entry or none, and is held against nobody.
#[test]
fn an_api_killed_among_charges_books_nothing_twice_and_loses_nothing() {
    let stack = shared();
    let profile = small(&stack);
    let (code, summary) = run_with_harm(&stack, &[&profile], |stack| kill_9(backend_process(stack, "api-1")));
    assert_eq!(code, exit_of(&summary), "{summary:#}");
    assert_proven(&summary);
    assert_eq!(summary["restarts"]["api-1"], 1, "it was killed and came back");
    assert!(summary["outcomes"]["UNKNOWN"].as_u64() > Some(0), "requests under way do not know their answer");
}

/// Each break, made by hand on a true run's data, is named by the checks that it concerns and by no other.
#[test]
fn a_break_of_points_is_named_by_its_checks() {
    let stack = shared();
    let (code, summary) = stack.json(&["run", &small(&stack)]);
    assert_eq!(code, exit_of(&summary), "{summary:#}");
    let run = stack.state_dir().join("runs").join(summary["run"].as_str().unwrap());
    let (user, key) = refused(&run);
    // One with a later entry of the same user behind it: the balances of what follows tell of it.
    let lost = "SELECT e.id FROM point_entries e WHERE e.kind = 'charge' AND EXISTS \
                (SELECT 1 FROM point_entries l WHERE l.user_id = e.user_id AND l.id > e.id) ORDER BY e.id LIMIT 1";
    let (lost,): (u64,) = mysql_async::from_row(first_row(&stack, lost));
    let booked = format!(
        "INSERT INTO point_entries (user_id, kind, delta, balance_after, idempotency_key, request_hash) \
         SELECT user_id, 'use', 0, balance, '{key}', '' FROM points WHERE user_id = {user}"
    );
    let lines = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    let cases = [
        (
            lines(&["UPDATE points SET balance = balance + 1"]),
            lines(&["UPDATE points SET balance = balance - 1"]),
            &["PT1", "PT5"][..],
        ),
        (
            lines(&[
                &format!("CREATE TABLE saved AS SELECT * FROM point_entries WHERE id = {lost}"),
                &format!("DELETE FROM point_entries WHERE id = {lost}"),
            ]),
            lines(&["INSERT INTO point_entries SELECT * FROM saved", "DROP TABLE saved"]),
            &["PT1", "PT2", "PT5", "PT6"],
        ),
        (
            vec![booked],
            vec![format!("DELETE FROM point_entries WHERE user_id = {user} AND idempotency_key = '{key}'")],
            &["PT6"],
        ),
        // The last one, so that the order of entries stays: only whoever was told its number sees it.
        (
            lines(&["UPDATE point_entries SET id = id + 1 ORDER BY id DESC LIMIT 1"]),
            lines(&["UPDATE point_entries SET id = id - 1 ORDER BY id DESC LIMIT 1"]),
            &["PT6"],
        ),
    ];
    for (break_it, mend, wrong) in cases {
        sql(&stack, &break_it);
        let (code, report) = stack.json(&["verify"]);
        sql(&stack, &mend);
        assert_eq!((code, &report["verdict"]), (3, &"violated".into()), "{break_it:?}: {report:#}");
        for id in IDS {
            let expected = if wrong.contains(&id) { "violated" } else { "holds" };
            assert_eq!(verdict(&report, id), expected, "{id} after {break_it:?}: {report:#}");
        }
        let (code, report) = stack.json(&["verify"]);
        assert_eq!(code, 0, "mended data must pass: {report:#}");
    }
}
