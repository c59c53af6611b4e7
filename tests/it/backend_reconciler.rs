//! The reconciler: a grant that was never sent, and a gate that Redis lost.

use std::{sync::Arc, time::Duration};

use backend::{
    coupon::{
        event::{PendingEvent, epoch_counter},
        gate::{Answer, Gate},
        metrics::Metrics,
        reconciler::{Parts, Reconciler, Round},
    },
    redis_pool::RedisPool,
    telemetry,
};
use contract::claim::gate_keys;
use mysql_async::prelude::Queryable;
use redis::AsyncCommands;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::backend_world::{World, event, until};

async fn reconciler(world: &World, topic: &str) -> (Reconciler, Gate) {
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let pool = RedisPool::start(&world.endpoints.redis, 1, Duration::from_secs(2), &stop, &tasks).expect("starts");
    pool.link_within(Duration::from_secs(5)).await.map(drop).expect("connects");
    let parts = Parts {
        db: world.db(),
        pool: pool.clone(),
        redis: world.endpoints.redis.clone(),
        kafka: world.endpoints.kafka.clone(),
        producer: Arc::new(world.producer()),
        topic: topic.to_owned(),
        after: Duration::from_millis(400),
        closed_for: Duration::from_millis(400),
        metrics: Metrics::new(&telemetry::Metrics::new()),
    };
    (Reconciler::new(parts), Gate::new(pool))
}

fn pending(epoch: &str, coupon_id: u64, user_id: u64) -> String {
    PendingEvent { event_id: Uuid::now_v7(), coupon_id, user_id, epoch: epoch.into(), granted_at_ms: 1 }.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_was_never_sent_becomes_a_row() {
    let world = World::new().await;
    let topic = world.topic(1).await;
    let coupon = world.coupon(5).await;
    let epoch = world.open(coupon, 5, &topic).await.id();
    let user = world.users(1).await[0];
    let (mut reconciler, gate) = reconciler(&world, &topic).await;
    let keys = gate_keys(coupon);
    let answer = gate.ask(&keys, &epoch, user, &pending(&epoch, coupon, user)).await.expect("answers");
    assert_eq!(answer, Answer::Granted(1));

    let mut round = Round::default();
    reconciler.coupon(coupon, &epoch, &mut round).await.expect("looks");
    assert_eq!(round.sent, 0, "too young");
    tokio::time::sleep(Duration::from_millis(500)).await;
    reconciler.coupon(coupon, &epoch, &mut round).await.expect("looks");
    assert_eq!(round.sent, 1);
    let mut redis = world.redis().await;
    assert_eq!(redis.zcard::<_, u64>(&keys.pending).await.expect("asks"), 0);
    let consumer = world.consume(&topic);
    until("the row is there", async || world.holders(coupon).await == [user]).await;
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_gate_is_rebuilt_from_rows_and_log() {
    let world = World::new().await;
    let topic = world.topic(2).await;
    let coupon = world.coupon(6).await;
    // What an earlier epoch has left in the log does not count.
    let before = world.open(coupon, 6, &topic).await;
    world.produce(&topic, &[event(&before, 999_999, 1).json()]).await;
    let epoch = world.open(coupon, 6, &topic).await;
    let users = world.users(6).await;
    // Number 1 is a row, 2 and 3 are in the log, 4 is in Redis only.
    let mut conn = world.pool.get_conn().await.expect("connects");
    let insert = "INSERT INTO coupon_users (coupon_id, user_id, event_id, grant_seq) VALUES (?, ?, ?, 1)";
    conn.exec_drop(insert, (coupon, users[0], Uuid::now_v7().to_string())).await.expect("inserts");
    world.produce(&topic, &[event(&epoch, users[1], 2).json(), event(&epoch, users[2], 3).json()]).await;
    let keys = gate_keys(coupon);
    let mut redis = world.redis().await;
    let everything = [&keys.stock, &keys.users, &keys.pending, &keys.epoch];
    let _: () = redis.del(&everything).await.expect("deletes");

    let (mut reconciler, gate) = reconciler(&world, &topic).await;
    let mut round = Round::default();
    reconciler.coupon(coupon, &epoch.id(), &mut round).await.expect("looks");
    reconciler.coupon(coupon, &epoch.id(), &mut round).await.expect("looks");
    assert_eq!((round.rebuilt, round.waiting), (0, 2), "not closed for long enough");
    tokio::time::sleep(Duration::from_millis(500)).await;
    reconciler.coupon(coupon, &epoch.id(), &mut round).await.expect("rebuilds");
    assert_eq!(round.rebuilt, 1);

    let query = "SELECT epoch, epoch_floor FROM coupons WHERE id = ?";
    let (new, floor): (String, u64) = conn.exec_first(query, (coupon,)).await.expect("selects").expect("exists");
    assert_eq!((epoch_counter(&new), floor), (Some(epoch.counter + 1), epoch.floor), "a new counter, the same floor");
    let starts: Vec<String> = conn
        .exec("SELECT DISTINCT log_starts FROM coupon_epochs WHERE coupon_id = ? AND floor = ?", (coupon, floor))
        .await
        .expect("selects");
    assert_eq!(starts.len(), 1, "{starts:?}");
    assert_eq!(redis.get::<_, u64>(&keys.stock).await.expect("asks"), 3);
    for user in &users[..3] {
        let answer = gate.ask(&keys, &new, *user, &pending(&new, coupon, *user)).await.expect("answers");
        assert_eq!(answer, Answer::Duplicate);
    }
    for (user, seq) in users[3..].iter().zip(4..) {
        let answer = gate.ask(&keys, &new, *user, &pending(&new, coupon, *user)).await.expect("answers");
        assert_eq!(answer, Answer::Granted(seq), "numbers go on after the highest");
    }
    let answer = gate.ask(&keys, &new, 1_000_000, &pending(&new, coupon, 1_000_000)).await.expect("answers");
    assert_eq!(answer, Answer::SoldOut);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_from_another_life_of_redis_is_closed_and_rebuilt() {
    let world = World::new().await;
    let topic = world.topic(1).await;
    let coupon = world.coupon(3).await;
    world.open(coupon, 3, &topic).await;
    // As after a restart with persistence: everything is there, only the run id is another one.
    let old = "0123456789012345678901234567890123456789:1";
    let mut conn = world.pool.get_conn().await.expect("connects");
    conn.exec_drop("UPDATE coupons SET epoch = ? WHERE id = ?", (old, coupon)).await.expect("updates");
    let mut redis = world.redis().await;
    let keys = gate_keys(coupon);
    let _: () = redis.hset(&keys.epoch, "id", old).await.expect("sets");
    let (mut reconciler, gate) = reconciler(&world, &topic).await;
    let answer = gate.ask(&keys, old, 1, &pending(old, coupon, 1)).await.expect("answers");
    assert_eq!(answer, Answer::Closed);
    let mut round = Round::default();
    reconciler.coupon(coupon, old, &mut round).await.expect("closes");
    assert!(!redis.exists::<_, bool>(&keys.epoch).await.expect("asks"), "closed for everybody");
    tokio::time::sleep(Duration::from_millis(500)).await;
    reconciler.coupon(coupon, old, &mut round).await.expect("rebuilds");
    assert_eq!(round.rebuilt, 1);
    let new: String = redis.hget(&keys.epoch, "id").await.expect("asks");
    let answer = gate.ask(&keys, &new, 1, &pending(&new, coupon, 1)).await.expect("answers");
    assert_eq!(answer, Answer::Granted(1));
}

/// A Redis that came back with what it had saved still has grants that Kafka never acknowledged. They are not given to
/// somebody else: their users keep them.
#[tokio::test(flavor = "multi_thread")]
async fn what_redis_kept_pending_is_not_taken_back() {
    let world = World::new().await;
    let topic = world.topic(1).await;
    let coupon = world.coupon(2).await;
    world.open(coupon, 2, &topic).await;
    let user = world.users(1).await[0];
    let old = "0123456789012345678901234567890123456789:6f1c9a02b7de:1";
    let mut conn = world.pool.get_conn().await.expect("connects");
    conn.exec_drop("UPDATE coupons SET epoch = ? WHERE id = ?", (old, coupon)).await.expect("updates");
    let mut redis = world.redis().await;
    let keys = gate_keys(coupon);
    let _: () = redis.hset(&keys.users, user, "1?").await.expect("sets");
    let _: () = redis.hset(&keys.epoch, "id", old).await.expect("sets");
    let kept = format!("1|{}", pending(old, coupon, user));
    // One of an earlier epoch was dropped by the rebuild that ended it.
    let dropped = format!("9|{}", pending("0123:6f1c9a02b7de:0", coupon, 999));
    let _: () = redis.zadd_multiple(&keys.pending, &[(1, kept), (1, dropped)]).await.expect("adds");

    let (mut reconciler, gate) = reconciler(&world, &topic).await;
    let mut round = Round::default();
    reconciler.coupon(coupon, old, &mut round).await.expect("closes");
    tokio::time::sleep(Duration::from_millis(500)).await;
    reconciler.coupon(coupon, old, &mut round).await.expect("rebuilds");
    assert_eq!(round.rebuilt, 1);
    assert_eq!(world.read(&topic).await.len(), 1, "the kept one is in Kafka, the dropped one is not");
    let new: String = redis.hget(&keys.epoch, "id").await.expect("asks");
    assert_eq!(backend::coupon::event::epoch_life(&new), "6f1c9a02b7de", "a rebuild begins no new life");
    let answer = gate.ask(&keys, &new, user, &pending(&new, coupon, user)).await.expect("answers");
    assert_eq!(answer, Answer::Duplicate, "and Kafka has it");
    assert_eq!(redis.get::<_, u64>(&keys.stock).await.expect("asks"), 1);
}
