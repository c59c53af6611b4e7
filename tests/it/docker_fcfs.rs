//! The second system in containers, its backend too: under names and with volumes of its own.

use crate::docker_stack::InDocker;

#[test]
fn the_second_system_runs_in_containers_with_a_database_and_volumes_of_its_own() {
    let docker = InDocker::new();
    let small = ["--size", "small", "--set", "backend.consumers=2", "--set", "goals={}"];
    docker.ok(&["up", "fcfs-scarce"]);
    let summary = docker.json(&[&["run", "fcfs-scarce"], &small[..]].concat());
    assert_eq!((&summary["system"], &summary["verdict"]), (&"fcfs".into(), &"consistent".into()), "{summary:#}");
    assert_eq!(summary["coupons"][0]["rows"], 30, "{summary:#}");
    let env = docker.json(&["env"]);
    assert!(env["MYSQL_URL"].as_str().unwrap().ends_with("/fcfs_db"));
    let everything = docker.everything();
    assert!(everything.iter().any(|name| name.ends_with("-fcfs_mysql-data")), "{everything:?}");
    docker.ok(&["down", "-v"]);
    assert_eq!(docker.everything(), Vec::<String>::new());
}
