//! What is replaced stays as it was until its successor answers: at a failure, at an interrupt, and when a server of another
//! provider is to take its place.

use std::{
    collections::BTreeMap,
    process::{Command, Output, Stdio},
    time::Duration,
};

use bollard::query_parameters::KillContainerOptionsBuilder;
use compose::model::Resources;
use infra::docker::{Container, ContainerState};
use tokio_util::sync::CancellationToken;

use crate::{
    docker_stack::{InDocker, LONG, small},
    docker_world::{World, healthy_at_last, idle, script},
    support::{Stack, both, wait, write},
};

/// What is wrong, further words of the command line, variables, and what must be said.
type Case = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)], &'static str);

/// Name, id and start of each container: the same where nobody touched it.
fn lives(all: &[Container]) -> Vec<(String, String, Option<String>)> {
    all.iter().map(|c| (c.name.clone(), c.id.clone(), c.started_at.clone())).collect()
}

/// The container runs under its name, is the only one, and nothing that was to take its place is left.
fn is_as_it_was(now: &[Container], before: &Container) {
    let named: Vec<_> = now.iter().map(|c| (&c.name, &c.id, c.state)).collect();
    assert_eq!(named, [(&before.name, &before.id, ContainerState::Running)]);
}

/// A successor that fails, or that somebody breaks off, costs nothing of what ran.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_comes_back_when_its_successor_fails_or_is_broken_off() {
    let Some(mut world) = World::new().await else { return };
    world = world.with("db", idle());
    let before = world.up().await.unwrap().remove(0);

    // What can be known beforehand is told before anything ends.
    let old = world.service("db").clone();
    world.service("db").image = "registry.invalid/no/such:1".into();
    world.up().await.unwrap_err();
    *world.service("db") = old.clone();
    world.service("db").resources = Resources { memory: Some(1 << 20), ..Resources::default() };
    world.up().await.unwrap_err();
    assert_eq!(lives(&world.list().await), lives(std::slice::from_ref(&before)), "it was not even stopped");

    *world.service("db") = old.clone();
    world.service("db").resources = Resources { cpus: Some(0.1), reserved_cpus: Some(0.2), ..Resources::default() };
    let message = world.up().await.unwrap_err().to_string();
    assert!(message.contains("db reserves 0.2 CPUs and may use 0.1 CPUs only"), "{message}");
    assert_eq!(lives(&world.list().await), lives(std::slice::from_ref(&before)), "it was not even stopped");

    // What cannot.
    *world.service("db") = old.clone();
    world.service("db").command = Some(vec!["echo no; exit 3".into()]);
    let message = world.up().await.unwrap_err().to_string();
    assert!(message.contains("exit code 3"), "{message}");
    is_as_it_was(&world.list().await, &before);

    // An interrupt, at whatever moment.
    world.service("db").command = Some(vec!["exec sleep 600".into()]);
    world.service("db").environment = BTreeMap::from([("A".into(), "1".into())]);
    world.service("db").healthcheck = Some(healthy_at_last("exit 1"));
    let services = world.all();
    for millis in [0, 60, 150, 300, 600] {
        let cancel = CancellationToken::new();
        let stop = async {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            cancel.cancel();
        };
        let request = world.request(&services);
        let (result, ()) = tokio::join!(world.apply(&request, &cancel), stop);
        result.unwrap_err();
        is_as_it_was(&world.list().await, &before);
    }

    // A killed one is mended by the next, whichever of the two is wanted then.
    for millis in [80, 400] {
        tokio::task::block_in_place(|| world.up_killed_after(Duration::from_millis(millis)));
    }
    world.service("db").healthcheck = None;
    let now = world.up().await.unwrap().remove(0);
    is_as_it_was(&world.list().await, &Container { name: before.name.clone(), ..now });
}

/// A limit that is lower than what the server uses is no limit to try out on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_memory_limit_below_what_is_used_now_is_refused_before_anything_ends() {
    let Some(mut world) = World::new().await else { return };
    let holds = "x=$(head -c 30000000 /dev/zero | tr '\\0' x); touch /tmp/up; sleep 600 & wait";
    world = world.with("db", script(holds));
    world.service("db").healthcheck = Some(healthy_at_last("test -e /tmp/up"));
    let before = world.up().await.unwrap();
    world.service("db").resources = Resources { memory: Some(16 << 20), ..Resources::default() };
    let message = world.up().await.unwrap_err().to_string();
    assert!(message.contains("replace db: it uses") && message.contains("could use 16 MiB then"), "{message}");
    assert!(message.contains("deploy.resources.limits.memory of db"), "{message}");
    assert_eq!(lives(&world.list().await), lives(&before), "it was stopped");
    // Enough for it: replaced.
    world.service("db").resources = Resources { memory: Some(200 << 20), ..Resources::default() };
    assert_ne!(world.up().await.unwrap()[0].id, before[0].id);
}

/// Writes a settings file of the current folder.
fn settings(stack: &Stack, path: &str, text: &str) {
    let path = stack.scratch().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    write(&path, text);
}

fn ids(place: &InDocker) -> Vec<String> {
    let mut ids: Vec<_> = place.containers().into_iter().filter_map(|c| c.id).collect();
    ids.sort();
    ids
}

fn up_with(place: &InDocker, more: &[&str], variables: &[(&str, &str)]) -> Output {
    let args: Vec<&str> = ["up", small(place)].into_iter().chain(more.iter().copied()).collect();
    let mut command: Command = place.command(&args);
    command.envs(variables.iter().copied());
    wait(command.spawn().unwrap(), LONG)
}

/// A port that a container has is told with that container, before anything is made or seeded.
fn names_the_container_that_has_a_port(place: &InDocker) {
    let address = place.component("redis")["address"].as_str().unwrap().to_owned();
    let port = address.rsplit_once(':').unwrap().1.to_owned();
    let container = place.component("redis")["container"]["name"].as_str().unwrap().to_owned();
    let other = InDocker::new();
    let asked = format!("stack.ports.redis={port}");
    let sets = ["--set", "stack.ports.mysql=0", "--set", "stack.ports.kafka=0", "--set", &asked];
    let up: Vec<&str> = ["up", small(&other), "--ci", "--provider", "docker"].into_iter().chain(sets).collect();
    let mut command = other.stack.command(&up);
    for (name, image) in [("MYSQL", "mysql:9.7"), ("REDIS", "redis:8.0"), ("KAFKA", "kafka:4")] {
        command.env(format!("ECOMCTL_IMAGE_{name}"), format!("ecomctl-test/{image}"));
    }
    let output = wait(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), LONG);
    assert!(both(&output).contains(&format!("the container {container} of the compose project")), "{}", both(&output));
    assert_eq!(other.everything(), Vec::<String>::new());

    let doctor = ["doctor", "--preflight", "--provider", "docker", "--format", "json"];
    let run = |variable: (&str, &str)| {
        let mut command = other.stack.command(&doctor);
        command.env("ECOMCTL_IMAGE_MYSQL", "nowhere/mysql:0").env("ECOMCTL_LIMIT_REDIS_CPUS", "999");
        command.env("ECOMCTL_LIMIT_KAFKA_CPUS", "0.1").env("ECOMCTL_LIMIT_MYSQL_MEMORY", "6500k");
        command.args(sets).env(variable.0, variable.1);
        wait(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), LONG)
    };
    let output = run(("ECOMCTL_IMAGE_REDIS", "ecomctl-test/redis:8.0"));
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    for words in [
        "nowhere/mysql:0 is not here".to_owned(),
        format!("taken by the container {container}"),
        "redis may use 999 CPUs".to_owned(),
        "kafka-1 reserves 0.5 CPUs and may use 0.1 CPUs only".to_owned(),
        "mysql reserves 512 MiB of memory and may use 6500 KiB of memory only".to_owned(),
        "\"docker\"".to_owned(),
    ] {
        assert!(both(&output).contains(&words), "{words}: {}", both(&output));
    }
    let output = run(("DOCKER_HOST", "tcp://127.0.0.1:9"));
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(both(&output).contains("tcp://127.0.0.1:9: nobody listens there"), "{}", both(&output));
}

/// More than the reservation, and less than Redis uses once [`fill_redis`] has been called.
const LESS_MEMORY: [(&str, &str); 2] = [("ECOMCTL_RESERVE_REDIS_MEMORY", "16m"), ("ECOMCTL_LIMIT_REDIS_MEMORY", "32m")];

/// Puts 60 MB into the stack's Redis.
fn fill_redis(place: &InDocker) {
    let id = place.component("redis")["container"]["id"].as_str().unwrap().to_owned();
    let script = r#"REDISCLI_AUTH="$(sed -n 's/^requirepass *//p' /run/secrets/redis-auth | tr -d '"')" redis-cli EVAL \
        "for i = 1, 60 do redis.call('SET', 'filling:' .. i, string.rep('x', 1000000)) end return 'full'" 0"#;
    let output = Command::new("docker").args(["exec", &id, "sh", "-c", script]).output().unwrap();
    assert!(both(&output).contains("full"), "{}", both(&output));
}

fn restarts(place: &InDocker, name: &str) -> u64 {
    let status = place.json(&["status"]);
    let found = status["components"].as_array().unwrap().iter().find(|c| c["name"] == name).cloned();
    found.unwrap()["restarts"].as_u64().unwrap()
}

/// A stack of containers that answers is left as it was by every `up` that fails; and a restart counts once, whoever made it.
#[test]
fn a_failed_up_leaves_a_stack_of_containers_as_it_was() {
    let place = InDocker::new();
    let up = place.json(&["up", small(&place)]);
    let version = up["components"][2]["version"].as_str().unwrap();
    assert!(version.starts_with(|c: char| c.is_ascii_digit()), "the broker's own version: {version}");
    names_the_container_that_has_a_port(&place);
    fill_redis(&place);
    let (before, file) = (ids(&place), place.stack_json());
    let broken = "[mysqld]\nno_such_setting_at_all = 1\n";
    let cases: [Case; 6] = [
        (
            "reservation",
            &[],
            &[("ECOMCTL_LIMIT_MYSQL_MEMORY", "64m")],
            "mysql reserves 512 MiB of memory and may use 64 MiB",
        ),
        ("image", &[], &[("ECOMCTL_IMAGE_REDIS", "nowhere.invalid/redis:0")], "nowhere.invalid/redis:0"),
        ("memory in use", &[], &LESS_MEMORY, "replace redis: it uses"),
        ("settings", &[], &[], "no-such-setting"),
        ("brokers", &["--set", "stack.brokers=3"], &[], "belong to 1 broker(s), not 3"),
        ("provider", &["--provider", "native"], &[], "mysql did not come up"),
    ];
    for (case, more, variables, words) in cases {
        match case {
            "provider" => settings(&place.stack, "compose/mysql/my.cnf", broken),
            "settings" => settings(&place.stack, "compose/redis/redis.conf", "no-such-setting yes\n"),
            _ => {}
        }
        let output = up_with(&place, more, variables);
        assert!(!output.status.success() && both(&output).contains(words), "{case}: {}", both(&output));
        assert_eq!(ids(&place), before, "{case}: {}", both(&output));
        let mut now = place.stack_json();
        // One that was put back was started again, which counts.
        for (name, component) in now["components"].as_object_mut().unwrap() {
            component["restarts"] = file["components"][name]["restarts"].clone();
        }
        assert_eq!(now, file, "{case}");
        place.ok(&["status"]);
        let _ = std::fs::remove_dir_all(place.stack.scratch().join("compose"));
    }
    let again = place.json(&["up", small(&place)]);
    assert!(again["components"].as_array().unwrap().iter().all(|c| c["reused"] == true), "{again:#}");

    let counted = restarts(&place, "redis");
    let id = place.component("redis")["container"]["id"].as_str().unwrap().to_owned();
    let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
    place.runtime.block_on(place.engine.kill_container(&id, Some(options))).unwrap();
    place.ok(&["up", small(&place)]);
    assert_eq!(restarts(&place, "redis"), counted + 1, "`up` after a kill");
    let output = place.ok(&["restart", "redis"]);
    assert!(both(&output).contains("redis: restarted in"), "{}", both(&output));
    assert_eq!(restarts(&place, "redis"), counted + 2, "`restart`");
    place.ok(&["up", small(&place)]);
    assert_eq!(restarts(&place, "redis"), counted + 2, "nothing was started");

    // A switch that goes well leaves one of each, and nothing of the other.
    place.ok(&["up", small(&place), "--provider", "native"]);
    assert_eq!(place.containers().len(), 0);
    let pid = place.component("mysql")["process"]["pid"].clone();
    assert!(pid.is_i64(), "{}", place.stack_json());
    settings(&place.stack, "compose/redis/redis.conf", "no-such-setting yes\n");
    let output = up_with(&place, &["--provider", "docker"], &[]);
    assert!(!output.status.success(), "{}", both(&output));
    assert_eq!(place.component("mysql")["process"]["pid"], pid, "the native servers run on: {}", both(&output));
    place.ok(&["status"]);
    place.ok(&["down", "-v"]);
    assert_eq!(place.everything(), Vec::<String>::new());
}

/// A process whose new settings it does not take runs again with the old ones.
#[test]
fn a_failed_up_leaves_a_native_server_as_it_was() {
    let stack = Stack::empty();
    let up = ["up", "coupon-quick", "--ci"];
    stack.ok(&up);
    settings(&stack, "compose/redis/redis.conf", "no-such-setting-at-all yes\n");
    let output = stack.run(&up);
    assert!(!output.status.success() && both(&output).contains("no-such-setting-at-all"), "{}", both(&output));
    assert!(both(&output).contains("redis: runs again as before"), "{}", both(&output));
    stack.ok(&["status"]);
    std::fs::remove_dir_all(stack.scratch().join("compose")).unwrap();
    let output = stack.ok(&up);
    assert_eq!(both(&output).matches("up already").count(), 3, "{}", both(&output));
    stack.ok(&["down", "-v"]);
}
