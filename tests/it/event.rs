//! The whole event: 5,000 people at once on this machine.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use crate::support::{both, shared, wait, went_well};

/// Most memory of the generator with 5,000 virtual users, in KiB: it does not grow with the number of requests.
const MOST_KIB: u64 = 150 * 1024;

#[test]
fn five_thousand_people_are_all_accounted_for_in_bounded_memory() {
    let stack = shared();
    // The event's own shape in a fifth of its time; `make test-all` has the whole of it.
    let args = ["run", "coupon-event", "--duration", "30s", "--set", "goals={}", "--format", "json"];
    let child = stack.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let watcher = std::thread::spawn(move || peak_kib(pid));
    let output = wait(child, Duration::from_secs(150));
    let summary: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{}", both(&output)));
    assert_eq!(summary["verdict"], "consistent", "{summary:#}");
    assert!(went_well(&output), "{summary:#}");
    assert_eq!(summary["metrics"]["vus_max"]["values"]["max"], 5_050.0, "{summary:#}");
    assert_eq!(summary["coupons"][0]["rows"], 1_000, "{summary:#}");
    for request in summary["requests"].as_array().unwrap() {
        let classes: u64 = request["outcomes"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(request["sent"].as_u64(), Some(classes), "{request:#}");
    }
    let peak = watcher.join().unwrap();
    println!("peak memory of `ecomctl run` with 5,000 virtual users: {} MiB", peak >> 10);
    assert!(peak > 0 && peak < MOST_KIB, "{} MiB", peak >> 10);
}

/// Largest resident size of a process until it ends.
fn peak_kib(pid: u32) -> u64 {
    let mut peak = 0;
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(150) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        let Some(high) = high else { break };
        peak = u64::max(peak, high);
        std::thread::sleep(Duration::from_millis(100));
    }
    peak
}

#[test]
#[ignore = "two and a half minutes; `make test-all`"]
fn the_whole_event_is_consistent() {
    let stack = shared();
    let (_, summary) = stack.json(&["run", "coupon-event", "--set", "goals={}"]);
    assert_eq!(summary["verdict"], "consistent", "{summary:#}");
    assert_eq!(summary["coupons"][0]["rows"], 1_000, "{summary:#}");
}
