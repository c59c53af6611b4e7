//! What goes wrong is told with its cause and what to do.

use std::time::{Duration, Instant};

use compose::model::{Condition, Healthcheck, Resources, Restart, Service};
use infra::docker::{ApplyRequest, ContainerState, Order};
use tokio_util::sync::CancellationToken;

use super::named;
use crate::docker_world::{World, after, healthy_at_last, healthy_when, idle, script};

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ends_at_its_start_is_told_with_its_code_its_last_lines_and_who_waits() {
    let Some(world) = World::new().await else { return };
    let world = world
        .with("db", script("for i in $(seq 30); do echo line $i; done; echo the disk is on fire; exit 7"))
        .with("app", after("db", Condition::ServiceStarted, idle()));
    let message = world.fails().await;
    assert!(message.contains("exit code 7") && message.contains("  the disk is on fire"), "{message}");
    assert!(message.contains("  line 12\n") && !message.contains("  line 11\n"), "20 lines: {message}");
    assert!(message.contains("app waits for db"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ends_soon_after_its_start_has_not_come_up() {
    let Some(world) = World::new().await else { return };
    let message = world.with("db", script("sleep 0.1; echo no settings; exit 3")).fails().await;
    assert!(message.contains("exit code 3") && message.contains("no settings"), "{message}");
}

/// It cannot become healthy any more, so whoever waits for that would wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_done_where_another_waits_for_its_health_is_told() {
    let Some(world) = World::new().await else { return };
    let world = world.with("db", script("exit 0")).with("app", after("db", Condition::ServiceHealthy, idle()));
    let message = tokio::time::timeout(Duration::from_secs(10), world.fails()).await.expect("it waits for ever");
    assert!(
        message.contains("ended with exit code 0") && message.contains("app waits for db to be healthy"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_never_healthy_is_told_with_what_its_check_said() {
    let Some(mut world) = World::new().await else { return };
    world = world.with("db", idle()).with("app", after("db", Condition::ServiceHealthy, idle()));
    world.service("db").healthcheck = Some(healthy_when("echo not yet; exit 1"));
    let message = world.fails().await;
    assert!(message.matches("exit code 1: not yet").count() == 3 && message.contains("is unhealthy"), "{message}");
    assert!(message.contains("app waits for db to be healthy"), "{message}");

    // One that hangs in its beginning is given up after the time it may take.
    world.service("db").healthcheck.as_mut().unwrap().start_period = Duration::from_secs(60);
    let services = world.all();
    let mut request = world.request(&services);
    request.ready_within = Duration::from_secs(1);
    let begun = Instant::now();
    let message = world.apply(&request, &CancellationToken::new()).await.unwrap_err().to_string();
    assert!(message.contains("within 1 s") && begun.elapsed() < Duration::from_secs(5), "{message}");
    assert_eq!(world.left().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_ran_out_is_told_apart_from_a_crash() {
    let Some(mut world) = World::new().await else { return };
    // The shell lives on and ends by itself: the Engine's own mark is about its first process.
    for eats in ["exec tail /dev/zero", "tail /dev/zero; exit 9"] {
        world = world.with("db", script(eats));
        world.service("db").resources = Resources { memory: Some(16 << 20), ..Resources::default() };
        world.service("db").healthcheck = Some(healthy_at_last("exit 1"));
        let message = world.fails().await;
        assert!(message.contains("memory") && message.contains("limit 16 MiB"), "{eats}: {message}");
    }
}

/// While it runs once more nothing tells how it ended.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_the_engine_starts_again_and_again_is_told_with_how_it_ended() {
    let Some(world) = World::new().await else { return };
    let again = Service { restart: Restart::Always, ..script("echo bad flag; sleep 0.05; exit 5") };
    let message = world.with("db", again).fails().await;
    assert!(message.contains("again and again") && message.contains("ended last with exit code 5"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_the_image_does_not_have_is_told_with_what_to_check() {
    let Some(world) = World::new().await else { return };
    let service = Service { entrypoint: Some(vec!["no-such-entrypoint".into()]), ..idle() };
    let message = world.with("db", service).fails().await;
    assert!(
        message.contains("no-such-entrypoint") && message.contains("check `command` and `entrypoint`"),
        "{message}"
    );
}

/// Both get what they wait for, and nobody waits for ever; and what an ordered service needs need not be ordered.
#[tokio::test(flavor = "multi_thread")]
async fn two_may_wait_for_different_ends_of_one_service() {
    let Some(world) = World::new().await else { return };
    let world = world
        .with("db", script("sleep 0.6"))
        .with("api", after("db", Condition::ServiceHealthy, idle()))
        .with("job", after("db", Condition::ServiceCompletedSuccessfully, idle()))
        .with("other", idle());
    let orders = ["api", "job"].map(|name| Order { service: name.into(), ..Order::default() });
    let (request, cancel) = (world.request(&orders), CancellationToken::new());
    let up = tokio::time::timeout(Duration::from_secs(10), world.apply(&request, &cancel));
    let up = up.await.expect("it waits for ever").unwrap();
    assert_eq!(up.iter().map(|c| c.component.as_str()).collect::<Vec<_>>(), ["api-1", "db", "job"]);
    assert_eq!(named(&up, "db").exit_code, Some(0));
}

/// Servers are asked by a client, which is quicker: services that are not started now wait for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_health_of_a_service_is_waited_for_only_where_somebody_asks_for_it() {
    let Some(mut world) = World::new().await else { return };
    world = world.with("db", idle()).with("api", after("db", Condition::ServiceHealthy, idle()));
    world.service("db").healthcheck = Some(healthy_at_last("exit 1"));
    let order = [Order { service: "db".into(), ..Order::default() }];
    let request = ApplyRequest { wait: false, ..world.request(&order) };
    let up = world.apply(&request, &CancellationToken::new()).await.unwrap();
    assert_eq!((up[0].state, up[0].health.as_deref()), (ContainerState::Running, Some("starting")));
}

/// What its last check said is old: `up` asks once more before it gives it up.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_unhealthy_before_is_asked_once_more() {
    let Some(mut world) = World::new().await else { return };
    world = world.with("db", script("touch /tmp/ready; exec sleep 600"));
    let interval = Duration::from_millis(300);
    world.service("db").healthcheck = Some(Healthcheck { interval, retries: 1, ..healthy_when("test -e /tmp/ready") });
    let id = world.up().await.unwrap()[0].id.clone();
    world.inside(&id, "rm /tmp/ready").await;
    while world.list().await[0].health.as_deref() != Some("unhealthy") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.inside(&id, "touch /tmp/ready").await;
    let up = world.up().await.unwrap();
    assert_eq!((&up[0].id, up[0].health.as_deref()), (&id, Some("healthy")));
}

/// Two state folders with the same project name must not end each other's servers.
#[tokio::test(flavor = "multi_thread")]
async fn a_project_of_another_state_folder_is_refused() {
    let Some(mut world) = World::new().await else { return };
    world = world.with("db", idle());
    let first = world.up().await.unwrap();
    world.service("db").environment.insert("A".into(), "b".into());
    let (services, elsewhere) = (world.all(), tempfile::tempdir().unwrap());
    let request = ApplyRequest { state: elsewhere.path(), ..world.request(&services) };
    let error = world.apply(&request, &CancellationToken::new()).await.unwrap_err().to_string();
    assert!(error.contains(&first[0].state_folder), "{error}");
    assert_eq!(world.list().await[0].started_at, first[0].started_at);
}
