//! One case: what was seen second by second in a few columns, and what the last second must mean.
//!
//! ```text
//! time   group   partitions
//! 0-14   2       0..100+10@40+5~1500
//! ```
//! time: a second, or a first and a last one. group: its members, `?` where they are not known, `!` behind it while it
//! rebalances; `a`, `b` … behind the number tell one membership from another. partition: log start, log end, committed
//! offset (`-`: none) and age of the oldest record in milliseconds (`~none`: no data is left); `+n` grows by n a second
//! from the line's first second on; `!` behind all of it: nobody leads it. `x`: the topic `t` could not be read.

use std::{collections::BTreeMap, path::Path};

use record::event::watch::{KafkaSample, LagStatus, Member};
use serde::Deserialize;

use super::super::{History, Rules};
use crate::{
    Oldest,
    lag::look::{GroupLook, Look, PartitionLook},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    allowed: u64,
    #[serde(default)]
    commit_s: u64,
    seen: String,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    status: LagStatus,
    /// Second → status of the group then.
    #[serde(default)]
    then: BTreeMap<u32, LagStatus>,
    #[serde(default)]
    partitions: Option<Vec<LagStatus>>,
    /// Figures of the group; `null` is "not known", absent is "not looked at".
    #[serde(default)]
    figures: BTreeMap<String, Option<f64>>,
    #[serde(default)]
    hot: Vec<i32>,
}

fn number(text: &str, seconds: f64) -> i64 {
    let (base, step) = text.split_once('+').unwrap_or((text, "0"));
    base.parse::<i64>().unwrap() + (step.parse::<f64>().unwrap() * seconds) as i64
}

fn partition(text: &str, index: i32, seconds: f64, now_ms: f64) -> PartitionLook {
    let led = !text.ends_with('!');
    let text = text.trim_end_matches('!');
    let (offsets, age) = text.split_once('~').map_or((text, None), |(offsets, age)| (offsets, Some(age)));
    let (log, committed) = offsets.split_once('@').unwrap();
    let (start, end) = log.split_once("..").unwrap();
    let oldest = age.map(|age| match age {
        "none" => Oldest::NoData,
        age => Oldest::Record { timestamp_ms: Some((now_ms - age.parse::<f64>().unwrap()) as i64) },
    });
    PartitionLook {
        topic: "t".into(),
        partition: index,
        start: number(start, seconds),
        end: number(end, seconds),
        committed: (committed != "-").then(|| number(committed, seconds)),
        leader: led.then_some(1),
        oldest,
    }
}

fn group(text: &str) -> GroupLook {
    let rebalances = text.ends_with('!');
    let text = text.trim_end_matches('!');
    let generation = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let members = text.trim_end_matches(generation).parse::<usize>().ok().map(|n| {
        (0..n).map(|i| Member { client: format!("m{i}"), id: generation.to_owned(), ..Member::default() }).collect()
    });
    let state = match &members {
        _ if rebalances => "PreparingRebalance",
        None => "Unknown",
        Some(Vec::<Member> { .. }) if text == "0" => "Empty",
        Some(_) => "Stable",
    };
    GroupLook { state: state.into(), members: members.filter(|_| text != "?") }
}

fn looks(seen: &str) -> Vec<Look> {
    let mut looks = Vec::new();
    for line in seen.lines().filter(|line| !line.trim().is_empty()) {
        let mut columns = line.split_whitespace();
        let (time, members) = (columns.next().unwrap(), columns.next().unwrap());
        let (first, last) = time.split_once('-').unwrap_or((time, time));
        let (first, last): (u32, u32) = (first.parse().unwrap(), last.parse().unwrap());
        let columns: Vec<&str> = columns.collect();
        for second in first..=last {
            let (since, now_ms) = (f64::from(second - first), 1e12 + f64::from(second) * 1e3);
            let unread = columns.contains(&"x").then(|| ("t".to_owned(), "gone".to_owned()));
            let partitions = columns.iter().filter(|text| **text != "x");
            let partitions = partitions.enumerate().map(|(i, text)| partition(text, i as i32, since, now_ms));
            looks.push(Look {
                at_s: f64::from(second),
                now_ms,
                group: group(members),
                partitions: partitions.collect(),
                unread: unread.into_iter().collect(),
            });
        }
    }
    looks
}

fn figure(sample: &KafkaSample, name: &str) -> Option<f64> {
    match name {
        "lag" => sample.lag.map(|lag| lag as f64),
        "slope" => sample.slope,
        "drain_s" => sample.drain_s,
        "time_lag_ms" => sample.time_lag_ms,
        "produced_per_s" => sample.produced_per_s,
        "consumed_per_s" => sample.consumed_per_s,
        "rebalances" => Some(f64::from(sample.rebalances)),
        other => panic!("no figure {other}"),
    }
}

fn judge(case: &Case, file: &Path) -> Vec<String> {
    let rules = Rules { allowed: case.allowed, commit_interval: std::time::Duration::from_secs(case.commit_s) };
    let mut history = History::new(rules);
    let looks = looks(&case.seen);
    let samples: Vec<(u32, KafkaSample)> =
        looks.iter().map(|look| (look.at_s as u32, history.push("g", look))).collect();
    let mut wrong = Vec::new();
    let mut say = |text: String| wrong.push(format!("{}: {}: {text}", file.display(), case.name));
    for (second, expected) in &case.expect.then {
        let found = samples.iter().find(|(at, _)| at == second).unwrap().1.status;
        if found != *expected {
            say(format!("{found:?} at {second}, not {expected:?}"));
        }
    }
    let last = &samples.last().unwrap().1;
    if last.status != case.expect.status {
        say(format!("{:?}, not {:?}", last.status, case.expect.status));
    }
    let statuses: Vec<LagStatus> = last.partitions.iter().map(|p| p.status).collect();
    if case.expect.partitions.as_ref().is_some_and(|expected| *expected != statuses) {
        say(format!("partitions {statuses:?}"));
    }
    for (name, expected) in &case.expect.figures {
        let found = figure(last, name);
        let same = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < 1e-6 * expected.abs().max(1.0),
            (found, expected) => found == *expected,
        };
        if !same {
            say(format!("{name} {found:?}, not {expected:?}"));
        }
    }
    let hot: Vec<i32> = last.partitions.iter().filter(|p| p.hot).map(|p| p.partition).collect();
    if hot != case.expect.hot {
        say(format!("hot {hot:?}, not {:?}", case.expect.hot));
    }
    wrong
}

#[test]
fn every_case_means_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut wrong, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let cases: Vec<Case> = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        for case in cases {
            wrong.extend(judge(&case, &file));
            seen.insert(case.expect.status);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen.len(), 11, "only {seen:?} have a case");
}
