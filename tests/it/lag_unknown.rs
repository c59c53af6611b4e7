//! What cannot be known of a consumer group is said to be unknown, and takes nothing else along.

use std::time::Duration;

use rdkafka::admin::AdminOptions;
use record::event::watch::LagStatus;

use crate::{
    lag::{Scene, WAIT, Watching},
    support::{Stack, both, servers},
};

/// The topic was made anew, and the group's offsets are those of the old log: it was called consumed to its end.
#[tokio::test(flavor = "multi_thread")]
async fn an_offset_beyond_the_end_is_no_lag_of_nothing() {
    let scene = Scene::new().await;
    scene.produce(0, 5).await;
    scene.reset_all(198);
    let watching = scene.watch();
    let sample = watching.until(|sample| sample.partitions[0].end == 5);
    assert_eq!((sample.status, sample.lag, sample.drain_s), (LagStatus::Ahead, None, None), "{sample:#?}");
    assert!(sample.partitions.iter().all(|p| p.lag.is_none() && p.status == LagStatus::Ahead), "{sample:#?}");
    scene.reset_all(5);
    let sample = watching.until(|sample| sample.partitions[0].status == LagStatus::Ok);
    assert_eq!((sample.status, sample.lag), (LagStatus::Ahead, None), "the others are ahead still");
}

/// One topic of two was deleted, and the whole group was away for ten seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_topic_takes_no_other_along() {
    let (stays, goes) = (Scene::new().await, Scene::new().await);
    stays.produce(0, 7).await;
    stays.reset(0);
    let mut plan = stays.plan();
    plan.topics.push(goes.topic.clone());
    let watching = Watching::start(plan);
    watching.until(|sample| sample.partitions.len() == 8);
    let options = AdminOptions::new().operation_timeout(Some(WAIT));
    for result in goes.admin.delete_topics(&[goes.topic.as_str()], &options).await.unwrap() {
        result.unwrap();
    }
    let sample = watching.until(|sample| sample.unread.contains_key(&goes.topic));
    assert_eq!(sample.partitions.iter().filter_map(|p| p.lag).sum::<u64>(), 7, "{sample:#?}");
    assert_eq!(sample.lag, None, "a sum with an unknown part: {sample:#?}");
    let sample =
        watching.until(|sample| sample.unread.get(&goes.topic).is_some_and(|why| why.contains("does not exist")));
    assert_eq!(sample.partitions.len(), 4, "{sample:#?}");
    // No look was missed meanwhile.
    while let Ok(seen) = watching.samples.try_recv() {
        assert!(seen.is_ok(), "{seen:?}");
    }
}

/// A member of the newer protocol is there, but this client cannot see it: the group was said to have none.
#[tokio::test(flavor = "multi_thread")]
async fn members_that_cannot_be_read_are_not_called_absent() {
    let scene = Scene::new().await;
    let _member = scene.member("newer", "consumer");
    let watching = scene.watch();
    watching.until(|sample| sample.members.is_none());
    let mut plan = scene.plan();
    (plan.topics, plan.search) = (Vec::new(), true);
    let why = Watching::start(plan).samples.recv_timeout(WAIT).unwrap().unwrap_err();
    assert!(why.contains("its members cannot be read") && !why.contains("no members"), "{why}");
}

/// Members, 198 records behind, and nothing committed: three looks said `OK`.
#[tokio::test(flavor = "multi_thread")]
async fn one_look_at_a_group_that_stands_still_does_not_call_it_well() {
    let scene = Scene::new().await;
    scene.produce(0, 198).await;
    scene.reset(0);
    let _member = scene.member("idle", "classic");
    let watching = scene.watch();
    watching.until(|sample| sample.state == "Stable" && sample.lag == Some(198));
    drop(watching);
    let bare = Stack::empty();
    let brokers = servers().kafka.brokers;
    let args = ["lag", "--kafka-brokers", &brokers, "--group", &scene.group, "--topic", &scene.topic];
    let few = bare.ok(&[&args[..], &["--samples", "3", "--interval", "300ms"]].concat());
    let said = String::from_utf8_lossy(&few.stdout).into_owned();
    assert!(said.contains("lag 198, UNKNOWN, oldest record "), "{said}");
    let (code, sample) = bare.json(&[&args[..], &["--interval", "500ms"]].concat());
    assert_eq!((code, &sample["status"]), (0, &"STALL".into()), "{sample:#}");
    assert!(sample["time_lag_ms"].as_f64() > Some(Duration::from_secs(5).as_secs_f64() * 1_000.0), "{}", both(&few));
}
