//! A compose project on a real Engine: what comes up, what is left alone, what fails with which words, and that nothing stays.

mod bounds;
mod ends;
mod failures;
mod scale;

use std::{
    collections::BTreeMap,
    net::TcpListener,
    time::{Duration, Instant},
};

use bollard::{
    models::ContainerCreateBody,
    query_parameters::{
        CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions, StopContainerOptions,
    },
};
use compose::model::{Condition, Port, Volume};
use infra::{
    InfraError,
    docker::{self, Container, ContainerState, ExtraFile, Order},
};
use tokio_util::sync::CancellationToken;

use crate::{
    docker_world::{IMAGE, World, after, healthy_at_last, healthy_when, idle, script, with_secret, with_volume},
    support::free_port,
};

fn named<'a>(all: &'a [Container], component: &str) -> &'a Container {
    all.iter().find(|c| c.component == component).unwrap_or_else(|| panic!("no {component} in {all:?}"))
}

fn port(published: u16) -> Vec<Port> {
    vec![Port { host_ip: None, published, target: 6379, protocol: "tcp".into() }]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_as_wanted_is_left_alone_and_what_changed_is_made_anew_with_its_data() {
    let Some(world) = World::new().await else { return };
    let db = with_volume(script("cat /kept/mark; echo written >/kept/mark; exec sleep 600"));
    let mut world = world.with("db", db).with("app", after("db", Condition::ServiceStarted, idle()));
    world.service("db").healthcheck = Some(healthy_at_last("test -e /kept/mark"));
    let first = world.up().await.unwrap();
    assert_eq!(first.len(), 2);
    assert!(first.iter().all(|c| c.state == ContainerState::Running && !c.reused), "{first:?}");
    assert_eq!(named(&first, "db").health.as_deref(), Some("healthy"));

    let again = world.up().await.unwrap();
    assert!(again.iter().all(|c| c.reused), "{again:?}");
    let ids = |all: &[Container]| all.iter().map(|c| c.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&first), ids(&again));

    // Another setting: that one is made anew, the other one runs on.
    world.service("db").environment.insert("A".into(), "1".into());
    let changed = world.up().await.unwrap();
    assert_ne!(named(&changed, "db").id, named(&first, "db").id);
    assert_eq!(named(&changed, "app").id, named(&first, "app").id);
    assert!(world.log(&named(&changed, "db").id).await.contains("written"), "the volume was lost");

    // One that was stopped is started, not made anew.
    let app = &named(&changed, "app").id;
    world.engine.docker.stop_container(app, None::<StopContainerOptions>).await.unwrap();
    let started = world.up().await.unwrap();
    assert_eq!(&named(&started, "app").id, app);
    assert_eq!(named(&started, "app").state, ContainerState::Running);

    // One that is frozen goes on; and a volume more for somebody else is nothing to those that run.
    world.engine.docker.pause_container(app).await.unwrap();
    let more = Volume { name: "unused".into(), external: false, driver: None, labels: BTreeMap::new() };
    world.project.volumes.insert("more".into(), more);
    let thawed = world.up().await.unwrap();
    assert_eq!(ids(&thawed), ids(&started));
    assert!(thawed.iter().all(|c| c.state == ContainerState::Running));

    // Asked to, all are made anew.
    let services = world.all();
    let mut request = world.request(&services);
    request.recreate = true;
    let anew = world.apply(&request, &CancellationToken::new()).await.unwrap();
    assert!(anew.iter().all(|c| !ids(&thawed).contains(&c.id)));

    // The image declares one.
    let mounts = world.inspect(&named(&anew, "app").id).await.mounts.unwrap();
    let nameless = mounts.into_iter().find_map(|mount| mount.name).expect("the image declares a volume");
    let down = world.down(false).await;
    assert!(world.engine.docker.inspect_volume(&nameless).await.is_err(), "{nameless} is left");
    assert_eq!(down.containers, ["app", "db"].map(|name| format!("{}-{name}-1", world.project.name)), "app needs db");
    assert_eq!((down.containers.len(), down.networks.len(), down.volumes.len()), (2, 1, 0), "{down:?}");
    assert_eq!(world.left().await, [format!("volume {}_data", world.project.name)]);
    assert_eq!(world.down(true).await.volumes, [format!("{}_data", world.project.name)]);
    assert_eq!(world.left().await, [""; 0]);
    assert_eq!(world.down(true).await.containers, [""; 0], "down of nothing is fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_starts_when_what_it_waits_for_is_so_and_a_one_shot_that_ended_with_0_is_done() {
    let Some(world) = World::new().await else { return };
    let world = world
        .with("db", script("sleep 0.5; touch /tmp/up; exec sleep 600"))
        .with("init", after("db", Condition::ServiceHealthy, script("sleep 0.3")))
        .with("app", after("init", Condition::ServiceCompletedSuccessfully, idle()))
        .with("alone", script("true"));
    let mut world = world;
    world.service("db").healthcheck = Some(healthy_at_last("test -e /tmp/up"));
    let first = world.up().await.unwrap();
    assert_eq!((named(&first, "init").state, named(&first, "init").exit_code), (ContainerState::Exited, Some(0)));
    assert_eq!(named(&first, "alone").exit_code, Some(0), "nobody waits for it, and it is done all the same");
    let times: Vec<_> = ["db", "init", "app"]
        .iter()
        .map(|name| named(&first, name).started_at.clone().unwrap().parse::<jiff::Timestamp>().unwrap())
        .collect();
    let gap = |from: usize, to: usize| times[to].duration_since(times[from]).as_millis();
    assert!(gap(0, 1) >= 500 && gap(1, 2) >= 300, "{times:?}");

    let again = world.up().await.unwrap();
    assert_eq!(named(&again, "init").started_at, named(&first, "init").started_at, "it was run twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_do_not_wait_for_each_other_come_up_side_by_side() {
    let Some(mut world) = World::new().await else { return };
    // Each is healthy when it has seen all of them: started one after another, none would ever be.
    for name in ["a", "b", "c", "d"] {
        let waits = format!(
            "touch /kept/{name}; until [ $(ls /kept | wc -l) = 4 ]; do sleep 0.05; done; touch /tmp/up; exec sleep 600"
        );
        world = world.with(name, with_volume(script(&waits)));
        world.service(name).healthcheck = Some(healthy_at_last("test -e /tmp/up"));
    }
    world.up().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_shot_that_fails_stops_what_waits_for_it_and_is_run_again_next_time() {
    let Some(mut world) = World::new().await else { return };
    world = world
        .with("init", with_volume(script("test -e /kept/ok || { echo no; touch /kept/ok; exit 5; }")))
        .with("app", after("init", Condition::ServiceCompletedSuccessfully, idle()));
    let services = world.all();
    let mut request = world.request(&services);
    request.keep_failed = true;
    let message = world.apply(&request, &CancellationToken::new()).await.unwrap_err().to_string();
    assert!(message.contains("exit code 5") && message.contains("app waits for init to be done"), "{message}");
    assert_eq!(world.list().await.iter().filter(|c| c.state == ContainerState::Exited).count(), 1, "kept for a look");
    assert_eq!(named(&world.up().await.unwrap(), "app").state, ContainerState::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_here_is_named_with_the_engines_words_and_what_to_do() {
    let Some(mut world) = World::new().await else { return };
    world = world.with("ok", idle()).with("db", idle());
    world.service("db").image = "registry.invalid/no/such:1".into();
    let message = world.fails().await;
    assert!(message.contains("registry.invalid/no/such:1") && message.contains("--pull"), "{message}");
    let services = world.all();
    let mut request = world.request(&services);
    request.pull = true;
    let begun = Instant::now();
    let message = world.apply(&request, &CancellationToken::new()).await.unwrap_err().to_string();
    assert!(message.contains("registry.invalid/no/such:1") && message.contains("no such host"), "{message}");
    assert!(message.contains("ECOMCTL_IMAGE_") && begun.elapsed() < Duration::from_secs(10), "{message}");
    assert_eq!(world.left().await, [""; 0]);
    let names = ["db".to_owned(), "ok".to_owned()];
    let missing = docker::images_missing(&world.engine, &world.project, &names).await.unwrap();
    assert_eq!(missing, ["registry.invalid/no/such:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_told_with_who_has_it() {
    let Some(mut world) = World::new().await else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    world = world.with("db", idle());
    world.service("db").ports = port(taken);
    let message = world.fails().await;
    assert!(message.contains(&format!("port {taken} of db is taken by ")), "{message}");
    assert!(message.contains(&format!("pid {}", std::process::id())), "{message}");
    drop(listener);
    let up = world.up().await.unwrap();
    assert_eq!(
        named(&up, "db").ports.iter().map(|p| (p.address.as_str(), p.host)).collect::<Vec<_>>(),
        [("127.0.0.1", taken)]
    );

    // Another project is told which container has it, not which proxy of the Engine.
    let mut another = World::new().await.unwrap().with("x", idle());
    another.service("x").ports = port(taken);
    let message = another.fails().await;
    assert!(message.contains(&format!("the container {0}-db-1 of the compose project {0}", world.project.name)));

    // The port goes to another service while this one goes.
    let db = world.project.services.remove("db").unwrap();
    world = world.with("other", db);
    let services = world.all();
    let mut request = world.request(&services);
    request.orphans = true;
    let up = world.apply(&request, &CancellationToken::new()).await.unwrap();
    assert_eq!(named(&up, "other").ports[0].host, taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_services_may_change_ports_with_each_other() {
    let Some(mut world) = World::new().await else { return };
    world = world.with("a", idle()).with("b", idle());
    let (one, two) = (free_port(), free_port());
    world.service("a").ports = port(one);
    world.service("b").ports = port(two);
    world.up().await.unwrap();
    world.service("a").ports = port(two);
    world.service("b").ports = port(one);
    let up = world.up().await.unwrap();
    assert_eq!((named(&up, "a").ports[0].host, named(&up, "b").ports[0].host), (two, one));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_at_any_moment_leaves_nothing_and_stops_what_was_started_only() {
    let Some(mut world) = World::new().await else { return };
    world = world
        .with("db", with_volume(script("sleep 0.6; touch /tmp/up; exec sleep 600")))
        .with("app", after("db", Condition::ServiceHealthy, idle()));
    world.service("db").healthcheck = Some(healthy_at_last("test -e /tmp/up"));
    let services = world.all();
    for millis in [0, 40, 80, 150, 400, 700] {
        let cancel = CancellationToken::new();
        let stop = async {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            cancel.cancel();
        };
        let request = world.request(&services);
        let (result, ()) = tokio::join!(world.apply(&request, &cancel), stop);
        assert!(matches!(result, Err(InfraError::Cancelled { .. })), "{millis}: {result:?}");
        assert_eq!(world.left().await, [""; 0], "after {millis} ms");
    }
    // What ran before runs on.
    let app = world.project.services.remove("app").unwrap();
    let before = world.up().await.unwrap();
    world = world.with("app", app).with("slow", script("sleep 600"));
    world.service("slow").healthcheck = Some(healthy_at_last("exit 1"));
    let (services, cancel) = (world.all(), CancellationToken::new());
    let stop = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        cancel.cancel();
    };
    let request = world.request(&services);
    let (result, ()) = tokio::join!(world.apply(&request, &cancel), stop);
    assert!(result.is_err());
    let left = world.list().await;
    assert_eq!(left.iter().map(|c| (&c.id, c.state)).collect::<Vec<_>>(), [(&before[0].id, ContainerState::Running)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leftovers_of_a_killed_run_are_found_and_made_whole() {
    let Some(mut world) = World::new().await else { return };
    world = world
        .with("db", with_secret("p", script("sleep 0.3; touch /tmp/up; exec sleep 600")))
        .secret("p", "x")
        .with("app", after("db", Condition::ServiceHealthy, idle()));
    world.service("db").healthcheck = Some(healthy_at_last("test -e /tmp/up"));
    for millis in [20, 90, 300] {
        tokio::task::block_in_place(|| world.up_killed_after(Duration::from_millis(millis)));
        let up = world.up().await.unwrap_or_else(|e| panic!("after {millis} ms: {e}"));
        assert_eq!(up.iter().filter(|c| c.state == ContainerState::Running).count(), 2);
        world.down(true).await;
        assert_eq!(world.left().await, [""; 0]);
    }
}

/// `docker network prune` takes the network of a stack that is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_container_whose_network_was_removed_comes_up_again() {
    let Some(world) = World::new().await else { return };
    let world = world.with("db", idle());
    let up = world.up().await.unwrap();
    world.engine.docker.stop_container(&up[0].id, None::<StopContainerOptions>).await.unwrap();
    world.engine.docker.remove_network(&world.project.networks["default"].name).await.unwrap();
    assert_eq!(world.up().await.unwrap()[0].state, ContainerState::Running);
}

/// Engines before 1.44 make a second network of the same name when they are asked to, as by a command that was killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_there_twice_does_not_block_up_or_down() {
    let Some(world) = World::new().await else { return };
    let world = world.with("db", idle());
    world.up().await.unwrap();
    world.twin_network().await;
    world.up().await.unwrap();
    world.down(true).await;
    assert_eq!(world.left().await, [""; 0]);
    world.twin_network().await;
    if world.twin_network().await {
        world.up().await.unwrap();
    }
    world.down(true).await;
    assert_eq!(world.left().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_the_container_and_nowhere_else() {
    let Some(world) = World::new().await else { return };
    let secret = format!("s3cret-{}", std::process::id());
    let mut world = world.secret("p", &secret).with(
        "api",
        with_secret("p", script("stat -c '%a %u %s' /run/secrets/p /run/secrets/process.json; exec sleep 600")),
    );
    world.service("api").healthcheck = Some(healthy_when("true"));
    let file = |text: &str| ExtraFile {
        path: "/run/secrets/process.json".into(),
        bytes: text.into(),
        mode: 0o400,
        uid: 7,
        gid: 0,
    };
    let order = |n: &str| {
        [Order {
            service: "api".into(),
            replicas: 2,
            beyond: 0,
            files: vec![vec![file(&format!("{secret}-1"))], vec![file(&format!("{secret}-{n}"))]],
        }]
    };
    let up = world.apply(&world.request(&order("2")), &CancellationToken::new()).await.unwrap();
    for container in &up {
        let seen = serde_json::to_string(&world.inspect(&container.id).await).unwrap();
        assert!(!seen.contains(&secret), "docker inspect shows it: {seen}");
        let log = world.log(&container.id).await;
        assert!(log.contains(&format!("444 0 {}", secret.len())), "{log}");
        assert!(log.contains(&format!("400 7 {}", secret.len() + 2)), "{log}");
        assert!(!format!("{container:?}").contains(&secret));
    }
    assert!(!format!("{:?}", world.events.lock().unwrap()).contains(&secret));
    // Another file for the second one: the first one is left alone.
    let again = world.apply(&world.request(&order("33")), &CancellationToken::new()).await.unwrap();
    assert_eq!(again.iter().map(|c| c.reused).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_of_others_are_never_touched() {
    let Some(mut world) = World::new().await else { return };
    world = world.with("db", idle());
    let docker = world.engine.docker.clone();
    let name = format!("{}-db-1", world.project.name);
    let body = ContainerCreateBody {
        image: Some(IMAGE.into()),
        entrypoint: Some(vec!["sleep".into(), "600".into()]),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let foreign = docker.create_container(Some(options), body).await.unwrap().id;
    docker.start_container(&foreign, None::<StartContainerOptions>).await.unwrap();
    let result = world.up().await;
    let left = world.left().await;
    let down = world.down(true).await;
    let running = world.inspect(&foreign).await.state.unwrap().running;
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    docker.remove_container(&foreign, Some(options)).await.unwrap();
    let message = result.expect_err("it took a foreign container").to_string();
    assert!(message.contains(&name) && message.contains("of no compose project"), "{message}");
    assert_eq!(left, [""; 0], "{message}");
    assert!(down.containers.is_empty(), "{down:?}");
    assert_eq!(running, Some(true));
}

/// `up` may be given to a task of its own.
#[test]
fn apply_can_be_sent_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    #[allow(dead_code)]
    fn check(world: &World, services: &[Order], cancel: &CancellationToken) {
        let request = world.request(services);
        is_send(&docker::apply(&world.engine, &request, &|_| {}, cancel));
    }
}
