//! The second system from profile to verdict, in a state folder of its own: what it is called, and what its runs prove.

use std::{
    process::Stdio,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use mysql_async::{Conn, prelude::Queryable};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::{Stack, both, exit_of, wait, went_well, write};

/// Few consumers and no goals: what is asked for is the verdict.
const PLAIN: [&str; 4] = ["--set", "goals={}", "--set", "backend.consumers=3"];

/// Its servers, up; one test at a time has them.
fn up() -> MutexGuard<'static, Stack> {
    static UP: OnceLock<Mutex<Stack>> = OnceLock::new();
    let stack = UP.get_or_init(|| {
        let stack = Stack::empty();
        stack.ok(&["up", "fcfs-quick"]);
        Mutex::new(stack)
    });
    stack.lock().unwrap_or_else(PoisonError::into_inner)
}

fn query(stack: &Stack, statements: &[&str]) -> Vec<u64> {
    let opts = stack.endpoints().mysql.opts(0, 1);
    Runtime::new().unwrap().block_on(async {
        let mut conn = Conn::new(opts).await.unwrap();
        let mut last = Vec::new();
        for statement in statements {
            last = conn.query(*statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
        conn.disconnect().await.unwrap();
        last
    })
}

fn verdict<'a>(report: &'a Value, id: &str) -> &'a str {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|c| c["id"] == id).and_then(|c| c["verdict"].as_str()).unwrap_or("absent")
}

/// All was consistent, `rows` people hold coupon 11, each once, and `left` are left.
fn assert_issued(stack: &Stack, summary: &Value, rows: u64, left: u64) {
    assert_eq!((&summary["system"], &summary["verdict"]), (&"fcfs".into(), &"consistent".into()), "{summary:#}");
    let found = query(
        stack,
        &["SELECT COUNT(*) FROM coupon_users WHERE coupon_id = 11 UNION ALL \
           SELECT COUNT(DISTINCT user_id) FROM coupon_users WHERE coupon_id = 11 AND user_id <= 50 UNION ALL \
           SELECT issued FROM coupons WHERE id = 11"],
    );
    assert_eq!(found, [rows, rows, rows], "{summary:#}");
    let client = stack.endpoints().redis.client().unwrap();
    let unsold: u64 = redis::cmd("GET").arg("coupon:{11}:stock").query(&mut client.get_connection().unwrap()).unwrap();
    assert_eq!(unsold, left, "{summary:#}");
}

/// Runs `args`, and does `harm` once coupons are asked for.
fn run_with_harm(stack: &Stack, args: &[&str], harm: impl FnOnce(&Stack)) -> (i32, Value) {
    let runs = || stack.state_dir().join("runs").read_dir().into_iter().flatten().flatten().count();
    let before = runs();
    let args = [&["run"], args, &PLAIN, &["--format", "json"]].concat();
    let child = stack.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let since = Instant::now();
    let loaded = || {
        let mut all: Vec<_> = stack.state_dir().join("runs").read_dir().into_iter().flatten().flatten().collect();
        all.sort_by_key(std::fs::DirEntry::file_name);
        let events = all.last().map(|run| run.path().join("events.jsonl"));
        runs() > before
            && events.is_some_and(|e| std::fs::read_to_string(e).is_ok_and(|t| t.contains(r#""type":"load""#)))
    };
    while !loaded() {
        assert!(since.elapsed() < Duration::from_secs(90), "no load");
        std::thread::sleep(Duration::from_millis(50));
    }
    harm(stack);
    let output = wait(child, Duration::from_secs(180));
    let summary = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{}", both(&output)));
    (output.status.code().unwrap_or(-1), summary)
}

fn kill_9(stack: &Stack, name: &str) {
    let needle = format!("{name}.json");
    let line = stack.processes().into_iter().find(|line| line.contains(&needle)).unwrap_or_else(|| panic!("no {name}"));
    kill(Pid::from_raw(line.split(' ').next().unwrap().parse().unwrap()), Signal::SIGKILL).unwrap();
}

/// The team's own test and its figures: 100 coupons, 50 people, 50 rows, 50 left; all of their goals.
#[test]
fn the_teams_quick_test_gives_each_of_fifty_people_one() {
    let stack = up();
    let output = stack.run(&["run", "fcfs-quick", "--format", "json"]);
    assert!(went_well(&output), "{}", both(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_issued(&stack, &summary, 50, 50);
    assert!(summary["outcomes"]["DUPLICATE"].as_u64() > Some(50), "everybody asks again: {summary:#}");
    for check in ["SY1", "CP1", "CP2", "CP3", "CP4", "CP5", "CP7", "CP8", "CP9", "CP13", "CP14"] {
        assert_eq!(verdict(&summary, check), "holds", "{check}: {summary:#}");
    }
    assert_eq!(verdict(&summary, "CP6"), "unknown", "nobody was refused: {summary:#}");
}

/// Whatever is asked of the stack is answered for the system that is up.
#[test]
fn every_command_means_the_system_that_is_up() {
    let stack = up();
    let (_, env) = stack.json(&["env"]);
    assert!(env["MYSQL_URL"].as_str().unwrap().ends_with("/fcfs_db"), "no database of its own");
    let (_, topics) = stack.json(&["topics", "list"]);
    let partitions = |name: &str| {
        let all = topics.as_array().unwrap_or_else(|| panic!("{topics:#}"));
        all.iter().find(|t| t["name"] == name).and_then(|t| t["partitions"].as_u64())
    };
    assert_eq!(partitions("coupon-issue-requested"), Some(10), "{topics:#}");
    assert_eq!(partitions("coupon-issue-requested.DLT"), Some(1), "{topics:#}");
    assert_eq!(partitions("coupon-issue"), None, "{topics:#}");
    let lag = stack.run(&["lag", "--samples", "1", "--format", "json"]);
    let said = String::from_utf8_lossy(&lag.stdout).into_owned();
    assert!(said.contains("coupon-fcfs-group") && said.contains("coupon-issue-requested"), "{}", both(&lag));
    let (_, status) = stack.json(&["status"]);
    let rows = status["lag"].as_array().unwrap_or_else(|| panic!("{status:#}"));
    assert!(rows.len() == 10 && rows.iter().all(|row| row["topic"] == "coupon-issue-requested"), "{status:#}");

    for args in
        [&["up", "coupon-quick"][..], &["seed", "coupon-quick"], &["serve", "coupon-quick"], &["topics", "create"]]
    {
        let refused = stack.run(args);
        assert_eq!(refused.status.code(), Some(1), "{}", both(&refused));
        assert!(both(&refused).contains("the stack of fcfs is up"), "{}", both(&refused));
    }
    for (args, says) in [
        (&["seed", "fcfs-quick", "--products", "5"][..], "the system fcfs has no products"),
        (&["seed", "fcfs-quick", "--via", "api"], "public ids"),
    ] {
        let refused = stack.run(args);
        assert!(refused.status.code() == Some(2) && both(&refused).contains(says), "{}", both(&refused));
    }
    let text = include_str!("../../profiles/fcfs-quick.yaml").replace("users: 1000", "users: 1000\n  products: 5");
    let wrong = stack.scratch().join("wrong.yaml");
    write(&wrong, &text);
    let refused = stack.run(&["run", &wrong.to_string_lossy()]);
    assert_eq!(refused.status.code(), Some(2), "{}", both(&refused));
    assert!(both(&refused).contains("wrong.yaml:8:3: seed.products"), "{}", both(&refused));
}

/// A seed knows its own rows again, and mends a public id that follows from nothing.
#[test]
fn public_ids_are_those_that_follow_from_the_ids() {
    let stack = up();
    let written = |report: &Value| {
        let users = report["tables"].as_array().unwrap().iter().find(|t| t["table"] == "users").unwrap();
        (users["asked"].as_u64(), users["found"].as_u64(), users["inserted"].as_u64(), users["removed"].as_u64())
    };
    let (code, first) = stack.json(&["seed", "fcfs-quick"]);
    assert_eq!((code, written(&first).1), (0, Some(1_000)), "{first:#}");
    let (_, again) = stack.json(&["seed", "fcfs-quick"]);
    assert_eq!(written(&again), (Some(1_000), Some(1_000), Some(0), Some(0)), "{again:#}");
    query(&stack, &["UPDATE users SET public_id = UPPER(public_id) WHERE id = 7"]);
    query(&stack, &["UPDATE users SET public_id = UUID() WHERE id = 8"]);
    let (_, mended) = stack.json(&["seed", "fcfs-quick"]);
    assert_eq!(written(&mended), (Some(1_000), Some(1_000), Some(2), Some(2)), "{mended:#}");
}

#[test]
fn thirty_of_fifty_people_get_one_and_the_others_are_refused_in_order() {
    let stack = up();
    let (code, summary) = stack.json(&[&["run", "fcfs-scarce"], &PLAIN[..]].concat());
    assert_eq!(code, exit_of(&summary), "{summary:#}");
    assert_issued(&stack, &summary, 30, 0);
    assert!(summary["outcomes"]["SOLD_OUT"].as_u64() >= Some(20), "{summary:#}");
    for check in ["CP6", "CP10"] {
        assert_eq!(verdict(&summary, check), "holds", "{check}: {summary:#}");
    }

    // Each break, made by hand on these true data, is found by the right check, and mended.
    let drop = "ALTER TABLE coupon_users DROP INDEX uk_coupon_users_coupon_user";
    let double = "INSERT INTO coupon_users (coupon_id, user_id, event_id, grant_seq) \
                  SELECT coupon_id, user_id, UUID(), grant_seq FROM coupon_users WHERE coupon_id = 11 ORDER BY id LIMIT 1";
    let last = "DELETE FROM coupon_users WHERE coupon_id = 11 ORDER BY id DESC LIMIT 1";
    let key = "ALTER TABLE coupon_users ADD UNIQUE INDEX uk_coupon_users_coupon_user (coupon_id, user_id)";
    let save = "CREATE TABLE saved AS SELECT * FROM coupon_users WHERE coupon_id = 11 ORDER BY id LIMIT 1";
    let delete = "DELETE FROM coupon_users WHERE id IN (SELECT id FROM saved)";
    let refused = "INSERT INTO coupon_users (coupon_id, user_id, event_id, grant_seq) \
                   SELECT 11, MIN(id), UUID(), 31 FROM users WHERE id <= 50 \
                   AND id NOT IN (SELECT user_id FROM coupon_users WHERE coupon_id = 11)";
    for (harm, mend, violated) in [
        (&[drop, double][..], &[last, key][..], "CP2"),
        (&[save, delete], &["INSERT INTO coupon_users SELECT * FROM saved", "DROP TABLE saved"], "CP5"),
        (&[refused], &[last], "CP6"),
    ] {
        query(&stack, harm);
        let (code, report) = stack.json(&["verify"]);
        query(&stack, mend);
        assert_eq!((code, verdict(&report, violated)), (3, "violated"), "{violated}: {report:#}");
        let (code, report) = stack.json(&["verify"]);
        assert_eq!(code, 0, "mended data must pass: {report:#}");
    }
}

#[test]
fn a_consumer_killed_in_the_middle_changes_nothing() {
    let stack = up();
    let (code, summary) = run_with_harm(&stack, &["fcfs-scarce"], |stack| kill_9(stack, "consumer-1"));
    assert_eq!(code, exit_of(&summary), "{summary:#}");
    assert_issued(&stack, &summary, 30, 0);
    assert_eq!(summary["restarts"]["consumer-1"], 1, "it was killed and came back");
}

/// Between gate and send, so that a grant is pending and nobody knows of it but Redis.
#[test]
fn an_api_killed_between_gate_and_send_leaves_no_hole() {
    let stack = up();
    let failpoint = r#"backend.failpoints={"api.after_gate": "kill@20"}"#;
    let quick = ["--set", "backend.producer.delivery_timeout=2s", "--set", "backend.http.request_timeout=2s"];
    let (code, summary) = run_with_harm(&stack, &[&["fcfs-scarce", "--set", failpoint], &quick[..]].concat(), |_| {});
    assert_eq!(code, exit_of(&summary), "{summary:#}");
    assert_issued(&stack, &summary, 30, 0);
    assert_eq!(summary["restarts"]["api-1"], 1, "it was killed and came back");
}
