//! Limits, names, published ports, and the way to the Engine.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use compose::model::{Condition, Port, Resources, Service};
use contract::system::System;
use infra::{
    choice::Server,
    docker::{Engine, provider::Provider},
    state::StateDir,
};
use profile::model::StackSpec;
use tokio::task::{JoinHandle, JoinSet};

use super::{named, port};
use crate::{
    compose_config::compose_program,
    docker_world::{World, after, engine, healthy_when, idle, script},
};

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_names_are_those_of_the_file() {
    let Some(world) = World::new().await else { return };
    let resources = Resources {
        cpus: Some(0.5),
        memory: Some(64 << 20),
        pids: Some(50),
        reserved_memory: Some(32 << 20),
        ..Resources::default()
    };
    let service = Service {
        resources,
        ulimits: BTreeMap::from([("nofile".into(), (1000, 2000))]),
        stop_grace_period: Some(Duration::from_secs(7)),
        shm_size: Some(16 << 20),
        networks: BTreeMap::from([("default".into(), vec!["other-name".into()])]),
        ..idle()
    };
    let world = world.with("a", service).with("b", idle());
    let up = world.up().await.unwrap();
    let found = world.inside(&named(&up, "b").id, "getent hosts a other-name | wc -l").await;
    assert_eq!(found.trim(), "2", "a is found by its name and by its alias");
    let found = world.inspect(&named(&up, "a").id).await;
    let host = found.host_config.unwrap();
    assert_eq!(host.nano_cpus, Some(500_000_000));
    assert_eq!((host.memory, host.memory_reservation), (Some(64 << 20), Some(32 << 20)));
    // Where the kernel counts swap, none may be used; where it does not, the Engine drops the number.
    assert!(matches!(host.memory_swap, Some(swap) if swap == 64 << 20 || swap <= 0), "{:?}", host.memory_swap);
    assert_eq!((host.pids_limit, host.shm_size), (Some(50), Some(16 << 20)));
    let ulimit = &host.ulimits.unwrap()[0];
    assert_eq!((ulimit.soft, ulimit.hard), (Some(1000), Some(2000)));
    assert_eq!(found.config.unwrap().stop_timeout, Some(7));
    assert_eq!(host.log_config.unwrap().config.unwrap()["max-size"], "20m", "a log cannot fill the disk");
}

/// A stack is nobody's business outside this machine.
#[tokio::test(flavor = "multi_thread")]
async fn ports_are_published_on_loopback_only() {
    let Some(mut world) = World::new().await else { return };
    world = world.with("a", script("exec redis-server --save '' --protected-mode no"));
    let second = Port { target: 7000, ..port(0).remove(0) };
    world.service("a").ports = [port(0), vec![second]].concat();
    world.service("a").healthcheck = Some(healthy_when("redis-cli ping"));
    let up = world.up().await.unwrap();
    let ports = &up[0].ports;
    assert_eq!(ports.len(), 2, "{ports:?}");
    assert!(ports.iter().all(|port| port.address == "127.0.0.1" && port.host > 0), "{ports:?}");
    let mut redis = TcpStream::connect(("127.0.0.1", ports[0].host)).unwrap();
    redis.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 5];
    redis.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG");
}

/// An address of this machine that leads to the Engine, while the task lives; none where the Engine is reached by TCP.
async fn relay_to(engine: &Engine) -> Option<(String, JoinHandle<()>)> {
    let socket = engine.facts.host.strip_prefix("unix://")?.to_owned();
    let relay = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("tcp://{}", relay.local_addr().unwrap());
    let relaying = tokio::spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((mut client, _)) = relay.accept().await {
            let mut engine = tokio::net::UnixStream::connect(&socket).await.unwrap();
            open.spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut engine).await });
        }
    });
    Some((host, relaying))
}

/// Whether there are data decides what may be made and deleted: an Engine that is away says nothing of them.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_answer_is_not_taken_for_one_without_data() {
    let Some(engine) = engine().await else { return };
    let Some((host, relaying)) = relay_to(&engine).await else { return };
    let far = Engine::connect_to(host).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::create(folder.path().join("state")).unwrap();
    let provider = Provider::open(far, &state, System::default(), &StackSpec::default(), &BTreeMap::new()).unwrap();
    let (project, _) = provider.servers(&|_| true).unwrap();
    assert!(!provider.has_data(&project, Server::Mysql).await.unwrap());
    assert_eq!(provider.brokers_with_data().await.unwrap(), None);
    relaying.abort();
    let _ = relaying.await;
    let error = provider.has_data(&project, Server::Mysql).await.unwrap_err().to_string();
    assert!(error.contains("look at the volume"), "{error}");
    provider.brokers_with_data().await.unwrap_err();
}

/// `DOCKER_HOST` may name an Engine by TCP.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_is_reached_by_tcp() {
    let Some(engine) = engine().await else { return };
    let Some((host, relaying)) = relay_to(&engine).await else { return };
    let far = Engine::connect_to(host.clone()).await.unwrap();
    assert_eq!((&far.facts.version, far.facts.api), (&engine.facts.version, engine.facts.api));
    // Ports of this machine tell nothing of the Engine's: only the Engine itself can say that one is taken.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut world = World::on(far).with("a", idle());
    world.service("a").ports = port(taken.local_addr().unwrap().port());
    let message = world.fails().await;
    assert!(message.contains("a program on the Engine's machine"), "{message}");
    world.service("a").ports = Vec::new();
    assert_eq!(world.up().await.unwrap().len(), 1);
    world.down(true).await;
    relaying.abort();
    let error = Engine::connect_to(host).await.unwrap_err().to_string();
    assert!(error.contains("check DOCKER_HOST"), "{error}");
    let error = Engine::connect_to("nonsense".into()).await.unwrap_err().to_string();
    assert!(error.contains("nonsense") && error.contains("check DOCKER_HOST"), "{error}");
}

/// The labels are compose's own: its `ps` sees our containers, and its `down` takes them away.
#[tokio::test(flavor = "multi_thread")]
async fn docker_compose_sees_the_project_and_takes_it_down() {
    let Some(world) = World::new().await else { return };
    let Some(compose) = compose_program() else {
        return println!("SKIPPED: no docker-compose is here");
    };
    let world = world.with("a", idle()).with("b", after("a", Condition::ServiceStarted, idle()));
    world.up().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(&compose);
        let output = command.args(["-p", &world.project.name]).args(args).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&["ps", "--services"]).lines().collect::<Vec<_>>(), ["a", "b"]);
    // The image declares a volume without a name, which goes only by -v.
    run(&["down", "--volumes", "--timeout", "1"]);
    assert_eq!(world.left().await, [""; 0]);
}
