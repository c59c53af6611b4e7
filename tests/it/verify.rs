//! `verify` against real servers: the untouched state passes, and each thing spoiled in it is named by its check.

use std::collections::BTreeMap;

use contract::names;
use rdkafka::{Offset, TopicPartitionList, admin::AdminOptions, producer::Producer};
use verify::{self, CheckResult, Overall, Verdict};

use crate::stage::{PARTITIONS, Stage};

fn violated(checks: &BTreeMap<String, CheckResult>) -> Vec<&str> {
    checks.values().filter(|c| c.verdict == Verdict::Violated).map(|c| c.id.as_str()).collect()
}

fn assert_verdict(checks: &BTreeMap<String, CheckResult>, id: &str, verdict: Verdict, evidence: &str) {
    let check = &checks[id];
    assert_eq!(check.verdict, verdict, "{id}: {}", check.evidence);
    assert!(check.evidence.contains(evidence), "{id} says `{}`, not `{evidence}`", check.evidence);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untouched_state_is_consistent_and_every_check_is_exercised() {
    let (report, checks) = Stage::in_order(5, 5).await.verify().await;
    for check in checks.values() {
        assert_eq!(check.verdict, Verdict::Holds, "{}: {}", check.id, check.evidence);
    }
    assert_eq!(report.verdict, Overall::Consistent);
    let sizes = &verify::Sets::of(&report.sets).coupons[0];
    assert_eq!((sizes.grants, sizes.events, sizes.rows, sizes.dead), (Some(5), Some(5), Some(5), Some(0)));
    assert_eq!((sizes.acknowledged, sizes.refused, sizes.stock), (Some(5), Some(2), Some(0)));
    assert!(report.notes.iter().any(|note| note.contains("1 events of an earlier epoch")), "{:?}", report.notes);
    assert_eq!(report.end_to_end.map(|times| times.len()), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_row_is_a_lost_coupon() {
    let mut stage = Stage::in_order(5, 5).await;
    stage.run("DELETE FROM coupon_users WHERE user_id = 3").await;
    let (report, checks) = stage.verify().await;
    assert_verdict(&checks, "CP5", Verdict::Violated, "|M| = 4, |A| = 5; lost: user 3");
    assert_verdict(&checks, "CP7", Verdict::Violated, "no row: user 3");
    assert_eq!(report.verdict, Overall::Violated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_doubled_under_a_dropped_key_is_seen() {
    let mut stage = Stage::in_order(4, 5).await;
    stage.run("ALTER TABLE coupon_users DROP KEY uk_coupon_users_coupon_user").await;
    stage.row(2, "00000000-0000-4000-8000-000000000000", 2).await;
    let (_, checks) = stage.verify().await;
    assert_verdict(&checks, "CP2", Verdict::Violated, "coupon_users has no UNIQUE(coupon_id, user_id)");
    assert_verdict(&checks, "CP2", Verdict::Violated, "more than one row: user 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_somebody_who_was_refused_is_seen() {
    let mut stage = Stage::in_order(5, 5).await;
    stage.row(6, "00000000-0000-4000-8000-000000000000", 6).await;
    let (_, checks) = stage.verify().await;
    assert_verdict(&checks, "CP6", Verdict::Violated, "refused, yet has a row: user 6");
    assert_verdict(&checks, "CP4", Verdict::Violated, "M ⊄ K: user 6");
    assert_verdict(&checks, "CP1", Verdict::Violated, "over-issued by 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_changed_by_hand_is_seen() {
    let mut stage = Stage::in_order(4, 5).await;
    let key = contract::claim::gate_keys(stage.coupon).stock;
    stage.redis(&["SET", &key, "3"]).await;
    let (_, checks) = stage.verify().await;
    assert_eq!(violated(&checks), ["CP3"]);
    assert_verdict(&checks, "CP3", Verdict::Violated, "stock 3 + |G| 4 = 7, T = 5");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_without_a_row_is_seen() {
    let mut stage = Stage::in_order(4, 5).await;
    let keys = contract::claim::gate_keys(stage.coupon);
    stage.redis(&["HSET", &keys.users, "9", "5"]).await;
    stage.redis(&["HSET", &keys.epoch, "seq", "5"]).await;
    stage.redis(&["DECR", &keys.stock]).await;
    let (_, checks) = stage.verify().await;
    assert_eq!(violated(&checks), ["CP7"]);
    assert_verdict(&checks, "CP7", Verdict::Violated, "|G| = 5, |M| + |D| = 4 + 0; no row: user 9");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_pending_is_not_called_lost() {
    let mut stage = Stage::in_order(5, 5).await;
    let keys = contract::claim::gate_keys(stage.coupon);
    stage.run("DELETE FROM coupon_users WHERE user_id = 5").await;
    stage.redis(&["ZADD", &keys.pending, "1", r#"5|{"event_id":"x","coupon_id":1,"user_id":5}"#]).await;
    let (_, checks) = stage.verify().await;
    assert_verdict(&checks, "CP5", Verdict::Unknown, "1 acknowledged are still on their way");
    assert_verdict(&checks, "CP7", Verdict::Violated, "pending 1: user 5");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_dead_letter_is_lost_with_its_reason() {
    let mut stage = Stage::in_order(5, 5).await;
    stage.run("DELETE FROM coupon_users WHERE user_id = 2").await;
    stage.run("UPDATE coupons SET issued = 4").await;
    let dead = names::dead_letter_topic(&stage.topic);
    // Twice: a consumer that dies between dead letter and offset writes it again.
    stage.send(&dead, 2, 2, 3, None).await;
    stage.send(&dead, 2, 2, 3, None).await;
    stage.send_raw(&dead, "7", "no JSON").await;
    let (report, checks) = stage.verify().await;
    assert_eq!(violated(&checks), ["CP5"]);
    assert_verdict(&checks, "CP5", Verdict::Violated, "lost: user 2 (dead-lettered: a row that cannot be)");
    assert_verdict(&checks, "CP7", Verdict::Holds, "|G| = 5, |M| + |D| = 4 + 1");
    assert!(report.notes.iter().any(|note| note.contains("1 dead letters are no coupon events")), "{:?}", report.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_and_a_number_changed_by_hand_are_seen() {
    let mut stage = Stage::in_order(4, 5).await;
    stage.run("UPDATE coupons SET issued = 3").await;
    let key = contract::claim::gate_keys(stage.coupon).users;
    stage.redis(&["HSET", &key, "4", "3"]).await;
    let (_, checks) = stage.verify().await;
    assert_eq!(violated(&checks), ["CP13", "CP4", "CP9"]);
    assert_verdict(&checks, "CP13", Verdict::Violated, "coupons.issued = 3, rows = 4");
    assert_verdict(&checks, "CP9", Verdict::Violated, "number 3: users 3 and 4");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_consumed_is_lag_and_what_came_twice_counts_once() {
    let stage = Stage::in_order(4, 5).await;
    stage.send(&stage.topic.clone(), 2, 2, 3, None).await;
    let (report, checks) = stage.verify().await;
    assert_eq!(violated(&checks), ["CP7"]);
    assert_verdict(&checks, "CP7", Verdict::Violated, "lag 1: partition");
    assert_eq!(verify::Sets::of(&report.sets).coupons[0].events, Some(4));
    assert!(report.notes.iter().any(|note| note.contains("1 further copies")), "{:?}", report.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_records_are_no_lag() {
    let stage = Stage::in_order(4, 5).await;
    let (config, topic, id) = (stage.endpoints.kafka.client_config(), stage.topic.clone(), stage.coupon);
    let before = stage.ends(&stage.topic);
    tokio::task::spawn_blocking(move || transaction(config, &topic, id)).await.unwrap();
    // The broker writes the control records after it has said that the transaction is committed.
    while stage.ends(&stage.topic).iter().any(|(partition, end)| *end < before[partition] + 2) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // Everything but each partition's control record is consumed.
    stage.commit(1).await;
    let plan = probe::DrainPlan {
        endpoints: stage.endpoints.clone(),
        subjects: vec![stage.claim()],
        topic: stage.topic.clone(),
        group: stage.group.clone(),
        starts: stage.starts.clone(),
        opened: [(stage.claim(), stage.epoch(3))].into(),
        timeout: std::time::Duration::from_secs(20),
    };
    let report = probe::drain(&plan, |_| {}, &|_| None, &tokio_util::sync::CancellationToken::new()).await;
    assert!(report.drained, "{}", report.why);
    let (_, checks) = stage.verify().await;
    assert_verdict(&checks, "CP7", Verdict::Holds, "lag 0");
}

/// Writes one malformed record into each partition in a transaction: each then ends with a control record.
fn transaction(mut config: rdkafka::ClientConfig, topic: &str, id: u64) {
    use rdkafka::producer::{BaseProducer, BaseRecord};
    let wait = std::time::Duration::from_secs(30);
    let producer: BaseProducer = config.set("transactional.id", format!("verify-{id}")).create().unwrap();
    producer.init_transactions(wait).unwrap();
    producer.begin_transaction().unwrap();
    for partition in 0..PARTITIONS {
        producer.send(BaseRecord::<str, str>::to(topic).partition(partition).payload("no event")).unwrap();
    }
    producer.commit_transaction(wait).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_its_beginning_proves_nothing() {
    let stage = Stage::in_order(5, 5).await;
    let mut cut = TopicPartitionList::new();
    for (partition, end) in stage.ends(&stage.topic) {
        cut.add_partition_offset(&stage.topic, partition, Offset::Offset(end)).unwrap();
    }
    stage.admin().delete_records(&cut, &AdminOptions::new()).await.unwrap();
    let (report, checks) = stage.verify().await;
    assert_verdict(&checks, "CP4", Verdict::Unknown, "past the epoch's first record");
    assert_eq!((violated(&checks), report.verdict), (vec![], Overall::Unproven));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_redis_lost_is_unknown_not_empty() {
    let mut stage = Stage::in_order(5, 5).await;
    let keys = contract::claim::gate_keys(stage.coupon);
    stage.redis(&["DEL", &keys.stock, &keys.users, &keys.epoch]).await;
    let (report, checks) = stage.verify().await;
    assert_verdict(&checks, "CP3", Verdict::Unknown, "its gate was lost or closed");
    assert_eq!((violated(&checks), report.verdict), (vec![], Overall::Unproven));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_away_make_checks_unknown_and_are_named() {
    let mut stage = Stage::in_order(2, 5).await;
    let mut plan = stage.plan();
    plan.endpoints.mysql.port = 1;
    plan.endpoints.redis.port = 1;
    plan.topic = "verify-no-such-topic".into();
    let report = verify::run(&plan).await.unwrap();
    stage.clean_up().await;
    let checks: BTreeMap<String, CheckResult> = report.checks.into_iter().map(|c| (c.id.clone(), c)).collect();
    assert_verdict(&checks, "CP1", Verdict::Unknown, "MySQL at 127.0.0.1:1/");
    assert_verdict(&checks, "CP3", Verdict::Unknown, "Redis at 127.0.0.1:1/");
    assert_verdict(&checks, "CP4", Verdict::Unknown, "topic verify-no-such-topic does not exist");
    assert_verdict(&checks, "SY1", Verdict::Holds, "3 sent");
    assert_eq!(report.verdict, Overall::Unproven);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_ledger_proves_nothing() {
    let stage = Stage::in_order(5, 5).await;
    let path = stage.folder.path().join("ledger/0.bin");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    let (report, checks) = stage.verify().await;
    for id in ["SY1", "CP5", "CP6", "CP8", "CP10", "CP14"] {
        assert_verdict(&checks, id, Verdict::Unknown, "is damaged at byte");
    }
    assert_eq!((violated(&checks), report.verdict), (vec![], Overall::Unproven));
}
