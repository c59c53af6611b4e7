//! `status` and `logs` of containers: at once, of all that is there, and of what runs now.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use bollard::models::HostConfig;
use infra::{self, InfraError, state::StateDir};
use serde_json::Value;

use crate::{
    docker::Containers,
    docker_stack::{InDocker, LONG, small},
    support::{both, wait},
};

/// Two containers of a failed `up` were there, and "no stack is up" was said of them; a job that had done its work made
/// `status` fail for ever, and a backend that was stopped by hand was "done".
#[tokio::test(flavor = "multi_thread")]
async fn labelled_containers_are_shown_whatever_was_written_down_and_only_a_job_is_ever_done() {
    let containers = Containers::new().await;
    assert!(matches!(infra::status(&containers.state).await, Err(InfraError::NotUp { .. })));
    containers.start("redis", "sleep 60", HostConfig::default()).await;
    for name in ["migrate", "api-1"] {
        let id = containers.start(name, "true", HostConfig::default()).await;
        containers.ended(&id).await;
    }
    // The `up` failed: it has written nothing down.
    containers.state.remove_stack().unwrap();
    let status = infra::status(&containers.state).await.unwrap();
    let row = |name: &str| {
        let found = status.components.iter().find(|c| c.sample.name == name);
        found.map(|c| (c.sample.state.name().to_owned(), c.sample.health.clone())).unwrap_or_default()
    };
    assert_eq!(row("migrate"), ("exited".into(), "done".into()), "{status:#?}");
    assert_eq!(row("redis").0, "running", "{status:#?}");
    for name in ["mysql", "kafka-1"] {
        assert_eq!(row(name).0, "missing", "{status:#?}");
    }
    assert_eq!(row("api-1").0, "exited");
    assert_ne!(row("api-1").1, "done", "{status:#?}");
    assert!(!status.is_healthy() && status.lag.is_none() && status.unknown.contains_key("lag"), "{status:#?}");
}

fn status(place: &InDocker) -> (i32, Value, Duration) {
    let looks = (0..3).map(|_| {
        let since = Instant::now();
        let output = wait(place.start(&["status", "--format", "json"]), LONG);
        let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{}", both(&output)));
        (output.status.code().unwrap_or(-1), value, since.elapsed())
    });
    looks.min_by_key(|(.., took)| *took).unwrap()
}

fn component<'s>(status: &'s Value, name: &str) -> &'s Value {
    status["components"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap_or(&Value::Null)
}

/// It took over two seconds, and `logs mysql` showed the last words of a native server.
#[test]
fn a_stack_in_containers_is_looked_at_at_once_and_its_logs_are_its_own() {
    let place = InDocker::new();
    let logs = StateDir::create(place.stack.state_dir()).unwrap().folder("logs").unwrap();
    let old = std::fs::File::create(logs.join("mysql.log")).unwrap();
    std::io::Write::write_all(&mut &old, b"an earlier server: Shutdown complete\n").unwrap();
    old.set_modified(std::time::SystemTime::now() - Duration::from_secs(3_600)).unwrap();
    place.ok(&["up", small(&place)]);

    let (code, seen, took) = status(&place);
    println!("status in Docker: {took:?}");
    assert_eq!(code, 0, "{seen:#}");
    assert!(took < Duration::from_millis(1_500), "{took:?}; half a second on a quiet machine");
    for name in ["mysql", "redis", "kafka-1"] {
        let row = component(&seen, name);
        assert!(row["mem"].as_u64() > Some(1 << 20) && row["cpu"].is_number(), "{row:#}");
        assert_eq!((row["health"].as_str(), row["state"].as_str()), (Some("healthy"), Some("running")), "{row:#}");
    }
    let listed = String::from_utf8(place.ok(&["topics", "list"]).stdout).unwrap();
    assert!(listed.contains("as planned") && !listed.contains("not in the plan"), "{listed}");

    let said = String::from_utf8(place.ok(&["logs", "mysql"]).stdout).unwrap();
    assert!(!said.is_empty() && !said.contains("an earlier server"), "{said}");
    let output = place.ok(&["restart", "redis"]);
    assert!(both(&output).contains("redis: restarted in "), "{}", both(&output));

    // Somebody stops a server by hand: that is no end of a job, whatever its exit code.
    let (_, seen, _) = status(&place);
    let id = component(&seen, "redis")["container"]["id"].as_str().unwrap().to_owned();
    assert!(Command::new("docker").args(["stop", &id]).output().unwrap().status.success());
    let (code, seen, _) = status(&place);
    let redis = component(&seen, "redis");
    assert_eq!((code, redis["state"].as_str()), (1, Some("exited")), "{redis:#}");
    assert!(seen["redis"].is_null() && seen["unknown"]["redis"].is_string(), "{seen:#}");
}
