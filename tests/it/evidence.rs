//! Evidence that is not the run's own accuses nobody, and proves nothing.

use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

use contract::system::System;
use probe::{DrainPlan, drain};
use rdkafka::{
    admin::{AdminOptions, NewTopic, TopicReplication},
    producer::{BaseProducer, BaseRecord, Producer},
};
use record::epoch::OfRun;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use verify::{self, CheckResult, LogBefore, Overall, Verdict, VerifyPlan, VerifyReport};

use crate::{
    stage::{PARTITIONS, Stage},
    support::{Stack, both, exit_of, shared, wait, write},
};

/// Twenty coupons for forty virtual users, within a second.
const TINY: &str = r#"
about: a very short coupon event
system: ecommerce
seed: {users: 200, products: 2, coupons: [{id: 1, quantity: 20}]}
scenarios:
  event:
    executor: constant-vus
    vus: 10
    duration: 1s
    think: 50ms
    user: sequential
    requests:
      - {name: issue, method: POST, path: /api/coupons/1/issue, body: {userId: "${user.id}"}, coupon: 1,
         outcomes: {200: QUEUED, 409: DUPLICATE, 410: SOLD_OUT}}
checks: {require: [SY1, CP1, CP2, CP3, CP4, CP5, CP6, CP7, CP8, CP9, CP13]}
"#;

/// A profile that claims no coupon, with a goal.
const READS: &str = r#"
about: reads alone
system: ecommerce
seed: {users: 10, products: 2, coupons: [{id: 1, quantity: 20}]}
scenarios:
  reads:
    executor: constant-vus
    vus: 1
    duration: 1s
    think: 50ms
    requests: [{name: product, method: GET, path: /api/products/1}]
goals: {http_reqs: ["count>GOAL"]}
"#;

fn profile(stack: &Stack, name: &str, text: &str) -> String {
    let path = stack.scratch().join(format!("{name}.yaml"));
    write(&path, text);
    path.to_string_lossy().into_owned()
}

/// Id → verdict and evidence.
fn checks(report: &Value) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = report["checks"].as_array().unwrap();
    checks.iter().map(|c| (text(&c["id"]), (text(&c["verdict"]), text(&c["evidence"])))).collect()
}

/// Nothing is violated, what rests on servers is unknown and says `why`; the generator's own count holds.
fn assert_nobody_accused(code: i32, report: &Value, why: &str) {
    assert_eq!((code, report["verdict"].as_str()), (4, Some("unproven")), "{report:#}");
    for (id, (verdict, evidence)) in checks(report) {
        let expected = if id == "SY1" { "holds" } else { "unknown" };
        assert_eq!(verdict, expected, "{id}: {evidence}");
        if ["CP1", "CP3", "CP5", "CP6", "CP7", "CP13"].contains(&id.as_str()) {
            assert!(evidence.contains(why), "{id} says `{evidence}`, not `{why}`");
        }
    }
}

/// A seed, or another run, after a run takes its coupons away and makes no liar of it.
#[test]
fn a_run_is_not_judged_by_what_a_later_seed_or_run_left() {
    let stack = shared();
    let tiny = profile(&stack, "tiny", TINY);
    let (code, first) = stack.json(&["run", &tiny]);
    assert_eq!(code, exit_of(&first), "{first:#}");
    let run = first["run"].as_str().unwrap();
    let (code, again) = stack.json(&["verify"]);
    assert_eq!((code, &again["verdict"]), (0, &"consistent".into()), "nothing was touched: {again:#}");

    stack.ok(&["seed", &tiny]);
    let (code, report) = stack.json(&["verify"]);
    assert_nobody_accused(code, &report, "coupon 1 was seeded again since, at ");
    assert_nobody_accused(code, &report, &format!("`ecomctl verify --history {run}` judges it as it was"));
    let (code, history) = stack.json(&["verify", "--history", run]);
    assert_eq!((code, &history["verdict"]), (0, &"consistent".into()), "{history:#}");

    // Other coupons of the same number: by a profile that has more of them.
    let more = profile(&stack, "more", &TINY.replace("quantity: 20", "quantity: 30"));
    let (code, second) = stack.json(&["run", &more]);
    assert_eq!(code, exit_of(&second), "{second:#}");
    let by = format!("was seeded again since, by run {}", second["run"].as_str().unwrap());
    let (code, report) = stack.json(&["verify", "--run", run]);
    assert_nobody_accused(code, &report, &by);
    // By the profile that says twenty, where thirty were seeded: there is no T to hold them against.
    let (code, report) = stack.json(&["verify", &tiny]);
    let told = checks(&report);
    assert_eq!((code, told["CP1"].0.as_str(), told["CP3"].0.as_str()), (4, "unknown", "unknown"), "{report:#}");
    assert!(told["CP1"].1.contains("it was seeded from another profile"), "{report:#}");

    // A run of before runs wrote their epochs down: its sets say which they were.
    let path = stack.state_dir().join("runs").join(run).join("run.json");
    let mut old: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    old.as_object_mut().unwrap().remove("epochs").unwrap();
    std::fs::write(&path, old.to_string()).unwrap();
    let (code, report) = stack.json(&["verify", "--run", run]);
    assert_nobody_accused(code, &report, &by);
    let sets = stack.state_dir().join("runs").join(run).join("sets");
    std::fs::remove_dir_all(&sets).unwrap();
    let (code, report) = stack.json(&["verify", "--run", run]);
    assert_nobody_accused(code, &report, "does not say which epochs it opened");
    // A seed that did not come to its end opened nothing.
    old["epochs"] = serde_json::json!({});
    std::fs::write(&path, old.to_string()).unwrap();
    let (code, report) = stack.json(&["verify", "--run", run]);
    assert_nobody_accused(code, &report, "its seed did not come so far");
}

/// Who claims nothing has nothing to prove: the exit code is that of the goals alone.
#[test]
fn a_profile_that_claims_nothing_is_judged_by_its_goals() {
    let stack = shared();
    for (goal, exit) in [("5", 0), ("100000", 99)] {
        let reads = profile(&stack, "reads", &READS.replace("GOAL", goal));
        let (code, summary) = stack.json(&["run", &reads]);
        assert_eq!((code, &summary["verdict"]), (exit, &"nothing to prove".into()), "{summary:#}");
        let checks = summary["checks"].as_array().unwrap();
        let of = |id: &str| checks.iter().find(|check| check["id"] == id).map(|check| check["verdict"].clone());
        assert_eq!(
            (of("SY1"), of("CP5")),
            (Some("not_applicable".into()), Some("not_applicable".into())),
            "{summary:#}"
        );
    }
    let (code, report) = stack.json(&["verify"]);
    assert_eq!((code, &report["verdict"]), (0, &"nothing to prove".into()), "{report:#}");
    let required = format!("{}\nchecks: {{require: [CP5]}}", READS.replace("GOAL", "5"));
    let reads = profile(&stack, "required", &required);
    let output = stack.run(&["run", &reads]);
    assert_eq!(output.status.code(), Some(4), "what is required is not proven: {}", both(&output));
}

/// Letters written under load are counted from before the load, by whoever looks later; and a run that still goes on is
/// not judged from another shell.
#[test]
fn letters_under_load_are_counted_and_a_run_that_goes_on_is_not_judged() {
    let stack = shared();
    let text = TINY.replace("duration: 1s", "duration: 4s") + "goals: {dead_letters: [\"count<1\"]}\n";
    let slow = profile(&stack, "letters", &text);
    let runs = || std::fs::read_dir(stack.state_dir().join("runs")).map_or(0, Iterator::count);
    let before = runs();
    let mut command = stack.command(&["run", &slow, "--format", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    let loading = || {
        let mut all: Vec<_> =
            std::fs::read_dir(stack.state_dir().join("runs")).into_iter().flatten().flatten().collect();
        all.sort_by_key(std::fs::DirEntry::file_name);
        let events = all.last().map(|run| run.path().join("events.jsonl"));
        let events = events.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        runs() > before && events.contains(r#""type":"load""#)
    };
    while !loading() {
        assert!(began.elapsed() < Duration::from_secs(60), "no load began");
        std::thread::sleep(Duration::from_millis(50));
    }
    let producer: BaseProducer = stack.endpoints().kafka.client_config().create().unwrap();
    producer.send(BaseRecord::<str, str>::to(System::default().claims().name).payload("no event")).unwrap();
    producer.flush(Duration::from_secs(10)).unwrap();
    let (code, report) = stack.json(&["verify"]);
    assert_eq!((code, report["verdict"].as_str()), (4, Some("unproven")), "{report:#}");
    assert!(checks(&report)["CP5"].1.contains("still goes on"), "{report:#}");

    let output = wait(child, Duration::from_secs(120));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{}", both(&output)));
    assert_eq!(summary["metrics"]["dead_letters"]["values"]["count"], 1.0, "{summary:#}");
    assert_eq!((output.status.code(), &summary["verdict"]), (Some(99), &"consistent".into()), "{summary:#}");
}

fn of_run(stage: &Stage, epoch: String) -> OfRun {
    let opened = Ok([(stage.claim(), epoch)].into());
    OfRun { run: "R".into(), opened, history: false, openers: BTreeMap::new() }
}

async fn judged(mut stage: Stage, plan: &VerifyPlan) -> (VerifyReport, BTreeMap<String, CheckResult>) {
    let report = verify::run(plan).await.unwrap();
    stage.clean_up().await;
    let checks = report.checks.iter().map(|check| (check.id.clone(), check.clone())).collect();
    (report, checks)
}

fn assert_unknown(checks: &BTreeMap<String, CheckResult>, ids: &[&str], why: &str) {
    for id in ids {
        let check = &checks[*id];
        assert!(check.verdict == Verdict::Unknown && check.evidence.contains(why), "{check:?} does not say `{why}`");
    }
    let violated: Vec<_> = checks.values().filter(|check| check.verdict == Verdict::Violated).collect();
    assert!(violated.is_empty(), "{violated:?}");
}

/// The same number in the same Redis, but of another life: MySQL's data were made anew, or it is another server.
#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_mysql_never_had_is_another_servers() {
    let stage = Stage::in_order(3, 5).await;
    let mut plan = stage.plan();
    plan.of_run = Some(of_run(&stage, stage.epoch(3)));
    assert_eq!(verify::run(&plan).await.unwrap().verdict, Overall::Unproven, "five of three coupons: CP6 is unknown");
    plan.of_run = Some(of_run(&stage, format!("{}:f00d:3", stage.run_id)));
    let (_, checks) = judged(stage, &plan).await;
    assert_unknown(&checks, &["CP1", "CP3", "CP4", "CP5", "CP7", "CP9", "CP13", "CP14"], "this MySQL knows no epoch");
}

/// A Redis that came back with what it had saved may lack the newest grants until its gate is rebuilt.
#[tokio::test(flavor = "multi_thread")]
async fn a_gate_of_an_earlier_life_of_redis_is_unknown() {
    let mut stage = Stage::in_order(5, 5).await;
    let keys = contract::claim::gate_keys(stage.coupon);
    stage.redis(&["HDEL", &keys.users, "5"]).await;
    stage.redis(&["HSET", &keys.epoch, "id", "before:3"]).await;
    stage.run("UPDATE coupons SET epoch = 'before:3'").await;
    let plan = stage.plan();
    let (report, checks) = judged(stage, &plan).await;
    assert_unknown(&checks, &["CP3", "CP9", "CP10"], "it was started anew since epoch 3 was opened");
    assert_eq!(report.verdict, Overall::Unproven);
}

/// A topic of the same name that was made anew proves neither that rows are phantoms nor that all is consumed.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_is_unknown() {
    let stage = Stage::in_order(5, 5).await;
    let before = stage.ends(&stage.topic);
    stage.admin().delete_topics(&[&stage.topic], &AdminOptions::new()).await.unwrap();
    let anew = [NewTopic::new(&stage.topic, PARTITIONS, TopicReplication::Fixed(1))];
    let wait = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
    // The name is free once the broker has let go of the old one.
    let made = async || stage.admin().create_topics(&anew, &wait).await.unwrap().remove(0).is_ok();
    for _ in 0..200 {
        if made().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut plan = stage.plan();
    plan.before = LogBefore { cluster: None, ends: before };
    let drained = drain(
        &DrainPlan {
            endpoints: stage.endpoints.clone(),
            subjects: vec![stage.claim()],
            topic: stage.topic.clone(),
            group: stage.group.clone(),
            starts: probe::Starts { topic: plan.before.ends.clone(), ..stage.starts.clone() },
            opened: [(stage.claim(), stage.epoch(3))].into(),
            timeout: Duration::from_secs(3),
        },
        |_| {},
        &|_| None,
        &CancellationToken::new(),
    )
    .await;
    assert!(!drained.drained && drained.why.contains("it was made anew"), "{drained:?}");
    let (_, checks) = judged(stage, &plan).await;
    assert_unknown(&checks, &["CP4", "CP7"], "the topic was made anew");
}

/// Nobody waits a minute for a server that has ended, or for a coupon that somebody seeded again.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_with_what_it_waits_for() {
    let mut stage = Stage::in_order(4, 5).await;
    let plan = |stage: &Stage| DrainPlan {
        endpoints: stage.endpoints.clone(),
        subjects: vec![stage.claim()],
        topic: stage.topic.clone(),
        group: stage.group.clone(),
        starts: stage.starts.clone(),
        opened: [(stage.claim(), stage.epoch(3))].into(),
        timeout: Duration::from_secs(60),
    };
    let cancel = CancellationToken::new();
    let mut away = plan(&stage);
    (away.endpoints.redis.host, away.endpoints.redis.port) = ("127.0.0.1".into(), 1);
    let gone = |system: &str| (system == "redis").then(|| "redis (pid 7) has ended".to_owned());
    let report = drain(&away, |_| {}, &gone, &cancel).await;
    assert!(!report.drained && report.seconds < 30.0, "{report:?}");
    assert!(report.why.starts_with("redis (pid 7) has ended"), "{report:?}");

    stage.send(&stage.topic.clone(), 5, 5, 3, None).await;
    let epoch = stage.epoch(4);
    stage.run(&format!("UPDATE coupons SET epoch = '{epoch}', epoch_floor = 4")).await;
    let report = drain(&plan(&stage), |_| {}, &gone, &cancel).await;
    assert!(!report.drained && report.seconds < 30.0, "{report:?}");
    assert!(report.why.contains("was seeded again while the run went on"), "{report:?}");
    stage.clean_up().await;
}
