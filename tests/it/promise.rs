//! The promise: whatever dies in the middle of a run, each acknowledged coupon is in the database exactly once.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{Stack, both, exit_of, shared, wait, write};

const SMALL: &str = include_str!("profiles/small.yaml");

/// The short event as a file of `stack`.
fn small(stack: &Stack) -> String {
    let path = stack.scratch().join("small.yaml");
    write(&path, SMALL);
    path.to_string_lossy().into_owned()
}

/// The run was consistent and gave out exactly 300 coupons, row by row.
fn assert_all_given_once(code: i32, summary: &Value) {
    assert_eq!((code, &summary["verdict"]), (exit_of(summary), &"consistent".into()), "{summary:#}");
    let coupon = &summary["coupons"][0];
    assert_eq!((coupon["rows"].as_u64(), coupon["grants"].as_u64()), (Some(300), Some(300)), "{coupon:#}");
    let outcomes: u64 = summary["outcomes"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(summary["metrics"]["http_reqs"]["values"]["count"].as_f64(), Some(outcomes as f64), "{summary:#}");
}

/// Starts a run, waits until it has the load under way, does `harm`, and gives exit code and summary.
pub fn run_with_harm(stack: &Stack, args: &[&str], harm: impl FnOnce(&Stack)) -> (i32, Value) {
    let before = stack.state_dir().join("runs").read_dir().map_or(0, Iterator::count);
    let args: Vec<_> = [&["run"], args, &["--format", "json"]].concat();
    let child = stack.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(Duration::from_secs(60), "the load to begin", || {
        let mut runs: Vec<_> = stack.state_dir().join("runs").read_dir().into_iter().flatten().flatten().collect();
        runs.sort_by_key(std::fs::DirEntry::file_name);
        runs.len() > before && {
            let events = std::fs::read_to_string(runs[runs.len() - 1].path().join("events.jsonl")).unwrap_or_default();
            events.contains(r#""type":"load""#)
        }
    });
    harm(stack);
    let output = wait(child, Duration::from_secs(150));
    let summary = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{}", both(&output)));
    (output.status.code().unwrap_or(-1), summary)
}

fn until(within: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < within, "waited {within:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The process of the state folder whose command line names `conf/<name>.json`.
pub fn backend_process(stack: &Stack, name: &str) -> i32 {
    let needle = format!("{name}.json");
    let line = stack.processes().into_iter().find(|line| line.contains(&needle)).unwrap_or_else(|| panic!("no {name}"));
    line.split(' ').next().unwrap().parse().unwrap()
}

pub fn kill_9(pid: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn two_runs_in_a_row_are_both_right() {
    let stack = shared();
    let profile = small(&stack);
    for _ in 0..2 {
        let (code, summary) = stack.json(&["run", &profile]);
        assert_all_given_once(code, &summary);
        // Offsets follow the rows at once. (A commit that the client never reported back once took a minute, and
        // nothing but time told of it.)
        let drained = summary["lag"]["drain_s"].as_f64().unwrap();
        assert!(drained < 3.0, "drained after {drained} s");
    }
}

#[test]
fn a_consumer_killed_in_mid_run_loses_and_doubles_nothing() {
    let stack = shared();
    let profile = small(&stack);
    let (code, summary) = run_with_harm(&stack, &[&profile], |stack| kill_9(backend_process(stack, "consumer-1")));
    assert_all_given_once(code, &summary);
    assert_eq!(summary["restarts"]["consumer-1"], 1, "it was killed and came back");
}

#[test]
fn an_api_killed_between_gate_and_send_leaves_no_hole() {
    let stack = shared();
    let profile = small(&stack);
    let failpoint = r#"backend.failpoints={"api.after_gate": "kill@100"}"#;
    let (code, summary) = stack.json(&["run", &profile, "--set", failpoint]);
    assert_all_given_once(code, &summary);
    assert_eq!(summary["restarts"]["api-1"], 1, "it was killed and came back");
    assert!(summary["outcomes"]["UNKNOWN"].as_u64() > Some(0), "requests under way do not know their answer");
}

#[test]
fn a_broker_restarted_in_mid_run_loses_nothing() {
    let stack = shared();
    let profile = small(&stack);
    let (code, summary) = run_with_harm(&stack, &[&profile], |stack| {
        stack.ok(&["restart", "kafka-1"]);
    });
    assert_all_given_once(code, &summary);
}
