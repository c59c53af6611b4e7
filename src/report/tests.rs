//! The rows of the request table, in both reports.

use serde_json::{Value, json};

use super::{markdown, terminal};
use crate::summary::Summary;

fn request(name: &str, outcomes: &Value, cache: &Value) -> Value {
    let sent: u64 = outcomes.as_object().unwrap().values().filter_map(Value::as_u64).sum();
    let mut request = json!({
        "scenario": "read", "name": name, "sent": sent, "outcomes": outcomes, "statuses": {}, "failures": {},
        "p50_ms": 0.5, "p95_ms": 3.25, "p99_ms": 12.0, "max_ms": 140.0,
    });
    if !cache.is_null() {
        request["cache"] = cache.clone();
    }
    request
}

fn summary(requests: &[Value]) -> Summary {
    let text = json!({
        "schema_version": 1, "run": "r", "profile": "product-read", "system": "ecommerce", "started_at": "",
        "duration_s": 20.0, "load_s": 15.0, "stack": {}, "settings": {}, "phases": [], "requests": requests,
        "metrics": {}, "outcomes": {}, "goals": [], "lag": {"per_partition": []}, "coupons": [], "checks": [],
        "restarts": {}, "bottleneck": null, "warnings": [], "verdict": "consistent", "exit_code": 0,
    });
    serde_json::from_value(text).unwrap()
}

/// The lines of the table of requests.
fn rows(report: &str) -> String {
    let rows = report.lines().skip_while(|line| !(line.contains("request") && line.contains("outcome")));
    let rows = rows.take_while(|line| line.starts_with([' ', '|', '─']));
    rows.map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// `issue` is as files of older versions have it.
fn mixed() -> Summary {
    let cache = json!({
        "hit": {"answers": 5_400, "p50_ms": 0.4, "p95_ms": 1.5, "p99_ms": 4.0, "max_ms": 22.0},
        "miss": {"answers": 600, "p50_ms": 2.0, "p95_ms": 8.0, "p99_ms": 30.0, "max_ms": 140.0},
    });
    summary(&[
        request("product", &json!({"OK": 5_998, "ERROR": 2}), &cache),
        request("issue", &json!({"QUEUED": 15}), &Value::Null),
    ])
}

#[test]
fn hits_and_misses_have_a_row_each_under_their_request() {
    insta::assert_snapshot!("terminal", rows(&terminal::render(&mixed())));
    insta::assert_snapshot!("markdown", rows(&markdown::render(&mixed())));
}

#[test]
fn hits_alone_leave_no_figure_for_misses() {
    let none = json!({"answers": 0, "p50_ms": null, "p95_ms": null, "p99_ms": null, "max_ms": null});
    let hits = json!({"answers": 3, "p50_ms": 1.0, "p95_ms": 1.0, "p99_ms": 1.0, "max_ms": 1.0});
    let summary = summary(&[request("product", &json!({"OK": 3}), &json!({"hit": hits, "miss": none}))]);
    insta::assert_snapshot!("hits_alone", rows(&terminal::render(&summary)));
}

#[test]
fn what_speaks_of_no_cache_is_written_as_before() {
    let plain = summary(&[request("issue", &json!({"QUEUED": 15}), &Value::Null)]);
    let text = serde_json::to_value(&plain).unwrap();
    assert!(text["requests"][0].get("cache").is_none(), "{text}");
    assert!(!terminal::render(&plain).contains("cache") && !rows(&markdown::render(&plain)).contains("cache"));
}

/// Why requests failed stands in every report, bounded, and nowhere where none did.
#[test]
fn failures_are_told_by_kind_with_an_example_and_bounded() {
    let mut failing = request("issue", &json!({"UNKNOWN": 140, "ERROR": 3, "QUEUED": 7}), &Value::Null);
    failing["failures"] = json!({"refused": 120, "time-out": 20});
    let long = format!("connecting to 127.0.0.1:1: {}", "x".repeat(200));
    failing["failure_examples"] = json!({"refused": long, "time-out": "no whole answer within 10s"});
    failing["error_statuses"] = json!({"404": 3});
    let some = summary(&[failing.clone()]);
    let texts = [terminal::render(&some), markdown::render(&some)];
    for text in &texts {
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part} in {text}"));
        assert!(at("refused") < at("time-out") && at("time-out") < at("status 404") && at("120") > 0);
        assert!(text.contains("connecting to 127.0.0.1:1") && text.contains("no whole answer within 10s"));
    }
    assert!(texts[0].lines().filter(|line| line.contains("refused")).all(|line| line.chars().count() <= 120));
    failing["error_statuses"] = Value::Object((400..460).map(|status| (status.to_string(), json!(1))).collect());
    assert!(markdown::render(&summary(&[failing])).contains("more kinds"));
    let none = summary(&[request("issue", &json!({"QUEUED": 7}), &Value::Null)]);
    assert!(!terminal::render(&none).contains("failed request") && !markdown::render(&none).contains("## Failures"));
}

/// Coupons have a table of their own, which says the same; other kinds have theirs here.
#[test]
fn claims_of_a_kind_without_a_table_of_its_own_are_counted() {
    let mut some = mixed();
    assert!(!terminal::render(&some).contains("receipts missing"), "files of older versions have none");
    let claims = json!([
        {"kind": "coupon", "claim": "coupon:1", "sent": 5, "outcomes": {"QUEUED": 5}, "done": 5, "refused": 0, "unknown": 0},
        {"kind": "point", "claim": "point", "sent": 1_500, "outcomes": {"OK": 1_000, "REFUSED": 495, "UNKNOWN": 5},
         "done": 1_000, "refused": 495, "refusals": {"409": 15, "422": 480}, "unknown": 5, "receipts_missing": 2},
        {"kind": "point", "claim": "point:5eed0000-0000-4000-8000-000000000001", "sent": 3, "outcomes": {"OK": 3}, "done": 3,
         "refused": 0, "unknown": 0},
    ]);
    some.claims = serde_json::from_value(claims.clone()).unwrap();
    assert!(terminal::render(&some).contains("coupon:1"), "nothing was compared: there is no other table");
    some.sets.coupons.push(verify::SetSizes { coupon: 1, ..verify::SetSizes::default() });
    assert_eq!(serde_json::to_value(&some).unwrap()["claims"], claims);
    for text in [terminal::render(&some), markdown::render(&some)] {
        let row = |name: &str| {
            let line = text.lines().find(|line| line.split_whitespace().any(|word| word == name));
            line.unwrap_or_default().replace(['|', '│'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("point"), "point 1,500 1,000 495 (409 × 15, 422 × 480) 5 2", "{text}");
        assert_eq!(row("point:5eed0000-0000-4000-8000-000000000001").split(' ').nth(5), Some("-"), "{text}");
        assert!(
            !text.contains("coupon:1") && text.lines().all(|line| line.chars().count() <= 120 || line.contains('|'))
        );
    }
}

/// A run that was broken off says so first of all, and comes to exit code 1.
#[test]
fn a_broken_run_says_why() {
    let mut broken = summary(&[request("issue", &json!({"QUEUED": 7}), &Value::Null)]);
    broken.broken = Some("cannot write the ledger in /x: No space left on device".into());
    assert_eq!(broken.exit(None).code(), 1);
    for text in [terminal::render(&broken), markdown::render(&broken)] {
        assert!(text.contains("No space left on device"), "{text}");
    }
}
