//! The reader as a whole, by the cases of `tests/`.
//!
//! A case is one file: lines `vars:`, `profiles:` and `stack: yes` perhaps, then `--- NAME.yaml` before each compose file, then
//! `--- expect` with the picture of the project as JSON, or every line of the error.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use proptest::prelude::*;

use super::*;

fn cases() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

struct Case {
    /// The services of a stack must be there, and some things are not the files' to say.
    stack: bool,
    vars: BTreeMap<String, String>,
    profiles: Vec<String>,
    files: Vec<SourceFile>,
    expect: String,
}

fn parse(text: &str) -> Case {
    let mut parts = text.split("--- ");
    let mut case =
        Case { stack: false, vars: BTreeMap::new(), profiles: Vec::new(), files: Vec::new(), expect: String::new() };
    for line in parts.next().unwrap_or_default().lines() {
        if let Some(vars) = line.strip_prefix("vars: ") {
            let pairs = vars.split(' ').filter_map(|pair| pair.split_once('='));
            case.vars = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        } else if line == "stack: yes" {
            case.stack = true;
        } else if let Some(names) = line.strip_prefix("profiles: ") {
            case.profiles = names.split(' ').map(str::to_owned).collect();
        }
    }
    for part in parts {
        let (name, text) = part.split_once('\n').unwrap_or((part, ""));
        if name == "expect" {
            text.clone_into(&mut case.expect);
        } else {
            case.files.push(SourceFile { name: name.to_owned(), text: text.to_owned() });
        }
    }
    case
}

fn outcome(case: &Case) -> String {
    let named = case.profiles.as_slice();
    let demands = Demands {
        required: &["mysql", "redis", "kafka-1"],
        counted: Some(|name| matches!(name, "mysql" | "redis" | "api").then_some("there is one of it")),
        started: Some(|name| name == "api"),
    };
    let demands = if case.stack { demands } else { Demands::default() };
    let options = Options {
        project_name: Some("p"),
        profiles: Profiles::Named(named),
        working_dir: Path::new("/nowhere/compose"),
        demands,
    };
    match load(&case.files, &case.vars, &options) {
        Ok(project) => serde_json::to_string_pretty(&config(&project)).unwrap() + "\n",
        Err(errors) => format!("{errors}\n"),
    }
}

#[test]
fn files_mean_what_the_cases_say() {
    let mut wrong = String::new();
    for path in cases() {
        let text = fs::read_to_string(&path).unwrap();
        let case = parse(&text);
        let found = outcome(&case);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let (input, _) = text.split_once("--- expect\n").unwrap_or((&text, ""));
            fs::write(&path, format!("{input}--- expect\n{found}")).unwrap();
        } else if found != case.expect {
            let _ = write!(wrong, "{}:\n{found}", path.display());
        }
    }
    assert!(wrong.is_empty(), "other than expected (UPDATE_EXPECT=1 writes it down):\n{wrong}");
}

#[test]
fn the_document_lists_every_key_of_a_service() {
    let text = include_str!("../../../docs/compose.md");
    let missing: Vec<_> = service::keys().filter(|key| !text.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/compose.md does not name {missing:?}");
}

#[test]
fn a_secret_is_in_no_picture_of_the_project() {
    let text = "services: {a: {image: a, secrets: [s]}}\nsecrets: {s: {environment: S}}\n";
    let files = [SourceFile { name: "c.yaml".into(), text: text.into() }];
    let vars = BTreeMap::from([("S".to_owned(), "hunter2".to_owned())]);
    let options = Options {
        project_name: Some("p"),
        profiles: Profiles::All,
        working_dir: Path::new("/"),
        demands: Demands::default(),
    };
    let project = load(&files, &vars, &options).unwrap();
    assert_eq!(project.secrets["s"].bytes, b"hunter2");
    for picture in [format!("{project:?}"), config(&project).to_string(), serde_json::to_string(&project).unwrap()] {
        assert!(!picture.contains("hunter2"), "{picture}");
    }
}

/// YAML made of the words that compose files are made of, so that many of them get far into the reader.
fn compose_like() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        "[a-z0-9:/.$-]{0,12}",
        Just("\"${A:-1}\"".to_owned()),
        Just("127.0.0.1:1-3:1-3".to_owned()),
        Just("10s".to_owned()),
        Just("512m".to_owned()),
        Just("~".to_owned()),
        "[0-9.+-]{1,6}",
    ];
    let key = prop_oneof![
        Just("image"),
        Just("ports"),
        Just("command"),
        Just("environment"),
        Just("volumes"),
        Just("configs"),
        Just("secrets"),
        Just("networks"),
        Just("healthcheck"),
        Just("test"),
        Just("depends_on"),
        Just("deploy"),
        Just("resources"),
        Just("limits"),
        Just("memory"),
        Just("cpus"),
        Just("ulimits"),
        Just("tmpfs"),
        Just("type"),
        Just("source"),
        Just("target"),
        Just("mode"),
        Just("scale"),
        Just("restart"),
        Just("x-a"),
        Just("soft"),
    ];
    let tree = scalar.prop_map(|s| format!("{:?}", s.trim_matches('"'))).prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::btree_map(key.clone(), inner, 0..4).prop_map(|map| {
                let entries: Vec<String> = map.iter().map(|(k, v)| format!("{k}: {v}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    });
    (tree.clone(), tree.clone(), tree)
        .prop_map(|(a, b, c)| format!("services: {{a: {a}, b: {{image: x, volumes: {b}}}}}\nvolumes: {c}\n"))
}

proptest! {
    #[test]
    fn no_text_panics(first in compose_like(), second in compose_like(), noise in "(?s).{0,40}") {
        let vars = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        let options = Options { project_name: Some("p"), profiles: Profiles::All, working_dir: Path::new("/"), demands: Demands::default() };
        let file = |text: &str| SourceFile { name: "c.yaml".into(), text: text.to_owned() };
        let _ = load(&[file(&first), file(&second)], &vars, &options);
        let _ = load(&[file(&noise)], &vars, &options);
        let cut: String = first.chars().take(first.chars().count() / 2).collect();
        let _ = load(&[file(&cut)], &vars, &options);
    }

    #[test]
    fn environments_come_back(values in proptest::collection::btree_map("[A-Z_][A-Z0-9_]{0,6}", ".{0,20}", 0..6)) {
        let listed: Vec<String> =
            values.iter().map(|(k, v)| serde_json::Value::from(format!("{k}={v}").replace('$', "$$")).to_string()).collect();
        let text = format!("services: {{a: {{image: x, environment: [{}]}}}}", listed.join(", "));
        let options = Options { project_name: Some("p"), profiles: Profiles::All, working_dir: Path::new("/"), demands: Demands::default() };
        let file = SourceFile { name: "c.yaml".into(), text: text.clone() };
        let project = load(&[file], &BTreeMap::new(), &options);
        prop_assert_eq!(project.map(|p| p.services["a"].environment.clone()), Ok(values), "{}", text);
    }
}
