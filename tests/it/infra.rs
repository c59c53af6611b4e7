//! The servers of a stack, with the real ones.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod external;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use contract::system::System;
use infra::{
    self, InfraError, StateDir, UpEvent, UpReport, UpRequest,
    env::Env,
    logs, ports, preflight,
    process::{self, ProcessRef},
    topics::{self, TopicPlan},
};
use mysql_async::prelude::Queryable as _;
use nix::sys::signal::Signal;
use profile::model::{ProviderChoice, StackSpec};
use tokio_util::sync::CancellationToken;

/// A state folder whose processes end with the test, however it ends.
struct Place {
    _dir: tempfile::TempDir,
    state: StateDir,
    events: Arc<Mutex<Vec<UpEvent>>>,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::create(dir.path().join(".ecomctl")).unwrap();
        Self { _dir: dir, state, events: Arc::default() }
    }

    fn request(&self) -> UpRequest {
        let stack = StackSpec { provider: ProviderChoice::Native, ..StackSpec::default() };
        let topics = topics::plan(System::default(), &contract::settings::Settings::default());
        let variables = BTreeMap::new();
        UpRequest { topics, variables, ..UpRequest::new(self.state.clone(), System::default(), stack) }
    }

    async fn up(&self, request: &UpRequest) -> Result<UpReport, InfraError> {
        self.up_until(request, CancellationToken::new()).await
    }

    async fn up_until(&self, request: &UpRequest, cancel: CancellationToken) -> Result<UpReport, InfraError> {
        infra::up(request, &|event| self.events.lock().unwrap().push(event), cancel).await
    }

    fn processes(&self) -> BTreeSet<String> {
        self.state.owner().processes().into_iter().map(|(name, _)| name).collect()
    }

    fn process(&self, name: &str) -> ProcessRef {
        self.state.load_stack().unwrap().unwrap().components[name].process.unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for (_, process) in self.state.owner().processes() {
            process::signal_group(process, Signal::SIGKILL);
        }
        let _ = self.state.run_folder().map(std::fs::remove_dir_all);
    }
}

fn servers() -> BTreeSet<String> {
    ["kafka-1", "mysql", "redis"].map(String::from).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_a_stack_and_back() {
    let place = Place::new();
    let begun = Instant::now();
    let report = place.up(&place.request()).await.unwrap();
    eprintln!("cold up: {:?}", begun.elapsed());
    for component in &report.components {
        eprintln!("  {} {} at {}: {} ms", component.name, component.version, component.address, component.took_ms);
        assert!(!component.reused && !component.version.is_empty());
    }
    assert_eq!(place.processes(), servers());
    let made: Vec<_> = report.topics.iter().map(|t| (t.name.as_str(), t.partitions, t.created)).collect();
    assert_eq!(made, [("coupon-issue", 3, true), ("coupon-issue.DLT", 1, true)]);

    // The same again: nothing happens.
    let before = report.stack.components.clone();
    let begun = Instant::now();
    let again = place.up(&place.request()).await.unwrap();
    eprintln!("up again: {:?}", begun.elapsed());
    assert!(again.components.iter().all(|component| component.reused), "{:?}", again.components);
    assert_eq!(again.stack.components, before);

    let status = infra::status(&place.state).await.unwrap();
    assert!(status.is_healthy(), "{status:#?}");
    let kafka = status.components.iter().find(|c| c.sample.name == "kafka-1").unwrap();
    eprintln!("kafka: {} MiB", kafka.sample.mem.unwrap() >> 20);
    assert!(kafka.sample.mem.unwrap() < 200 << 20, "Kafka takes {} MiB", kafka.sample.mem.unwrap() >> 20);
    let lag = status.lag.as_ref().unwrap();
    assert_eq!(lag.len(), 3);
    assert!(lag.iter().all(|row| row.lag.is_none() && row.unknown.as_deref() == Some("nothing committed")), "{lag:?}");
    assert_eq!(status.redis.as_ref().unwrap().maxmemory_policy, "noeviction");
    only_the_password_opens(&report).await;

    // down keeps the data …
    let mysql = infra::clients::mysql_pool(&report.stack.endpoints.mysql, 0, 1, infra::clients::LIMIT).await.unwrap();
    let mut conn = mysql.get_conn().await.unwrap();
    conn.query_drop("CREATE TABLE kept (id INT PRIMARY KEY, name TEXT)").await.unwrap();
    conn.query_drop("INSERT INTO kept VALUES (1, '쿠폰 🎟')").await.unwrap();
    drop(conn);
    mysql.disconnect().await.unwrap();
    let down = infra::down(&place.state, false).await.unwrap();
    assert_eq!(down.stopped.len(), 3);
    assert!(down.stopped.iter().all(|stopped| !stopped.killed), "{down:?}");
    assert!(!down.deleted && down.data.is_some());
    assert!(place.processes().is_empty());
    assert!(matches!(infra::status(&place.state).await, Err(InfraError::NotUp { .. })));

    let begun = Instant::now();
    let warm = place.up(&place.request()).await.unwrap();
    eprintln!("warm up: {:?} {:?}", begun.elapsed(), warm.components.iter().map(|c| c.took_ms).collect::<Vec<_>>());
    assert_eq!(warm.stack.endpoints, report.stack.endpoints, "ports and passwords stay");
    assert!(warm.topics.iter().all(|topic| !topic.created));
    let mut conn = infra::clients::mysql(&warm.stack.endpoints.mysql, infra::clients::LIMIT).await.unwrap();
    let name: Option<String> = conn.query_first("SELECT name FROM kept").await.unwrap();
    assert_eq!(name.as_deref(), Some("쿠폰 🎟"));
    conn.disconnect().await.unwrap();

    // … and down -v deletes them.
    let down = infra::down(&place.state, true).await.unwrap();
    assert!(down.deleted && !place.state.path("data").exists() && place.state.load_stack().unwrap().is_none());
    assert!(place.processes().is_empty());
    assert!(infra::down(&place.state, false).await.unwrap().stopped.is_empty(), "down of nothing is fine");
}

/// Nobody gets in without the generated passwords.
async fn only_the_password_opens(report: &UpReport) {
    let endpoints = &report.stack.endpoints;
    for user in ["root", "ecomctl", ""] {
        let mut mysql = endpoints.mysql.clone();
        mysql.user = user.into();
        mysql.password = contract::human::Secret::default();
        assert!(infra::clients::mysql(&mysql, infra::clients::LIMIT).await.is_err(), "`{user}` got in");
    }
    let mut redis = endpoints.redis.clone();
    redis.password = None;
    assert!(infra::ready::redis(&redis, infra::clients::LIMIT).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_heals_and_topics_follow_the_plan() {
    let place = Place::new();
    let request = place.request();
    let first = place.up(&request).await.unwrap();
    let _ = preflight::raise_open_files();

    // Each server killed in turn; the others stay as they are.
    for name in ["mysql", "redis", "kafka-1"] {
        let others: Vec<_> = servers().into_iter().filter(|n| n != name).map(|n| place.process(&n)).collect();
        process::signal_group(place.process(name), Signal::SIGKILL);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let status = infra::status(&place.state).await.unwrap();
        let row = status.components.iter().find(|c| c.sample.name == name).unwrap();
        assert_eq!((row.sample.state.name(), row.pid), ("exited", None));
        assert!(row.last_line.is_some() && !status.is_healthy());
        let healed = place.up(&request).await.unwrap();
        assert_eq!(healed.stack.endpoints, first.stack.endpoints);
        assert_eq!(healed.stack.components[name].restarts, 1, "{name}");
        for process in others {
            assert!(process::is_alive(process), "healing {name} touched another server");
        }
    }
    let before = place.process("redis");
    let report =
        infra::restart(&place.state, &["redis".to_owned()], Env::from_process(), &|_| {}, CancellationToken::new())
            .await;
    assert_eq!(report.unwrap().stack.components["redis"].restarts, 2);
    assert!(!process::is_alive(before));
    infra::stop(&place.state, "mysql").await.unwrap();
    assert_eq!(place.processes(), ["kafka-1", "redis"].map(String::from).into());
    let message = infra::stop(&place.state, "nginx").await.unwrap_err().to_string();
    assert!(message.contains("no component is named `nginx`; there are: kafka-1, mysql, redis"), "{message}");
    place.up(&request).await.unwrap();

    // A forgotten process: stack.json is lost, the data are not.
    place.state.remove_stack().unwrap();
    place.events.lock().unwrap().clear();
    let found = place.up(&request).await.unwrap();
    assert_eq!(found.stack.endpoints, first.stack.endpoints);
    let reaped = place.events.lock().unwrap().iter().filter(|e| matches!(e, UpEvent::Reaped { .. })).count();
    assert_eq!((reaped, place.processes()), (3, servers()));

    // The log of a service, and of one that does not exist.
    let range = logs::Range { lines: Some(3), since: None };
    let lines = logs::tail_merged(&place.state, &["kafka".into()], range).await.unwrap();
    assert!(lines.len() == 3 && lines.iter().all(|line| line.component == "kafka-1"), "{lines:?}");
    let merged = logs::tail_merged(&place.state, &[], range).await.unwrap();
    assert!(merged.len() >= 7 && merged.is_sorted_by_key(|line| line.at), "{merged:?}");
    assert!(logs::tail_merged(&place.state, &["x".into()], range).await.is_err());

    // Another plan: the servers stay up, and the mending command works.
    let kafka = &found.stack.endpoints.kafka;
    let mut other = request.clone();
    other.topics = vec![TopicPlan { name: "coupon-issue".into(), partitions: 6 }];
    let message = place.up(&other).await.unwrap_err().to_string();
    assert!(message.contains("has 3 partition(s) where the plan says 6"), "{message}");
    assert!(message.contains("ecomctl topics recreate coupon-issue --yes"), "{message}");
    assert_eq!(place.processes(), servers());
    let plan = other.topics[0].clone();
    assert!(matches!(topics::recreate(kafka, &plan, 1, false).await, Err(InfraError::NeedsYes { .. })));
    topics::recreate(kafka, &plan, 1, true).await.unwrap();
    place.up(&other).await.unwrap();
    assert_eq!(topics::describe(kafka, "coupon-issue").await.unwrap().partitions.len(), 6);
    let states = topics::list(kafka, &other.topics).await.unwrap();
    assert!(states.iter().all(topics::TopicState::matches));
    infra::down(&place.state, true).await.unwrap();
    assert!(place.processes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_and_an_interrupt_at_each_stage() {
    let place = Place::new();
    let request = place.request();
    // Interrupted at ever later moments: nothing is left, whatever was under way.
    for millis in [0, 100, 300, 600, 1_000, 1_500] {
        let cancel = CancellationToken::new();
        let stop = async {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            cancel.cancel();
        };
        let (result, ()) = tokio::join!(place.up_until(&request, cancel.clone()), stop);
        assert!(matches!(result, Err(InfraError::Cancelled { .. })), "{millis}: {result:?}");
        // At once: whoever is told so may rely on it.
        assert_eq!(place.processes(), BTreeSet::new(), "{millis}");
        assert!(matches!(infra::status(&place.state).await, Err(InfraError::NotUp { .. })));
    }
    // Somebody else took a port meanwhile.
    let taken = place.state.load_stack().unwrap().unwrap().endpoints.redis.port;
    let listener = std::net::TcpListener::bind(("127.0.0.1", taken)).unwrap();

    let (one, two) = tokio::join!(place.up(&request), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        (place.up(&request).await, infra::down(&place.state, false).await)
    });
    let report = one.unwrap();
    for message in [two.0.unwrap_err().to_string(), two.1.unwrap_err().to_string()] {
        assert!(message.contains(&format!("in use by `ecomctl up` (pid {})", std::process::id())), "{message}");
    }
    assert_ne!(report.stack.endpoints.redis.port, taken);
    let me = format!("port {taken} of redis is taken by ");
    let events = place.events.lock().unwrap().clone();
    assert!(events.iter().any(|e| matches!(e, UpEvent::Note { message } if message.starts_with(&me))), "{events:?}");
    assert!(ports::owner(taken).is_some());
    drop(listener);
    infra::down(&place.state, true).await.unwrap();
    assert!(place.processes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_come_up_says_why_and_nothing_stays() {
    let place = Place::new();
    let mut request = place.request();
    request.env.search = vec![PathBuf::from("/nowhere")];
    let message = place.up(&request).await.unwrap_err().to_string();
    assert!(
        message.contains("mysql: a MySQL or MariaDB server not found") && message.contains("`make deps`"),
        "{message}"
    );

    // A server that ends at once: its status and its last words are told, the others are stopped.
    let fake = place.state.folder("fake").unwrap();
    let script = fake.join("redis-server");
    std::fs::write(&script, "#!/bin/sh\necho 'the disk is on fire'\nexit 7\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    request = place.request();
    request.env.search.insert(0, fake);
    let message = place.up(&request).await.unwrap_err().to_string();
    assert!(message.contains("redis did not come up"), "{message}");
    assert!(message.contains("exit code 7") && message.contains("  the disk is on fire"), "{message}");
    assert_eq!(place.processes(), BTreeSet::new());

    request.stack.brokers = 2;
    assert!(matches!(place.up(&request).await, Err(InfraError::BrokerCount(2))));
}

#[tokio::test(flavor = "multi_thread")]
async fn three_brokers_replicate_and_survive_the_loss_of_one() {
    let place = Place::new();
    let mut request = place.request();
    request.stack.brokers = 3;
    let report = place.up(&request).await.unwrap();
    eprintln!("cold up of three brokers: {} ms", report.took_ms);
    assert_eq!(report.components.len(), 5);
    let kafka = &report.stack.endpoints.kafka;
    let topic = topics::describe(kafka, "coupon-issue").await.unwrap();
    assert!(topic.partitions.iter().all(|p| p.replicas.len() == 3), "{topic:?}");
    process::signal_group(place.process("kafka-2"), Signal::SIGKILL);
    infra::ready::round_trip(kafka, Duration::from_secs(30)).await.unwrap();
    let healed = place.up(&request).await.unwrap();
    assert_eq!(healed.stack.components["kafka-2"].restarts, 1);
    infra::down(&place.state, false).await.unwrap();
    request.stack.brokers = 1;
    assert!(matches!(place.up(&request).await, Err(InfraError::BrokersChanged { had: 3, want: 1, .. })));
    assert!(place.processes().is_empty());
}

/// `up` may be given to a task of its own.
#[test]
fn up_can_be_sent_to_another_thread() {
    fn is_send(_: impl Send) {}
    let place = Place::new();
    let request = place.request();
    is_send(infra::up(&request, &|_| {}, CancellationToken::new()));
}
