//! What commands print with `--format json` is what `docs/schema/` says.

use crate::support::{Stack, shared};

fn assert_valid(name: &str, value: &serde_json::Value) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(name);
    let schema = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}\n{value:#}");
}

#[test]
fn outputs_follow_their_published_schemas() {
    let stack = shared();
    let path = stack.scratch().join("schema.yaml");
    crate::support::write(&path, include_str!("profiles/small.yaml"));
    let profile = path.to_string_lossy().into_owned();
    assert_valid("summary.json", &stack.json(&["run", &profile]).1);
    assert_valid("verify.json", &stack.json(&["verify"]).1);
    assert_valid("status.json", &stack.json(&["status"]).1);
    assert_valid("lag.json", &stack.json(&["lag"]).1);
    assert_valid("stats.json", &stack.json(&["stats"]).1);
    let lines = stack.ok(&["logs", "-n", "2", "--format", "json"]);
    for line in String::from_utf8_lossy(&lines.stdout).lines() {
        assert_valid("logs.json", &serde_json::from_str(line).unwrap());
    }
    assert_valid("profiles.json", &Stack::empty().json(&["profiles", "list"]).1);
    let (_, checked) = stack.json(&["profiles", "check", "coupon-event"]);
    assert_valid("profile.json", &checked["profile"]);
}
