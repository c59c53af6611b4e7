//! The consumer on a real Kafka and MySQL: rows before offsets, and only the bad record is put aside.

use std::time::Duration;

use backend::{
    consumer::{Record, SESSION, Sink as _},
    coupon::consumer::Writer,
};
use contract::{
    human::HumanDuration,
    names::{HEADER_ERROR, HEADER_OFFSET, HEADER_PARTITION, HEADER_TOPIC, dead_letter_topic},
};
use mysql_async::prelude::Queryable;

use crate::backend_world::{World, event, until};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_poison_among_many_is_dead() {
    let mut world = World::new().await;
    world.settings.consumer.batch_wait = HumanDuration::from_millis(200);
    let topic = world.topic(1).await;
    let coupon = world.coupon(100).await;
    let epoch = world.open(coupon, 100, &topic).await;
    let users = world.users(40).await;
    let mut values: Vec<String> = users.iter().zip(1..).map(|(user, seq)| event(&epoch, *user, seq).json()).collect();
    let nobody = event(&epoch, u64::MAX / 2, 41).json();
    values.insert(13, nobody.clone());
    values.insert(27, "{not json".into());
    values.insert(30, values[3].clone());
    world.produce(&topic, &values).await;

    let consumer = world.consume(&topic);
    until("everything is committed", async || world.committed(&topic).await == 43).await;
    assert_eq!(world.holders(coupon).await, users);
    assert_eq!(world.issued(coupon).await, 40);
    let dead = world.read(&dead_letter_topic(&topic)).await;
    let mut dead_values: Vec<&[u8]> = dead.iter().map(|(value, _)| value.as_slice()).collect();
    dead_values.sort_unstable();
    assert_eq!(
        dead_values,
        [nobody.as_bytes(), b"{not json"]
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    for (value, headers) in &dead {
        let offset = if value == nobody.as_bytes() { "13" } else { "27" };
        assert_eq!(headers[HEADER_TOPIC], topic);
        assert_eq!(headers[HEADER_PARTITION], "0");
        assert_eq!(headers[HEADER_OFFSET], offset);
        assert!(!headers[HEADER_ERROR].is_empty());
    }
    assert!(consumer.health.ready());
    assert_eq!((consumer.metrics.rows.get(), consumer.metrics.dead.get()), (40, 2));
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redelivery_changes_nothing() {
    let world = World::new().await;
    let topic = world.topic(3).await;
    let coupon = world.coupon(50).await;
    let epoch = world.open(coupon, 50, &topic).await;
    let users = world.users(20).await;
    let values: Vec<String> = users.iter().zip(1..).map(|(user, seq)| event(&epoch, *user, seq).json()).collect();
    world.produce(&topic, &values).await;
    let consumer = world.consume(&topic);
    until("the rows are there", async || world.holders(coupon).await.len() == 20).await;
    world.produce(&topic, &values).await;
    // A redelivery mixed with something new.
    let late = world.users(1).await[0];
    world.produce(&topic, &[values[0].clone(), event(&epoch, late, 21).json()]).await;
    until("everything is committed", async || world.committed(&topic).await == 42).await;
    assert_eq!(world.holders(coupon).await.len(), 21);
    assert_eq!(world.issued(coupon).await, 21);
    assert_eq!(consumer.metrics.dead.get(), 0);
    assert_eq!(consumer.metrics.redelivered.get(), 21);
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_the_floor_is_skipped() {
    let world = World::new().await;
    let topic = world.topic(1).await;
    let coupon = world.coupon(50).await;
    let old = world.open(coupon, 50, &topic).await;
    let users = world.users(3).await;
    world.produce(&topic, &[event(&old, users[0], 1).json()]).await;
    let consumer = world.consume(&topic);
    until("the first row is there", async || world.holders(coupon).await.len() == 1).await;
    // The running consumer has the old floor in memory: only the counter's UPDATE can tell it.
    let new = world.open(coupon, 50, &topic).await;
    world.produce(&topic, &[event(&old, users[1], 2).json(), event(&new, users[2], 1).json()]).await;
    until("everything is committed", async || world.committed(&topic).await == 3).await;
    assert_eq!(world.holders(coupon).await, [users[2]]);
    assert_eq!(world.issued(coupon).await, 1);
    assert_eq!(consumer.metrics.skipped.get(), 1);
    assert_eq!(consumer.metrics.dead.get(), 0);
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_overflows_goes_to_the_dead_letters() {
    let world = World::new().await;
    let topic = world.topic(1).await;
    let coupon = world.coupon(5).await;
    let epoch = world.open(coupon, 5, &topic).await;
    let users = world.users(8).await;
    let values: Vec<String> = users.iter().zip(1..).map(|(user, seq)| event(&epoch, *user, seq).json()).collect();
    world.produce(&topic, &values).await;
    let consumer = world.consume(&topic);
    until("everything is committed", async || world.committed(&topic).await == 8).await;
    assert_eq!(world.holders(coupon).await.len(), 5);
    assert_eq!(world.issued(coupon).await, 5);
    let dead = world.read(&dead_letter_topic(&topic)).await;
    assert_eq!(dead.len(), 3);
    assert!(dead.iter().all(|(_, headers)| headers[HEADER_ERROR].contains("overflow")), "{dead:?}");
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_offset_waits_for_a_dead_letter_topic_that_cannot_be_written() {
    let mut world = World::new().await;
    world.settings.producer.delivery_timeout = HumanDuration::from_secs(1);
    let topic = format!("test-{}", uuid::Uuid::now_v7());
    world.create_topic(&topic, 1).await;
    world.produce(&topic, &["poison"]).await;
    let consumer = world.consume(&topic);
    until("the stall is visible", async || consumer.metrics.stalled.get() == 1 && !consumer.health.ready()).await;
    assert_eq!(world.committed(&topic).await, 0);
    world.create_topic(&dead_letter_topic(&topic), 1).await;
    until("it goes on", async || world.committed(&topic).await == 1).await;
    assert_eq!(world.read(&dead_letter_topic(&topic)).await.len(), 1);
    until("the stall is over", async || consumer.health.ready()).await;
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_delays_and_kills_nothing() {
    let world = World::new().await;
    let topic = world.topic(1).await;
    let coupon = world.coupon(5).await;
    let epoch = world.open(coupon, 5, &topic).await;
    let users = world.users(3).await;
    let mut conn = world.pool.get_conn().await.expect("connects");
    let mut tx = conn.start_transaction(mysql_async::TxOpts::default()).await.expect("starts");
    tx.exec_drop("SELECT * FROM coupons WHERE id = ? FOR UPDATE", (coupon,)).await.expect("locks");

    // A second session with a short patience for locks: 1205 must not cost the batch a record.
    let mut impatient = world.settings.db_pool.clone();
    impatient.max = 1;
    impatient.min_idle = 1;
    let session = [SESSION[0], "SET SESSION innodb_lock_wait_timeout = 1"];
    let db = backend::db::Db::new(&world.endpoints.mysql, &impatient, &session);
    let mut writer = Writer::new(db.pool().clone(), std::sync::Arc::default());
    let records: Vec<Record> = users
        .iter()
        .zip(1..)
        .map(|(user, seq)| Record {
            partition: 0,
            offset: i64::try_from(seq).expect("small"),
            key: None,
            value: Some(event(&epoch, *user, seq).json().into_bytes()),
        })
        .collect();
    let error = writer.write(&records).await.expect_err("the row is locked");
    assert!(error.to_string().contains("1205"), "{error}");
    tx.rollback().await.expect("unlocks");
    let written = writer.write(&records).await.expect("writes");
    assert_eq!((written.rows, written.dead.len()), (3, 0));
    assert_eq!(world.holders(coupon).await, users);
    let again = writer.write(&records).await.expect("writes");
    assert_eq!((again.rows, again.there), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_and_take_over() {
    let world = World::new().await;
    let topic = world.topic(4).await;
    let coupon = world.coupon(500).await;
    let epoch = world.open(coupon, 500, &topic).await;
    let users = world.users(300).await;
    let values: Vec<String> = users.iter().zip(1..).map(|(user, seq)| event(&epoch, *user, seq).json()).collect();
    let (one, two) = (world.consume(&topic), world.consume(&topic));
    for (i, part) in values.chunks(30).enumerate() {
        world.produce(&topic, part).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        if i == 5 {
            break;
        }
    }
    one.stop().await;
    world.produce(&topic, &values[180..]).await;
    until("everything is committed", async || world.committed(&topic).await == 300).await;
    assert_eq!(world.holders(coupon).await, users);
    assert_eq!(world.issued(coupon).await, 300);
    two.stop().await;
}
