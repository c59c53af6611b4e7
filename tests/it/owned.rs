//! Only what is ours is opened, ended or deleted: commands on folders of somebody else, links, copies, and on a stack
//! that is in use.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use contract::system::System;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::support::{Stack, both, shared, wait, write};

/// Every command that opens a state folder.
const OPENING: [&[&str]; 18] = [
    &["up"],
    &["down"],
    &["down", "-v"],
    &["down", "-v", "--yes"],
    &["status"],
    &["env"],
    &["logs"],
    &["stats"],
    &["restart", "all"],
    &["stop"],
    &["topics", "list"],
    &["seed"],
    &["serve"],
    &["run", "smoke"],
    &["verify"],
    &["report"],
    &["runs", "list"],
    &["runs", "rm", "x", "--yes"],
];

#[test]
fn no_command_touches_a_folder_that_is_not_ours() {
    let stack = Stack::empty();
    let folder = stack.state_dir();
    for path in ["data/ecommerce", "conf", "runs/x"] {
        fs::create_dir_all(folder.join(path)).unwrap();
    }
    for path in ["data/ecommerce/precious", "conf/app.toml", ".gitignore", "runs/x/run.json"] {
        write(&folder.join(path), "*\n");
    }
    for args in OPENING {
        let output = stack.run(args);
        let text = both(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains("is no state folder of ecomctl"), "{args:?}: {text}");
    }
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "{left:?}");
    assert_eq!(fs::read_to_string(folder.join("data/ecommerce/precious")).unwrap(), "*\n");
}

/// `--verbose down` once deleted the data; and what lies behind a link was told to be deleted, and was not.
#[test]
fn data_go_with_a_word_after_down_only_and_never_behind_a_link() {
    let stack = Stack::empty();
    // A folder of ours, with data that a server might have left.
    stack.run(&["down"]);
    fs::create_dir_all(stack.state_dir()).unwrap();
    let made = infra::StateDir::create(stack.state_dir()).unwrap();
    let big = stack.scratch().join("big");
    fs::create_dir_all(big.join("ecommerce")).unwrap();
    write(&big.join("ecommerce/ibdata1"), "rows");
    symlink(&big, made.path("data")).unwrap();
    for args in [&["--verbose", "down"][..], &["-v", "down"], &["down", "--verbose"], &["-vv", "down", "--yes"]] {
        let output = stack.run(args);
        assert!(output.status.success() && !both(&output).contains("deleted:"), "{args:?}: {}", both(&output));
        assert!(big.join("ecommerce/ibdata1").exists(), "{args:?}");
    }
    let output = stack.run(&["down", "-v"]);
    let text = both(&output);
    assert!(
        output.status.code() == Some(1) && text.contains("is a link to") && !text.contains("data deleted"),
        "{text}"
    );
    assert!(big.join("ecommerce/ibdata1").exists());
    fs::remove_file(made.path("data")).unwrap();

    // Of two systems only one goes, and which one must be clear.
    for system in ["ecommerce", "fcfs"] {
        fs::create_dir_all(made.data(system)).unwrap();
        write(&made.data(system).join("rows"), "1");
    }
    let text = both(&stack.run(&["down", "-v"]));
    assert!(text.contains("data of several systems: ecommerce, fcfs; name one of them with --system"), "{text}");
    for name in ["concert", "../data", "."] {
        let output = stack.run(&["down", "-v", "--system", name]);
        assert!(output.status.code() == Some(2) && both(&output).contains("there are no data"), "{}", both(&output));
    }
    let text = both(&stack.ok(&["down", "-v", "--system", "fcfs"]));
    assert!(text.contains("data deleted") && text.contains("data/fcfs"), "{text}");
    assert!(!made.data("fcfs").exists() && made.data("ecommerce").join("rows").exists());
    stack.ok(&["down", "--volumes"]);
    assert!(!made.path("data").exists());
}

#[test]
fn only_runs_of_this_folder_are_removed_and_by_name() {
    let stack = Stack::empty();
    let state = infra::StateDir::create(stack.state_dir()).unwrap();
    let run = r#"{"schema_version":1,"profile":"x","started_at":"","coupons":[],"require":[],"origin_unix_ns":0,"process":null}"#;
    let elsewhere = stack.scratch().join("elsewhere");
    for folder in [state.path("runs/20261121T100000Z-x"), elsewhere.clone()] {
        fs::create_dir_all(&folder).unwrap();
        write(&folder.join("run.json"), run);
    }
    symlink(&elsewhere, state.path("runs/20261122T100000Z-link")).unwrap();
    let path = elsewhere.to_string_lossy().into_owned();
    for name in ["", ".", "..", "../..", "/", path.as_str(), "elsewhere", "./elsewhere", "../../elsewhere"] {
        let output = stack.run(&["runs", "rm", name, "--yes"]);
        assert_eq!(output.status.code(), Some(2), "`{name}`: {}", both(&output));
    }
    let output = stack.run(&["runs", "rm", "20261122T100000Z-link", "--yes"]);
    assert!(!output.status.success() && both(&output).contains("is a link to"), "{}", both(&output));
    assert!(elsewhere.join("run.json").exists() && state.path("runs/20261121T100000Z-x").exists());
    assert_eq!(stack.run(&["runs", "rm", "20261121T100000Z-x"]).status.code(), Some(2), "without --yes");
    stack.ok(&["runs", "rm", "20261121T100000Z-x", "20261121T", "--yes"]);
    assert!(!state.path("runs/20261121T100000Z-x").exists());
}

/// A run that has its load under way, started by `sh` with `before` done first.
fn under_way(stack: &Stack, before: &str) -> Child {
    let path = stack.scratch().join("small.yaml");
    write(&path, include_str!("profiles/small.yaml"));
    let runs = || {
        let mut all: Vec<_> = stack.state_dir().join("runs").read_dir().into_iter().flatten().flatten().collect();
        all.sort_by_key(fs::DirEntry::file_name);
        all.last().map(fs::DirEntry::path)
    };
    let last = runs();
    let command = stack.command(&["run", &path.to_string_lossy(), "--ci"]);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{before} exec \"$0\" \"$@\"")).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let child = shell.current_dir(stack.scratch()).stdin(Stdio::null());
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let since = Instant::now();
    let begun = || {
        let events = runs().filter(|run| Some(run) != last.as_ref()).map(|run| run.join("events.jsonl"));
        events.is_some_and(|path| fs::read_to_string(path).is_ok_and(|text| text.contains(r#""type":"load""#)))
    };
    while !begun() {
        assert!(since.elapsed() < Duration::from_secs(60), "no load began");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// `down` took the servers from under a run, which then hung in its drain. And a run under `nohup` ended with its
/// terminal all the same.
#[test]
fn a_stack_in_use_is_not_taken_away_and_an_ignored_signal_stays_ignored() {
    let stack = shared();
    let run = under_way(&stack, "trap '' HUP;");
    let pid = Pid::from_raw(run.id() as i32);
    kill(pid, Signal::SIGHUP).unwrap();
    for args in [
        &["down"][..],
        &["down", "-v", "--yes"],
        &["topics", "recreate", "--yes"],
        &["seed"],
        &["up", "--mysql-url", "mysql://u:p@127.0.0.1:1/d"],
    ] {
        let output = stack.run(args);
        let text = both(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
        assert!(text.contains(&format!("in use by `ecomctl run` (pid {pid})")), "{args:?}: {text}");
    }
    // What changes nothing is free to everybody.
    stack.ok(&["up"]);
    let output = wait(run, Duration::from_secs(60));
    assert!(crate::support::went_well(&output), "{}", both(&output));
    assert!(stack.state_dir().join("data/ecommerce").exists());
}

/// The same command on another state folder.
pub fn elsewhere(command: &Command, folder: &Path) -> Command {
    let mut args: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
    let at = args.iter().position(|arg| arg == "--state-dir").unwrap();
    args[at + 1] = folder.into();
    let mut other = Command::new(command.get_program());
    other.args(args).current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other
}

/// Processes carry the id of their folder, not only the path that it had.
#[test]
fn a_moved_folder_takes_its_servers_along_and_a_copy_leaves_them_alone() {
    let stack = Stack::empty();
    stack.ok(&["up"]);
    let moved = stack.scratch().join("moved");
    fs::rename(stack.state_dir(), &moved).unwrap();
    // A broker writes its offsets down every five seconds, and ends itself where it cannot: it is to live until it is
    // taken down. No mark of ours is at the old place.
    let old = stack.state_dir().join("data/ecommerce");
    fs::create_dir_all(&old).unwrap();
    symlink(moved.join("data/ecommerce/kafka-1"), old.join("kafka-1")).unwrap();
    let copy = stack.scratch().join("copy");
    fs::create_dir(&copy).unwrap();
    for name in ["ecomctl.json", "stack.json", ".gitignore"] {
        fs::copy(moved.join(name), copy.join(name)).unwrap();
    }
    let at = |folder: &Path, args: &[&str]| {
        let mut command = elsewhere(&stack.command(args), folder);
        wait(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), Duration::from_secs(60))
    };
    // Whoever opens the moved folder first settles who is who.
    let output = at(&moved, &["env"]);
    assert!(output.status.success(), "{}", both(&output));
    let output = at(&copy, &["down"]);
    assert!(output.status.success() && !both(&output).contains("stopped"), "{}", both(&output));
    assert_eq!(stack.processes().len(), 3, "the servers of the first one run");
    let text = both(&at(&moved, &["down", "-v"]));
    for name in ["mysql", "redis", "kafka-1"] {
        assert!(text.contains(&format!("{name} (pid ")), "{text}");
    }
    assert!(text.contains("data deleted") && !moved.join("data").exists(), "{text}");
    assert_eq!(stack.processes(), Vec::<String>::new());
}

/// Only one system is up at a time, and the other one is named.
#[test]
fn up_of_another_system_names_the_one_that_is_up() {
    let stack = Stack::empty();
    let state = infra::StateDir::create(stack.state_dir()).unwrap();
    stack.ok(&["up"]);
    // The profiles know one system only: let the stack be of another one.
    let mut record = state.load_stack().unwrap().unwrap();
    record.system = System::Fcfs;
    state.save_stack(&record).unwrap();
    let output = stack.run(&["up"]);
    let text = both(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the stack of fcfs is up") && text.contains("then ecommerce can come up"), "{text}");
    assert_eq!(stack.processes().len(), 3, "nothing was reaped");
    // `down -v` deletes the data of the one that is up, and of no other.
    fs::create_dir_all(state.data("fcfs")).unwrap();
    let text = both(&stack.ok(&["down", "-v"]));
    assert!(text.contains("data/fcfs") && state.data("ecommerce").exists(), "{text}");
}

/// In a Kafka of somebody else a team's own consumer may be a member of our group: a backend that joined would take
/// partitions and events from it. It is listed, and only `--yes` goes on.
#[test]
fn somebodys_consumer_in_our_group_is_listed_and_needs_yes() {
    let theirs = shared().endpoints().kafka;
    let stack = Stack::empty();
    let profile = stack.scratch().join("small.yaml");
    write(&profile, include_str!("profiles/small.yaml"));
    let profile = profile.to_string_lossy().into_owned();
    let external = ["--kafka-brokers", &theirs.brokers];
    let with = |args: &[&str]| [args, &external].concat().iter().map(ToString::to_string).collect::<Vec<_>>();
    let run = |args: &[&str]| stack.run(&with(args).iter().map(String::as_str).collect::<Vec<_>>());
    let up = run(&["up", &profile]);
    assert!(up.status.success(), "{}", both(&up));

    let topic = System::default().claims();
    let mut config = theirs.client_config();
    config.set("group.id", topic.group).set("client.id", "billing");
    let billing: BaseConsumer = config.create().unwrap();
    billing.subscribe(&[topic.name]).unwrap();
    let since = Instant::now();
    while billing.assignment().unwrap().count() == 0 {
        assert!(since.elapsed() < Duration::from_secs(30), "it got no partition");
        let _ = billing.poll(Duration::from_millis(100));
    }
    for args in [&["seed", &profile][..], &["run", &profile, "--ci"]] {
        let output = run(args);
        let said = both(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(topic.group) && said.contains("`billing` on"), "{args:?}: {said}");
        assert!(said.contains("say --yes if that is meant"), "{args:?}: {said}");
    }
    let output = run(&["seed", &profile, "--yes"]);
    assert!(output.status.success(), "{}", both(&output));
    // One that has left is nobody's any more.
    drop(billing);
    let output = run(&["seed", &profile]);
    assert!(output.status.success(), "{}", both(&output));
    stack.ok(&["down", "-v"]);
}
