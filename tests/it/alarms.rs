//! An alarm through all its layers: profile, events, summary, report; and a run that does not fail from it.

use crate::support::{exit_of, shared, write};

#[test]
fn a_level_that_is_crossed_is_told_in_events_summary_and_report_and_fails_nothing() {
    let stack = shared();
    let path = stack.scratch().join("alarms.yaml");
    let alarms = "alarms:\n  mysql_connections_used: {warning: 0.001, for: 1s, act: close some}\n  \
                  dead_letters: {critical: 1, for: 0s}\n";
    write(&path, &format!("{}{alarms}", include_str!("profiles/small.yaml")));
    let (code, summary) = stack.json(&["run", &path.to_string_lossy()]);
    assert_eq!((code, &summary["verdict"]), (exit_of(&summary), &"consistent".into()), "{summary:#}");

    let raised = &summary["alarms"][1];
    assert_eq!((&raised["metric"], &raised["worst"]), (&"mysql_connections_used".into(), &"warning".into()));
    assert!(raised["above_s"].as_f64() >= Some(1.0) && raised["highest"].as_f64() > Some(0.001), "{raised:#}");
    let first_s = raised["first_raised_s"].as_f64().unwrap();
    let quiet = &summary["alarms"][0];
    assert_eq!((&quiet["metric"], &quiet["worst"]), (&"dead_letters".into(), &"ok".into()));
    assert_eq!((quiet["highest"].as_f64(), &quiet["first_raised_s"]), (Some(0.0), &serde_json::Value::Null));

    let run = stack.state_dir().join("runs").join(summary["run"].as_str().unwrap());
    let events = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    let events: Vec<serde_json::Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let at = events.iter().position(|event| event["type"] == "alarm").expect("an alarm event");
    let (alarm, cause) = (&events[at], &events[at - 1]);
    assert_eq!((&alarm["level"], &alarm["threshold"]), (&"warning".into(), &0.001.into()), "{alarm:#}");
    assert_eq!((&alarm["act"], &cause["type"]), (&"close some".into(), &"mysql".into()), "{alarm:#}");
    assert_eq!(alarm["t_ms"].as_u64(), Some((first_s * 1_000.0).round() as u64), "{alarm:#}");
    assert_eq!(events[0]["plan"]["alarms"][1]["metric"], "mysql_connections_used", "{:#}", events[0]);
    assert_eq!(events.iter().filter(|event| event["type"] == "alarm").count(), 1, "raised once, and never cleared");

    let report = std::fs::read_to_string(run.join("report.md")).unwrap();
    assert!(
        report.contains("- mysql_connections_used warning: most ") && report.contains("; close some\n"),
        "{report}"
    );
    let name = summary["run"].as_str().unwrap();
    let text = String::from_utf8_lossy(&stack.ok(&["report", name]).stdout).into_owned();
    assert!(text.contains("alarm: mysql_connections_used warning: most "), "{text}");
}
