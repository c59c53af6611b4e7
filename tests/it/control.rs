//! Acts on a run while it goes on, over its socket, as a dashboard in another terminal sends them.

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use contract::claim::{Claim, coupon::GRANTS};
use ecomctl::run::{
    control::{self},
    folder::RunFolder,
};
use record::{
    act::{Act, ActResult},
    replay::{Follower, Replay},
    state::RunState,
};

use crate::support::{Stack, both, wait, write};

/// A run of another process, followed by its file.
struct Followed {
    run: RunFolder,
    socket: PathBuf,
    follower: Follower,
}

impl Followed {
    /// Follows the one run of `stack` as soon as it has begun.
    fn begin(stack: &Stack) -> Self {
        let since = Instant::now();
        loop {
            assert!(since.elapsed() < Duration::from_secs(60), "no run has begun");
            std::thread::sleep(Duration::from_millis(20));
            let runs = RunFolder::list(&stack.state_dir().join("runs")).unwrap_or_default();
            let Some(run) = runs.into_iter().next() else { continue };
            if let (Ok(file), Ok(follower)) = (run.read(), Follower::open(&run.events())) {
                let socket = file.control.expect("run.json names the socket");
                return Self { run, socket, follower };
            }
        }
    }

    fn state(&mut self) -> &RunState {
        self.follower.poll().unwrap();
        self.follower.state()
    }

    /// Waits until the state is as wanted; gives the time it took.
    fn until(&mut self, what: &str, within: Duration, is: impl Fn(&RunState) -> bool) -> Duration {
        let since = Instant::now();
        while !is(self.state()) {
            let (state, took) = (self.follower.state(), since.elapsed());
            assert!(
                took < within,
                "{what}: not within {within:?}\n{:?}\n{:?}\n{:?}",
                state.stage,
                state.load,
                state.goals
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        since.elapsed()
    }

    fn act(&self, act: &Act) -> ActResult {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(control::send(&self.socket, act)).unwrap()
    }
}

fn members(state: &RunState) -> Option<usize> {
    state.kafka.as_ref()?.members.as_ref().map(Vec::len)
}

/// Clients of Kafka that a process has made: each has one thread of this name.
fn kafka_clients(stack: &Stack, process: &str) -> usize {
    let launched: serde_json::Value =
        serde_json::from_slice(&std::fs::read(stack.state_dir().join("launched.json")).unwrap()).unwrap();
    let pid = &launched["components"][process]["process"]["pid"];
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().filter_map(Result::ok);
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "rdk:main").count()
}

const PROFILE: &str = r#"
about: a long load that is changed by hand
system: ecommerce
backend:
  consumers: 2
  partitions: 3
  producer: {delivery_timeout: 3s}
  http: {request_timeout: 2s}
seed:
  users: 5000
  products: 10
  coupons: [{id: 1, quantity: 2000, name: "선착순 쿠폰"}]
scenarios:
  event:
    executor: constant-vus
    vus: 10
    duration: 120s
    think: 100ms
    user: sequential
    requests:
      - name: issue
        method: POST
        path: /api/coupons/1/issue
        body: {userId: "${user.id}"}
        coupon: 1
        outcomes: {200: QUEUED, 409: DUPLICATE, 410: SOLD_OUT}
goals:
  http_reqs: ["count>100"]
  consumer_lag: ["max<100000"]
checks:
  require: [SY1, CP1, CP2, CP3, CP4, CP5, CP7, CP8, CP9, CP13]
drain: {timeout: 60s}
"#;

#[test]
fn a_run_that_is_acted_on_over_its_socket_stays_consistent() {
    let stack = Stack::empty();
    let path = stack.scratch().join("long.yaml");
    write(&path, PROFILE);
    let child = stack
        .command(&["run", &path.to_string_lossy(), "--ci", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut run = Followed::begin(&stack);
    assert!(!run.act(&Act::SetVus(5)).done, "there is no load yet");
    run.until("load", Duration::from_secs(90), |state| state.load.as_ref().is_some_and(|load| load.vus == 10));

    // More than the profile plans, then fewer, then as planned.
    let many = run.act(&Act::SetVus(60));
    assert!(many.done, "{many:?}");
    run.until("60 VUs", Duration::from_secs(2), |state| state.load.as_ref().is_some_and(|load| load.vus == 60));
    assert!(run.act(&Act::SetVus(3)).done);
    run.until("3 VUs", Duration::from_secs(2), |state| state.load.as_ref().is_some_and(|load| load.vus == 3));
    assert!(run.act(&Act::FollowPlan).done);
    run.until("10 VUs", Duration::from_secs(2), |state| state.load.as_ref().is_some_and(|load| load.vus == 10));
    let refused =
        [run.act(&Act::SetRate(10.0)), run.act(&Act::SetVus(100_000)), run.act(&Act::Restart("nobody".into()))];
    assert!(refused.iter().all(|result| !result.done), "{refused:?}");
    assert!(refused[1].text.contains("at most 110"), "{refused:?}");

    // Consumers come and go.
    run.until("2 members", Duration::from_secs(15), |state| members(state) == Some(2));
    assert_eq!((kafka_clients(&stack, "consumer-1"), kafka_clients(&stack, "api-1")), (2, 1));
    let added = run.act(&Act::AddConsumer);
    assert!(added.done && added.text.contains("consumer-3 is ready, 3 consumers"), "{added:?}");
    run.until("3 members", Duration::from_secs(15), |state| members(state) == Some(3));
    let removed = run.act(&Act::RemoveConsumer);
    assert!(removed.done && removed.text.contains("consumer-3"), "{removed:?}");
    run.until("2 members again", Duration::from_secs(15), |state| members(state) == Some(2));

    // A process and a server are restarted under load.
    assert!(run.act(&Act::Restart("consumer-1".into())).done);
    run.until("a restart", Duration::from_secs(20), |state| state.restarts.get("consumer-1") == Some(&1));
    let restarted = run.act(&Act::Restart("redis".into()));
    assert!(restarted.done, "{restarted:?}");
    // The gate is rebuilt after a while; until then nothing can be said about it.
    let soon = run.state().t_ms + 2_500;
    run.until("the gate is open again", Duration::from_secs(30), |state| {
        let open = state
            .probe
            .as_ref()
            .is_some_and(|p| p.errors.is_empty() && p.subjects[&Claim::coupon(1)].get(GRANTS).is_some());
        state.t_ms > soon && open && !state.away.contains_key("redis")
    });
    let counted = run.act(&Act::Verify);
    assert!(counted.done && counted.text.contains("no count contradicts"), "{counted:?}");
    run.until("goals", Duration::from_secs(10), |state| state.goals.iter().all(|goal| goal.actual.is_some()));

    assert!(run.act(&Act::StopLoad).done);
    let output = wait(child, Duration::from_secs(90));
    let summary: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", both(&output)));
    assert_eq!(summary["verdict"], "consistent", "{summary:#}");
    let warnings = summary["warnings"].to_string();
    assert!(warnings.contains("by hand") && warnings.contains("vus 60"), "{warnings}");
    after(&run);
}

/// What is left of the run: every act in its events, and no socket.
fn after(run: &Followed) {
    assert!(!run.socket.exists() && run.run.read().unwrap().control.is_none());
    let mut replay = Replay::open(&run.run.events()).unwrap();
    assert_eq!(replay.problems().count, 0, "{:?}", replay.problems());
    let end = replay.end_ms();
    let state = replay.seek(end).unwrap().clone();
    let acts: Vec<_> = state.acts.iter().map(|act| act.what.as_str()).collect();
    assert_eq!(
        acts,
        [
            "vus 5",
            "vus 60",
            "vus 3",
            "follow the plan",
            "rate 10",
            "vus 100000",
            "restart nobody",
            "add consumer",
            "remove consumer",
            "restart consumer-1",
            "restart redis",
            "verify",
            "stop load"
        ]
    );
    assert!(state.acts.iter().all(|act| !act.result.is_empty()), "{:?}", state.acts);
    assert!(state.goals_last && state.finished.is_some() && state.checks.len() > 5);
    assert!(state.plan.is_some() && state.load_done().is_some_and(|done| done < 1.0));
    let names: Vec<_> = state.stack.iter().flat_map(|stack| stack.components.iter().map(|c| c.name.as_str())).collect();
    for name in ["mysql", "redis", "kafka-1", "api-1", "consumer-1", "reconciler-1"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    let mysql = state.mysql.as_ref().unwrap();
    assert!(mysql.pools.iter().any(|pool| pool.process == "api-1" && pool.max > 0), "{:?}", mysql.pools);
    // Any time can be looked at again.
    let middle = replay.seek(end / 2).unwrap();
    assert!(middle.t_ms <= end / 2 && middle.finished.is_none());
    let kinds = std::fs::read_to_string(run.run.events()).unwrap();
    for kind in ["kafka", "redis", "mysql", "stack"] {
        let count = kinds.matches(&format!(r#""type":"{kind}""#)).count() as u64;
        assert!((2..=end / 1_800 + 2).contains(&count), "{count} events of {kind} in {end} ms");
    }
}
