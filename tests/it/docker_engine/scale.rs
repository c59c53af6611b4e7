//! How many containers of a service there are.

use std::collections::BTreeMap;

use infra::docker::{Container, ExtraFile, Order};
use tokio_util::sync::CancellationToken;

use crate::docker_world::{World, idle};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_project_does_not_have_any_more_goes_only_when_asked() {
    let Some(mut world) = World::new().await else { return };
    world = world.with("consumer", idle()).with("old", idle());
    let three = [
        Order { service: "consumer".into(), replicas: 3, ..Order::default() },
        Order { service: "old".into(), ..Order::default() },
    ];
    let up = world.apply(&world.request(&three), &CancellationToken::new()).await.unwrap();
    assert_eq!(
        up.iter().map(|c| c.component.as_str()).collect::<Vec<_>>(),
        ["consumer-1", "consumer-2", "consumer-3", "old"]
    );
    let ids = |all: Vec<Container>| all.into_iter().map(|c| (c.component, c.id)).collect::<BTreeMap<_, _>>();
    let before = ids(world.list().await);
    world.apply(&world.request(&[]), &CancellationToken::new()).await.unwrap();
    assert_eq!(ids(world.list().await), before, "nothing ordered, nothing done");
    // Somebody's `docker compose run consumer sh` is no fourth consumer, and not in the way of the first.
    let guest = world.one_off("consumer").await;
    world.apply(&world.request(&three), &CancellationToken::new()).await.unwrap();
    let now: BTreeMap<_, _> = ids(world.list().await.into_iter().filter(|c| c.id != guest).collect());
    assert_eq!(now, before);
    assert_eq!(world.inspect(&guest).await.id.as_ref(), Some(&guest));

    world.project.services.remove("old");
    world.up().await.unwrap();
    let left: Vec<_> = world.list().await.into_iter().filter(|c| !c.one_off).map(|c| c.component).collect();
    assert_eq!(left, ["consumer-1", "old"], "fewer are wanted; the orphan stays");
    let services = world.all();
    let mut request = world.request(&services);
    request.orphans = true;
    world.apply(&request, &CancellationToken::new()).await.unwrap();
    let left: Vec<_> = world.list().await.into_iter().filter(|c| !c.one_off).map(|c| c.component).collect();
    assert_eq!(left, ["consumer-1"]);
    // It is nobody's of the project, so that nobody else removes it.
    world.engine.docker.remove_container(&guest, None).await.unwrap();
}

/// A consumer more, while others work and carry files of their own.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_beyond_those_that_run_adds_one_and_leaves_them_alone() {
    let Some(mut world) = World::new().await else { return };
    world = world.with("consumer", idle());
    let file = |n: u8| ExtraFile { path: "/who".into(), bytes: vec![b'0' + n], mode: 0o444, uid: 0, gid: 0 };
    let order = |beyond: u16, replicas: u16, files| [Order { service: "consumer".into(), replicas, beyond, files }];
    let two = order(0, 2, vec![vec![file(1)], vec![file(2)]]);
    let first = world.apply(&world.request(&two), &CancellationToken::new()).await.unwrap();
    // Even other settings are nothing to those that are not looked at.
    world.service("consumer").environment.insert("A".into(), "1".into());
    let third = order(2, 1, vec![vec![file(3)]]);
    let added = world.apply(&world.request(&third), &CancellationToken::new()).await.unwrap();
    assert_eq!(added.iter().map(|c| (c.component.as_str(), c.number)).collect::<Vec<_>>(), [("consumer-3", 3)]);
    assert_eq!(world.inside(&added[0].id, "cat /who").await, "3");
    let seen = |all: &[Container]| all.iter().map(|c| (c.id.clone(), c.started_at.clone())).collect::<Vec<_>>();
    let now = world.list().await;
    assert_eq!(seen(&now), seen(&[first, added].concat()));
}
