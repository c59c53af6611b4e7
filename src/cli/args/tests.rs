use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, Parser as _, parser::ValueSource};

use super::Cli;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

/// Every command with each of its arguments that must be there.
fn commands() -> Vec<Vec<String>> {
    fn walk(command: &Command, path: &[String], all: &mut Vec<Vec<String>>) {
        let children: Vec<&Command> = command.get_subcommands().filter(|c| c.get_name() != "help").collect();
        if children.is_empty() {
            let words = |needed: &dyn Fn(&Arg) -> bool| {
                let needed = command.get_arguments().filter(|arg| needed(arg));
                let words = needed.flat_map(|arg| spellings(arg).pop().unwrap_or_else(|| vec![value(arg)]));
                path.iter().cloned().chain(words).collect::<Vec<_>>()
            };
            let least = words(&Arg::is_required_set);
            // What is needed only where another argument is not given (`runs rm`) does not say so by itself.
            let parses = Cli::command().try_get_matches_from(line(&[&least])).is_ok();
            all.push(if parses { least } else { words(&|arg| arg.is_required_set() || arg.is_positional()) });
        }
        for child in children {
            walk(child, &[path, &[child.get_name().to_owned()]].concat(), all);
        }
    }
    let mut cli = Cli::command();
    cli.build();
    let mut all = Vec::new();
    walk(&cli, &[], &mut all);
    assert!(all.len() > 25, "{all:?}");
    all
}

/// Something that an argument takes.
fn value(arg: &Arg) -> String {
    let allowed = arg.get_possible_values().into_iter().find(|value| !value.is_hide_set());
    let is_size = arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "SIZE"));
    allowed.map_or_else(|| if is_size { "5G" } else { "A=1" }.to_owned(), |value| value.get_name().to_owned())
}

/// The ways in which a flag can be written, with a value where it takes one.
fn spellings(arg: &Arg) -> Vec<Vec<String>> {
    let takes = !matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse | ArgAction::Count);
    let names = arg.get_short().map(|short| format!("-{short}")).into_iter();
    let names = names.chain(arg.get_long().map(|long| format!("--{long}")));
    names.map(|name| std::iter::once(name).chain(takes.then(|| value(arg))).collect()).collect()
}

/// The innermost command, and what it took.
fn innermost<'m>(command: &'m Command, matches: &'m ArgMatches) -> (&'m Command, &'m ArgMatches) {
    let inner = matches.subcommand().and_then(|(name, inner)| Some((command.find_subcommand(name)?, inner)));
    inner.map_or((command, matches), |(command, inner)| innermost(command, inner))
}

fn was_typed(matches: &ArgMatches, id: &str) -> bool {
    matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// `ecomctl --verbose down` once deleted data: `down`'s own `-v` had the id of the global flag. A flag of every command
/// means the same before and after each command, and never sets a flag of the command itself.
#[test]
fn a_global_flag_means_the_same_everywhere_and_sets_no_flag_of_a_command() {
    let cli = Cli::command();
    let globals: Vec<&Arg> = cli.get_arguments().filter(|arg| arg.is_global_set()).collect();
    assert!(globals.len() > 15);
    for words in commands() {
        let plain = typed(&[&words[..]]);
        for global in &globals {
            for flag in spellings(global) {
                // The one exception, which everybody knows from elsewhere.
                let deletes = words == ["down"] && flag == ["-v"];
                for (before, parts) in [(true, [&flag[..], &words[..]]), (false, [&words[..], &flag[..]])] {
                    if deletes && !before {
                        continue;
                    }
                    let mut found = typed(&parts);
                    found.retain(|id| id != global.get_id().as_str());
                    assert_eq!(found, plain, "{parts:?} sets a flag of the command");
                    let matches = Cli::command().try_get_matches_from(line(&parts)).unwrap();
                    assert!(was_typed(&matches, global.get_id().as_str()), "{parts:?} is not heard");
                }
            }
        }
    }
}

fn line(parts: &[&[String]]) -> Vec<String> {
    std::iter::once("ecomctl".to_owned()).chain(parts.iter().flat_map(|part| part.iter().cloned())).collect()
}

/// Ids of the arguments that the innermost command took from this line.
fn typed(parts: &[&[String]]) -> Vec<String> {
    let mut cli = Cli::command();
    cli.build();
    let matches = Cli::command().try_get_matches_from(line(parts)).unwrap_or_else(|e| panic!("{parts:?}: {e}"));
    let (command, inner) = innermost(&cli, &matches);
    command.get_arguments().map(|arg| arg.get_id().to_string()).filter(|id| was_typed(inner, id)).collect()
}

/// No command may have an argument with the id of a global flag: clap fills it with the value of that flag. `down` has
/// one on purpose, with the same meaning, to be without the short form.
#[test]
fn no_command_has_an_argument_with_the_id_of_a_global_flag() {
    fn walk(command: &Command, globals: &[String], path: &str) {
        for child in command.get_subcommands() {
            let path = format!("{path} {}", child.get_name());
            for arg in child.get_arguments() {
                let id = arg.get_id().as_str().to_owned();
                let same = (path.as_str(), id.as_str()) == (" down", "verbose");
                assert!(!globals.contains(&id) || same, "`{path}` has its own `{id}`");
            }
            walk(child, globals, &path);
        }
    }
    let cli = Cli::command();
    let globals: Vec<String> =
        cli.get_arguments().filter(|arg| arg.is_global_set()).map(|arg| arg.get_id().to_string()).collect();
    walk(&cli, &globals, "");
}

#[test]
fn only_a_flag_after_down_deletes() {
    let volumes = |words: &[&str]| {
        let cli = <Cli as clap::Parser>::try_parse_from(words).unwrap();
        let super::Command::Down(down) = cli.command else { panic!("{words:?}") };
        (down.volumes, cli.global.verbose)
    };
    for (words, deletes, verbose) in [
        (&["ecomctl", "down"][..], false, 0),
        (&["ecomctl", "-v", "down"], false, 1),
        (&["ecomctl", "-vv", "down"], false, 2),
        (&["ecomctl", "--verbose", "down"], false, 1),
        (&["ecomctl", "down", "--verbose"], false, 1),
        (&["ecomctl", "down", "-v"], true, 0),
        (&["ecomctl", "down", "--volumes"], true, 0),
        (&["ecomctl", "-v", "down", "-v"], true, 1),
        (&["ecomctl", "--verbose", "down", "--volumes", "--yes"], true, 1),
    ] {
        assert_eq!(volumes(words), (deletes, verbose), "{words:?}");
    }
    // Somebody who wants to see more must not delete by writing it twice.
    assert!(<Cli as clap::Parser>::try_parse_from(["ecomctl", "down", "-vv"]).is_err());
}

/// A bad `--set` broke commands that look at servers alone; now they say that it does nothing.
#[test]
fn what_reads_no_profile_is_known() {
    let reads = |line: &str| Cli::try_parse_from(line.split(' ')).unwrap().command.reads_profile();
    for line in ["up", "run quick", "serve", "seed", "verify", "topics plan", "profiles check x", "tui"] {
        assert!(reads(&format!("ecomctl {line}")), "{line}");
    }
    for line in ["lag", "env", "status", "verify --run r", "verify --history r", "topics list", "logs", "down"] {
        assert!(!reads(&format!("ecomctl {line}")), "{line}");
    }
}
