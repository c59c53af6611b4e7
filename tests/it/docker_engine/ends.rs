//! What a failed `up` leaves of what was there before, and what `down` does with what it cannot remove.

use std::{collections::BTreeMap, time::Duration};

use bollard::query_parameters::StopContainerOptions;
use compose::model::{Condition, Mount, MountSource, Network, Service, Volume};
use infra::docker::{ContainerState, Remove, remove};

use super::named;
use crate::docker_world::{World, after, idle, script, with_volume};

/// The container that ran runs, the one that was stopped is stopped again, and only what was new is gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_a_failure_is_as_it_was() {
    let Some(mut world) = World::new().await else { return };
    world = world.with("runs", with_volume(idle())).with("stopped", idle());
    let before = world.up().await.unwrap();
    let stopped = named(&before, "stopped").id.clone();
    world.engine.docker.stop_container(&stopped, None::<StopContainerOptions>).await.unwrap();
    let was = world.left().await;
    let name = format!("{}_new", world.project.name);
    let volume = Volume { name, external: false, driver: None, labels: BTreeMap::new() };
    world.project.volumes.insert("new".into(), volume);
    let mount = Mount { source: MountSource::Volume("new".into()), target: "/own".into(), read_only: false };
    let bad =
        Service { volumes: vec![mount], ..after("stopped", Condition::ServiceStarted, script("sleep 0.1; exit 1")) };
    let world = world.with("bad", bad);
    let error = world.up().await.unwrap_err().to_string();
    assert!(error.contains("exit code 1"), "{error}");
    assert_eq!(world.left().await, was, "the new volume is gone, the old one is there");
    let now = world.list().await;
    assert_eq!(named(&now, "runs").started_at, named(&before, "runs").started_at);
    assert_eq!((named(&now, "stopped").state, &named(&now, "stopped").id), (ContainerState::Exited, &stopped));
}

/// `down` removes the rest all the same, says whose container is in the way, and ends it another time.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_use_is_told_and_does_not_keep_the_rest() {
    let (Some(ours), Some(theirs)) = (World::new().await, World::new().await) else { return };
    let mut ours = ours.with("db", with_volume(idle()));
    let name = format!("{}_more", ours.project.name);
    let more = Volume { name: name.clone(), external: false, driver: None, labels: BTreeMap::new() };
    ours.project.volumes.insert("more".into(), more.clone());
    let mount = |key: &str| Mount { source: MountSource::Volume(key.into()), target: "/x".into(), read_only: false };
    ours.service("db").volumes.push(mount("more"));
    let up = ours.up().await.unwrap();
    let network = ours.project.networks["default"].name.clone();

    let mut theirs = theirs.with("guest", Service { volumes: vec![mount("more")], ..idle() });
    theirs.project.networks.insert(
        "default".into(),
        Network { name: network.clone(), external: true, driver: None, internal: false, labels: BTreeMap::new() },
    );
    theirs.project.volumes = BTreeMap::from([("more".into(), Volume { external: true, ..more })]);
    theirs.up().await.unwrap();

    let removed = ours.down(true).await;
    assert_eq!(removed.containers, [up[0].name.clone()]);
    assert_eq!(removed.volumes, [format!("{}_data", ours.project.name)]);
    assert_eq!((removed.networks, removed.kept), (vec![], vec![name.clone()]));
    let guest = format!("the container {0}-guest-1 of the compose project {0}", theirs.project.name);
    assert!(removed.in_the_way.iter().all(|words| words.contains(&guest)), "{:?}", removed.in_the_way);
    assert!(
        removed.in_the_way[0].contains(&format!("docker network disconnect {network}")),
        "{:?}",
        removed.in_the_way
    );
    assert!(removed.in_the_way[1].contains(&name), "{:?}", removed.in_the_way);
    assert_eq!(theirs.list().await[0].state, ContainerState::Running);

    theirs.down(true).await;
    assert_eq!(ours.left().await.len(), 2, "what is external is never removed");
    assert_eq!(ours.down(true).await.in_the_way, [""; 0]);
    assert_eq!(ours.left().await, [""; 0]);
}

/// A service whose file says how long it may take is not cut short by the time of all.
#[tokio::test(flavor = "multi_thread")]
async fn down_gives_a_service_its_own_time_to_end() {
    let Some(mut world) = World::new().await else { return };
    let slow = script("trap 'sleep 0.5; echo ended >/kept/mark; exit 0' TERM; echo up; while :; do sleep 0.05; done");
    let slow = Service { stop_signal: None, stop_grace_period: Some(Duration::from_secs(10)), ..with_volume(slow) };
    world = world.with("db", slow);
    world.up().await.unwrap();
    let what = Remove { services: None, volumes: false, grace: Duration::ZERO };
    remove(&world.engine, &world.project.name, what).await.unwrap();
    let world = world.with("db", with_volume(script("cat /kept/mark")));
    let up = world.up().await.unwrap();
    assert_eq!(world.log(&up[0].id).await.trim(), "ended");
}
