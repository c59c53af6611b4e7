//! The gate's script and the opening of epochs, on a real Redis and MySQL.

use std::{sync::Arc, time::Duration};

use backend::{
    coupon::{
        epoch::{self, EpochError, LogEnds},
        event::PendingEvent,
        gate::{Answer, Gate},
        pending::{Acknowledged, Delivery},
    },
    redis_pool::RedisPool,
};
use contract::{
    claim::{GateKeys, gate_keys},
    system::System,
};
use mysql_async::prelude::Queryable;
use redis::AsyncCommands;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::backend_world::World;

async fn gate(world: &World) -> Gate {
    let (stop, tasks) = (CancellationToken::new(), tokio_util::task::TaskTracker::new());
    let pool = RedisPool::start(&world.endpoints.redis, 2, Duration::from_secs(2), &stop, &tasks).expect("starts");
    pool.link_within(Duration::from_secs(5)).await.map(drop).expect("connects");
    Gate::new(pool)
}

fn pending(epoch: &str, coupon_id: u64, user_id: u64) -> String {
    PendingEvent { event_id: Uuid::now_v7(), coupon_id, user_id, epoch: epoch.into(), granted_at_ms: 1 }.json()
}

async fn no_log() -> Result<LogEnds, EpochError> {
    Ok(LogEnds::default())
}

async fn opened(world: &World, quantity: u32) -> (u64, String, GateKeys) {
    let coupon = world.coupon(quantity).await;
    let epoch = epoch::open(&world.pool, &world.endpoints.redis, no_log, coupon, quantity).await.expect("opens");
    (coupon, epoch.id(), gate_keys(coupon))
}

#[tokio::test]
async fn the_script_answers_each_case() {
    let world = World::new().await;
    let gate = gate(&world).await;
    let (coupon, epoch, keys) = opened(&world, 2).await;
    let mut redis = world.redis().await;
    let ask = async |epoch: &str, user: u64, event: &str| gate.ask(&keys, epoch, user, event).await.expect("answers");

    let first = pending(&epoch, coupon, 1);
    assert_eq!(ask(&format!("{epoch}0"), 1, &first).await, Answer::Closed, "another counter");
    assert_eq!(ask(&epoch.replace(&epoch[..4], "ffff"), 1, &first).await, Answer::Closed, "another run id");
    assert_eq!(ask(&epoch, 1, &first).await, Answer::Granted(1));
    assert_eq!(ask(&epoch, 1, &first).await, Answer::Granted(1), "the same event, while pending");
    assert_eq!(ask(&epoch, 1, &pending(&epoch, coupon, 1)).await, Answer::Waiting, "another event, Kafka has none");
    assert_eq!(redis.get::<_, i64>(&keys.stock).await.expect("stock"), 1, "one grant took one");
    let score: f64 = redis.zscore(&keys.pending, format!("1|{first}")).await.expect("pending");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    assert!((score - now as f64).abs() < 60_000.0, "{score} is no time in milliseconds");

    let member = format!("1|{first}");
    let event = [Acknowledged { user_id: 1, grant_seq: 1, member: &member }];
    let done = async |epoch: &str| Delivery::default().done(gate.pool(), &keys, epoch, &event).await.expect("answers");
    done(&format!("{epoch}0")).await;
    assert_eq!(ask(&epoch, 1, &pending(&epoch, coupon, 1)).await, Answer::Waiting, "that was another epoch's");
    done(&epoch).await;
    assert_eq!(redis.zcard::<_, u64>(&keys.pending).await.expect("pending"), 0);
    assert_eq!(ask(&epoch, 1, &first).await, Answer::Duplicate, "the same event, delivered");
    assert_eq!(ask(&epoch, 1, &pending(&epoch, coupon, 1)).await, Answer::Duplicate, "another event, delivered");
    assert_eq!(redis.hget::<_, _, String>(&keys.users, 1).await.expect("asks"), "1", "as any reader expects it");
    // A gate of version 0.1 has no marks.
    let _: () = redis.hset(&keys.users, 77, "5").await.expect("sets");
    assert_eq!(ask(&epoch, 77, &pending(&epoch, coupon, 77)).await, Answer::Duplicate);

    let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut redis).await.expect("flushes");
    assert_eq!(ask(&epoch, 2, &pending(&epoch, coupon, 2)).await, Answer::Granted(2), "script loaded again");
    assert_eq!(ask(&epoch, 3, &pending(&epoch, coupon, 3)).await, Answer::SoldOut);
    assert_eq!(ask(&epoch, 2, &pending(&epoch, coupon, 2)).await, Answer::Waiting, "goes before sold out");
    assert_eq!(ask(&epoch, 1, &pending(&epoch, coupon, 1)).await, Answer::Duplicate, "and so does this");

    let _: () = redis.del(&keys.stock).await.expect("deletes");
    assert_eq!(ask(&epoch, 4, &pending(&epoch, coupon, 4)).await, Answer::Closed, "stock is missing");
    let _: () = redis.set(&keys.stock, "-1").await.expect("sets");
    assert_eq!(ask(&epoch, 4, &pending(&epoch, coupon, 4)).await, Answer::Closed, "stock is below nothing");
    let _: () = redis.set(&keys.stock, "5").await.expect("sets");
    let _: () = redis.hdel(&keys.epoch, "seq").await.expect("deletes");
    assert_eq!(ask(&epoch, 4, &pending(&epoch, coupon, 4)).await, Answer::Closed, "sequence is missing");
    let _: () = redis.del(&keys.epoch).await.expect("deletes");
    assert_eq!(ask(&epoch, 4, &pending(&epoch, coupon, 4)).await, Answer::Closed, "epoch is missing");
    assert_eq!(redis.get::<_, i64>(&keys.stock).await.expect("stock"), 5, "a closed gate changes nothing");
}

#[tokio::test]
async fn an_error_in_the_script_leaves_nothing_half_done() {
    let world = World::new().await;
    let gate = gate(&world).await;
    let (coupon, epoch, keys) = opened(&world, 2).await;
    let mut redis = world.redis().await;
    let _: () = redis.set(&keys.pending, "not a sorted set").await.expect("sets");
    assert!(gate.ask(&keys, &epoch, 1, &pending(&epoch, coupon, 1)).await.is_err());
    assert_eq!(redis.get::<_, i64>(&keys.stock).await.expect("stock"), 2);
    assert!(!redis.exists::<_, bool>(&keys.users).await.expect("asks"));
    assert_eq!(redis.hget::<_, _, i64>(&keys.epoch, "seq").await.expect("seq"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_gets_each_number_once() {
    let world = World::new().await;
    let gate = Arc::new(gate(&world).await);
    let (coupon, epoch, keys) = opened(&world, 50).await;
    let asks = (1..=400_u64).map(|i| {
        let (gate, epoch, keys) = (gate.clone(), epoch.clone(), keys.clone());
        // Each user asks twice.
        tokio::spawn(async move {
            let user = i % 200 + 1;
            gate.ask(&keys, &epoch, user, &pending(&epoch, coupon, user)).await.expect("answers")
        })
    });
    let mut numbers = Vec::new();
    for ask in asks.collect::<Vec<_>>() {
        if let Answer::Granted(n) = ask.await.expect("ends") {
            numbers.push(n);
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn opening_closes_first_and_starts_from_nothing() {
    let world = World::new().await;
    let gate = gate(&world).await;
    let (coupon, first, keys) = opened(&world, 3).await;
    let user = world.users(1).await[0];
    gate.ask(&keys, &first, user, &pending(&first, coupon, user)).await.expect("answers");
    let mut conn = world.pool.get_conn().await.expect("connects");
    let insert = "INSERT INTO coupon_users (coupon_id, user_id, event_id, grant_seq) VALUES (?, ?, ?, 1)";
    conn.exec_drop(insert, (coupon, user, Uuid::now_v7().to_string())).await.expect("inserts");

    let mut redis = world.redis().await;
    let epoch_key = keys.epoch.clone();
    let look = || async move {
        assert!(!redis.exists::<_, bool>(&epoch_key).await.expect("asks"), "open while the log is read");
        Ok(serde_json::from_str(r#"{"coupon-issue":{"0":123}}"#).expect("log ends"))
    };
    let second = epoch::open(&world.pool, &world.endpoints.redis, look, coupon, 7).await.expect("opens");
    assert_eq!((second.counter, second.floor, second.total), (2, 2, 7));

    assert!(world.holders(coupon).await.is_empty());
    let row: (u32, u32, String, u64) = conn
        .exec_first("SELECT quantity, issued, epoch, epoch_floor FROM coupons WHERE id = ?", (coupon,))
        .await
        .expect("selects")
        .expect("exists");
    assert_eq!(row, (7, 0, second.id(), 2));
    let starts: Vec<(u64, u64, String)> = conn
        .exec("SELECT counter, floor, log_starts FROM coupon_epochs WHERE coupon_id = ? ORDER BY counter", (coupon,))
        .await
        .expect("selects");
    assert_eq!(starts, [(1, 1, "{}".into()), (2, 2, r#"{"coupon-issue":{"0":123}}"#.into())]);

    assert_eq!(gate.ask(&keys, &first, 9, &pending(&first, coupon, 9)).await.expect("answers"), Answer::Closed);
    let again = gate.ask(&keys, &second.id(), user, &pending(&second.id(), coupon, user)).await;
    assert_eq!(again.expect("answers"), Answer::Granted(1));

    let missing = epoch::open(&world.pool, &world.endpoints.redis, no_log, u64::MAX, 1).await;
    assert!(matches!(missing, Err(EpochError::NoCoupon(_))), "{missing:?}");
}

#[tokio::test]
async fn migrations_repeat_and_run_side_by_side() {
    let world = World::new().await;
    let runs = (0..4).map(|_| backend::migrate::run(&world.pool, System::default()));
    for run in futures_util::future::join_all(runs).await {
        run.expect("migrates again");
    }
    let mut conn = world.pool.get_conn().await.expect("connects");
    let versions: Vec<u32> = conn.query("SELECT version FROM schema_migrations ORDER BY version").await.expect("reads");
    let known = System::default().description().schema.len() as u32;
    assert_eq!(versions, (1..=known).collect::<Vec<_>>());
}
