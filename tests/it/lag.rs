//! Consumer lag on a real Kafka: each status, who reads what, dead letters, and a broker that goes and comes back.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::{Duration, Instant},
};

use backend::{
    consumer::{Record, dead_letter::DeadLetters},
    producer::EventProducer,
    telemetry::Metrics,
};
use contract::{endpoint::KafkaEndpoint, names::dead_letter_topic, settings::Settings};
use kafka::lag::{Handle, LagPlan, Rules, Sampler};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    producer::{FutureProducer, FutureRecord},
};
use record::event::watch::{KafkaSample, LagStatus};
use uuid::Uuid;

use crate::support::{self, Stack, both, shared, wait};

pub const WAIT: Duration = Duration::from_secs(20);
const PARTITIONS: i32 = 4;

/// A topic and a group of its own.
pub struct Scene {
    endpoint: KafkaEndpoint,
    pub topic: String,
    pub group: String,
    pub admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
}

impl Scene {
    pub async fn new() -> Self {
        let endpoint = support::servers().kafka;
        let topic = format!("lag-{}", Uuid::now_v7());
        let admin: AdminClient<DefaultClientContext> = endpoint.client_config().create().unwrap();
        let dead = dead_letter_topic(&topic);
        let new = [topic.as_str(), &dead].map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)));
        let options = AdminOptions::new().operation_timeout(Some(WAIT));
        for result in admin.create_topics(&new, &options).await.unwrap() {
            result.unwrap();
        }
        let producer = endpoint.client_config().set("linger.ms", "1").create().unwrap();
        Self { endpoint, group: format!("{topic}-group"), topic, admin, producer }
    }

    pub async fn produce(&self, partition: i32, records: usize) {
        let sends = (0..records).map(|_| {
            let record = FutureRecord::<(), str>::to(&self.topic).partition(partition).payload("{}");
            self.producer.send(record, WAIT)
        });
        for sent in futures_util::future::join_all(sends).await {
            sent.unwrap();
        }
    }

    fn client(&self) -> BaseConsumer {
        let mut config = self.endpoint.client_config();
        config.set("group.id", &self.group).set("enable.auto.commit", "false").create().unwrap()
    }

    fn offsets(&self, offset: i64) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(&self.topic, partition, Offset::Offset(offset)).unwrap();
        }
        list
    }

    /// Sets the group's offsets as an administrator does; it must have no members. Only partition 0 has records: on the
    /// others nothing lies beyond 0.
    pub fn reset(&self, offset: i64) {
        let mut offsets = self.offsets(0);
        offsets.set_partition_offset(&self.topic, 0, Offset::Offset(offset)).unwrap();
        self.client().commit(&offsets, CommitMode::Sync).unwrap();
    }

    /// Sets the offset of every partition, also of those whose log ends before it.
    pub fn reset_all(&self, offset: i64) {
        self.client().commit(&self.offsets(offset), CommitMode::Sync).unwrap();
    }

    async fn delete_below(&self, offset: i64) {
        self.admin.delete_records(&self.offsets(offset), &AdminOptions::new()).await.unwrap();
    }

    pub fn plan(&self) -> LagPlan {
        LagPlan {
            endpoint: self.endpoint.clone(),
            group: self.group.clone(),
            topics: vec![self.topic.clone()],
            search: false,
            interval: Duration::from_millis(200),
            rules: Rules::default(),
        }
    }

    pub fn watch(&self) -> Watching {
        Watching::start(self.plan())
    }

    /// A member that commits as it is told.
    pub fn member(&self, name: &str, protocol: &str) -> Member {
        let mut config = self.endpoint.client_config();
        config
            .set("client.id", name)
            .set("group.id", &self.group)
            .set("group.protocol", protocol)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false");
        if protocol == "classic" {
            config.set("session.timeout.ms", "6000");
        }
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[&self.topic]).unwrap();
        let commit = Arc::new(AtomicI64::new(-1));
        let (told, topic) = (commit.clone(), self.topic.clone());
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            while stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                let _ = consumer.poll(Duration::from_millis(20));
                let offset = told.swap(-1, Ordering::SeqCst);
                if offset >= 0 {
                    let mut list = TopicPartitionList::new();
                    for element in consumer.assignment().unwrap().elements() {
                        // As for [`Scene::reset`].
                        let offset = if element.partition() == 0 { offset } else { 0 };
                        list.add_partition_offset(&topic, element.partition(), Offset::Offset(offset)).unwrap();
                    }
                    consumer.commit(&list, CommitMode::Sync).unwrap();
                }
            }
        });
        Member { commit, stop: Some(stop), thread: Some(thread) }
    }
}

pub struct Member {
    commit: Arc<AtomicI64>,
    stop: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Member {
    /// Commits `offset` on every partition that it reads.
    fn commit(&self, offset: i64) {
        self.commit.store(offset, Ordering::SeqCst);
    }
}

/// It leaves the group.
impl Drop for Member {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

pub struct Watching {
    handle: Option<Handle>,
    pub samples: Receiver<Result<KafkaSample, String>>,
}

impl Watching {
    pub fn start(plan: LagPlan) -> Self {
        let (send, samples) = channel();
        let handle = Sampler::start(plan, move |sample| drop(send.send(sample)));
        Self { handle: Some(handle), samples }
    }

    /// The first sample that is as wished; within 20 s.
    pub fn until(&self, wish: impl Fn(&KafkaSample) -> bool) -> KafkaSample {
        let (since, mut last) = (Instant::now(), None);
        while since.elapsed() < WAIT {
            match self.samples.recv_timeout(WAIT) {
                Ok(Ok(sample)) if wish(&sample) => return sample,
                Ok(seen) => last = Some(seen),
                Err(error) => panic!("{error}; the last one: {last:#?}"),
            }
        }
        panic!("no such sample; the last one: {last:#?}");
    }

    pub fn status(&self, status: LagStatus) -> KafkaSample {
        self.until(|sample| sample.status == status)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_members_has_not_begun_then_stopped_then_lost_records() {
    let scene = Scene::new().await;
    let watching = scene.watch();
    scene.produce(0, 30).await;
    let sample = watching.until(|s| s.partitions.iter().map(|p| p.end).sum::<i64>() == 30);
    assert_eq!((sample.status, sample.lag, sample.members.as_deref()), (LagStatus::NoCommit, None, Some(&[][..])));
    assert_eq!(sample.partitions.len(), PARTITIONS as usize);
    assert_eq!(sample.brokers.len(), 1, "{:?}", sample.brokers);
    assert!(sample.partitions.iter().all(|p| p.leader == Some(sample.brokers[0].id)), "{sample:#?}");

    scene.reset(0);
    let sample = watching.status(LagStatus::Stop);
    assert_eq!((sample.lag, sample.state.as_str()), (Some(30), "Empty"));
    let age = sample.time_lag_ms.unwrap();
    assert!(age > 0.0 && age < 20_000.0, "{age} ms");
    // How many samples lie between depends on the machine, and a slope takes several.
    watching.until(|s| s.time_lag_ms.is_some_and(|ms| ms >= age + 300.0) && s.slope.is_some());

    scene.delete_below(20).await;
    let sample = watching.status(LagStatus::Lost);
    assert_eq!((sample.partitions[0].start, sample.partitions[0].committed), (20, Some(0)));
    scene.reset(30);
    let sample = watching.status(LagStatus::Ok);
    assert_eq!((sample.lag, sample.time_lag_ms, sample.drain_s), (Some(0), Some(0.0), Some(0.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_with_members_grows_stalls_catches_up_and_is_set_back() {
    let scene = Scene::new().await;
    scene.reset(0);
    let members = [scene.member("first", "classic"), scene.member("second", "classic")];
    let watching = scene.watch();
    let sample = watching.until(|s| {
        s.state == "Stable"
            && s.members.as_ref().is_some_and(|m| m.len() == 2 && m.iter().all(|m| m.partitions.len() == 1))
    });
    let read: BTreeSet<i32> =
        sample.members.iter().flatten().flat_map(|member| member.partitions[&scene.topic].clone()).collect();
    assert_eq!(read, (0..PARTITIONS).collect());
    let names: BTreeSet<_> = sample.partitions.iter().filter_map(|p| p.member.as_deref()).collect();
    assert_eq!(names, ["first", "second"].into());
    assert_eq!(sample.members.unwrap()[0].host, "127.0.0.1");

    for _ in 0..5 {
        scene.produce(0, 300).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let sample = watching.until(|s| s.status == LagStatus::Warn && s.lag == Some(1_500));
    assert!(sample.slope.is_some_and(|slope| slope > 0.0) && sample.drain_s.is_none(), "{sample:#?}");
    let hot: Vec<i32> = sample.partitions.iter().filter(|p| p.hot).map(|p| p.partition).collect();
    assert_eq!(hot, [0]);
    // Members that poll and never commit.
    watching.status(LagStatus::Stall);

    for offset in [200, 400, 600, 800] {
        for member in &members {
            member.commit(offset);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let sample = watching.status(LagStatus::CatchingUp);
    assert!(sample.drain_s.is_some_and(|s| s > 0.0) && sample.consumed_per_s.is_some_and(|n| n > 0.0), "{sample:#?}");
    for member in &members {
        member.commit(1_500);
    }
    watching.status(LagStatus::Ok);

    drop(members);
    watching.until(|s| s.members.as_ref().is_some_and(Vec::is_empty));
    scene.reset(500);
    watching.status(LagStatus::Stop);
    let _again = scene.member("again", "classic");
    let sample = watching.status(LagStatus::Rewind);
    assert!(sample.rebalances >= 1, "{sample:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_the_newer_protocol_are_unknown_and_never_a_stop() {
    let scene = Scene::new().await;
    scene.reset(0);
    scene.produce(0, 5).await;
    let watching = scene.watch();
    watching.status(LagStatus::Stop);
    let _member = scene.member("newer", "consumer");
    watching.until(|s| s.members.is_none());
    let sample = watching.status(LagStatus::Stall);
    assert_eq!((sample.state.as_str(), sample.members), ("Unknown", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_a_group_are_found_by_its_offsets_and_by_its_members() {
    let scene = Scene::new().await;
    let mut plan = scene.plan();
    (plan.topics, plan.search) = (Vec::new(), true);
    let unknown = Watching::start(plan.clone());
    let why = unknown.samples.recv_timeout(WAIT).unwrap().unwrap_err();
    assert!(why.contains("has no members and committed nothing"), "{why}");
    let member = scene.member("reader", "classic");
    let topics = |s: &KafkaSample| s.partitions.iter().map(|p| p.topic.clone()).collect::<BTreeSet<_>>();
    let sample = unknown.until(|_| true);
    assert_eq!((topics(&sample), sample.status), ([scene.topic.clone()].into(), LagStatus::NoCommit));
    drop(member);
    scene.reset(0);
    let sample = Watching::start(plan).until(|_| true);
    assert_eq!((topics(&sample), sample.lag), ([scene.topic.clone()].into(), Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_shown_with_their_reasons() {
    let scene = Scene::new().await;
    scene.reset(0);
    let watching = scene.watch();
    assert_eq!(watching.until(|_| true).dead_letters, Some(0));
    let producer = EventProducer::new(&scene.endpoint, &Settings::default().producer, Metrics::new()).unwrap();
    let dead = DeadLetters::new(producer, &scene.topic);
    for n in 0..25 {
        let record = Record {
            partition: 0,
            offset: n,
            key: Some(format!("user {n}").into_bytes()),
            value: Some(format!("{{\"쿠폰\": {n}}}").into_bytes()),
        };
        let reason = if n == 0 { "no such user" } else { "the name is too long" };
        dead.put(&record, reason).await.unwrap();
    }
    let sample = watching.until(|s| s.dead_reasons.values().sum::<u64>() == 25);
    assert_eq!(sample.dead_letters, Some(25));
    assert_eq!((sample.dead_reasons["no such user"], sample.dead_reasons["the name is too long"]), (1, 24));
    assert_eq!(sample.newest_dead.len(), 20);
    let newest = &sample.newest_dead[0];
    assert_eq!((newest.key.as_str(), newest.value.as_str()), ("user 24", "{\"쿠폰\": 24}"));
    assert!(newest.at.ends_with('Z') && newest.at > sample.newest_dead[19].at, "{newest:?}");
}

#[test]
fn a_broker_that_is_gone_is_told_once_and_comes_back_by_itself() {
    let stack = Stack::empty();
    stack.ok(&["up", "coupon-quick", "--provider", "native"]);
    let plan = LagPlan {
        endpoint: stack.endpoints().kafka,
        group: "nobody".into(),
        topics: vec!["coupon-issue".into()],
        search: false,
        interval: Duration::from_millis(200),
        rules: Rules::default(),
    };
    let mut watching = Watching::start(plan.clone());
    watching.until(|_| true);
    let (_, status) = stack.json(&["status"]);
    let components = status["components"].as_array().unwrap();
    let broker = components.iter().find(|c| c["name"] == "kafka-1").unwrap();
    kill(Pid::from_raw(broker["pid"].as_i64().unwrap() as i32), Signal::SIGKILL).unwrap();
    let since = Instant::now();
    let why = loop {
        if let Err(why) = watching.samples.recv_timeout(WAIT).unwrap() {
            break why;
        }
    };
    assert!(why.starts_with(&format!("Kafka at {}: ", plan.endpoint)), "{why}");
    assert!(since.elapsed() < Duration::from_secs(6), "told after {:?}", since.elapsed());
    // Once, and nothing more while it is away.
    assert_eq!(watching.samples.recv_timeout(Duration::from_secs(3)), Err(RecvTimeoutError::Timeout));
    // In the middle of a call that waits for it, a stop is quick all the same.
    let other = Watching::start(plan);
    std::thread::sleep(Duration::from_millis(300));
    let since = Instant::now();
    drop(other);
    assert!(since.elapsed() < Duration::from_millis(600), "stopped after {:?}", since.elapsed());

    let output = stack.run(&["lag"]);
    assert!(!output.status.success() && both(&output).contains("Kafka at 127.0.0.1"), "{}", both(&output));
    assert!(!both(&output).contains("librdkafka"), "the library talks: {}", both(&output));
    stack.ok(&["restart", "kafka-1"]);
    let sample = watching.until(|_| true);
    assert_eq!(sample.partitions.len(), 3);
    drop(watching.handle.take());
    while watching.samples.try_recv().is_ok() {}
    std::thread::sleep(Duration::from_millis(500));
    assert!(watching.samples.try_recv().is_err(), "a sample came after the end");
}

#[test]
fn the_command_prints_a_table_or_json_once_or_each_second_with_or_without_a_stack() {
    let brokers = support::servers().kafka.brokers;
    let (code, sample) = shared().json(&["lag"]);
    assert_eq!((code, &sample["group"]), (0, &"coupon-issue-group".into()), "{sample:#}");
    assert_eq!(sample["partitions"].as_array().map(Vec::len), Some(3), "{sample:#}");

    // Somebody else's cluster: nothing is up here.
    let bare = Stack::empty();
    let external =
        ["lag", "--kafka-brokers", &brokers, "--group", "nobody", "--topic", "coupon-issue", "--interval", "200ms"];
    let with = |more: &[&str]| bare.ok(&external.iter().chain(more).copied().collect::<Vec<_>>());
    let table = String::from_utf8(with(&[]).stdout).unwrap();
    assert!(table.starts_with("nobody: Dead, 0 members, lag ") && table.contains("NO_COMMIT"), "{table}");
    let lines = String::from_utf8(with(&["--watch", "--samples", "2", "--format", "json"]).stdout).unwrap();
    let samples: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((samples.len(), &samples[1]["status"]), (2, &"NO_COMMIT".into()));
    let tables = String::from_utf8(with(&["--watch", "--samples", "2"]).stdout).unwrap();
    assert_eq!((tables.matches("nobody: ").count(), tables.contains('\u{1b}')), (2, false), "{tables}");
    assert!(!bare.state_dir().exists(), "looking makes no state");

    let output = bare.run(&["lag"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    for wrong in [["--interval", "1ms"], ["--interval", "soon"], ["--samples", "0"], ["--commit-interval", "x"]] {
        let output = bare.run(&external.iter().take(3).copied().chain(wrong).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    }

    let mut command = bare.command(&external);
    let child = command.arg("--watch").stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = child.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let output = wait(child, Duration::from_secs(5));
    assert_eq!(output.status.code(), Some(130), "{}", both(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("NO_COMMIT"), "{}", both(&output));
}
