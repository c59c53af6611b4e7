//! Points on a real MySQL: one entry a key, and a ledger whose sum is the balance.

use contract::system::System;
use futures_util::future::join_all;
use mysql_async::{Conn, Pool, prelude::Queryable};
use serde_json::Value;

use crate::{
    backend_api::{Answer, Process, call, call_with, start},
    backend_world::World,
    support::servers,
};

async fn change(api: &Process, user: u64, what: &str, key: &str, amount: i64) -> Answer {
    let (path, header) = (format!("/api/users/{user}/points/{what}"), format!("Idempotency-Key: {key}\r\n"));
    call_with(api.address, "POST", &path, &header, &format!(r#"{{"amount":{amount}}}"#)).await
}

async fn balance(api: &Process, user: u64) -> Value {
    call(api.address, "GET", &format!("/api/users/{user}/points"), "").await.body["balance"].take()
}

/// Entries of `user`, their sum, and how many of them do not follow from the one before.
async fn ledger(world: &World, user: u64) -> (u64, i64, u64) {
    let mut conn = world.pool.get_conn().await.expect("connects");
    let query = "SELECT delta, balance_after FROM point_entries WHERE user_id = ? ORDER BY id";
    let entries: Vec<(i64, i64)> = conn.exec(query, (user,)).await.expect("reads");
    let (mut sum, mut wrong) = (0, 0);
    for (delta, after) in &entries {
        sum += delta;
        wrong += u64::from(sum != *after);
    }
    (entries.len() as u64, sum, wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_entered_once_and_the_sum_is_the_balance() {
    let world = World::new().await;
    let api = start(&world).await;
    let user = world.users(1).await[0];
    assert_eq!(balance(&api, user).await, 0, "who never had points has none");

    let first = change(&api, user, "charge", "k1", 1_000).await;
    assert_eq!((first.status, &first.body["balance"]), (200, &1_000.into()), "{}", first.body);
    assert_eq!(change(&api, user, "use", "k2", 300).await.body["balance"], 700);
    let again = change(&api, user, "charge", "k1", 1_000).await;
    assert_eq!((again.status, &again.body), (200, &first.body), "the same answer");
    for (what, amount) in [("charge", 999), ("use", 1_000)] {
        let other = change(&api, user, what, "k1", amount).await;
        assert_eq!((other.status, other.body["result"].as_str()), (409, Some("KEY_REUSED")), "{}", other.body);
    }
    let much = change(&api, user, "use", "k3", 701).await;
    assert_eq!((much.status, much.body["result"].as_str()), (422, Some("INSUFFICIENT")), "{}", much.body);
    assert_eq!(change(&api, user, "use", "k3", 700).await.status, 200, "a refusal leaves no entry");
    assert_eq!((balance(&api, user).await, ledger(&world, user).await), (0.into(), (3, 0, 0)));
    api.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_neither_double_nor_overdraw() {
    let world = World::new().await;
    let api = start(&world).await;
    let user = world.users(1).await[0];
    // The first of them makes the balance's row, whoever it is.
    let charges = join_all((0..16).map(|_| change(&api, user, "charge", "same", 1_000))).await;
    assert!(charges.iter().all(|a| a.status == 200 && a.body == charges[0].body), "{:?}", charges[0].body);
    let keys: Vec<String> = (0..16).map(|n| format!("use-{n}")).collect();
    let spent = join_all(keys.iter().map(|key| change(&api, user, "use", key, 100))).await;
    let count = |status| spent.iter().filter(|a| a.status == status).count();
    assert_eq!((count(200), count(422)), (10, 6));
    assert_eq!((balance(&api, user).await, ledger(&world, user).await), (0.into(), (11, 0, 0)));
    api.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_for_points_get_a_clear_answer() {
    let world = World::new().await;
    let api = start(&world).await;
    let user = world.users(1).await[0];
    let path = |user: &str| format!("/api/users/{user}/points/charge");
    let mine = path(&user.to_string());
    let (key, good) = ("Idempotency-Key: k\r\n", r#"{"amount":1}"#);
    let long = format!("Idempotency-Key: {}\r\n", "k".repeat(201));
    let cases = [
        (mine.as_str(), "", good, 400, "is missing"),
        (&mine, "Idempotency-Key:\r\n", good, 400, "is empty"),
        (&mine, &long, good, 400, "has 201 characters"),
        (&mine, "Idempotency-Key: a\r\nIdempotency-Key: b\r\n", good, 400, "is there twice"),
        (&mine, "Idempotency-Key: \u{fc}\r\n", good, 400, "visible ASCII"),
        (&mine, key, "", 422, "empty"),
        (&mine, key, r#"{"amount":0}"#, 422, "at least 1"),
        (&mine, key, r#"{"amount":-5}"#, 422, "at least 1"),
        (&mine, key, r#"{"amount":1.5}"#, 422, "1.5"),
        (&path("x"), key, good, 422, "not a number"),
        (&path("18446744073709551615"), key, good, 404, "there is no user"),
    ];
    for (path, headers, body, status, says) in cases {
        let answer = call_with(api.address, "POST", path, headers, body).await;
        let error = answer.body["error"].as_str().unwrap_or_else(|| panic!("{path} {headers}: no JSON error"));
        assert_eq!((answer.status, error.contains(says)), (status, true), "{path} {headers}: {error}");
    }
    assert_eq!(change(&api, user, "charge", "k", i64::MAX).await.status, 200);
    let over = change(&api, user, "charge", "k2", 1).await;
    assert_eq!((over.status, over.body["error"].as_str()), (422, Some("no balance can be that large")));
    assert_eq!(call(api.address, "GET", "/api/users/18446744073709551615/points", "").await.status, 404);
    api.end().await;
}

/// A database of an earlier version has balances and no ledger.
#[tokio::test]
async fn a_migration_opens_the_balances_that_it_finds() {
    let mut endpoint = servers().mysql;
    let mut admin = Conn::new(endpoint.opts(0, 1)).await.expect("connects");
    endpoint.database = format!("ecom_points_{}", std::process::id());
    admin.query_drop(format!("CREATE DATABASE {}", endpoint.database)).await.expect("creates");
    let pool = Pool::new(endpoint.opts(0, 2));
    backend::migrate::run(&pool, System::default()).await.expect("migrates");
    let mut conn = pool.get_conn().await.expect("connects");
    for sql in [
        "DROP TABLE point_entries",
        "DELETE FROM schema_migrations WHERE version > 2",
        "INSERT INTO points (user_id, balance) VALUES (1, 100000), (2, 7)",
    ] {
        conn.query_drop(sql).await.expect("goes back");
    }
    for _ in 0..2 {
        backend::migrate::run(&pool, System::default()).await.expect("migrates");
        let entries: Vec<(u64, String, i64, i64)> = conn
            .query("SELECT user_id, kind, delta, balance_after FROM point_entries ORDER BY user_id")
            .await
            .expect("reads");
        assert_eq!(entries, [(1, "open".into(), 100_000, 100_000), (2, "open".into(), 7, 7)]);
    }
    drop(conn);
    pool.disconnect().await.expect("ends");
    admin.query_drop(format!("DROP DATABASE {}", endpoint.database)).await.expect("drops");
}
