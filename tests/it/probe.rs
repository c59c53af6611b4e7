//! Probe and drain against real servers.

use std::{net::SocketAddr, time::Duration};

use contract::{
    claim::{
        Claim,
        coupon::{GRANTS, HOLDERS, PENDING, ROWS, SEQUENCE, STOCK},
    },
    names,
};
use probe::{DrainPlan, Probe, ProbePlan, drain};
use record::event::ProbeSample;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use verify::{LiveFacts, live};

use crate::{backend_world::free_address, stage::Stage};

fn probe_plan(stage: &Stage) -> ProbePlan {
    ProbePlan {
        endpoints: stage.endpoints.clone(),
        subjects: vec![stage.claim()],
        topic: stage.topic.clone(),
        group: stage.group.clone(),
        interval: Duration::from_millis(100),
        starts: stage.starts.clone(),
        opened: [(stage.claim(), stage.epoch(3))].into(),
    }
}

fn drain_plan(stage: &Stage, timeout: Duration) -> DrainPlan {
    DrainPlan {
        endpoints: stage.endpoints.clone(),
        subjects: vec![stage.claim()],
        topic: stage.topic.clone(),
        group: stage.group.clone(),
        starts: stage.starts.clone(),
        opened: [(stage.claim(), stage.epoch(3))].into(),
        timeout,
    }
}

/// The first sample that is as wished; within 30 s.
async fn sample_with(samples: &mut mpsc::Receiver<ProbeSample>, wish: impl Fn(&ProbeSample) -> bool) -> ProbeSample {
    let mut last = None;
    let waiting = async {
        loop {
            let sample = samples.recv().await.expect("the probe ended");
            if wish(&sample) {
                return sample;
            }
            last = Some(sample);
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    found.unwrap_or_else(|_| panic!("no such sample; the last one: {last:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_has_the_figures_of_all_three_servers() {
    let mut stage = Stage::in_order(4, 5).await;
    let starts = stage.ends(&stage.topic);
    let (sender, mut samples) = mpsc::channel(4);
    let probe = Probe::start(probe_plan(&stage), sender);
    let sample = sample_with(&mut samples, |sample| sample.errors.is_empty()).await;
    let figures = &sample.subjects[&Claim::coupon(stage.coupon)];
    assert_eq!((figures.get(ROWS), figures.get(GRANTS), figures.get(STOCK)), (Some(4), Some(4), Some(1)));
    assert_eq!((figures.get(PENDING), figures.get(SEQUENCE), figures.get(HOLDERS)), (Some(0), Some(4), Some(4)));
    assert_eq!(
        sample.partitions.iter().map(|p| (p.partition, p.end)).collect::<Vec<_>>(),
        starts.into_iter().collect::<Vec<_>>()
    );
    assert_eq!((sample.lag, sample.time_lag_ms, sample.dead_letters), (Some(0), Some(0.0), Some(0)));
    assert!(sample.redis_ms.is_some_and(|ms| ms > 0.0) && sample.mysql_connections.is_some_and(|n| n > 0));
    let facts = LiveFacts { subjects: stage.plan().subjects, ..LiveFacts::default() };
    assert_eq!(live(&sample, &facts), vec![]);

    stage.send(&stage.topic.clone(), 5, 5, 3, None).await;
    stage.send(&names::dead_letter_topic(&stage.topic), 5, 5, 3, None).await;
    let key = contract::claim::gate_keys(stage.coupon).stock;
    stage.redis(&["SET", &key, "-1"]).await;
    // The record grows older from look to look.
    let old = |s: &ProbeSample| s.time_lag_ms.is_some_and(|ms| (500.0..20_000.0).contains(&ms));
    let all = |s: &ProbeSample| s.lag == Some(1) && s.dead_letters == Some(1) && old(s) && !live(s, &facts).is_empty();
    let sample = sample_with(&mut samples, all).await;
    assert_eq!(live(&sample, &facts)[0].id, "CP3");
    // Each look reads the record anew, also when the one before has just done so.
    for _ in 0..5 {
        let sample = sample_with(&mut samples, |_| true).await;
        assert!(sample.time_lag_ms.is_some(), "{sample:?}");
    }
    probe.stop().await;
    stage.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_of_a_gate_that_redis_lost_are_absent() {
    let mut stage = Stage::in_order(4, 5).await;
    let keys = contract::claim::gate_keys(stage.coupon);
    stage.redis(&["DEL", &keys.stock, &keys.users, &keys.epoch]).await;
    let (sender, mut samples) = mpsc::channel(4);
    let _probe = Probe::start(probe_plan(&stage), sender);
    let sample = sample_with(&mut samples, |sample| sample.errors.contains_key("redis")).await;
    let figures = &sample.subjects[&Claim::coupon(stage.coupon)];
    assert_eq!((figures.get(ROWS), figures.get(GRANTS), figures.get(STOCK)), (Some(4), None, None));
    stage.clean_up().await;
}

/// Passes connections on to `to`, until it is dropped.
async fn forward(from: SocketAddr, to: String) -> tokio::task::JoinHandle<()> {
    let listener = TcpListener::bind(from).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut inner, _)) = listener.accept().await {
            let to = to.clone();
            tokio::spawn(async move {
                if let Ok(mut outer) = TcpStream::connect(&to).await {
                    let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
                }
            });
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_away_are_named_and_come_back_by_themselves() {
    let mut stage = Stage::in_order(4, 5).await;
    let mut plan = probe_plan(&stage);
    let real = plan.endpoints.clone();
    let (mysql, redis, kafka) = (free_address(), free_address(), free_address());
    plan.endpoints.mysql.host = "127.0.0.1".into();
    plan.endpoints.mysql.port = mysql.port();
    plan.endpoints.redis.host = "127.0.0.1".into();
    plan.endpoints.redis.port = redis.port();
    plan.endpoints.kafka.brokers = kafka.to_string();
    let (sender, mut samples) = mpsc::channel(4);
    let _probe = Probe::start(plan, sender);
    let sample = sample_with(&mut samples, |_| true).await;
    assert_eq!(sample.errors.keys().collect::<Vec<_>>(), ["kafka", "mysql", "redis"], "{:?}", sample.errors);
    assert!(sample.errors["mysql"].contains(&mysql.to_string()), "{:?}", sample.errors);
    assert_eq!((sample.lag, sample.subjects[&Claim::coupon(stage.coupon)].get(ROWS)), (None, None));

    let _mysql = forward(mysql, format!("{}:{}", real.mysql.host, real.mysql.port)).await;
    let sample =
        sample_with(&mut samples, |sample| sample.subjects[&Claim::coupon(stage.coupon)].get(ROWS).is_some()).await;
    assert!(sample.errors.contains_key("redis") && sample.errors.contains_key("kafka"), "the others are away still");
    let _redis = forward(redis, format!("{}:{}", real.redis.host, real.redis.port)).await;
    let _kafka = forward(kafka, real.kafka.brokers.split(',').next().unwrap().to_owned()).await;
    let sample = sample_with(&mut samples, |sample| sample.errors.is_empty()).await;
    assert_eq!((sample.lag, sample.subjects[&Claim::coupon(stage.coupon)].get(GRANTS)), (Some(0), Some(4)));
    stage.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_waits_for_the_last_record_and_the_last_pending_grant() {
    let mut stage = Stage::in_order(4, 5).await;
    let keys = contract::claim::gate_keys(stage.coupon);
    stage.redis(&["ZADD", &keys.pending, "1", "5|{}"]).await;
    stage.send(&stage.topic.clone(), 5, 5, 3, None).await;
    let plan = drain_plan(&stage, Duration::from_secs(20));
    let draining = tokio::spawn(async move {
        let mut looks = 0;
        let report = drain(&plan, |_| looks += 1, &|_| None, &CancellationToken::new()).await;
        (report, looks)
    });
    tokio::time::sleep(Duration::from_millis(800)).await;
    stage.commit_to_end().await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    stage.redis(&["DEL", &keys.pending]).await;
    let (report, looks) = draining.await.unwrap();
    assert!(report.drained, "{}", report.why);
    assert!(report.seconds > 1.0 && report.seconds < 15.0 && looks >= 4, "{report:?} after {looks} looks");
    stage.clean_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_gives_up_says_what_was_still_moving() {
    let mut stage = Stage::in_order(4, 5).await;
    let (partition, _) = stage.send(&stage.topic.clone(), 5, 5, 3, None).await;
    let report = drain(&drain_plan(&stage, Duration::from_secs(2)), |_| {}, &|_| None, &CancellationToken::new()).await;
    assert!(!report.drained);
    assert!(report.why.contains(&format!("partition {partition}: 1 records not consumed")), "{}", report.why);

    let cancel = CancellationToken::new();
    cancel.cancel();
    let report = drain(&drain_plan(&stage, Duration::from_secs(60)), |_| {}, &|_| None, &cancel).await;
    assert!(!report.drained && report.seconds < 5.0 && report.why.contains("interrupted"), "{report:?}");
    stage.clean_up().await;
}
