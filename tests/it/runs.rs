//! The folders of runs: a disk that fills up under one, and how old ones go.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, process::Stdio, sync::Arc, time::Duration};

use ecomctl::run::{
    execute,
    folder::{RunFile, RunFolder, SCHEMA_VERSION},
    walk::{Request, Show},
};
use infra::{process, state::StateDir};
use profile::Overrides;
use record::{event::plan::Proven, replay::Replay, state::RunState};
use tokio_util::sync::CancellationToken;

use crate::support::{ECOMCTL, Stack, both, shared, wait, write};

/// A small disk of its own for the runs, in a mount namespace that ends with the script. What the run came to, and what
/// is read of it afterwards, goes to `$OUT`.
const ON_A_SMALL_DISK: &str = r#"
set -u
mount -t tmpfs -o size=400k none "$STATE/runs" || exit 77
"$ECOMCTL" run "$PROFILE" --vus 60 --duration 90s >"$OUT/run.txt" 2>&1
echo $? >"$OUT/run.code"
cp -r "$STATE/runs" "$OUT/kept"
name=$(basename "$STATE"/runs/*)
for what in "report" "verify --history"; do
    "$ECOMCTL" $what "$name" --format json >"$OUT/${what%% *}.json" 2>>"$OUT/said.txt"
    echo $? >"$OUT/${what%% *}.code"
done
"#;

/// A disk that fills up under a load ends the run with exit code 1 and its cause, long before its time, and what was
/// written is readable: report, history (which proves nothing and accuses nobody) and replay.
#[test]
fn a_disk_that_fills_up_ends_a_run_cleanly() {
    let stack = shared();
    let out = tempfile::tempdir_in(stack.scratch()).unwrap();
    let profile = out.path().join("filling.yaml");
    write(&profile, include_str!("profiles/small.yaml"));
    fs::create_dir_all(stack.state_dir().join("runs")).unwrap();
    let mut command = std::process::Command::new("unshare");
    command.args(if nix::unistd::geteuid().is_root() { ["-m"].as_slice() } else { ["-rm"].as_slice() });
    command.args(["sh", "-c", ON_A_SMALL_DISK]);
    command.env("STATE", stack.state_dir()).env("ECOMCTL_STATE_DIR", stack.state_dir()).env("ECOMCTL", ECOMCTL);
    command.env("PROFILE", &profile).env("OUT", out.path()).env("ECOMCTL_PROVIDER", "native");
    command.current_dir(out.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = wait(command.spawn().unwrap(), Duration::from_secs(120));
    if output.status.code() == Some(77) {
        println!("not tried: this system mounts nothing for us: {}", both(&output));
        return;
    }
    let read = |name: &str| fs::read_to_string(out.path().join(name)).unwrap_or_default();
    let said = format!("{}\n{}\n{}", both(&output), read("run.txt"), read("said.txt"));
    assert_eq!(read("run.code").trim(), "1", "{said}");
    assert!(said.contains("No space left on device"), "{said}");

    assert_eq!(read("report.code").trim(), "0", "{said}");
    let summary: serde_json::Value = serde_json::from_str(&read("report.json")).unwrap();
    assert_eq!((&summary["exit_code"], &summary["verdict"]), (&1.into(), &"unproven".into()), "{summary:#}");
    assert!(summary["broken"].as_str().is_some_and(|why| why.contains("No space left")), "{summary:#}");
    assert!(summary["load_s"].as_f64() < Some(80.0) && summary["metrics"]["http_reqs"].is_object(), "{summary:#}");

    assert_eq!(read("verify.code").trim(), "4", "{said}");
    let judged: serde_json::Value = serde_json::from_str(&read("verify.json")).unwrap();
    let checks = judged["checks"].as_array().unwrap();
    assert!(!checks.is_empty() && checks.iter().all(|check| check["verdict"] == "unknown"), "{judged:#}");

    let kept = RunFolder::list(&out.path().join("kept")).unwrap().pop().unwrap();
    let mut replay = Replay::open(&kept.events()).unwrap();
    assert!(replay.seek(u64::MAX).unwrap().load.is_some(), "{said}");
    assert!(kept.read().unwrap().process.is_none());
}

/// `runs rm --keep` takes the oldest runs that are over and nothing else: neither the one under way, nor what is no run
/// of this folder, nor what this version cannot read. The size is told when it passes the limit.
#[test]
fn old_runs_go_and_nothing_else_does() {
    let stack = Stack::empty();
    let runs = StateDir::create(stack.state_dir()).unwrap().root().join("runs");
    let make = |second: u8, process| {
        let at: jiff::Timestamp = format!("2026-11-21T06:00:{second:02}Z").parse().unwrap();
        let run = RunFolder::create(&runs, "선착순", at).unwrap();
        let file = RunFile {
            schema_version: SCHEMA_VERSION,
            profile: "선착순".into(),
            started_at: at.to_string(),
            proven: Proven::default(),
            require: Vec::new(),
            origin_unix_ns: 0,
            sent: BTreeMap::new(),
            epochs: None,
            invariants: Vec::new(),
            process,
            control: None,
        };
        run.write(&file).unwrap();
        fs::write(run.logs().join("a.log"), vec![b'x'; 10_000]).unwrap();
        run.name()
    };
    let busy = make(0, process::this());
    let mut over: Vec<String> = (1..6).map(|second| make(second, None)).collect();
    let newer = runs.join("20260101T000000Z-newer");
    fs::create_dir(&newer).unwrap();
    fs::write(newer.join("run.json"), r#"{"schema_version": 99}"#).unwrap();
    let elsewhere = stack.scratch().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::copy(runs.join(&over[0]).join("run.json"), elsewhere.join("run.json")).unwrap();
    symlink(&elsewhere, runs.join("20260102T000000Z-link")).unwrap();
    fs::create_dir(runs.join("20260103T000000Z-no-run")).unwrap();

    let asked = stack.run(&["runs", "rm", "--keep", "2"]);
    assert_eq!(asked.status.code(), Some(2), "it asks for --yes: {}", both(&asked));
    assert!(over.iter().all(|name| runs.join(name).exists()));
    let done = stack.ok(&["runs", "rm", "--keep", "2", "--yes"]);
    let gone: Vec<String> = over.drain(..3).collect();
    assert!(
        gone.iter().all(|name| !runs.join(name).exists() && both(&done).contains(name.as_str())),
        "{}",
        both(&done)
    );
    assert!(over.iter().chain([&busy]).all(|name| runs.join(name).join("logs/a.log").exists()));
    assert!(newer.join("run.json").exists() && elsewhere.join("run.json").exists());
    assert!(runs.join("20260102T000000Z-link").is_symlink() && runs.join("20260103T000000Z-no-run").exists());
    let again = stack.ok(&["runs", "rm", "--keep", "2", "--yes"]);
    assert!(both(&again).contains("nothing to remove"), "{}", both(&again));
    for wrong in [&["runs", "rm"][..], &["runs", "rm", "--keep", "1", &over[0]], &["runs", "rm", "--keep", "x"]] {
        assert_eq!(stack.run(wrong).status.code(), Some(2));
    }

    fs::remove_dir_all(&newer).unwrap();
    for (limit, told) in [("25K", true), ("1G", false), ("0", false)] {
        let output = stack.ok(&["runs", "list", "--runs-limit", limit]);
        assert_eq!(both(&output).contains("--runs-limit"), told, "{limit}: {}", both(&output));
    }
    assert_eq!(stack.run(&["runs", "list", "--runs-limit", "much"]).status.code(), Some(2));
}

/// Shows nothing.
struct Silent;

impl Show for Silent {
    fn begin(&self, _: &RunFolder, _: tokio::sync::watch::Receiver<Arc<RunState>>) {}
    fn message(&self, _: &str) {}
    fn end(&self) {}
}

/// A fixture that was there when the profile was checked and cannot be read when the run begins.
#[tokio::test]
async fn a_fixture_that_cannot_be_read_leaves_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::create(folder.path().join("state")).unwrap();
    let mut loaded = profile::load("coupon-quick", &Overrides::default()).unwrap();
    loaded.profile.seed.fixture = "gone".into();
    let request = Request {
        loaded: &loaded,
        state: &state,
        keep: false,
        swap: false,
        pull: false,
        yes: false,
        interrupted: &|| None,
        cancel: CancellationToken::new(),
    };
    let error = execute::run(&request, &Silent).await.map(drop).unwrap_err();
    assert!(format!("{error:#}").contains("there is no fixture `gone`"), "{error:#}");
    assert!(!state.path("runs").exists(), "it left a folder");
}
