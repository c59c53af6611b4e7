//! Invariants against real servers: each holds on sound data, turns red by what breaks it, and never accuses in doubt.

use std::{collections::BTreeMap, time::Duration};

use contract::{endpoint::Endpoints, system::System};
use mysql_async::{Conn, prelude::Queryable};
use record::invariant::{self, Invariant, Listed};
use tokio_util::sync::CancellationToken;
use verify::{self, CheckResult, LogBefore, Overall, Verdict, VerifyPlan, VerifyReport, invariants::InvariantPlan};

use crate::support::{self, exit_of};

/// As the backend makes them, but for the keys: a key that is gone is what some of the checks are for.
const TABLES: [&str; 2] = [
    "CREATE TABLE points (user_id BIGINT UNSIGNED NOT NULL PRIMARY KEY, balance BIGINT NOT NULL)",
    "CREATE TABLE point_entries (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, \
     user_id BIGINT UNSIGNED NOT NULL, kind VARCHAR(16) NOT NULL, delta BIGINT NOT NULL, \
     balance_after BIGINT NOT NULL, idempotency_key VARCHAR(64) NULL, request_hash VARCHAR(64) NULL, \
     created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))",
];
/// Two users: opened, charged, used, refunded, in turn.
const SOUND: [&str; 2] = [
    "INSERT INTO points VALUES (1, 1250), (2, 0)",
    "INSERT INTO point_entries (user_id, kind, delta, balance_after, idempotency_key, request_hash) VALUES \
     (1, 'open', 1000, 1000, NULL, NULL), (2, 'open', 500, 500, NULL, NULL), (1, 'charge', 500, 1500, 'a', 'h1'), \
     (2, 'use', -500, 0, 'a', 'h2'), (1, 'use', -300, 1200, 'b', 'h3'), (1, 'refund', 50, 1250, 'c', 'h4')",
];

/// A database of the test's own.
struct Place {
    endpoints: Endpoints,
    sql: Conn,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new(statements: &[&str]) -> Self {
        let mut endpoints = tokio::task::spawn_blocking(support::servers).await.unwrap();
        let mut sql = Conn::new(endpoints.mysql.opts(0, 1)).await.unwrap();
        let database = format!("invariants_{}", uuid::Uuid::new_v4().simple());
        sql.query_drop(format!("CREATE DATABASE {database} CHARACTER SET utf8mb4")).await.unwrap();
        sql.query_drop(format!("USE {database}")).await.unwrap();
        endpoints.mysql.database = database;
        let mut place = Self { endpoints, sql, folder: tempfile::tempdir().unwrap() };
        for statement in statements {
            place.run(statement).await;
        }
        place
    }

    async fn run(&mut self, sql: &str) {
        self.sql.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    async fn verify(&self, listed: Vec<Listed>, require: &[&str]) -> VerifyReport {
        let plan = VerifyPlan {
            endpoints: self.endpoints.clone(),
            topic: "invariants-no-such-topic".into(),
            group: "invariants-no-such-group".into(),
            system: System::default(),
            subjects: Vec::new(),
            ledger: None,
            sent: BTreeMap::new(),
            sets_dir: Some(self.folder.path().join("sets")),
            require: require.iter().map(ToString::to_string).collect(),
            origin_unix_ns: None,
            of_run: None,
            before: LogBefore::default(),
            running: None,
            invariants: InvariantPlan { listed, ..InvariantPlan::default() },
        };
        let report = verify::run(&plan).await.unwrap();
        assert_eq!(report, verify::offline(self.folder.path(), None).unwrap(), "from `sets/` alone");
        report
    }

    async fn points(&self) -> BTreeMap<String, CheckResult> {
        results(&self.verify(invariant::built_in(System::Ecommerce), &[]).await)
    }

    async fn clean_up(mut self) {
        let database = self.endpoints.mysql.database.clone();
        self.run(&format!("DROP DATABASE {database}")).await;
    }
}

/// The results of invariants alone.
fn results(report: &VerifyReport) -> BTreeMap<String, CheckResult> {
    let coupons: Vec<&str> = verify::catalogue().map(|(id, _)| id).collect();
    let own = report.checks.iter().filter(|check| !coupons.contains(&check.id.as_str()));
    own.map(|check| (check.id.clone(), check.clone())).collect()
}

fn listed(yaml: &str) -> Vec<Listed> {
    let all: BTreeMap<String, Invariant> = serde_yaml::from_str(yaml).unwrap();
    for (id, invariant) in &all {
        assert_eq!(invariant::problems(id, invariant), Vec::new(), "{id}");
    }
    invariant::listed(System::Fcfs, &all)
}

fn assert_verdict(checks: &BTreeMap<String, CheckResult>, id: &str, verdict: Verdict, evidence: &str) {
    let check = &checks[id];
    assert_eq!(check.verdict, verdict, "{id}: {}", check.evidence);
    assert!(check.evidence.contains(evidence), "{id} says `{}`, not `{evidence}`", check.evidence);
}

/// What turns each of the built-in files' invariants red. The program itself has no place to keep it.
fn plants() -> BTreeMap<String, String> {
    let text = include_str!("../../crates/record/src/invariant/ecommerce/points.yaml");
    let all: BTreeMap<String, serde_yaml::Value> = serde_yaml::from_str(text).unwrap();
    all.into_iter().map(|(id, one)| (id, one["plant"].as_str().unwrap().to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn points_in_order_hold() {
    let place = Place::new(&[&TABLES[..], &SOUND].concat()).await;
    let report = place.verify(invariant::built_in(System::Ecommerce), &["PT1", "PT2", "PT3", "PT4", "PT5"]).await;
    let checks = results(&report);
    for id in ["PT1", "PT2", "PT4", "PT5"] {
        assert_verdict(&checks, id, Verdict::Holds, "none offends of 4");
    }
    assert_verdict(&checks, "PT3", Verdict::Holds, "none offends of 2");
    assert_eq!(report.verdict, Overall::Consistent);
    place.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_built_in_invariant_turns_red() {
    let plants = plants();
    assert_eq!(plants.len(), invariant::built_in(System::Ecommerce).len());
    for (id, plant) in &plants {
        let mut place = Place::new(&[&TABLES[..], &SOUND].concat()).await;
        place.run(plant).await;
        let checks = place.points().await;
        assert_verdict(&checks, id, Verdict::Violated, "offend; all of it in sets/invariant-");
        assert!(!checks[id].rows.is_empty(), "{id}");
        place.clean_up().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_exercised_is_unknown_and_what_is_not_there_is_left_out() {
    let mut place = Place::new(&TABLES).await;
    // A balance that is older than the first entry accuses nobody.
    place.run("INSERT INTO points VALUES (1, 100000)").await;
    let checks = place.points().await;
    for (id, check) in &checks {
        assert_verdict(&checks, id, Verdict::Unknown, "nothing exercised it");
        assert_eq!(check.rows, Vec::<String>::new());
    }
    assert_eq!(checks.len(), 5);
    place.run("DROP TABLE point_entries").await;
    let report = place.verify(invariant::built_in(System::Ecommerce), &["PT1"]).await;
    assert!(
        report.notes.contains(&"not looked at, as there is no table point_entries: PT1, PT2, PT3, PT4, PT5".to_owned())
    );
    let checks = results(&report);
    assert_eq!(checks.keys().collect::<Vec<_>>(), ["PT1"], "what is required gets a result");
    assert_verdict(&checks, "PT1", Verdict::Unknown, "there is no result");
    place.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_are_compared_key_by_key() {
    let place = Place::new(&[
        "CREATE TABLE stock (id INT PRIMARY KEY, n DECIMAL(10, 2))",
        "INSERT INTO stock VALUES (1, 5), (2, 7.50), (3, 0)",
    ])
    .await;
    let key = place.endpoints.mysql.database.clone();
    let client = place.endpoints.redis.client().unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let mut send = async |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query_async::<()>(&mut redis).await.unwrap();
    };
    send(&["HSET", &key, "1", "5", "2", "7.5", "3", "0"]).await;
    send(&["ZADD", &format!("{key}:z"), "1", "one", "2.5", "two"]).await;
    send(&["SET", &format!("{key}:one"), "5"]).await;
    let yaml = format!(
        r#"
SAME: {{says: row = hash, left: "SELECT n, id FROM stock", right: [HGETALL, "{key}"], key: id}}
SETS:
  says: row = sorted set
  left: SELECT 'one' AS id, 1 AS score UNION ALL SELECT 'two', 2.50
  right: [ZRANGE, "{key}:z", 0, -1, WITHSCORES]
  key: id
ONE: {{says: row = value, left: "SELECT '{key}:one' AS id, n FROM stock WHERE id = 1", right: [GET, "{key}:one"], key: id}}
KEYS: {{says: no such key, redis: [SCAN, MATCH, "{key}:*"], exercised: [HLEN, "{key}"], keep: 1}}
WRONG: {{says: of another type, redis: [SMEMBERS, "{key}"], exercised: [HLEN, "{key}"]}}
"#
    );
    let checks = results(&place.verify(listed(&yaml), &[]).await);
    assert_verdict(&checks, "SAME", Verdict::Holds, "row = hash: none offends of 3");
    assert_verdict(&checks, "SETS", Verdict::Holds, "none offends of 2");
    assert_verdict(&checks, "ONE", Verdict::Holds, "none offends of 1");
    assert_verdict(&checks, "KEYS", Verdict::Violated, "2 offend");
    assert_eq!(checks["KEYS"].rows.len(), 1, "`keep` says how many are listed");
    assert_verdict(&checks, "WRONG", Verdict::Unknown, "Redis at");
    send(&["HSET", &key, "2", "8"]).await;
    send(&["HDEL", &key, "3"]).await;
    let checks = results(&place.verify(listed(&yaml), &[]).await);
    assert_verdict(&checks, "SAME", Verdict::Violated, "2 offend");
    assert_eq!(checks["SAME"].rows, ["id 2, left 7.5, right 8", "id 3, left 0, right NULL"]);
    send(&["DEL", &key, &format!("{key}:z"), &format!("{key}:one")]).await;
    let mut away = place.endpoints.clone();
    away.redis.port = 1;
    let place = Place { endpoints: away, ..place };
    let checks = results(&place.verify(listed(&yaml), &[]).await);
    assert_verdict(&checks, "SAME", Verdict::Unknown, "right: Redis at 127.0.0.1:1");
    place.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_is_told_and_decides_nothing() {
    let place = Place::new(&["CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1), (2)"]).await;
    let yaml = "W1: {says: small, mysql: SELECT n FROM t WHERE n > 1, exercised: SELECT COUNT(*) FROM t, severity: warning}\n\
                G1: {says: any, mysql: SELECT n FROM t WHERE n > 2, exercised: SELECT COUNT(*) FROM t}\n";
    let report = place.verify(listed(yaml), &["G1"]).await;
    assert_verdict(&results(&report), "W1", Verdict::Violated, "small: 1 offend");
    assert_eq!(report.verdict, Overall::Consistent);
    // Required, it is not proven; and it is no violation either.
    assert_eq!(place.verify(listed(yaml), &["G1", "W1"]).await.verdict, Overall::Unproven);
    let violation = yaml.replace(", severity: warning", "");
    assert_eq!(place.verify(listed(&violation), &["G1"]).await.verdict, Overall::Violated);
    place.clean_up().await;
}

/// What the server itself says of the transaction that it is asked in.
#[tokio::test(flavor = "multi_thread")]
async fn all_statements_share_one_read_only_snapshot() {
    let mut place = Place::new(&["CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1)"]).await;
    let yaml = "RO: {says: read only, mysql: \"SELECT trx_id FROM information_schema.INNODB_TRX WHERE trx_is_read_only = 0 \
                AND trx_query LIKE '%the second wall%'\", exercised: \"SELECT COUNT(*) FROM information_schema.INNODB_TRX \
                WHERE trx_query LIKE '%the second wall%'\"}\n\
                CLOCK: {says: all of one moment, mysql: SELECT n FROM t WHERE n > 1, \
                exercised: \"WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c WHERE n < 900) \
                SELECT COUNT(*) FROM c a, c b, c d WHERE a.n + b.n + d.n > 0 AND b.n < 50\"}\n\
                LATER: {says: as before, mysql: SELECT n FROM t WHERE n > 1, exercised: SELECT COUNT(*) FROM t}\n";
    let listed = listed(yaml);
    let looking = place.verify(listed, &[]);
    let endpoints = place.endpoints.clone();
    let writing = async {
        // While the second one counts, the row that would offend is written.
        let mut other = Conn::new(endpoints.mysql.opts(0, 1)).await.unwrap();
        let busy = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'WITH RECURSIVE c%'";
        for _ in 0..1_000 {
            if other.query_first::<u64, _>(busy).await.unwrap() > Some(0) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        other.query_drop("INSERT INTO t VALUES (2)").await.unwrap();
    };
    let (report, ()) = tokio::join!(looking, writing);
    let checks = results(&report);
    assert_verdict(&checks, "RO", Verdict::Holds, "none offends of 1");
    assert_verdict(&checks, "LATER", Verdict::Holds, "none offends of 1");
    let rows: Option<u64> = place.sql.query_first("SELECT COUNT(*) FROM t").await.unwrap();
    assert_eq!(rows, Some(2), "it was written meanwhile");
    place.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_it_is_looked_at_accuses_nobody() {
    let place = Place::new(&["CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1)"]).await;
    let opts = place.endpoints.mysql.opts(0, 1);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let writing = tokio::spawn(async move {
        let mut other = Conn::new(opts).await.unwrap();
        while !stopped.is_cancelled() {
            other.query_drop("INSERT INTO t VALUES (1)").await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let yaml = "Q1: {says: at rest, mysql: SELECT n FROM t, exercised: SELECT COUNT(*) FROM t}\n\
                L1: {says: always, mysql: SELECT n FROM t, exercised: SELECT COUNT(*) FROM t, when: load}\n";
    let checks = results(&place.verify(listed(yaml), &[]).await);
    stop.cancel();
    writing.await.unwrap();
    assert_verdict(&checks, "Q1", Verdict::Unknown, "nothing is at rest");
    // A snapshot is one moment: what must hold at every moment does not hold in it.
    assert_verdict(&checks, "L1", Verdict::Violated, "offend");
    let checks = results(&place.verify(listed(yaml), &[]).await);
    assert_verdict(&checks, "Q1", Verdict::Violated, "offend");
    place.clean_up().await;
}

/// A statement that takes too long is ended on the server, too, and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_under_load_is_limited_in_time_and_tells_each_violation_once() {
    let mut place = Place::new(&["CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1)"]).await;
    let yaml = "SLOW: {says: slow, when: load, mysql: \"WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c \
                WHERE n < 900) SELECT SUM(a.n * b.n * d.n * e.n) FROM c a, c b, c d, c e\"}\n\
                BAD: {says: bad, when: load, mysql: SELECT n FROM t}\n\
                REST: {says: at rest, mysql: SELECT n FROM t}\n";
    let (tell, mut told) = tokio::sync::mpsc::channel(10);
    let stop = CancellationToken::new();
    let watching = tokio::spawn(verify::invariants::watch(place.endpoints.clone(), listed(yaml), tell, stop.clone()));
    let first = tokio::time::timeout(Duration::from_secs(20), told.recv()).await.unwrap().unwrap();
    assert_eq!((first.id.as_str(), first.verdict), ("BAD", Verdict::Violated));
    let busy = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'WITH RECURSIVE c%'";
    // The server may still be writing that it ended it.
    let mut goes_on = 1;
    for _ in 0..100 {
        goes_on = place.sql.query_first::<u64, _>(busy).await.unwrap().unwrap();
        if goes_on == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(goes_on, 0, "it goes on in the server");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), watching).await.unwrap().unwrap();
    assert!(told.recv().await.is_none(), "told once, and what must hold at rest is not looked at");
    place.clean_up().await;
}

/// Through the whole program: a profile's own checks decide its verdict, are kept with the run, and are looked at again.
#[test]
fn a_run_looks_at_the_invariants_of_its_profile() {
    let stack = support::shared();
    let path = stack.scratch().join("invariants.yaml");
    let own = "invariants:\n  ours: {file: ours.yaml, parameters: {table.holders: coupon_users}}\n";
    let profile = include_str!("profiles/small.yaml").replace("CP13]", "CP13, HOLDERS, GATE]");
    support::write(&path, &format!("{profile}{own}"));
    let file = r#"
HOLDERS:
  says: every holder is a user
  mysql: SELECT h.user_id FROM ${table.holders} h LEFT JOIN users u ON u.id = h.user_id WHERE u.id IS NULL
  exercised: SELECT COUNT(*) FROM ${table.holders}
  when: load
GATE: {says: who holds a coupon passed the gate, left: "SELECT user_id, 1 FROM coupon_users WHERE coupon_id = 9", right: [HGETALL, "none"], key: user_id, exercised: [HLEN, "coupon:{1}:users"]}
FEW: {says: few hold one, when: load, severity: warning, mysql: SELECT user_id FROM coupon_users, exercised: SELECT 1}
"#;
    support::write(&stack.scratch().join("ours.yaml"), file);
    let (code, summary) = stack.json(&["run", &path.to_string_lossy()]);
    let check = |object: &serde_json::Value, id: &str| -> serde_json::Value {
        let checks = object["checks"].as_array().unwrap();
        checks.iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("no {id}: {object:#}")).clone()
    };
    assert_eq!((code, &summary["verdict"]), (exit_of(&summary), &"consistent".into()), "{summary:#}");
    assert_eq!(check(&summary, "HOLDERS")["evidence"], "every holder is a user: none offends of 300");
    assert_eq!(check(&summary, "GATE")["verdict"], "holds");
    let few = check(&summary, "FEW");
    assert_eq!((&few["verdict"], &few["severity"]), (&"violated".into(), &"warning".into()));
    assert_eq!(few["rows"].as_array().unwrap().len(), 20);
    let folder = stack.state_dir().join("runs").join(summary["run"].as_str().unwrap());
    let kept = std::fs::read_to_string(folder.join("sets/invariant-FEW.ndjson")).unwrap();
    assert_eq!(kept.lines().count(), 301, "all of them, and a line that says what they are");
    let events = std::fs::read_to_string(folder.join("events.jsonl")).unwrap();
    let told = events.lines().filter(|line| line.contains("\"FEW\"")).count();
    assert_eq!(told, 2, "once while the load ran, and once at the end");
    let report = std::fs::read_to_string(folder.join("report.md")).unwrap();
    assert!(report.contains("| FEW | warning |"), "{report}");

    let run = summary["run"].as_str().unwrap();
    let (code, history) = stack.json(&["verify", "--history", run]);
    assert_eq!((code, &history["checks"]), (0, &summary["checks"]), "what was kept says the same");
    let (code, again) = stack.json(&["verify"]);
    assert_eq!((code, check(&again, "HOLDERS")["verdict"].as_str()), (0, Some("holds")), "{again:#}");

    // Another answer by the profile as it is now, on the same run.
    support::write(&stack.scratch().join("ours.yaml"), &file.replace("u.id IS NULL", "u.id IS NOT NULL"));
    let (code, now) = stack.json(&["verify", &path.to_string_lossy(), "--run", run]);
    assert_eq!((code, check(&now, "HOLDERS")["verdict"].as_str()), (3, Some("violated")), "{now:#}");

    // What breaks data on purpose is no key of a profile: nothing is started for it.
    support::write(
        &stack.scratch().join("ours.yaml"),
        &format!("{file}BAD: {{says: x, mysql: SELECT 1, plant: DROP TABLE users}}\n"),
    );
    for args in [&["run"][..], &["verify"], &["profiles", "check"]] {
        let output = stack.run(&[args, &[&path.to_string_lossy()]].concat());
        let text = support::both(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains("ours.yaml:9:") && text.contains("BAD.plant: unknown key `plant`"), "{text}");
    }
}
