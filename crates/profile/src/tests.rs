//! The reader as a whole: files that are right, files that are wrong, and what the documents promise.

use std::{fs, path::PathBuf};

use contract::claim::Kind;
use proptest::prelude::*;
use record::event::names::Check;
use serde_json::Value;

use super::{
    model::{PortSpec, Profile, SeedSpec},
    *,
};

fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn files(folder: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(root(folder))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "yaml"))
        .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&p).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

fn plain(text: &str) -> Result<(Profile, Vec<String>), ProfileError> {
    read("p.yaml", text, &Overrides::default())
}

fn with(text: &str, change: impl FnOnce(&mut Overrides)) -> Result<(Profile, Vec<String>), ProfileError> {
    let mut overrides = Overrides::default();
    change(&mut overrides);
    read("p.yaml", text, &overrides)
}

/// The YAML as a JSON validator sees it, with variables at their defaults.
fn as_json(text: &str) -> Option<Value> {
    let expanded = vars::expand(text.trim_start_matches('\u{feff}'), &std::collections::BTreeMap::new());
    vars::parse_tree(&expanded).ok().map(|node| node.to_json())
}

const QUICK: &str = include_str!("../../../profiles/coupon-quick.yaml");
const EVENT: &str = include_str!("../../../profiles/coupon-event.yaml");
const SMOKE: &str = include_str!("../../../profiles/smoke.yaml");

#[test]
fn valid_profiles_load_without_a_word() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for folder in ["profiles", "tests/profiles/valid"] {
        for (name, text) in files(folder) {
            let (_, warnings) = plain(&text).unwrap_or_else(|e| panic!("{folder}/{name}: {e}"));
            assert_eq!(warnings, Vec::<String>::new(), "{folder}/{name}");
            let json = as_json(&text).unwrap();
            let errors: Vec<String> = validator.iter_errors(&json).map(|e| e.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new(), "{folder}/{name} by the JSON schema");
        }
    }
}

/// Each file begins with the messages it must bring, `# expect: line:column: …`, every one of them. With
/// `# schema: accepts` the slip is beyond what a JSON schema can say.
#[test]
fn invalid_profiles_are_refused_with_these_words() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (name, text) in files("tests/profiles/invalid") {
        let wanted: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("# expect: ")).collect();
        let Err(error) = plain(&text) else { panic!("{name} was taken") };
        let found = error.to_string().replace("p.yaml:", "");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let rest: Vec<&str> = text.lines().filter(|l| !l.starts_with("# expect: ")).collect();
            // Lines move with the comment, so this may take two rounds.
            let comment: Vec<String> = found.lines().map(|l| format!("# expect: {l}")).collect();
            fs::write(
                root("tests/profiles/invalid").join(&name),
                format!("{}\n{}\n", comment.join("\n"), rest.join("\n")),
            )
            .unwrap();
            continue;
        }
        assert_eq!(found.lines().collect::<Vec<_>>(), wanted, "{name}");
        if let Some(json) = as_json(&text) {
            let accepts = text.contains("# schema: accepts");
            assert_eq!(validator.is_valid(&json), accepts, "{name} by the JSON schema");
        }
    }
}

/// A goal that nothing can give a figure for would be missed at the end of every run.
#[test]
fn a_metric_without_a_source_names_the_system() {
    let text = r#"
system: fcfs
scenarios: {read: {executor: constant-vus, vus: 1, duration: 1s, requests: [{name: health, path: /actuator/health}]}}
goals: {cache_hit_rate: ["rate>0.9"], "http_reqs{cache:hit}": ["count>1", "count<9"], consumer_lag: ["max<100"]}
"#;
    let told = plain(text).unwrap_err().to_string();
    let told: Vec<&str> = told.lines().filter(|line| line.contains("measured by")).collect();
    let of = |at: &str, metric: &str| {
        let source = "a cache in front of what is read, and the system fcfs has none";
        format!("p.yaml:4:{at}: goals.{metric}: `{metric}` is measured by {source}")
    };
    assert_eq!(told, [of("9", "cache_hit_rate"), of("39", "http_reqs{cache:hit}")]);
    let elsewhere = plain(&format!("{text}stack: {{external: {{api_url: 'http://x:1'}}}}\n"));
    assert!(!elsewhere.is_err_and(|e| e.to_string().contains("measured by")), "what another API says is not known");
}

#[test]
fn the_published_schema_is_current() {
    let current = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    let path = root("docs/schema/profile.json");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &current).unwrap();
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|text| text == current),
        "docs/schema/profile.json is stale: UPDATE_EXPECT=1 cargo test the_published_schema_is_current"
    );
}

#[test]
fn the_sample_holds_every_key_and_is_equal_to_the_defaults() {
    let (mut sample, _) = plain(sample()).unwrap();
    sample.about.clear();
    let least = "system: ecommerce\nscenarios: {example: {executor: constant-vus, vus: 1, duration: 10s, requests: \
                 [{name: my-coupons, path: \"/api/users/${user.id}/coupons\"}]}}\n";
    assert_eq!(sample, plain(least).unwrap().0);
}

/// What nobody wrote is the system's; what somebody wrote stays.
#[test]
fn numbers_that_are_not_written_are_those_of_the_system() {
    let text = "system: fcfs\nscenarios: {a: {executor: constant-vus, vus: 1, duration: 10s, requests: [{name: a, path: /}]}}\n";
    let read = |more: &str| plain(&format!("{text}{more}")).unwrap().0;
    let of = |profile: &Profile| (profile.backend.consumers, profile.backend.partitions, profile.stack.ports);
    let fcfs = read("");
    assert_eq!(of(&fcfs), (10, 10, PortSpec { mysql: 3307, redis: 6380, kafka: 9093 }));
    assert_eq!(fcfs.seed, SeedSpec { fixture: "fcfs".into(), users: 1_000, products: 0, coupons: Vec::new() });
    let asked = read("backend: {consumers: 3}\nstack: {ports: {kafka: 9092}}\nseed: {users: 7}\n");
    assert_eq!(of(&asked), (3, 10, PortSpec { mysql: 3307, redis: 6380, kafka: 9092 }));
    assert_eq!(asked.seed.users, 7);
}

/// All keys of the schema, whatever section they belong to.
fn all_keys(value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            object.values().for_each(|v| all_keys(v, keys));
        }
        Value::Array(items) => items.iter().for_each(|v| all_keys(v, keys)),
        _ => {}
    }
}

#[test]
fn the_sample_and_the_document_name_every_key() {
    let mut keys = Vec::new();
    all_keys(&schema::canonical(), &mut keys);
    let document = fs::read_to_string(root("docs/profile.md")).unwrap();
    for key in keys {
        assert!(sample().contains(&format!("{key}:")), "profiles/sample.yaml has no `{key}`");
        assert!(document.contains(&format!("`{key}`")) || document.contains(&format!(".{key}`")), "docs: no `{key}`");
    }
}

#[test]
fn the_shipped_profiles_are_what_they_are_for() {
    let (quick, _) = plain(QUICK).unwrap();
    assert_eq!((quick.seed.coupons[0].quantity, quick.seed.users >= 5_000), (1_000, true));
    let (event, _) = plain(EVENT).unwrap();
    let model::Executor::RampingVus { stages, .. } = &event.scenarios["event"].executor else { panic!() };
    let ends: Vec<(u64, u32)> = stages
        .iter()
        .scan(0, |end, s| {
            *end += s.duration.0.as_secs();
            Some((*end, s.target))
        })
        .collect();
    assert_eq!(ends, [(10, 100), (20, 500), (30, 1_000), (60, 5_000), (90, 5_000), (120, 1_000), (150, 0)]);
    // The users' ids are the products': each random user reads a product that exists.
    let reads = load("product-read", &Overrides::default()).unwrap().profile;
    assert!(reads.seed.users <= reads.seed.products && !reads.backend.product_cache.ttl.0.is_zero());
    for profile in [quick, event] {
        let all = Check::all().filter(|check| check.kind != Some(Kind::Point));
        assert_eq!(profile.checks.require, all.map(|check| check.id).collect::<Vec<_>>());
    }
}

#[test]
fn profiles_are_found_by_name_and_by_path() {
    let by_name = load("coupon-quick", &Overrides::default()).unwrap();
    assert_eq!(by_name.name, "coupon-quick");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.yaml");
    fs::write(&path, QUICK).unwrap();
    let by_path = load(path.to_str().unwrap(), &Overrides::default()).unwrap();
    assert_eq!((by_path.name.as_str(), &by_path.source), ("mine", &Source::File(path)));
    assert_eq!(by_path.profile, by_name.profile);
    let names: Vec<String> = list().into_iter().map(|p| p.name).collect();
    assert_eq!(
        names,
        [
            "coupon-event",
            "coupon-quick",
            "fcfs-quick",
            "fcfs-scarce",
            "points-quick",
            "product-read",
            "sample",
            "smoke"
        ]
    );
    assert!(list().iter().all(|p| p.system == if p.name.starts_with("fcfs") { "fcfs" } else { "ecommerce" }));
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("latin.yaml"), b"about: x\nsystem: \xff\n").unwrap();
    fs::write(path("big.yaml"), "#".repeat(600 * 1024)).unwrap();
    fs::create_dir(path("folder.yaml")).unwrap();
    let message = |name: &str| {
        let error = load(name, &Overrides::default()).err().unwrap().to_string();
        error.replace(folder.path().to_str().unwrap(), "FOLDER")
    };
    insta::assert_debug_snapshot!([
        message("coupon-quik"),
        message("../etc"),
        message(".."),
        message(""),
        message(&path("none.yaml")),
        message(&path("latin.yaml")),
        message(&path("big.yaml")),
        message(&path("folder.yaml")),
        message("COUPON-QUICK.YAML"),
    ]);
}

#[test]
fn byte_order_marks_and_windows_line_ends_are_taken() {
    let windows = format!("\u{feff}{}", QUICK.replace('\n', "\r\n"));
    assert_eq!(plain(&windows).unwrap(), plain(QUICK).unwrap());
    let broken = QUICK.replace("consumers: 3", "consumer: 3");
    let both = [&broken, &broken.replace('\n', "\r\n")].map(|t| plain(t).unwrap_err().to_string());
    assert_eq!(both[0], both[1]);
}

#[test]
fn flags_change_a_profile() {
    let changed = |change: fn(&mut Overrides)| with(QUICK, change).map(|(p, _)| p).map_err(|e| e.to_string());
    let p = changed(|o| o.set = vec!["backend.consumers=2".into(), "scenarios.rush.stages.0.target=7".into()]).unwrap();
    assert_eq!(p.backend.consumers, 2);
    let p = changed(|o| o.vus = Some(50)).unwrap();
    let model::Executor::RampingVus { stages, .. } = &p.scenarios["rush"].executor else { panic!() };
    assert_eq!(stages.iter().map(|s| s.target).collect::<Vec<_>>(), [10, 50, 50, 0]);
    let p = changed(|o| o.duration = "3s".parse().ok()).unwrap();
    let model::Executor::RampingVus { stages, .. } = &p.scenarios["rush"].executor else { panic!() };
    assert_eq!(stages.iter().map(|s| s.duration.millis()).collect::<Vec<_>>(), [500, 1_000, 1_000, 500]);
    let p = changed(|o| o.env = vec!["COUPON_ID=2".into()]);
    assert!(p.unwrap_err().contains("coupon 2 is not seeded"));
    insta::assert_debug_snapshot!([
        changed(|o| o.vus = Some(0)).unwrap_err(),
        changed(|o| o.rps = Some(5.0)).unwrap_err(),
        changed(|o| o.duration = "0s".parse().ok()).unwrap_err(),
        changed(|o| o.set = vec!["stack.external.api_url=https://u:secret@h/x".into()]).unwrap_err(),
        changed(|o| o.set = vec!["scenarios.rush.requests[0].body.phone=01012345678".into()]).unwrap_err(),
        with(&QUICK.replace("userId: \"${user.id}\"", "userId: ${ID}"), |o| o.env = vec!["ID=0042".into()])
            .unwrap_err()
            .to_string(),
        changed(|o| o.env = vec!["COUPON".into()]).unwrap_err(),
        changed(|o| o.set = vec!["backend.consumers=many".into()]).unwrap_err(),
        changed(|o| o.set = vec!["backend.db_pool.maximum=1".into()]).unwrap_err(),
        changed(|o| o.set = vec!["stack.external.mysql_url=mysql://root:secret@h".into()]).unwrap_err(),
        changed(|o| o.set = vec!["stack.external.kafka.password=12345".into()]).unwrap_err(),
        with(QUICK, |o| o.env = vec!["NOBODY=1".into()]).unwrap().1.join(""),
    ]);
}

#[test]
fn doubts_are_said_and_not_refused() {
    let text = QUICK
        .replace("consumers: 3", "consumers: 4\n  reconciler: {after: 2s}\n  http: {body_limit: 64}")
        .replace("users: 10000", "users: 3")
        .replace("user: random", "user: per-vu")
        .replacen("        coupon: ${COUPON_ID:-1}\n", "", 1)
        .replacen(
            "{userId: \"${user.id}\"}",
            "{userId: \"${user.id}\", note: \"123456789 123456789 123456789 123456789 \"}",
            1,
        )
        .replace("[SY1,", "[SY1, SY1,");
    insta::assert_debug_snapshot!(plain(&text).unwrap().1);
}

#[test]
fn every_slip_of_a_file_is_told_at_once() {
    let text = SMOKE
        .replace("users: 1000", "usres: 1000")
        .replace("vus: 1\n", "vus: 0\n")
        .replace("think: 100ms", "think: 100")
        .replace("path: /api/users\n", "path: api/users\n")
        .replace("CP1,", "CP11,")
        .replace("{name:issue}", "{name:isue}")
        .replace("once: true", "once: yes")
        .replace("system: ecommerce", "system: ecomerce");
    insta::assert_snapshot!(plain(&text).unwrap_err().to_string());
}

/// Words that occur in profiles, so that mutated files get far into the reader.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~é\t]{0,8}".prop_map(String::from),
        prop::sample::select(vec![
            "\n",
            ": ",
            "- ",
            "  ",
            "{",
            "}",
            "[",
            "]",
            "null",
            "-1",
            "1e400",
            "99999999999999999999",
            "0",
            "''",
            "&a ",
            "*a",
            "!!int ",
            "<<: ",
            "? ",
            "${X}",
            "${X:-",
            "\t",
            "\"",
            "#",
            "---\n",
            ".nan",
            "10x",
            "ramping-vus",
            "stages: ",
            "executor: ",
            "delay: 1s",
            "\u{feff}",
            "\u{e000}X\u{e001}",
        ])
        .prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_panics(text in "(?s).{0,200}") {
        let _ = plain(&text);
    }

    #[test]
    fn no_mutated_profile_panics_and_each_problem_has_a_place(
        which in 0..4_usize,
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, fragment()), 1..4),
    ) {
        let mut text = [QUICK, EVENT, SMOKE, sample()][which].to_owned();
        for (at, length, insert) in cuts {
            let chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len().max(1));
            let end = (at + length).min(chars.len());
            text = chars[..at].iter().chain(&insert.chars().collect::<Vec<_>>()).chain(&chars[end..]).collect();
        }
        if let Err(ProfileError::Invalid { problems, .. }) = plain(&text) {
            prop_assert!(!problems.is_empty());
            let lines = text.split('\n').count();
            for problem in problems {
                let Place::File { line, column } = problem.place else { panic!("{problem:?}") };
                prop_assert!((1..=lines + 1).contains(&line) && column >= 1, "{line}:{column}");
                prop_assert!(!problem.message.is_empty());
            }
        }
    }
}

const WITH_INVARIANTS: &str = "system: ecommerce\nscenarios: {s: {executor: constant-vus, vus: 1, duration: 1s, requests: \
                               [{name: a, path: /}]}}\nchecks: {require: [A1]}\ninvariants:\n";

/// A profile in a folder, with a file of invariants beside it.
fn beside(invariants: &str, file: &str) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("p.yaml"), format!("{WITH_INVARIANTS}{invariants}")).unwrap();
    fs::write(folder.path().join("checks.yaml"), file).unwrap();
    let path = folder.path().join("p.yaml").to_string_lossy().into_owned();
    let within = format!("{}/", folder.path().display());
    load(&path, &Overrides::default()).map_err(|e| e.to_string().replace(&within, ""))
}

const CHECKS: &str = "A1: {says: a, mysql: 'SELECT 1 FROM ${table.a}', exercised: SELECT 1}\n\
                      A2: {says: b, mysql: 'SELECT 1 FROM ${table.b}', exercised: SELECT 1, parameters: {table.b: old}}\n";

#[test]
fn a_file_of_invariants_stands_in_the_place_where_it_is_named() {
    let file = "  ours: {file: checks.yaml, parameters: {table.b: new}}\n  B1: {says: c, redis: [GET, c], exercised: [GET, d]}\n";
    let loaded = beside(file, CHECKS).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let invariants = loaded.profile.invariants;
    assert_eq!(invariants.keys().collect::<Vec<_>>(), ["A1", "A2", "B1"]);
    assert_eq!(invariants["A1"].parameters.len(), 0, "a parameter goes where it is used");
    assert_eq!(invariants["A2"].parameters["table.b"], "new", "the profile's name takes the place of the file's");
}

#[test]
fn what_is_wrong_with_a_file_of_invariants_is_told_with_its_lines() {
    let ours = "  ours: {file: checks.yaml}\n";
    for (profile, file, wanted) in [
        (ours, "A1:\n  says: a\n  mysql: SELECT 1;\n  keep: 0\nA2: {says: b, plant: DELETE FROM t}\n", "\
checks.yaml:3:3: A1.mysql: `;` is not allowed: one statement, and nothing behind it
checks.yaml:4:3: A1.keep: 0 is out of range; allowed: 1 to 20
checks.yaml:5:15: A2.plant: unknown key `plant`: what breaks data on purpose is for ecomctl's own tests; nothing of a profile writes; \
allowed: exercised, keep, key, left, mysql, parameters, redis, right, says, severity, when
checks.yaml:5:1: A2: one of these is needed, and one only: `mysql`, `redis`, or `left` with `right` and `key`"),
        (ours, "- A1\n", "checks.yaml:1:1: expected a map, found a list"),
        ("  ours: {file: nowhere.yaml}\n", "", "cannot read the profile nowhere.yaml: No such file or directory (os error 2)"),
        (
            "  ours: {file: checks.yaml, parameters: {table.x: y}}\n  A1: {says: a, mysql: SELECT 1, exercised: SELECT 1}\n",
            CHECKS,
            "p.yaml:5:42: invariants.ours.parameters.table.x: no statement of checks.yaml has ${table.x}",
        ),
        (
            "  A1: {says: a, mysql: SELECT 1, exercised: SELECT 1}\n  ours: {file: checks.yaml}\n",
            CHECKS,
            "p.yaml:6:3: invariants.ours: `A1` of this file is an id already; give one of them another",
        ),
    ] {
        let error = beside(profile, file).unwrap_err();
        assert_eq!(error.lines().collect::<std::collections::BTreeSet<_>>(), wanted.lines().collect(), "{profile}");
    }
}
