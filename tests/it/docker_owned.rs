//! Whose containers, networks and volumes are: those of a folder that was moved, and those of somebody else with the name of
//! our project.

use std::{collections::HashMap, fs, process::Stdio, time::Duration};

use bollard::{
    models::VolumeCreateRequest,
    query_parameters::{InspectContainerOptions, RemoveVolumeOptions},
};

use crate::{
    docker_stack::InDocker,
    owned::elsewhere,
    support::{both, wait},
};

/// After `mv`, `down -v` once said that the data were deleted, and containers and volumes lived on.
#[test]
fn a_moved_folder_takes_its_containers_along_and_what_others_made_stays() {
    let place = InDocker::new();
    let profile = place.profile.clone();
    place.ok(&["up", &profile]);
    let record = place.stack_json();
    let project = record["docker"]["project"].as_str().unwrap().to_owned();
    assert!(project.ends_with("-ecommerce"), "volumes carry the name of the system: {project}");
    let mysql = record["components"]["mysql"]["container"]["id"].as_str().unwrap().to_owned();
    let found =
        place.runtime.block_on(place.engine.inspect_container(&mysql, None::<InspectContainerOptions>)).unwrap();
    let labels = found.config.unwrap().labels.unwrap();
    assert_eq!(labels["dev.ecomctl.system"], "ecommerce");

    // Somebody's own volume in a compose project of the same name.
    let theirs = format!("{project}_theirs");
    let body = VolumeCreateRequest {
        name: Some(theirs.clone()),
        labels: Some(HashMap::from([("com.docker.compose.project".to_owned(), project)])),
        ..VolumeCreateRequest::default()
    };
    place.runtime.block_on(place.engine.create_volume(body)).unwrap();
    let moved = place.stack.scratch().join("moved");
    fs::rename(place.stack.state_dir(), &moved).unwrap();
    let at = |args: &[&str]| {
        let mut command = elsewhere(&place.command(args), &moved);
        wait(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), Duration::from_secs(120))
    };
    let status = at(&["status"]);
    assert!(status.status.success(), "{}", both(&status));
    // Nothing is made anew: the settings are the same, and so is the id.
    let again = both(&at(&["up", &profile]));
    assert_eq!(again.matches("was up").count(), 3, "{again}");
    let down = both(&at(&["down", "-v"]));
    assert!(down.contains("volumes deleted"), "{down}");
    let left = place.everything();
    let theirs_left = place.runtime.block_on(place.engine.remove_volume(&theirs, None::<RemoveVolumeOptions>));
    assert_eq!(left, Vec::<String>::new());
    assert!(theirs_left.is_ok(), "the volume of somebody else went too");
    assert!(!moved.join("data").exists());
}
