//! Points in Docker: servers and backend in containers, the same proof.

use crate::{docker_stack::InDocker, points::assert_proven};

#[test]
fn points_in_docker_are_charged_used_and_proven() {
    let place = InDocker::new();
    let summary = place.json(&["run", "points-quick", "--size", "medium"]);
    assert_proven(&summary);
    assert!(summary["stack"].as_object().unwrap().values().all(|c| c["provider"] == "docker"), "{summary:#}");
    place.ok(&["down", "-v"]);
    assert_eq!(place.everything(), [""; 0], "something was left");
}
