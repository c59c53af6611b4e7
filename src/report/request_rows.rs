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
