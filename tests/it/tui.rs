//! The dashboard on a real terminal: a run is driven through it, every key is pressed, and the terminal comes back
//! however it ends.

use std::{
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tui::keys::{self, Action, Mode};

use crate::{
    support::{ECOMCTL, Stack, exit_of, shared},
    terminal::Terminal,
};

const SOON: Duration = Duration::from_secs(15);

fn start(terminal: &Terminal, stack: &Stack, args: &str) {
    let state = stack.state_dir();
    terminal.line(&format!("clear; '{ECOMCTL}' {args} --state-dir '{}'; echo EXIT=$?", state.display()));
}

/// Presses each key of `mode` but those that leave, act, or close what is open.
fn press_all(terminal: &Terminal, mode: Mode, reopen: &[&str]) {
    for binding in keys::of(mode) {
        if matches!(binding.action, Action::Leave | Action::Interrupt) {
            continue;
        }
        for key in binding.keys {
            terminal.press(&[&key.name()]);
            if mode == Mode::Look {
                // Whatever that opened is closed again; and what it froze goes on.
                terminal.press(if binding.action == Action::Freeze { &["f"] } else { &["Esc"] });
            } else if matches!(binding.action, Action::Cancel | Action::Accept) {
                terminal.press(reopen);
            }
        }
    }
}

fn newest(folder: &Path) -> std::path::PathBuf {
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    all.sort();
    all.pop().unwrap()
}

/// A load on a busy machine may show the machine's own limit: then the run says so, and exits with 4.
fn ends(screen: &str, words: &str) -> bool {
    [0, 4].iter().any(|code| screen.contains(&format!("{words}{code}")))
}

/// The newest run's exit code, which is the one that its summary gives a reason for.
fn ended_well(stack: &Stack) -> i32 {
    let summary = std::fs::read(newest(&stack.state_dir().join("runs")).join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(summary["exit_code"], exit_of(&summary), "{summary:#}");
    exit_of(&summary)
}

#[test]
fn a_run_is_driven_through_the_dashboard_and_replayed() {
    let stack = shared();
    let terminal = Terminal::open("run", stack.scratch(), (120, 40));
    start(&terminal, &stack, "run coupon-quick --duration 60s --set goals={} --set 'checks={require: []}' --tui");
    terminal.wait_for("the load", Duration::from_secs(60), |screen| {
        screen.contains("· load ·") && screen.contains("running") && screen.contains("VUs")
    });
    assert!(terminal.modes().0, "a screen of its own");

    // Acts, each after a yes; the run's events have them.
    terminal.press(&["v", "3", "0", "Enter"]);
    terminal.wait_for("the virtual users", SOON, |screen| screen.contains("VUs 30 "));
    terminal.press(&["+"]);
    terminal.wait_for("a question", SOON, |screen| screen.contains("Launch one consumer more?"));
    terminal.press(&["n"]);
    terminal.wait_for("no question", SOON, |screen| !screen.contains("Launch one consumer more?"));
    terminal.press(&["+", "y"]);
    terminal.wait_for("a consumer", SOON, |screen| screen.contains("4 consumers"));

    press_all(&terminal, Mode::Look, &[]);
    terminal.press(&["u", "1", "?"]);
    press_all(&terminal, Mode::Help, &["?"]);
    terminal.press(&["Esc", "2", "Enter"]);
    terminal.wait_for("a partition in full", SOON, |screen| screen.contains("committed") && screen.contains("leader"));
    press_all(&terminal, Mode::Detail, &["Enter"]);
    terminal.press(&["Esc", "/"]);
    press_all(&terminal, Mode::Search, &["/"]);
    terminal.press(&["Esc", "v"]);
    press_all(&terminal, Mode::Number, &["Esc", "v"]);
    terminal.press(&["Esc", "V"]);
    press_all(&terminal, Mode::Confirm, &["V"]);
    terminal.press(&["Esc"]);

    terminal.resize(80, 24);
    terminal.press(&["5"]);
    terminal.wait_for("the stack at 80 x 24", SOON, |s| s.contains("── Components") && s.contains("kafka-1"));
    terminal.resize(60, 12);
    terminal.wait_for("a clear word", SOON, |screen| screen.contains("60 x 12 is too small"));
    terminal.resize(200, 60);
    terminal
        .wait_for("the stack at 200 x 60", SOON, |screen| screen.contains("── Logs") && screen.contains("restarts"));
    terminal.press(&["S"]);
    terminal.wait_for("a question", SOON, |screen| screen.contains("Stop the load?"));
    terminal.press(&["y", "1"]);
    terminal.wait_for("the end", Duration::from_secs(60), |screen| ends(screen, "ended, exit "));
    terminal.press(&["6"]);
    terminal.wait_for("the checks", SOON, |screen| screen.contains("CP5") && screen.contains("holds"));
    terminal.press(&["q"]);
    terminal.wait_for("the exit code", Duration::from_secs(30), |screen| ends(screen, "EXIT="));
    terminal.is_restored();
    let exit = ended_well(&stack);
    assert!(terminal.screen().contains(&format!("EXIT={exit}")), "{}", terminal.screen());

    let events = std::fs::read_to_string(newest(&stack.state_dir().join("runs")).join("events.jsonl")).unwrap();
    for what in ["vus 30", "add consumer", "stop load"] {
        assert!(events.contains(&format!("\"what\":\"{what}\"")), "{what} is not among the events");
    }
    let exported = std::fs::read_dir(stack.scratch()).unwrap().flatten();
    let exported = exported.filter(|entry| entry.file_name().to_string_lossy().starts_with("screen-")).count();
    assert!(exported > 0, "s writes the screen to a file");
    assert!(events.contains("\"what\":\"export "), "the export is not among the events");

    replayed(&terminal, &stack);
}

/// A load that goes on until it is ended.
const LONG_RUN: [&str; 8] =
    ["run", "coupon-quick", "--duration", "90s", "--set", "goals={}", "--set", "checks={require: []}"];

/// Starts [`LONG_RUN`] and waits for its load.
fn long_run(stack: &Stack) -> Child {
    let runs = stack.state_dir().join("runs");
    let run = stack.command(&LONG_RUN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let since = Instant::now();
    let loads = || {
        let newest = std::fs::read_dir(&runs).ok()?.flatten().map(|entry| entry.path()).max()?;
        let begun = std::fs::read_to_string(newest.join("run.json")).ok()?.contains("\"control\"");
        let events = std::fs::read_to_string(newest.join("events.jsonl")).ok()?;
        Some(begun && events.contains("\"type\":\"load\""))
    };
    while loads() != Some(true) {
        assert!(since.elapsed() < Duration::from_secs(60), "the load does not begin");
        std::thread::sleep(Duration::from_millis(100));
    }
    run
}

#[test]
fn the_run_of_another_process_is_looked_at_and_acted_on() {
    let stack = shared();
    let mut run = long_run(&stack);
    let terminal = Terminal::open("attached", stack.scratch(), (120, 40));
    start(&terminal, &stack, "tui");
    terminal.wait_for("the run", SOON, |screen| screen.contains("attached") && screen.contains("· load ·"));
    terminal.press(&["v", "3", "0", "Enter"]);
    terminal.wait_for("the virtual users", SOON, |screen| screen.contains("VUs 30 "));
    terminal.press(&["S", "y"]);
    terminal.wait_for("the end", Duration::from_secs(60), |screen| ends(screen, "ended, exit "));
    terminal.press(&["q"]);
    terminal.wait_for("the exit code", SOON, |screen| screen.contains("EXIT=0"));
    terminal.is_restored();
    assert_eq!(run.wait().unwrap().code(), Some(ended_well(&stack)));
}

#[test]
fn a_run_that_is_killed_is_told_to_whoever_looks_at_it() {
    let stack = shared();
    let mut run = long_run(&stack);
    let terminal = Terminal::open("killed", stack.scratch(), (120, 40));
    start(&terminal, &stack, "tui");
    terminal.wait_for("the run", SOON, |screen| screen.contains("attached") && screen.contains("· load ·"));
    run.kill().unwrap();
    run.wait().unwrap();
    terminal.wait_for("its end", SOON, |s| s.contains("the run's process is gone") && !s.contains("attached"));
    terminal.press(&["q"]);
    terminal.wait_for("the exit code", SOON, |screen| screen.contains("EXIT=0"));
}

#[test]
fn a_run_that_is_asked_to_end_gives_the_terminal_back() {
    let stack = shared();
    let terminal = Terminal::open("ended", stack.scratch(), (120, 40));
    start(&terminal, &stack, "run coupon-quick --duration 90s --set goals={} --set 'checks={require: []}' --tui");
    terminal.wait_for("the load", Duration::from_secs(60), |screen| screen.contains("· load ·"));
    kill(Pid::from_raw(terminal.pid_of("ecomctl")), Signal::SIGTERM).unwrap();
    terminal.wait_for("the exit code", Duration::from_secs(60), |screen| screen.contains("EXIT=143"));
    terminal.is_restored();
}

/// The run that was just recorded.
fn replayed(terminal: &Terminal, stack: &Stack) {
    let run = newest(&stack.state_dir().join("runs"));
    start(terminal, stack, &format!("tui --replay {}", run.file_name().unwrap().to_string_lossy()));
    terminal.wait_for("a replay", SOON, |screen| screen.contains("replay") && screen.contains("x1"));
    press_all(terminal, Mode::Replay, &[]);
    terminal.press(&["1", "$"]);
    let end = format!("ended, exit {}", ended_well(stack));
    terminal.wait_for("its end", SOON, |screen| screen.contains("consistent") && screen.contains(&end));
    terminal.press(&["0"]);
    terminal.wait_for("its beginning", SOON, |screen| !screen.contains(&end));
    terminal.press(&["S"]);
    terminal.wait_for("a refusal", SOON, |screen| screen.contains("this is a recording"));
    kill(Pid::from_raw(terminal.pid_of("ecomctl")), Signal::SIGTERM).unwrap();
    terminal.wait_for("the exit code", SOON, |screen| screen.contains("EXIT=143"));
    terminal.is_restored();
}

#[test]
fn a_server_that_goes_away_is_told_and_comes_back_by_itself() {
    let stack = shared();
    let terminal = Terminal::open("away", stack.scratch(), (120, 40));
    start(&terminal, &stack, "tui");
    terminal.wait_for("the watch", SOON, |screen| screen.contains("watching, no run"));
    terminal.press(&["3"]);
    terminal.wait_for("Redis", SOON, |screen| screen.contains("latency") && screen.contains("policy"));
    let file: serde_json::Value =
        serde_json::from_slice(&std::fs::read(stack.state_dir().join("stack.json")).unwrap()).unwrap();
    let pid = file["components"]["redis"]["process"]["pid"].as_i64().expect("a native Redis") as i32;
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        terminal.wait_for("its absence", SOON, |screen| screen.contains("Redis away since"));
        let screen = terminal.screen();
        assert!(screen.contains("policy"), "the last figures stay\n{screen}");
        terminal.press(&["4"]);
        terminal
            .wait_for("MySQL goes on", SOON, |screen| screen.contains("connections") && !screen.contains("MySQL away"));
    }));
    kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
    gone.unwrap();
    terminal.press(&["3"]);
    terminal.wait_for("its return", SOON, |screen| !screen.contains("away since") && screen.contains("policy"));
    terminal.press(&["q"]);
    terminal.wait_for("the exit code", SOON, |screen| screen.contains("EXIT=0"));
    terminal.is_restored();
}

#[test]
fn where_nothing_runs_it_offers_what_can_be_started() {
    let stack = Stack::empty();
    let terminal = Terminal::open("form", stack.scratch(), (80, 24));
    start(&terminal, &stack, "tui --theme none --ascii");
    terminal.wait_for("the form", SOON, |screen| {
        screen.contains("What shall be started?") && screen.contains("< coupon-quick >") && screen.contains("10000")
    });
    terminal.press(&["Down", "Down", "Backspace", "Backspace", "5"]);
    terminal.wait_for("other counts", SOON, |screen| screen.contains("1005_"));
    terminal.press(&["Esc", "2"]);
    terminal.wait_for("an empty panel", SOON, |screen| screen.contains("not read yet"));
    terminal.press(&["o"]);
    terminal.wait_for("the form again", SOON, |screen| screen.contains("What shall be started?"));
    kill(Pid::from_raw(terminal.pid_of("ecomctl")), Signal::SIGTERM).unwrap();
    terminal.wait_for("the exit code", SOON, |screen| screen.contains("EXIT=143"));
    terminal.is_restored();
}

#[test]
fn what_is_chosen_is_brought_up_seeded_and_run() {
    let stack = Stack::empty();
    let terminal = Terminal::open("launch", stack.scratch(), (120, 40));
    start(&terminal, &stack, "tui --provider native --set goals={} --set 'checks={require: []}'");
    let minute = Duration::from_secs(60);
    terminal.wait_for("the form", SOON, |screen| screen.contains("What shall be started?"));
    // Under the profile stand the provider, two counts, and then what can be done.
    terminal.press(&["Down", "Down", "Backspace", "Down", "Down", "Enter"]);
    terminal.wait_for("the stack", minute, |screen| screen.contains("up: ended with exit code 0"));
    // What is pressed while the form is still there is the form's.
    terminal.wait_for("its screens", SOON, |screen| screen.contains("5 Stack"));
    terminal.press(&["5"]);
    terminal.wait_for("its components", SOON, |screen| screen.contains("kafka-1") && screen.contains("in trouble 0"));
    terminal.press(&["o", "Down", "Enter"]);
    terminal.wait_for("the data", minute, |screen| screen.contains("seed: ended with exit code 0"));
    terminal.press(&["Down", "Enter"]);
    terminal.wait_for("the load", minute, |screen| screen.contains("· load ·") && screen.contains("running"));
    terminal.press(&["S", "y"]);
    terminal.wait_for("the end", minute, |screen| ends(screen, "ended, exit "));
    terminal.press(&["q"]);
    // What the commands said meanwhile is written when the screen is the shell's again.
    terminal.wait_for("the exit code", minute, |screen| ends(screen, "EXIT=") && screen.contains("1,000 users"));
    terminal.is_restored();
    let summary = std::fs::read(newest(&stack.state_dir().join("runs")).join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!((&summary["profile"], &summary["exit_code"]), (&"coupon-quick".into(), &exit_of(&summary).into()));
    assert_eq!(summary["verdict"], "consistent", "{summary:#}");
}

#[test]
fn the_shell_can_have_the_terminal_for_a_while() {
    let stack = Stack::empty();
    let terminal = Terminal::open("shell", stack.scratch(), (100, 30));
    terminal.line(&format!("clear; '{ECOMCTL}' tui --state-dir '{}'", stack.state_dir().display()));
    terminal.wait_for("the form", SOON, |screen| screen.contains("What shall be started?"));
    terminal.press(&["Ctrl-z"]);
    terminal.is_restored();
    terminal.line("clear; fg");
    terminal.wait_for("the form again", SOON, |screen| screen.contains("What shall be started?"));
    assert!(terminal.modes().0, "a screen of its own");
    terminal.press(&["q"]);
    terminal.is_restored();
}

/// Waits until a process is gone.
fn gone(pid: i32, within: Duration) {
    let since = Instant::now();
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(since.elapsed() < within, "process {pid} still runs");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_key_that_comes_with_another_size_is_not_lost() {
    let stack = Stack::empty();
    let terminal = Terminal::open("sizes", stack.scratch(), (100, 30));
    start(&terminal, &stack, "tui");
    terminal.wait_for("the form", SOON, |screen| screen.contains("What shall be started?"));
    terminal.press(&["Esc"]);
    for n in 0..30 {
        let (key, shown) = if n % 2 == 0 { ("2", "Members") } else { ("4", "Slowest queries") };
        terminal.resize_and_press((100 + n, 30 + n % 3), key);
        terminal.wait_for(shown, SOON, |screen| screen.contains(&format!("── {shown}")));
    }
    terminal.press(&["q"]);
    terminal.wait_for("the exit code", SOON, |screen| screen.contains("EXIT=0"));
}

#[test]
fn a_terminal_that_is_closed_ends_the_dashboard() {
    let stack = Stack::empty();
    let terminal = Terminal::open("closed", stack.scratch(), (100, 30));
    start(&terminal, &stack, "tui");
    terminal.wait_for("the form", SOON, |screen| screen.contains("What shall be started?"));
    let pid = terminal.pid_of("ecomctl");
    drop(terminal);
    gone(pid, SOON);
}

#[test]
fn a_run_whose_terminal_is_closed_ends_cleanly() {
    let stack = shared();
    let terminal = Terminal::open("cut", stack.scratch(), (120, 40));
    start(&terminal, &stack, "run coupon-quick --duration 90s --set goals={} --set 'checks={require: []}' --tui");
    terminal.wait_for("the load", Duration::from_secs(60), |screen| screen.contains("· load ·"));
    let pid = terminal.pid_of("ecomctl");
    drop(terminal);
    gone(pid, Duration::from_secs(60));
    let summary = std::fs::read(newest(&stack.state_dir().join("runs")).join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(summary["exit_code"], 143, "the hang-up is a wish to end");
}

#[test]
fn without_a_terminal_it_says_so() {
    let stack = Stack::empty();
    let output = stack.run(&["tui"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("needs a terminal"));
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    let terminal = Terminal::open("panic", folder.path(), (100, 30));
    let this = std::env::current_exe().unwrap();
    let test = "tui::on_a_terminal_panic_while_the_screen_is_ours";
    terminal.line(&format!(
        "clear; ECOMCTL_IT_PANIC=1 '{}' --ignored --exact {test} --nocapture; echo EXIT=$?",
        this.display()
    ));
    terminal
        .wait_for("the panic", SOON, |screen| screen.contains("EXIT=101") && screen.contains("this is meant to panic"));
    terminal.is_restored();
}

#[test]
#[ignore = "run by the test above, on a terminal"]
fn on_a_terminal_panic_while_the_screen_is_ours() {
    if std::env::var_os("ECOMCTL_IT_PANIC").is_none() {
        return;
    }
    let mut screen = tui::terminal::Screen::enter().unwrap();
    screen.terminal().draw(|_| {}).unwrap();
    assert!(tui::terminal::entered());
    panic!("this is meant to panic");
}
