//! The load generator against servers that count what they get.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, clippy::print_stdout)]

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use contract::claim::{Claim, Id, Kind, Outcome};
use load::{self, LoadControl, LoadEvent, LoadPlan, LoadSummary, ledger};
use profile::model::Scenario;
use record::goal::{self, Goal};
use serde_json::{Value, json};

use crate::{
    load_server::{raw, read_request, shop, write_pieces},
    support::free_port,
};

mod control;
mod executors;
mod receipts;

fn plan(target: SocketAddr, scenario: Value) -> LoadPlan {
    LoadPlan {
        targets: vec![target],
        host: "shop".into(),
        scenarios: BTreeMap::from([("event".to_owned(), serde_json::from_value::<Scenario>(scenario).unwrap())]),
        users: 100,
        threads: 2,
        ledger: None,
        origin: Instant::now(),
        random_seed: 1,
        goals: BTreeMap::new(),
    }
}

fn issue() -> Value {
    json!({
        "name": "issue", "method": "POST", "path": "/api/coupons/1/issue", "coupon": 1, "body": {"userId": "${user.id}"},
        "outcomes": {"200": "QUEUED", "409": "DUPLICATE", "410": "SOLD_OUT"}
    })
}

fn get(path: &str) -> Value {
    json!({"name": path.trim_start_matches('/'), "path": path})
}

/// A load of one request by a fixed number of virtual users.
fn constant(vus: u32, duration: &str, request: Value) -> Value {
    json!({"executor": "constant-vus", "vus": vus, "duration": duration, "requests": [request]})
}

fn run(plan: &LoadPlan) -> (LoadSummary, Vec<LoadEvent>) {
    let mut events = Vec::new();
    let summary = load::run(plan, &LoadControl::default(), &mut |event| events.push(event)).unwrap();
    assert_adds_up(&summary);
    (summary, events)
}

/// Requests sent = Σ outcomes = Σ requests = Σ phases; statuses and failures make up the outcomes.
fn assert_adds_up(summary: &LoadSummary) {
    let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
    assert_eq!(sum(&summary.outcomes), summary.sent);
    assert_eq!(summary.requests.iter().map(|r| r.sent).sum::<u64>(), summary.sent);
    assert_eq!(summary.phases.iter().map(|p| p.sent).sum::<u64>(), summary.sent);
    for request in &summary.requests {
        assert_eq!(sum(&request.outcomes), request.sent);
        assert_eq!(request.statuses.values().sum::<u64>() + sum(&request.failures), request.sent);
        let timed =
            request.sent - request.failures.iter().filter(|(k, _)| *k != "time-out").map(|(_, v)| v).sum::<u64>();
        assert_eq!(request.duration.count(), timed);
        assert_eq!(request.waiting.count(), timed);
    }
    for phase in &summary.phases {
        assert_eq!(sum(&phase.outcomes), phase.sent);
    }
}

/// A counter of the load, or the value of a gauge.
fn count(summary: &LoadSummary, metric: &str) -> u64 {
    let metric = summary.metrics()[metric].clone();
    let figure = metric.aggregate(goal::Aggregation::Count).or_else(|| metric.aggregate(goal::Aggregation::Value));
    figure.unwrap() as u64
}

fn entries(folder: &Path) -> Vec<ledger::Entry> {
    let mut entries = Vec::new();
    ledger::read(folder, |entry| entries.push(entry)).unwrap();
    entries
}

#[test]
fn every_request_is_seen_by_the_server_and_stands_in_the_ledger() {
    let (target, seen) = shop(30);
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(target, constant(40, "1500ms", issue()));
    plan.ledger = Some(folder.path().join("ledger"));
    plan.users = 50;
    let (summary, events) = run(&plan);

    assert_eq!(summary.sent, seen.all());
    assert_eq!(count(&summary, "iterations"), summary.sent);
    // 40 virtual users are the users 1 to 40; 30 of them get one, and each asks again.
    assert_eq!(summary.outcomes["QUEUED"], 30);
    assert_eq!(summary.outcomes["SOLD_OUT"], 10);
    assert_eq!(summary.outcomes["DUPLICATE"], summary.sent - 40);
    assert_eq!(summary.claims, BTreeMap::from([(Claim::coupon(1), summary.sent)]));
    assert!(seen.users.lock().unwrap().keys().copied().eq(1..=40));

    let entries = entries(&folder.path().join("ledger"));
    assert_eq!(entries.len() as u64, summary.sent);
    let mut counts = BTreeMap::new();
    for entry in &entries {
        *counts.entry(entry.outcome.name(entry.kind).unwrap().to_owned()).or_insert(0_u64) += 1;
        assert!(entry.start_ns < entry.end_ns && (1..=40).contains(&entry.actor) && entry.key == Some(Id::Number(1)));
    }
    assert_eq!(counts, summary.outcomes);
    for user in 1..=40 {
        let mut own: Vec<_> = entries.iter().filter(|entry| entry.actor == user).collect();
        own.sort_by_key(|entry| entry.start_ns);
        assert!(own.windows(2).all(|pair| pair[0].end_ns <= pair[1].start_ns), "user {user} asks one at a time");
    }

    assert!(
        matches!(&events[0], LoadEvent::Phase { scenario, index: 0, target } if scenario == "event" && *target > 39.0)
    );
    let samples: Vec<_> =
        events.iter().filter_map(|e| if let LoadEvent::Sample(s) = e { Some(s) } else { None }).collect();
    assert!(samples.len() >= 2);
    assert_eq!(samples[0].vus, 40);
    assert!(samples[0].p50_ms.is_some());
    assert_eq!(samples.last().unwrap().sent, summary.sent);
    assert_eq!(samples.last().unwrap().outcomes, summary.outcomes);
    assert!(count(&summary, "data_received") > summary.sent * 50 && count(&summary, "data_sent") > summary.sent * 50);
}

#[test]
fn answers_from_a_cache_and_past_it_are_told_apart() {
    let (target, _) = shop(1);
    let mut scenario = constant(4, "2200ms", get("/hit"));
    scenario["requests"] = json!([get("/hit"), get("/miss"), get("/noop")]);
    let mut plan = plan(target, scenario);
    let goals = [
        ("http_req_duration{cache:miss,name:miss}", "min>=20"),
        ("http_reqs{cache:hit,name:noop}", "count==0"),
        ("http_req_duration{cache:hit,name:miss}", "max<1"),
        ("cache_hit_rate{name:hit}", "rate==1"),
        ("cache_hit_rate{name:noop}", "rate==1"),
        ("cache_hit_rate", "rate<1"),
    ];
    plan.goals =
        goals.iter().map(|(metric, text)| ((*metric).to_owned(), vec![Goal::Expression((*text).into())])).collect();
    let (summary, events) = run(&plan);
    let metrics = summary.metrics();
    let states = goals.map(|(metric, text)| {
        let lookup = |selector: &goal::Selector| metrics.get(&selector.to_string()).cloned();
        goal::evaluate_one(metric, text, lookup).state
    });
    let (met, unknown) = (goal::State::Met, goal::State::Unknown);
    assert_eq!(states, [met, met, unknown, met, unknown, met]);

    let by_name = |name: &str| summary.requests.iter().find(|request| request.name == name).unwrap();
    let counts = |name: &str| -> Vec<u64> { by_name(name).cache.values().map(goal::Trend::count).collect() };
    assert_eq!(counts("hit"), [by_name("hit").sent, 0]);
    assert_eq!(counts("miss"), [0, by_name("miss").sent]);
    assert_eq!(counts("noop"), Vec::<u64>::new());
    let count = |metric: &str| serde_json::to_value(&metrics[metric]).unwrap()["values"]["count"].as_u64().unwrap();
    assert_eq!(count("http_reqs{cache:hit}"), by_name("hit").sent);
    assert_eq!(count("http_reqs{cache:miss,name:miss}"), by_name("miss").sent);
    assert!(!metrics.contains_key("http_req_duration{cache:hit,name:noop}"));

    let samples: Vec<_> =
        events.iter().filter_map(|e| if let LoadEvent::Sample(s) = e { Some(s) } else { None }).collect();
    assert_eq!(samples.last().unwrap().cache["hit"].answers, by_name("hit").sent);
    assert_eq!(samples.last().unwrap().cache["miss"].answers, by_name("miss").sent);
    let (hit, miss) = (&samples[0].cache["hit"], &samples[0].cache["miss"]);
    assert!(hit.answers > 0 && hit.p95_ms.is_some() && miss.p95_ms.unwrap() >= 20.0, "{:?}", samples[0].cache);
}

#[test]
fn answers_that_say_nothing_of_a_cache_leave_no_trace_of_one() {
    let (target, _) = shop(1);
    let (summary, events) = run(&plan(target, constant(2, "300ms", get("/noop"))));
    assert!(!summary.metrics().keys().any(|name| name.contains("cache")));
    let said = |event: &LoadEvent| matches!(event, LoadEvent::Sample(sample) if !sample.cache.is_empty());
    assert!(!events.iter().any(said));
}

#[test]
fn metrics_and_goals_are_over_all_or_by_tag() {
    let (target, _) = shop(10);
    let mut scenario = constant(20, "500ms", issue());
    scenario["requests"] = json!([issue(), get("/noop"), get("/broken")]);
    let mut plan = plan(target, scenario);
    let goals = [
        ("http_req_duration{name:issue,outcome:QUEUED}", "p(99)<5000"),
        ("http_reqs{status:503}", "count>0"),
        ("http_req_failed{name:issue}", "rate==0"),
        ("http_req_failed{phase:0}", "rate<0.1"),
        ("http_req_duration{expected_response:true}", "max>0"),
        ("http_req_duration{name:nobody}", "p(99)<1"),
        ("dropped_iterations", "count==0"),
    ];
    for (metric, expression) in goals {
        goal::check(metric, expression).unwrap();
        plan.goals.insert(metric.into(), vec![Goal::Expression(expression.into())]);
    }
    let (summary, _) = run(&plan);
    let metrics = summary.metrics();
    let count = |name: &str| metrics[name].aggregate(goal::Aggregation::Count).unwrap();
    assert_eq!(count("http_reqs") as u64, summary.sent);
    assert_eq!(count("http_reqs{name:issue}") as u64, summary.requests[0].sent);
    assert_eq!(count("http_reqs{status:503}") as u64, summary.requests[2].sent);
    let states: BTreeMap<_, _> =
        goal::evaluate(&plan.goals, &metrics).into_iter().map(|r| (r.metric, r.state)).collect();
    for (metric, _) in goals {
        let expected = match metric {
            "http_req_failed{phase:0}" => goal::State::Missed,
            "http_req_duration{name:nobody}" => goal::State::Unknown,
            _ => goal::State::Met,
        };
        assert_eq!(states[metric], expected, "{metric}");
    }
    let json = serde_json::to_value(&metrics).unwrap();
    assert_eq!(json["http_req_failed"]["type"], "rate");
    assert_eq!(json["vus_max"]["values"]["value"], 20);
    assert!(json["http_req_duration"]["values"]["p(95)"].is_number());
}

#[test]
fn an_answer_that_comes_too_late_is_unknown() {
    let (target, seen) = shop(0);
    let mut scenario = constant(10, "400ms", get("/slow"));
    scenario["timeout"] = json!("100ms");
    let (summary, _) = run(&plan(target, scenario));
    assert_eq!(summary.outcomes, BTreeMap::from([("UNKNOWN".to_owned(), summary.sent)]));
    assert_eq!(summary.requests[0].failures["time-out"], summary.sent);
    // The time-out counts from the beginning, connecting included; the duration from the first byte written.
    assert!(summary.requests[0].duration.max().unwrap() >= 80.0);
    assert!(summary.sent >= 20, "{}", summary.sent);
    let begun = Instant::now();
    while seen.all() < summary.sent && begun.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(summary.sent, seen.all());
}

#[test]
fn a_connection_closed_without_an_answer_is_unknown_and_not_sent_again() {
    let requests = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&requests);
    let target = raw(move |mut connection| {
        if read_request(&mut connection) {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    let (summary, _) = run(&plan(target, constant(5, "1s", get("/"))));
    assert_eq!(summary.outcomes, BTreeMap::from([("UNKNOWN".to_owned(), summary.sent)]));
    assert_eq!(summary.requests[0].failures["closed early"], summary.sent);
    assert_eq!(requests.load(Ordering::SeqCst), summary.sent);
    assert!((5..=25).contains(&summary.sent), "it backs off: {}", summary.sent);
}

#[test]
fn a_kept_connection_that_is_closed_is_made_anew() {
    let (target, seen) = shop(0);
    let (summary, _) = run(&plan(target, constant(5, "300ms", get("/closes"))));
    assert_eq!(summary.outcomes, BTreeMap::from([("OK".to_owned(), summary.sent)]));
    assert_eq!(summary.sent, seen.all());
    assert!(summary.requests[0].connecting.min().unwrap() > 0.0);

    // It closes without saying so while the virtual user pauses: nothing is lost, because nothing was under way.
    let silent = raw(|mut connection| {
        if read_request(&mut connection) {
            write_pieces(&mut connection, &["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
        }
    });
    let mut scenario = constant(5, "500ms", get("/"));
    scenario["think"] = json!("50ms");
    let (summary, _) = run(&plan(silent, scenario));
    assert_eq!(summary.outcomes, BTreeMap::from([("OK".to_owned(), summary.sent)]));
    assert!(summary.sent >= 20);
}

#[test]
fn a_refused_connection_is_a_request_of_unknown_outcome() {
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let (summary, _) = run(&plan(nobody, constant(5, "1s", get("/"))));
    assert_eq!(summary.requests[0].failures, BTreeMap::from([("refused".to_owned(), summary.sent)]));
    assert!((5..=25).contains(&summary.sent), "it backs off: {}", summary.sent);
    assert_eq!(summary.requests[0].duration.count(), 0);
    let example = &summary.requests[0].examples["refused"];
    assert!(example.starts_with(&format!("connecting to {nobody}: Connection refused")), "{example}");
}

/// What stands behind UNKNOWN is told by kind, while it runs and afterwards.
#[test]
fn failures_are_told_apart() {
    type Handle = fn(&mut std::net::TcpStream);
    let cases: [(&str, &str, Handle); 4] = [
        ("TLS", "`\\x15\\x03\\x01", |c| drop(std::io::Write::write_all(c, b"\x15\x03\x01\x00\x02\x02\x46"))),
        ("not HTTP", "`220 smtp", |c| {
            write_pieces(c, &["220 smtp.example ESMTP\r\n"]);
        }),
        ("closed early", "in the middle of its answer", |c| {
            write_pieces(c, &["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"]);
        }),
        ("time-out", "no whole answer within 150ms", |_| std::thread::sleep(Duration::from_millis(400))),
    ];
    for (kind, said, handle) in cases {
        let target = raw(move |mut connection| {
            if read_request(&mut connection) {
                handle(&mut connection);
            }
        });
        let mut scenario = constant(2, "1200ms", get("/"));
        scenario["timeout"] = json!("150ms");
        let (summary, events) = run(&plan(target, scenario));
        let request = &summary.requests[0];
        assert_eq!(request.failures, BTreeMap::from([(kind.to_owned(), summary.sent)]));
        assert!(request.examples[kind].contains(said), "{kind}: {:?}", request.examples);
        let samples: Vec<_> =
            events.iter().filter_map(|e| if let LoadEvent::Sample(s) = e { Some(s) } else { None }).collect();
        assert!(samples[0].failures[kind] > 0 && samples.last().unwrap().failures == request.failures);
    }
    let (target, _) = shop(0);
    let (summary, _) = run(&plan(target, constant(1, "200ms", get("/broken"))));
    assert_eq!(summary.requests[0].error_statuses, BTreeMap::from([(503, summary.sent)]));
}

/// A ledger that cannot be written ends the load with its figures, and is no evidence: it may end behind a whole entry.
#[test]
fn a_full_disk_ends_the_load_and_leaves_no_ledger_to_trust() {
    let (target, seen) = shop(0);
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    std::fs::create_dir(&ledger).unwrap();
    for thread in 0..2 {
        std::os::unix::fs::symlink("/dev/full", ledger.join(format!("{thread}.bin"))).unwrap();
    }
    let mut plan = plan(target, constant(20, "60s", issue()));
    plan.ledger = Some(ledger.clone());
    let begun = Instant::now();
    let (summary, _) = run(&plan);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(summary.broken.as_ref().is_some_and(|why| why.contains("No space left on device")), "{:?}", summary.broken);
    assert!(summary.sent > 0 && summary.sent == seen.all());
    assert!(ledger::read(&ledger, |_| ()).is_err());
}

#[test]
fn answers_in_pieces_and_garbage() {
    let pieces = raw(|mut connection| {
        let parts =
            ["HTTP/1.1 100 Con", "tinue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Enc", "oding: chunked\r\n\r", "\n5\r\nab"];
        while read_request(&mut connection) && write_pieces(&mut connection, &parts) {
            write_pieces(&mut connection, &["cde\r", "\n0\r\n\r\n"]);
        }
    });
    let (summary, _) = run(&plan(pieces, constant(4, "500ms", get("/"))));
    assert_eq!(summary.outcomes, BTreeMap::from([("OK".to_owned(), summary.sent)]));
    assert!(summary.requests[0].receiving.min().unwrap() >= 15.0);

    let garbage = raw(|mut connection| {
        if read_request(&mut connection) {
            write_pieces(&mut connection, &["220 smtp.example ESMTP\r\n"]);
        }
    });
    let (summary, _) = run(&plan(garbage, constant(2, "300ms", get("/"))));
    assert_eq!(summary.requests[0].failures, BTreeMap::from([("not HTTP".to_owned(), summary.sent)]));
}

/// What was drawn for a request is the same wherever the server sees it and in the ledger, and no two requests share it.
#[test]
fn a_drawn_id_goes_with_its_request_into_the_ledger() {
    let (target, seen) = shop(0);
    let folder = tempfile::tempdir().unwrap();
    let charge = json!({
        "name": "charge", "method": "POST", "path": "/charge", "headers": {"Idempotency-Key": "${uuid}"},
        "body": {"key": "${uuid}", "userId": "${user.id}"}, "outcomes": {"422": "REFUSED"},
        "claim": {"kind": "point", "id": "${uuid}"}
    });
    let mut plan = plan(target, constant(8, "1s", charge));
    plan.ledger = Some(folder.path().join("ledger"));
    let (summary, events) = run(&plan);
    let keys = seen.keys.lock().unwrap().clone();
    let entries = entries(&folder.path().join("ledger"));
    assert!(summary.sent > 30 && keys.len() as u64 == summary.sent, "{} keys for {}", keys.len(), summary.sent);
    let told = |status: u16| match status {
        200 => Outcome::Acknowledged,
        422 => Outcome::Refused,
        _ => Outcome::Unknown,
    };
    let answered: BTreeMap<String, Outcome> = keys.iter().map(|(key, status)| (key.clone(), told(*status))).collect();
    let written: BTreeMap<String, Outcome> =
        entries.iter().map(|entry| (entry.key.unwrap().to_string(), entry.outcome)).collect();
    assert_eq!(written, answered);
    assert!(entries.iter().all(|entry| entry.kind == Kind::Point && entry.receipt.is_none()));
    assert_eq!(summary.outcomes.keys().collect::<Vec<_>>(), ["OK", "REFUSED", "UNKNOWN"]);
    assert_eq!(summary.claims, BTreeMap::from([(Claim { kind: Kind::Point, id: None }, summary.sent)]));
    let last = events.iter().rev().find_map(|e| if let LoadEvent::Sample(s) = e { Some(s) } else { None });
    assert_eq!(last.unwrap().claims, BTreeMap::from([("point".to_owned(), summary.sent)]));
}

#[test]
fn a_plan_that_cannot_run_says_why() {
    let target = "127.0.0.1:1".parse().unwrap();
    let error = |plan: &LoadPlan| load::run(plan, &LoadControl::default(), &mut |_| {}).unwrap_err().to_string();
    let mut wrong = issue();
    wrong["outcomes"]["200"] = json!("GRANTED");
    assert_eq!(
        error(&plan(target, constant(1, "1s", wrong))),
        "scenario `event`, request `issue`: its claim cannot be written down: its answers cannot come to `GRANTED`"
    );
    assert!(error(&plan(target, constant(0, "1s", issue()))).contains("no virtual users"));
    assert!(error(&plan(target, constant(1, "1s", get("/${x}")))).contains("`${x}` is unknown"));
    let huge = error(&plan(target, constant(4_000_000_000, "1s", get("/"))));
    assert!(huge.contains("open files"), "{huge}");
}

/// Runs the load of the test below in a process of its own, whose memory is that of the generator alone.
#[test]
#[ignore = "started by five_thousand_virtual_users_fit_into_60_mb"]
fn five_thousand_virtual_users() {
    let target = std::env::var("LOAD_TARGET").unwrap().parse().unwrap();
    let mut scenario = constant(5_000, "4s", issue());
    scenario["think"] = json!("500ms");
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(target, scenario);
    plan.users = 5_000;
    plan.ledger = Some(folder.path().to_owned());
    let (summary, _) = run(&plan);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned();
    println!("\nsent={} unknown={} peak={peak}", summary.sent, summary.outcomes.get("UNKNOWN").unwrap_or(&0));
}

#[test]
fn five_thousand_virtual_users_fit_into_60_mb() {
    let (target, seen) = shop(1_000);
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["load::five_thousand_virtual_users", "--exact", "--ignored", "--nocapture"])
        .env("LOAD_TARGET", target.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let field = |name: &str| {
        let value = text.split(name).nth(1).unwrap().split_whitespace().next().unwrap();
        value.parse::<u64>().unwrap()
    };
    println!("{}", text.lines().find(|line| line.starts_with("sent=")).unwrap());
    assert_eq!(seen.users.lock().unwrap().len(), 5_000);
    // What was answered was seen; of what is unknown the server may have seen some.
    assert!((field("sent=") - field("unknown=")..=field("sent=")).contains(&seen.all()), "{text}");
    assert!(field("peak=") < 60 << 10, "{text}");
}
