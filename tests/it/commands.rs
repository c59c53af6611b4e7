//! Commands as people and scripts use them: what is printed, what is left behind, and what bad input gets.

use std::{process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::support::{ECOMCTL, Stack, both, exit_of, shared, wait, write};

#[test]
fn the_demo_proves_a_thousand_coupons_and_leaves_nothing_behind() {
    let stack = Stack::empty();
    let (code, summary) = stack.json(&["demo"]);
    assert_eq!((code, &summary["verdict"]), (exit_of(&summary), &"consistent".into()), "{summary:#}");
    assert_eq!(summary["coupons"][0]["rows"], 1_000, "{summary:#}");
    assert!(summary["metrics"]["http_reqs"]["values"]["count"].as_f64() >= Some(5_000.0), "{summary:#}");
    assert_eq!(stack.processes(), Vec::<String>::new(), "something was left running");
    let run = stack.state_dir().join("runs").join(summary["run"].as_str().unwrap());
    let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(run.join("summary.json")).unwrap()).unwrap();
    assert_eq!(saved, summary, "the file and the output are one object");
    for name in ["events.jsonl", "report.md", "run.json"] {
        assert!(run.join(name).is_file(), "{name} is missing");
    }
    // Without servers the run's own files give the same verdict.
    let (code, report) = stack.json(&["verify", "--history", summary["run"].as_str().unwrap()]);
    assert_eq!((code, &report["verdict"]), (0, &"consistent".into()), "{report:#}");
}

#[test]
fn a_bad_profile_names_file_line_and_key_and_starts_nothing() {
    let stack = Stack::empty();
    let path = stack.scratch().join("bad.yaml");
    write(
        &path,
        "system: ecommerce\nscenarios:\n  event:\n    executor: constant-vus\n    vus: 10\n    duraton: 5s\n    requests: []\n",
    );
    let output = stack.run(&["run", &path.to_string_lossy()]);
    let text = both(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for word in ["bad.yaml:6", "duraton", "duration"] {
        assert!(text.contains(word), "{word} is not in: {text}");
    }
    assert!(stack.processes().is_empty());
    assert!(!stack.state_dir().join("stack.json").exists());
}

#[test]
fn ctrl_c_at_each_stage_stops_cleanly_and_leaves_no_process() {
    let stack = Stack::empty();
    let path = stack.scratch().join("small.yaml");
    write(&path, include_str!("profiles/small.yaml"));
    // Drain and verdict take milliseconds at rest: no signal can be aimed at them from outside.
    for stage in ["up", "seed", "backend", "load"] {
        let mut child = stack
            .command(&["run", &path.to_string_lossy(), "--ci"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let entered = format!(r#""type":"stage","name":"{stage}""#);
        let since = std::time::Instant::now();
        while !newest_events(&stack).contains(&entered) {
            assert!(since.elapsed() < Duration::from_secs(60), "never came to {stage}");
            if let Some(status) = child.try_wait().unwrap() {
                panic!("ended with {status} before {stage}: {}", both(&wait(child, Duration::from_secs(5))));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
        let output = wait(child, Duration::from_secs(60));
        assert_eq!(output.status.code(), Some(130), "{stage}: {}", both(&output));
        assert_eq!(stack.processes(), Vec::<String>::new(), "after Ctrl-C in {stage}");
        std::fs::remove_dir_all(stack.state_dir().join("runs")).unwrap();
    }
    // And the stack is none the worse for it.
    let (code, summary) = stack.json(&["run", &path.to_string_lossy()]);
    assert_eq!((code, &summary["verdict"]), (exit_of(&summary), &"consistent".into()), "{summary:#}");
}

fn newest_events(stack: &Stack) -> String {
    let mut runs: Vec<_> = stack.state_dir().join("runs").read_dir().into_iter().flatten().flatten().collect();
    runs.sort_by_key(std::fs::DirEntry::file_name);
    runs.last().map_or_else(String::new, |r| std::fs::read_to_string(r.path().join("events.jsonl")).unwrap_or_default())
}

#[test]
fn env_prints_what_other_tools_need_and_status_shows_no_password() {
    let stack = shared();
    let (_, env) = stack.json(&["env"]);
    for name in ["MYSQL_URL", "REDIS_URL", "KAFKA_BROKERS"] {
        assert!(env[name].as_str().is_some_and(|v| v.contains("127.0.0.1")), "{env:#}");
    }
    let password = env["MYSQL_URL"].as_str().unwrap().split(':').nth(2).unwrap().split('@').next().unwrap().to_owned();
    assert!(password.len() >= 16, "a generated password is long");
    for args in [&["status"][..], &["status", "--format", "json"], &["logs", "-n", "1000"], &["topics", "list"]] {
        let output = stack.run(args);
        assert!(!both(&output).contains(&password), "ecomctl {} shows the password", args.join(" "));
    }
    for line in stack.processes() {
        assert!(!line.contains(&password), "the password stands on a command line");
    }
}

#[test]
fn stats_show_what_each_process_uses_once_or_each_second() {
    let stack = shared();
    let (code, stats) = stack.json(&["stats", "mysql", "kafka"]);
    let rows = stats["components"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!((code, names), (0, vec!["kafka-1", "mysql"]));
    for row in rows {
        assert!(row["cpu"].is_f64() && row["mem"].as_u64() > Some(10 << 20), "{row:#}");
        assert!(row["open_files"].as_u64() > Some(5) && row["state"] == "running", "{row:#}");
    }
    let unknown = stack.run(&["stats", "nginx"]);
    assert!(both(&unknown).contains("there are: "), "{}", both(&unknown));

    let mut watch = stack.command(&["stats", "--watch", "--format", "json"]);
    let child = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(3_500));
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let output = wait(child, Duration::from_secs(5));
    let lines: Vec<serde_json::Value> =
        output.stdout.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert!((2..=4).contains(&lines.len()), "{}", both(&output));
    assert!(lines[0]["components"][0]["cpu"].is_f64(), "the first one shown has a pace already: {}", lines[0]);
}

#[test]
fn logs_of_all_components_come_in_the_order_of_their_times() {
    let stack = shared();
    let output = stack.ok(&["logs", "-t", "-n", "50"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let times: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(times.len() > 50 && times.is_sorted(), "{text}");
    for component in ["mysql", "redis", "kafka-1"] {
        assert!(text.lines().any(|line| line.split_whitespace().nth(1) == Some(component)), "{component}: {text}");
    }
    assert!(stack.ok(&["logs", "--since", "2999-01-01T00:00:00Z"]).stdout.is_empty());
    let wrong = stack.run(&["logs", "--since", "yesterday"]);
    assert!(wrong.status.code() == Some(2) && both(&wrong).contains("5m, 1h30m"), "{}", both(&wrong));
}

#[test]
fn help_and_manual_come_from_one_place_and_need_no_state() {
    let stack = Stack::empty();
    let help = stack.ok(&["-h"]);
    insta::assert_snapshot!("help", String::from_utf8_lossy(&help.stdout));
    for args in
        [&["man"][..], &["completions", "bash"], &["profiles"], &["profiles", "sample"], &["profiles", "schema"]]
    {
        assert!(!stack.ok(args).stdout.is_empty(), "{args:?}");
    }
    assert!(!stack.state_dir().exists(), "looking makes no state");
}

#[test]
fn an_unknown_command_is_a_usage_error() {
    let output = std::process::Command::new(ECOMCTL).arg("frobnicate").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
}

/// A run of the short event that has its load under way.
#[expect(clippy::zombie_processes, reason = "whoever calls waits for it; a test that fails here ends the process")]
fn under_way(stack: &Stack) -> std::process::Child {
    let path = stack.scratch().join("small.yaml");
    write(&path, include_str!("profiles/small.yaml"));
    let before = newest_events(stack);
    let child = stack
        .command(&["run", &path.to_string_lossy(), "--ci"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let since = std::time::Instant::now();
    loop {
        let events = newest_events(stack);
        if events != before && events.contains(r#""type":"load""#) {
            return child;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "no load began");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_second_run_is_refused_and_stop_ends_the_first_cleanly() {
    let stack = shared();
    let first = under_way(&stack);
    let second = stack.run(&["run", "smoke"]);
    let text = both(&second);
    assert_eq!(second.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("{}", first.id())), "it names the pid that runs: {text}");
    stack.ok(&["stop"]);
    let output = wait(first, Duration::from_secs(10));
    assert_eq!(output.status.code(), Some(143), "{}", both(&output));
    let left: Vec<_> = stack.processes().into_iter().filter(|line| line.contains("serve --process")).collect();
    assert!(left.is_empty(), "backend processes were left: {left:?}");
}

#[test]
fn several_profiles_make_one_object_and_one_exit_code() {
    let stack = shared();
    let (code, value) = stack.json(&["run", "smoke", "smoke"]);
    assert_eq!((code, &value["exit_code"]), (0, &0.into()), "{value:#}");
    let verdicts: Vec<_> = value["runs"].as_array().unwrap().iter().map(|run| run["verdict"].clone()).collect();
    assert_eq!(verdicts, ["consistent", "consistent"]);
}

#[test]
fn a_taken_api_port_is_named_with_its_owner() {
    let stack = shared();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let output = stack.run(&["run", "smoke", "--set", &format!("backend.port={port}")]);
    let text = both(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in [&format!("{port}"), &format!("pid {}", std::process::id()), "backend.port"] {
        assert!(text.contains(word), "{word} is not in: {text}");
    }
}

#[test]
fn a_full_disk_is_told_before_anything_is_started() {
    let stack = Stack::empty();
    let small = stack.scratch().join("small");
    std::fs::create_dir(&small).unwrap();
    let mount = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "none"]).arg(&small).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: a small file system cannot be mounted here");
        return;
    }
    let output = std::process::Command::new(ECOMCTL).arg("up").arg("--state-dir").arg(small.join("state")).output();
    let umount = std::process::Command::new("umount").arg(&small).status();
    let output = output.unwrap();
    assert!(umount.unwrap().success());
    let text = both(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("MiB") && text.contains("small/state"), "{text}");
}

#[test]
fn without_a_stack_each_command_says_how_to_get_one() {
    let stack = Stack::empty();
    for args in [&["status"][..], &["env"], &["verify"], &["seed"], &["topics", "list"], &["serve"]] {
        let output = stack.run(args);
        let text = both(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
        assert!(text.contains("ecomctl up"), "{args:?}: {text}");
    }
    // What needs no stack does not speak of one.
    let output = stack.run(&["runs", "rm", "x"]);
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    assert!(!both(&output).contains("stack is up"), "{}", both(&output));
}
