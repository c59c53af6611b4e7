//! What is printed where nobody reads it any more, where it cannot be written, and where it cannot be drawn.

use std::{
    fs::OpenOptions,
    io::{BufRead as _, BufReader},
    process::{Output, Stdio},
    time::Duration,
};

use clap::CommandFactory as _;
use ecomctl::cli::args::Cli;

use crate::{
    support::{Stack, both, shared, wait},
    terminal::Terminal,
};

const SOON: Duration = Duration::from_secs(30);

/// A pipe whose reader has gone.
fn nobody() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A disk that is full.
fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// Every command by its words: `topics describe`.
fn commands() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, words: &[String], all: &mut Vec<Vec<String>>) {
        all.push(words.to_vec());
        for below in command.get_subcommands() {
            let words: Vec<_> = words.iter().cloned().chain([below.get_name().to_owned()]).collect();
            walk(below, &words, all);
        }
    }
    let mut all = Vec::new();
    walk(&Cli::command(), &[], &mut all);
    all
}

fn run(stack: &Stack, args: &[&str], out: Stdio, err: Stdio) -> Output {
    // With servers of somebody's that nobody names, nothing can be started.
    let mut command = stack.command(args);
    command.env("ECOMCTL_PROVIDER", "external").stdout(out).stderr(err);
    let output = wait(command.spawn().unwrap(), SOON);
    let said = both(&output);
    assert!(!said.contains("panicked") && output.status.code() != Some(101), "ecomctl {}: {said}", args.join(" "));
    output
}

/// `| head -1` ended some commands with a panic, and a full disk made the help of all of them an empty success.
#[test]
fn no_command_minds_that_its_help_is_not_read_but_each_says_that_it_cannot_be_written() {
    let stack = Stack::empty();
    for words in commands() {
        let mut args: Vec<_> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let unread = run(&stack, &args, nobody(), nobody());
        assert_eq!(unread.status.code(), Some(0), "ecomctl {}", args.join(" "));
        let unwritten = run(&stack, &args, full(), Stdio::piped());
        assert_eq!(unwritten.status.code(), Some(1), "ecomctl {}", args.join(" "));
        let said = both(&unwritten);
        assert_eq!(said.matches("No space left on device").count(), 1, "{said}");
        args.pop();
        args.push("--no-such-flag");
        assert_eq!(run(&stack, &args, nobody(), nobody()).status.code(), Some(2), "ecomctl {}", args.join(" "));
    }
}

/// Each command does its work, or says why it cannot, whoever listens. A new command is asked for here.
#[test]
fn no_command_minds_that_nobody_listens() {
    let stack = Stack::empty();
    let plain: &[&[&str]] = &[
        &["completions", "bash"],
        &["demo"],
        &["doctor"],
        &["down"],
        &["env"],
        &["lag", "--watch"],
        &["logs", "-f"],
        &["man"],
        &["profiles"],
        &["profiles", "sample"],
        &["profiles", "schema"],
        &["report"],
        &["restart", "all"],
        &["run", "coupon-quick"],
        &["runs"],
        &["seed"],
        &["serve"],
        &["stats", "--watch"],
        &["status"],
        &["stop"],
        &["topics", "list"],
        &["tui"],
        &["up"],
        &["verify"],
    ];
    for command in Cli::command().get_subcommands() {
        let asked = plain.iter().any(|args| args[0] == command.get_name());
        assert!(asked, "`{}` has no line above", command.get_name());
    }
    for args in plain {
        let code = run(&stack, args, nobody(), nobody()).status.code();
        assert!(matches!(code, Some(0..=2)), "ecomctl {}: {code:?}", args.join(" "));
        if ["completions", "man", "profiles"].contains(&args[0]) {
            assert_eq!(code, Some(0), "ecomctl {}", args.join(" "));
            let unwritten = run(&stack, args, full(), Stdio::piped());
            assert_eq!(unwritten.status.code(), Some(1), "ecomctl {}: {}", args.join(" "), both(&unwritten));
        }
    }
}

/// They went on for ever, or until there was something new to print.
#[test]
fn who_watches_ends_when_nobody_reads_any_more() {
    let stack = shared();
    for args in [&["lag", "--watch", "--interval", "5m"] as &[&str], &["logs", "-f"], &["stats", "--watch"]] {
        let mut child = stack.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut first).unwrap();
        drop(reader);
        let output = wait(child, Duration::from_secs(10));
        assert_eq!(output.status.code(), Some(0), "ecomctl {}: {}", args.join(" "), both(&output));
        assert!(!first.is_empty(), "ecomctl {} printed nothing", args.join(" "));
    }
    for args in [&["status"] as &[&str], &["env"], &["stats"], &["logs"], &["lag"], &["topics", "list"]] {
        let child = stack.command(args).stdout(nobody()).stderr(Stdio::piped()).spawn().unwrap();
        let output = wait(child, SOON);
        assert_eq!(output.status.code(), Some(0), "ecomctl {}: {}", args.join(" "), both(&output));
    }
}

/// Escape sequences were written to terminals that cannot use them.
#[test]
fn the_dashboard_is_refused_before_anything_is_started_where_it_cannot_be_drawn() {
    let stack = Stack::empty();
    let terminal = Terminal::open("dumb", stack.scratch(), (100, 30));
    for (before, args, why) in [
        ("TERM=dumb", "tui", "cannot be drawn on this terminal"),
        ("env -u TERM", "tui", "cannot be drawn on this terminal"),
        ("TERM=dumb", "run coupon-quick --tui", "cannot be drawn on this terminal"),
        ("", "tui --ci", "draws nothing"),
    ] {
        terminal.line(&format!(
            "clear; {before} '{}' {args} --state-dir '{}'; echo EXIT=$?",
            crate::support::ECOMCTL,
            stack.state_dir().display()
        ));
        terminal.wait_for(args, SOON, |screen| screen.contains("EXIT=2") && screen.replace('\n', "").contains(why));
        assert!(!terminal.modes().0, "{before} {args}: the screen was taken");
    }
    assert!(!stack.state_dir().exists(), "something was started");
}
