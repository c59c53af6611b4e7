//! A server that ends while a run goes on: told with what it was, how it ended and when, in events, report and drain.

use std::time::Duration;

use bollard::query_parameters::KillContainerOptionsBuilder;
use compose::model::Resources;
use infra::docker::{self, ContainerState};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    docker_stack::{InDocker, LONG, small, wait_for},
    docker_world::{World, script},
    support::{Stack, both, wait, write},
};

/// `events.jsonl` of the newest run.
fn events(stack: &Stack) -> String {
    let runs = std::fs::read_dir(stack.state_dir().join("runs")).into_iter().flatten().flatten();
    let run = runs.max_by_key(std::fs::DirEntry::file_name);
    run.map_or_else(String::new, |run| std::fs::read_to_string(run.path().join("events.jsonl")).unwrap_or_default())
}

fn ended(stack: &Stack, server: &str) -> String {
    let events = events(stack);
    let lines = events.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut found = lines.filter(|e| e["type"] == "process" && e["name"] == server && e["state"] == "exited");
    found.next().unwrap_or_else(|| panic!("no end of {server} in {events}"))["detail"].as_str().unwrap().to_owned()
}

/// The drain waits for nobody who is known to be gone, and the report says who it was.
fn is_reported(stack: &Stack, output: &std::process::Output, how: &[&str]) {
    let told = ended(stack, "redis");
    assert!(how.iter().all(|words| told.contains(words)), "{told}");
    let summary: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", both(output)));
    let warnings = summary["warnings"].to_string();
    assert!(warnings.contains("redis ended") && warnings.contains(how[0]), "{warnings}");
    assert!(both(output).contains("redis ENDED"), "the ticker: {}", both(output));
    assert_ne!(summary["verdict"], "violated", "{summary:#}");
    assert!(summary["duration_s"].as_f64().unwrap() < 45.0, "the drain waited for what is gone: {summary:#}");
}

#[test]
fn a_container_that_is_killed_in_a_run_is_told_with_its_exit_code() {
    let place = InDocker::new();
    let mut child = place.start(&["run", small(&place), "--format", "json"]);
    wait_for("load", &mut child, || events(&place.stack).contains(r#""type":"load""#));
    let id = place.component("redis")["container"]["id"].as_str().unwrap().to_owned();
    let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
    place.runtime.block_on(place.engine.kill_container(&id, Some(options))).unwrap();
    let output = wait(child, LONG);
    is_reported(&place.stack, &output, &["-redis-1 ended with exit code 137 (killed)", "at 2"]);
    place.ok(&["down", "-v"]);
}

#[test]
fn a_process_that_is_killed_in_a_run_is_told_with_its_signal() {
    let stack = Stack::empty();
    let path = stack.scratch().join("small.yaml");
    write(&path, include_str!("profiles/small.yaml"));
    let run = ["run", path.to_str().unwrap(), "--ci", "--format", "json", "--set", "backend.port=0"];
    let mut command = stack.command(&run);
    let piped = std::process::Stdio::piped;
    let mut child = command.stdout(piped()).stderr(piped()).spawn().unwrap();
    wait_for("load", &mut child, || events(&stack).contains(r#""type":"load""#));
    let file: serde_json::Value =
        serde_json::from_slice(&std::fs::read(stack.state_dir().join("stack.json")).unwrap()).unwrap();
    let pid = file["components"]["redis"]["process"]["pid"].as_i64().unwrap();
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
    let output = wait(child, LONG);
    is_reported(&stack, &output, &["ended: killed by signal 9 (SIGKILL)", &format!("pid {pid}")]);
    stack.ok(&["down", "-v"]);
}

/// As at `up`: the limit, that all of it was used, and what to raise.
#[tokio::test(flavor = "multi_thread")]
async fn memory_that_ran_out_later_is_told_with_the_limit_and_what_to_raise() {
    let Some(mut world) = World::new().await else { return };
    world = world.with("redis", script("sleep 1; exec tail /dev/zero"));
    world.service("redis").resources = Resources { memory: Some(16 << 20), ..Resources::default() };
    world.up().await.unwrap();
    let container = loop {
        let now = world.list().await.remove(0);
        if now.state == ContainerState::Exited {
            break now;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let how = docker::how_it_ended(&world.engine, &container).await;
    assert!(how.contains(&container.name) && how.contains("memory") && how.contains("limit 16 MiB"), "{how}");
    assert!(how.contains("exit code 137") && how.contains("ECOMCTL_LIMIT_REDIS_MEMORY"), "{how}");
}
