//! What `verify` must find: each break, made by hand on a true run's data, and named by the right check.

use std::sync::OnceLock;

use mysql_async::{Conn, prelude::Queryable};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::{Stack, shared, write};

/// Runs the short event once; later tests mend what they broke, so that all stand on the same true data.
fn true_run(stack: &Stack) {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let path = stack.scratch().join("truth.yaml");
        write(&path, include_str!("profiles/small.yaml"));
        stack.ok(&["run", &path.to_string_lossy()]);
    });
    let (code, report) = stack.json(&["verify"]);
    assert_eq!((code, &report["verdict"]), (0, &"consistent".into()), "untouched data must pass: {report:#}");
}

fn verdict<'a>(report: &'a Value, id: &str) -> &'a str {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|c| c["id"] == id).and_then(|c| c["verdict"].as_str()).unwrap_or("absent")
}

/// Breaks, verifies, mends; then the untouched state must pass again.
fn broken(break_it: &[&str], mend: &[&str], expect: impl FnOnce(&Value)) {
    let stack = shared();
    true_run(&stack);
    sql(&stack, break_it);
    let (code, report) = stack.json(&["verify"]);
    sql(&stack, mend);
    assert_eq!((code, &report["verdict"]), (3, &"violated".into()), "{report:#}");
    expect(&report);
    let (code, report) = stack.json(&["verify"]);
    assert_eq!(code, 0, "mended data must pass: {report:#}");
}

fn sql(stack: &Stack, statements: &[&str]) {
    let opts = stack.endpoints().mysql.opts(0, 1);
    Runtime::new().unwrap().block_on(async {
        let mut conn = Conn::new(opts).await.unwrap();
        for statement in statements {
            conn.query_drop(*statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
        conn.disconnect().await.unwrap();
    });
}

fn redis_do(stack: &Stack, command: &[&str]) -> i64 {
    let client = stack.endpoints().redis.client().unwrap();
    let mut connection = client.get_connection().unwrap();
    redis::cmd(command[0]).arg(&command[1..]).query(&mut connection).unwrap()
}

const SAVE: &str = "CREATE TABLE saved AS SELECT * FROM coupon_users WHERE coupon_id = 1 ORDER BY id LIMIT 1";
const RESTORE: &str = "INSERT INTO coupon_users SELECT * FROM saved";

#[test]
fn a_deleted_row_is_a_lost_coupon() {
    let delete = "DELETE FROM coupon_users WHERE id IN (SELECT id FROM saved)";
    broken(&[SAVE, delete], &[RESTORE, "DROP TABLE saved"], |report| {
        assert_eq!(verdict(report, "CP5"), "violated", "{report:#}");
        assert_eq!(verdict(report, "CP7"), "violated", "{report:#}");
        assert_eq!(verdict(report, "CP2"), "holds", "{report:#}");
    });
}

#[test]
fn a_row_doubled_under_a_dropped_key_is_found_and_so_is_the_missing_key() {
    let drop = "ALTER TABLE coupon_users DROP INDEX uk_coupon_users_coupon_user";
    let double = "INSERT INTO coupon_users (coupon_id, user_id, event_id, grant_seq, created_at) \
                  SELECT coupon_id, user_id, UUID(), grant_seq, created_at FROM coupon_users WHERE coupon_id = 1 ORDER BY id LIMIT 1";
    let undouble = "DELETE FROM coupon_users WHERE coupon_id = 1 ORDER BY id DESC LIMIT 1";
    let restore = "ALTER TABLE coupon_users ADD UNIQUE INDEX uk_coupon_users_coupon_user (coupon_id, user_id)";
    broken(&[drop, double], &[undouble, restore], |report| {
        assert_eq!(verdict(report, "CP2"), "violated", "{report:#}");
    });
}

#[test]
fn a_row_for_a_refused_user_is_found() {
    // User 2000 came long after the last coupon, so every answer was a refusal.
    let add = "INSERT INTO coupon_users (coupon_id, user_id, event_id, grant_seq) VALUES (1, 2000, UUID(), 301)";
    let remove = "DELETE FROM coupon_users WHERE coupon_id = 1 AND user_id = 2000";
    broken(&[add], &[remove], |report| {
        assert_eq!(verdict(report, "CP6"), "violated", "{report:#}");
        assert_eq!(verdict(report, "CP4"), "violated", "{report:#}");
        assert_eq!(verdict(report, "CP1"), "violated", "{report:#}");
    });
}

#[test]
fn a_stock_changed_by_hand_is_found() {
    let stack = shared();
    true_run(&stack);
    redis_do(&stack, &["INCRBY", "coupon:{1}:stock", "5"]);
    let (code, report) = stack.json(&["verify"]);
    redis_do(&stack, &["DECRBY", "coupon:{1}:stock", "5"]);
    assert_eq!((code, verdict(&report, "CP3")), (3, "violated"), "{report:#}");
    assert_eq!(verdict(&report, "CP5"), "holds", "{report:#}");
}

#[test]
fn a_grant_without_a_row_is_found() {
    let stack = shared();
    true_run(&stack);
    redis_do(&stack, &["HSET", "coupon:{1}:users", "1999", "301"]);
    let (code, report) = stack.json(&["verify"]);
    redis_do(&stack, &["HDEL", "coupon:{1}:users", "1999"]);
    assert_eq!((code, verdict(&report, "CP7")), (3, "violated"), "{report:#}");
    let (code, report) = stack.json(&["verify"]);
    assert_eq!(code, 0, "{report:#}");
}
