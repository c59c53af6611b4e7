//! Runs that earlier versions recorded: `tests/history/VERSION/RUN` was written by the program of that version, on real
//! servers. They are read as long as this version says that it reads them (docs/stability.md).

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use infra::state::StateDir;
use serde_json::Value;

use crate::{
    support::{ECOMCTL, Stack, both},
    terminal::Terminal,
};

/// 30 coupons, 60 people, 3 seconds; recorded by version 0.1.0.
const RUN: &str = "20261127T204118Z-history";
const SOON: Duration = Duration::from_secs(15);

/// A state folder with a copy of that run alone, and where the copy is.
fn recorded() -> (Stack, PathBuf) {
    let stack = Stack::empty();
    let run = StateDir::create(stack.state_dir()).unwrap().path("runs").join(RUN);
    let from = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/history/0.1.0")).join(RUN);
    for folder in ["", "ledger", "logs", "sets"] {
        fs::create_dir_all(run.join(folder)).unwrap();
        for file in fs::read_dir(from.join(folder)).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            fs::copy(file.path(), run.join(folder).join(file.file_name())).unwrap();
        }
    }
    (stack, run)
}

fn replay(stack: &Stack, size: (u16, u16)) -> Terminal {
    let terminal = Terminal::open("history", stack.scratch(), size);
    let state = stack.state_dir();
    terminal.line(&format!("clear; '{ECOMCTL}' tui --replay {RUN} --state-dir '{}'; echo EXIT=$?", state.display()));
    terminal
}

/// Check → verdict.
fn verdicts(of: &Value) -> BTreeMap<&str, &str> {
    let checks = of["checks"].as_array().unwrap().iter();
    checks.map(|check| (check["id"].as_str().unwrap(), check["verdict"].as_str().unwrap())).collect()
}

#[test]
fn a_run_of_0_1_0_is_listed_reported_replayed_and_judged_as_it_was() {
    let (stack, run) = recorded();
    let was: Value = serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap();
    assert_eq!(was["verdict"], "consistent");

    let (_, list) = stack.json(&["runs", "list"]);
    assert_eq!((&list[0]["run"], &list[0]["state"]), (&RUN.into(), &"ended".into()), "{list:#}");
    assert_eq!((&list[0]["verdict"], &list[0]["exit_code"]), (&was["verdict"], &was["exit_code"]), "{list:#}");

    let (code, report) = stack.json(&["report", RUN]);
    assert_eq!(code, 0);
    for key in ["verdict", "exit_code", "outcomes", "load_s", "duration_s"] {
        assert_eq!(report[key], was[key], "{key}: {report:#}");
    }
    assert_eq!(report["metrics"]["http_reqs"]["values"], was["metrics"]["http_reqs"]["values"], "{report:#}");
    assert_eq!(verdicts(&report), verdicts(&was));
    assert!(both(&stack.ok(&["report", RUN])).contains("consistent"));

    // Judged again from the sets and the ledger.
    let (code, judged) = stack.json(&["verify", "--history", RUN]);
    assert_eq!((code, &judged["verdict"]), (0, &was["verdict"]), "{judged:#}");
    let (now, before) = (verdicts(&judged), verdicts(&was));
    for (id, verdict) in &before {
        assert_eq!(now.get(id), Some(verdict), "{id}: {judged:#}");
    }

    let terminal = replay(&stack, (120, 40));
    terminal.wait_for("a replay", SOON, |screen| screen.contains("replay") && screen.contains("x1"));
    terminal.press(&["1", "$"]);
    terminal.wait_for("its end", SOON, |screen| screen.contains("consistent") && screen.contains("ended, exit 0"));
    terminal.press(&["q"]);
    terminal.wait_for("the exit code", SOON, |screen| screen.contains("EXIT=0"));
}

/// What a later version wrote may mean something else: nothing is guessed of it.
#[test]
fn a_run_of_a_newer_version_is_refused_by_every_reader() {
    let (stack, run) = recorded();
    for file in ["run.json", "summary.json", "events.jsonl", "sets/index.json"] {
        let text = fs::read_to_string(run.join(file)).unwrap();
        let newer = text.replacen("\"schema_version\": 1", "\"schema_version\": 99", 1);
        let newer = newer.replacen("\"schema_version\":1,", "\"schema_version\":99,", 1);
        assert_ne!(newer, text, "{file}");
        fs::write(run.join(file), newer).unwrap();
    }
    let (_, list) = stack.json(&["runs", "list"]);
    assert_eq!(list[0]["state"], "unreadable", "{list:#}");
    assert!(list[0]["unreadable"].as_str().unwrap().contains("newer ecomctl"), "{list:#}");
    for args in [["report", RUN].as_slice(), &["verify", "--history", RUN]] {
        let output = stack.run(args);
        let said = both(&output);
        assert!(output.status.code() == Some(1) && said.contains("newer"), "{args:?}: {said}");
    }
    let terminal = replay(&stack, (120, 40));
    terminal.wait_for("a refusal", SOON, |screen| screen.contains("newer ecomctl") && screen.contains("EXIT=1"));
}
