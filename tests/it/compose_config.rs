//! Compose files mean the same to ecomctl and to `docker compose`, service by service.
//!
//! `ECOMCTL_TEST_COMPOSE` names the program; else it is looked for where packages put it.

mod plain;

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use compose::{self, Demands, Options, Profiles, files};
use plain::plain;
use serde_json::Value;

/// Files that are used together.
const COMBINATIONS: &[&[&str]] = &[
    &["base"],
    &["base", "cluster"],
    &["base", "monitoring"],
    &["base", "cluster", "monitoring", "backend"],
    &["base", "backend"],
    &["original"],
    &["original", "backend"],
];

/// What an operator may change: none of it may be lost on the way.
const CHANGED: &[(&str, &str)] = &[
    ("ECOMCTL_IMAGE_MYSQL", "mysql:8.0"),
    ("ECOMCTL_IMAGE_KAFKA", "registry.example:5000/kafka@sha256:aa"),
    ("ECOMCTL_PORT_MYSQL", "13306"),
    ("ECOMCTL_PORT_KAFKA_1", "19192"),
    ("ECOMCTL_PORT_API_SMALL", "13001"),
    ("ECOMCTL_LIMIT_MYSQL_CPUS", "2.5"),
    ("ECOMCTL_LIMIT_MYSQL_MEMORY", "1536m"),
    ("ECOMCTL_KAFKA_JVM", "-Xmx1g -Da=b"),
];

/// The program of `docker compose`, where one is here.
pub fn compose_program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("ECOMCTL_TEST_COMPOSE") {
        return Some(named.into());
    }
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker/cli-plugins"));
    let plugins = ["/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec"];
    let plugins = plugins.iter().map(|folder| Path::new(folder).join("docker/cli-plugins"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = home.into_iter().chain(plugins).chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join("docker-compose")).find(|program| program.is_file())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The variables of `compose/example.env`, and `more`.
fn variables(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("compose/example.env")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    lines.chain(more.iter().copied()).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn ours(names: &[&str], vars: &BTreeMap<String, String>) -> Value {
    let source = |name: &&str| files::SourceFile {
        name: format!("compose/{name}.yaml"),
        text: std::fs::read_to_string(root().join(format!("compose/{name}.yaml"))).unwrap(),
    };
    let sources: Vec<_> = names.iter().map(source).collect();
    let folder = root().join("compose");
    let options =
        Options { project_name: None, profiles: Profiles::All, working_dir: &folder, demands: Demands::default() };
    let project = compose::load(&sources, vars, &options).unwrap_or_else(|e| panic!("{names:?}: {e}"));
    compose::config(&project)
}

fn theirs(program: &Path, folder: &Path, files: &[String], vars: &BTreeMap<String, String>) -> Value {
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear().envs(vars).env("HOME", folder);
    for file in files {
        command.arg("-f").arg(file);
    }
    let output = command.args(["--profile", "*", "config", "--format", "json"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker compose refuses {files:?}: {said}");
    assert_eq!(said, "", "docker compose warns about {files:?}");
    plain(serde_json::from_slice(&output.stdout).unwrap())
}

/// The program; where there is none the test is skipped, aloud.
#[expect(clippy::disallowed_methods, reason = "a test's own words; no dashboard has the screen")]
fn program_or_skip(test: &str) -> Option<PathBuf> {
    let program = compose_program();
    if program.is_none() {
        // Not by println!, which nobody sees of a test that passes.
        let words = format!("skipped: {test}: there is no docker-compose; ECOMCTL_TEST_COMPOSE names one\n");
        std::io::stderr().write_all(words.as_bytes()).unwrap();
    }
    program
}

#[test]
fn docker_compose_reads_the_same_from_our_files() {
    let Some(program) = program_or_skip("docker_compose_reads_the_same_from_our_files") else { return };
    for names in COMBINATIONS {
        let files: Vec<String> = names.iter().map(|name| format!("compose/{name}.yaml")).collect();
        for more in [&[], CHANGED] {
            let vars = variables(more);
            let (ours, theirs) = (ours(names, &vars), theirs(&program, &root(), &files, &vars));
            for (name, service) in theirs["services"].as_object().unwrap() {
                assert_eq!(&ours["services"][name], service, "{name} of {names:?}");
            }
            assert_eq!(ours, theirs, "{names:?}");
        }
    }
}

/// The reader's own cases hold every form that it knows.
#[test]
fn docker_compose_reads_the_same_from_every_form() {
    let Some(program) = program_or_skip("docker_compose_reads_the_same_from_every_form") else { return };
    for name in ["everything", "interpolation", "merge"] {
        let case = std::fs::read_to_string(root().join(format!("crates/compose/tests/{name}.txt"))).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut parts = case.split("--- ");
        let head = parts.next().unwrap().lines().find_map(|line| line.strip_prefix("vars: ")).unwrap_or_default();
        let pairs = head.split(' ').filter_map(|pair| pair.split_once('='));
        let mut vars: BTreeMap<_, _> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        // All profiles are active here, also that of a service whose secret nobody gave.
        vars.insert("UNSET".into(), "set".into());
        let (mut sources, mut files) = (Vec::new(), Vec::new());
        for (file, text) in parts.filter_map(|part| part.split_once('\n')).filter(|(file, _)| *file != "expect") {
            crate::support::write(&folder.path().join(file), text);
            files.push(file.to_owned());
            sources.push(files::SourceFile { name: file.to_owned(), text: text.to_owned() });
        }
        let folder = folder.path().canonicalize().unwrap();
        let name_of = folder.file_name().unwrap().to_string_lossy().to_lowercase();
        let project_name = if case.contains("\nname: ") { None } else { Some(name_of.trim_start_matches('.')) };
        let options =
            Options { project_name, profiles: Profiles::All, working_dir: &folder, demands: Demands::default() };
        let project = compose::load(&sources, &vars, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (ours, theirs) =
            (plain::without_extensions(compose::config(&project)), theirs(&program, &folder, &files, &vars));
        for (service, picture) in theirs["services"].as_object().unwrap() {
            assert_eq!(&ours["services"][service], picture, "{service} of {name}");
        }
    }
}

#[test]
fn every_file_is_read_and_publishes_for_this_machine_only() {
    for names in COMBINATIONS {
        let picture = ours(names, &variables(&[])).to_string();
        assert!(!picture.contains("change-me"), "a password in the picture of {names:?}");
        let text =
            names.iter().map(|name| std::fs::read_to_string(root().join(format!("compose/{name}.yaml"))).unwrap());
        let published = text.collect::<String>().lines().filter(|l| l.trim().starts_with("- \"127.0.0.1:")).count();
        assert_eq!(picture.matches("\"host_ip\":\"127.0.0.1\"").count(), published, "{names:?}");
    }
}

#[test]
fn nothing_but_the_api_is_on_its_port() {
    let picture = ours(&["base", "cluster", "monitoring", "backend"], &variables(&[]));
    let mut owners = BTreeMap::new();
    for (name, service) in picture["services"].as_object().unwrap() {
        for port in service["ports"].as_array().into_iter().flatten() {
            let other = owners.insert(port["published"].to_string(), name.clone());
            assert_eq!(other, None, "port {} of {name}", port["published"]);
        }
    }
    assert_eq!(owners["\"8080\""], "api");
}

#[test]
fn the_built_in_files_are_those_of_the_folder() {
    let here = root().join("compose");
    let mut folders = vec![here.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&here).unwrap().to_str().unwrap().to_owned();
            // For people and for building; containers get nothing of them.
            let apart = ["kafka/pom.xml", "backend/Dockerfile", "example.env"].contains(&name.as_str());
            let built_in = files::built_in(&name);
            assert_eq!(built_in.is_none(), apart, "{name}: list it in src/compose/files.rs");
            assert!(apart || built_in == std::fs::read_to_string(&path).ok().as_deref(), "{name} is stale");
        }
    }
}
