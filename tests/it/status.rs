//! `status` and `restart` while a run goes on, after it was killed, and with servers that are away.

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::support::{Stack, both, write};

const PROFILE: &str = r#"
about: a load that lasts as long as it is looked at
system: ecommerce
backend:
  consumers: 2
  partitions: 3
seed:
  users: 2000
  products: 10
  coupons: [{id: 1, quantity: 500}]
scenarios:
  event:
    executor: constant-vus
    vus: 2
    duration: 120s
    think: 200ms
    user: sequential
    requests:
      - name: issue
        method: POST
        path: /api/coupons/1/issue
        body: {userId: "${user.id}"}
        coupon: 1
        outcomes: {200: QUEUED, 409: DUPLICATE, 410: SOLD_OUT}
"#;

fn component<'s>(status: &'s Value, name: &str) -> &'s Value {
    status["components"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap_or(&Value::Null)
}

fn pid(status: &Value, name: &str) -> i32 {
    i32::try_from(component(status, name)["pid"].as_i64().unwrap_or_else(|| panic!("{name}: {status:#}"))).unwrap()
}

/// The first status that is as wished, with its exit code.
fn until(stack: &Stack, what: &str, wish: impl Fn(i32, &Value) -> bool) -> Value {
    let since = Instant::now();
    loop {
        let (code, status) = stack.json(&["status"]);
        if wish(code, &status) {
            return status;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{what}: never; exit code {code}, {status:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What people see: one table, no wider than a terminal. Gives it with the shortest time of three.
fn shown(stack: &Stack) -> (String, Duration) {
    let looks = (0..3).map(|_| {
        let since = Instant::now();
        let output = stack.run(&["status"]);
        (String::from_utf8(output.stdout).unwrap(), since.elapsed())
    });
    let (text, took) = looks.min_by_key(|(_, took)| *took).unwrap();
    for line in text.lines() {
        assert!(unicode_width::UnicodeWidthStr::width(line) <= 120, "wider than 120 columns: {line}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("component ")).count(), 1, "one table: {text}");
    (text, took)
}

/// A run in another shell.
struct Run(Child);

impl Run {
    fn start(stack: &Stack) -> Self {
        let path = stack.scratch().join("long.yaml");
        write(&path, PROFILE);
        let mut command = stack.command(&["run", &path.to_string_lossy(), "--ci"]);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const BACKEND: [&str; 4] = ["api-1", "consumer-1", "consumer-2", "reconciler-1"];

/// Servers alone were shown while a run went on, and all was well after its processes had been killed with it.
#[test]
fn everything_that_a_run_started_is_shown_by_another_shell_and_missed_when_it_was_killed() {
    let stack = Stack::empty();
    stack.ok(&["up", "coupon-quick"]);
    let (_, before) = stack.json(&["status"]);
    let refused = stack.run(&["restart", "redis", "nginx"]);
    assert_eq!(refused.status.code(), Some(2), "{}", both(&refused));
    assert!(both(&refused).contains("no component is named `nginx`; there are: kafka-1, mysql, redis"));
    assert_eq!(pid(&stack.json(&["status"]).1, "redis"), pid(&before, "redis"), "a wrong name stops nothing");

    let mut run = Run::start(&stack);
    let all = |status: &Value| BACKEND.iter().all(|name| component(status, name)["health"] == "healthy");
    let status = until(&stack, "the run's processes", |code, status| code == 0 && all(status));
    assert!(BACKEND.iter().all(|name| pid(&status, name) > 0 && component(&status, name)["mem"].as_u64() > Some(0)));
    let (text, took) = shown(&stack);
    println!("status during a run: {took:?}\n{text}");
    assert!(took < Duration::from_millis(1_500), "{took:?}; half a second on a quiet machine");
    assert!(BACKEND.iter().all(|name| text.contains(name)), "{text}");

    // Servers and processes of the run, which is in another shell.
    let output = stack.ok(&["restart", "consumer-1", "redis"]);
    for name in ["redis", "consumer-1"] {
        assert!(both(&output).contains(&format!("{name}: restarted in ")), "{}", both(&output));
    }
    let again = until(&stack, "all of it after the restart", |code, status| code == 0 && all(status));
    for name in ["redis", "consumer-1"] {
        assert_ne!(pid(&again, name), pid(&status, name), "{name}");
    }
    assert_eq!(component(&again, "consumer-1")["restarts"], 1);
    assert_eq!(pid(&again, "mysql"), pid(&status, "mysql"), "what nobody named stays");

    run.0.kill().unwrap();
    run.0.wait().unwrap();
    let gone = |status: &Value| BACKEND.iter().all(|name| component(status, name)["state"] == "gone");
    let status = until(&stack, "what the killed run left", |code, status| code == 1 && gone(status));
    let why = component(&status, "api-1")["health"].as_str().unwrap();
    assert!(why.contains(&format!("was killed (pid {})", run.0.id())), "{why}");
    stack.ok(&["up", "coupon-quick"]);
    let status = until(&stack, "a stack without leftovers", |code, _| code == 0);
    assert!(component(&status, "api-1").is_null(), "{status:#}");
}

/// The lag was an empty list and nobody said why.
#[test]
fn a_server_that_is_away_is_told_with_the_reason_and_costs_no_time() {
    let stack = Stack::empty();
    stack.ok(&["up", "coupon-quick"]);
    let (code, status) = stack.json(&["status"]);
    assert_eq!((code, status["lag"].as_array().map(Vec::len)), (0, Some(3)), "{status:#}");
    assert!(status["lag"].as_array().unwrap().iter().all(|row| row["unknown"] == "nothing committed"), "{status:#}");
    assert!(
        status["topics"].as_array().unwrap().iter().all(|topic| topic["planned"].is_u64() && topic["offline"] == 0)
    );
    let listed = String::from_utf8(stack.ok(&["topics", "list"]).stdout).unwrap();
    assert!(listed.contains("as planned") && !listed.contains("not in the plan"), "{listed}");

    for (name, unknown) in [("kafka-1", &["topics", "lag"][..]), ("redis", &["redis"]), ("mysql", &["mysql"])] {
        kill(Pid::from_raw(pid(&status, name)), Signal::SIGKILL).unwrap();
        let status = until(&stack, name, |code, status| code == 1 && component(status, name)["state"] == "exited");
        for key in unknown {
            assert!(status[*key].is_null(), "not known is not empty: {status:#}");
            assert!(status["unknown"][*key].as_str().is_some_and(|why| why.contains("127.0.0.1")), "{status:#}");
        }
    }
    let (text, took) = shown(&stack);
    println!("status of dead servers: {took:?}\n{text}");
    assert!(took < Duration::from_millis(1_500), "{took:?}");
    assert!(text.contains("kafka-1") && text.to_lowercase().contains("refused"), "{text}");

    let output = stack.ok(&["restart", "all"]);
    assert!(["mysql", "redis", "kafka-1"].iter().all(|name| both(&output).contains(&format!("{name}: restarted in "))));
    until(&stack, "all of it", |code, _| code == 0);
    stack.ok(&["down"]);
    let nothing = stack.run(&["status"]);
    assert_eq!(nothing.status.code(), Some(1), "{}", both(&nothing));
    assert!(both(&nothing).contains("no stack is up"), "{}", both(&nothing));
}
