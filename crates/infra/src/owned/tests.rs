use std::os::unix::fs::symlink;

use super::*;
use crate::StateDir;

const PLACES: &str = r#"{"schema_version": 1, "mysql": {"port": 1, "password": "p"}, "redis": {"port": 2, "password": "p"},
    "kafka": [{"broker": 3, "controller": 4}], "cluster_id": "abcdefghijklmnopqrstuA"}"#;
const STACK: &str = r#"{"schema_version": 1, "system": "ecommerce", "brokers": 1, "components": {}, "started_at": "2026",
    "endpoints": {"mysql": {"host": "h", "port": 1, "user": "u", "password": "p", "database": "d", "tls": null},
    "redis": {"host": "h", "port": 1, "user": null, "password": null, "db": 0, "tls": null},
    "kafka": {"brokers": "h:1", "security": null}}, "docker": {"project": "ecomctl-abc123"}}"#;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().canonicalize().unwrap().join("state");
    fs::create_dir(&folder).unwrap();
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if !name.ends_with('/') {
            fs::write(path, text).unwrap();
        }
    }
    (dir, folder)
}

/// What stands in a folder, by path below it.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            all.push(entry.path().strip_prefix(folder).unwrap().to_owned());
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            }
        }
    }
    all.sort();
    all
}

/// `down -v --state-dir P` deleted `data` and `conf` of any folder: only one with our mark is opened, whatever is in it.
#[test]
fn an_ordinary_folder_is_opened_by_nobody_and_stays_as_it_is() {
    let stranger = [("data/precious.txt", "all of it"), ("conf/app.toml", "x")];
    let ignored = [(".gitignore", "*\n")];
    let cases: Vec<Vec<(&str, &str)>> = vec![
        stranger.to_vec(),
        [&stranger[..], &ignored].concat(),
        [&stranger[..], &ignored, &[("stack.lock", "1 up\n"), ("logs/a.log", "x")]].concat(),
        [&stranger[..], &ignored, &[("stack.json", "{}")]].concat(),
        [&stranger[..], &ignored, &[("stack.json", STACK)]].concat(),
        [&ignored[..], &[("data/shop/places.json", "{}"), ("conf/x", "")]].concat(),
        [&ignored[..], &[("stack.json", STACK), ("Cargo.toml", "[package]")]].concat(),
        [&ignored[..], &[("conf/x", ""), ("stack.lock", "1 up\n")]].concat(),
        vec![("data/ecommerce/places.json", PLACES), ("stack.json", STACK)],
        vec![(".gitignore", "target\n"), ("data/ecommerce/places.json", PLACES), ("stack.json", STACK)],
        vec![(".git/HEAD", "ref: refs/heads/main")],
        vec![("runs/20261121T100000Z-x/run.json", "{}")],
        vec![(MARK, "{}"), ("data/x", "")],
        vec![(MARK, r#"{"schema_version": 1, "id": "../..", "folder": "/"}"#), ("data/x", "")],
    ];
    for files in cases {
        let (_dir, folder) = folder(&files);
        let before = tree(&folder);
        for opened in [StateDir::open(&folder).map(drop), StateDir::create(&folder).map(drop)] {
            let message = opened.expect_err(&format!("{files:?}")).to_string();
            assert!(message.contains("is no state folder of ecomctl") && message.contains("--state-dir"), "{message}");
        }
        assert_eq!(tree(&folder), before, "{files:?}");
    }
}

#[test]
fn folders_of_the_first_version_are_known_by_their_content_and_taken_over() {
    let ignore = (".gitignore", "*\n");
    let lock = ("stack.lock", "4242 up\n");
    let native = ("data/ecommerce/places.json", PLACES);
    let run = ("runs/20261121T100000Z-x/run.json", r#"{"schema_version": 1, "profile": "x", "origin_unix_ns": 7}"#);
    for files in [
        vec![ignore, lock, native, ("stack.json", STACK), ("conf/mysql.cnf", ""), ("logs/mysql.log", ""), run],
        vec![ignore, lock, native, ("conf/mysql.cnf", "")],
        vec![ignore, ("stack.json", STACK), ("data/ecommerce/docker.json", PLACES)],
        vec![ignore, ("stack.json", STACK), (".stack.json.77.tmp", "{")],
        // After `down -v`.
        vec![ignore, ("stack.lock", "4242 down\n"), ("logs/mysql.log", ""), run],
        vec![ignore],
    ] {
        let (_dir, folder) = folder(&files);
        let state = StateDir::open(&folder).unwrap_or_else(|e| panic!("{files:?}: {e}")).unwrap();
        assert!(folder.join(MARK).is_file());
        assert_eq!(StateDir::create(&folder).unwrap().owner(), state.owner(), "the id stays");
        if files.contains(&("stack.json", STACK)) {
            // Its volumes have no system in their names, and are found all the same.
            assert_eq!(state.owner().project("ecommerce"), "ecomctl-abc123");
            assert_eq!(state.owner().system_of("ecomctl-abc123").as_deref(), Some("ecommerce"));
            assert!(state.owner().project("fcfs").ends_with("-fcfs"));
            assert_eq!(state.load_stack().unwrap().unwrap().system.name(), "ecommerce");
        }
    }
}

#[test]
fn the_id_goes_with_a_folder_that_is_moved_and_a_copy_owns_nothing() {
    let (dir, folder) = folder(&[]);
    assert!(StateDir::open(&folder).unwrap().is_none(), "an empty folder is none yet");
    let first = StateDir::create(&folder).unwrap();
    let (id, project) = (first.owner().id().to_owned(), first.owner().project("ecommerce"));
    assert_eq!(project, format!("ecomctl-{}-ecommerce", &id[..10]));
    assert_eq!(first.owner().system_of(&project).as_deref(), Some("ecommerce"));
    assert_eq!(first.owner().system_of("ecomctl-abc123"), None);

    let moved = dir.path().join("moved");
    fs::rename(&folder, &moved).unwrap();
    let state = StateDir::open(&moved).unwrap().unwrap();
    assert_eq!((state.owner().id(), state.owner().folder()), (id.as_str(), state.root()));
    let labels = |id: &'static str, state: &'static str| Labels { id, state, project: "ecomctl-x" };
    let theirs = Labels { id: &id, ..labels("", "/elsewhere") };
    assert!(state.owner().owns(theirs), "wherever the folder was when it was made");

    let copy = dir.path().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(moved.join(MARK), copy.join(MARK)).unwrap();
    let stack = STACK.replace("\"started_at\"", &format!("\"owner\": \"{id}\", \"started_at\""));
    let process = process::this().unwrap();
    let component = format!(
        r#""components": {{"mysql": {{"provider": "native", "version": "", "address": "", "process": {{"pid": {}, "start_time": {}}}}}}}"#,
        process.pid, process.start_time
    );
    fs::write(copy.join("stack.json"), stack.replace(r#""components": {}"#, &component)).unwrap();
    let copied = StateDir::open(&copy).unwrap().unwrap();
    assert_ne!(copied.owner().id(), id);
    assert!(!copied.owner().owns(theirs));
    let stack = copied.load_stack().unwrap().unwrap();
    assert!(
        stack.components.is_empty() && stack.docker.is_none(),
        "what the first one started is not the copy's to end"
    );
    assert_eq!(StateDir::open(&moved).unwrap().unwrap().owner().id(), id);
}

#[test]
fn what_carries_no_label_or_that_of_another_folder_is_not_ours() {
    let (_dir, folder) = folder(&[]);
    let state = StateDir::create(&folder).unwrap();
    let path = folder.to_str().unwrap();
    let project = state.owner().project("ecommerce");
    for (labels, ours) in [
        (Labels { id: state.owner().id(), state: path, project: &project }, true),
        (Labels { id: "", state: path, project: "ecomctl-abc123" }, true),
        // Somebody's own `docker compose -p` with our project's name.
        (Labels { id: "", state: "", project: &project }, false),
        (Labels { id: "0123456789abcdef0123456789abcdef", state: path, project: &project }, false),
        (Labels { id: "", state: "/", project: &project }, false),
        (Labels { id: "", state: "/nowhere", project: &project }, false),
        (Labels::default(), false),
    ] {
        assert_eq!(state.owner().owns(labels), ours, "{labels:?}");
    }
}

/// `stack.json` of an earlier boot may name a pid that something else has by now, even with the same start time.
#[test]
fn a_recorded_pid_of_a_process_without_our_mark_is_forgotten() {
    let (_dir, folder) = folder(&[]);
    let state = StateDir::create(&folder).unwrap();
    let me = process::this().unwrap();
    let text = STACK.replace(
        r#""components": {}"#,
        &format!(
            r#""components": {{"mysql": {{"provider": "native", "version": "", "address": "", "process": {{"pid": {}, "start_time": {}}}}}}}"#,
            me.pid, me.start_time
        ),
    );
    fs::write(state.path("stack.json"), text).unwrap();
    assert!(state.load_stack().unwrap().unwrap().components.is_empty());
}

#[test]
fn a_name_of_a_system_cannot_lead_out_of_the_folder() {
    let (_dir, folder) = folder(&[]);
    let state = StateDir::create(&folder).unwrap();
    for name in ["../../etc", "/etc", "a/b", "", ".", "..", "A"] {
        fs::write(state.path("stack.json"), STACK.replace("ecommerce", name)).unwrap();
        assert!(state.load_stack().is_err(), "{name}");
    }
}

#[test]
fn deleting_is_whole_or_not_at_all_and_follows_no_link() {
    let (dir, folder) = folder(&[("data/a/1", ""), ("data/b/2", ""), ("conf/c", "")]);
    let big = dir.path().join("big");
    fs::create_dir(&big).unwrap();
    fs::write(big.join("precious"), "all of it").unwrap();
    symlink(&big, folder.join("data/b/mysql")).unwrap();
    symlink(&big, folder.join("runs")).unwrap();
    let remove = |below: &str| remove_tree(&folder, Path::new(below)).unwrap();
    assert_eq!(remove("data/a"), Removal::Gone);
    assert_eq!(remove("data/a"), Removal::Absent);
    assert_eq!(remove("nothing/there"), Removal::Absent);
    let target = big.canonicalize().unwrap();
    assert_eq!(remove("data/b"), Removal::Link { link: folder.join("data/b/mysql"), target: target.clone() });
    assert_eq!(remove("runs"), Removal::Link { link: folder.join("runs"), target: target.clone() });
    assert_eq!(remove("runs/precious"), Removal::Link { link: folder.join("runs"), target });
    assert!(folder.join("data/b/2").exists() && big.join("precious").exists(), "nothing is deleted by halves");
    fs::remove_file(folder.join("data/b/mysql")).unwrap();
    assert_eq!(remove("data/b"), Removal::Gone);
}
