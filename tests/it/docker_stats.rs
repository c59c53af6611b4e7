//! Figures and logs of real containers.

use std::time::{Duration, Instant};

use bollard::models::HostConfig;
use infra::{
    logs::{self, LogLine, Range},
    stats::{self, Sampler},
};
use record::event::watch::ComponentSample;

use crate::{
    docker::Containers,
    support::{ECOMCTL, both},
};

const MIB: i64 = 1 << 20;

fn limits(cpus: f64, mebibytes: i64) -> HostConfig {
    HostConfig {
        nano_cpus: Some((cpus * 1e9) as i64),
        memory: Some(mebibytes * MIB),
        memory_swap: Some(mebibytes * MIB),
        ..HostConfig::default()
    }
}

async fn row(containers: &Containers, name: &str) -> ComponentSample {
    stats::stats(&containers.state, &[name.to_owned()]).await.unwrap().components.remove(0)
}

async fn lines(containers: &Containers, names: &[&str], range: Range) -> Vec<LogLine> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    logs::tail_merged(&containers.state, &names, range).await.unwrap()
}

/// Waits until the component has said `word`.
async fn said(containers: &Containers, name: &str, word: &str) {
    let begun = Instant::now();
    while !lines(containers, &[name], Range::default()).await.iter().any(|line| line.text.contains(word)) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{name} never said {word}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Holds the figures against what is known of the container: 0.3 CPUs, 128 MiB, 60 MiB of them page cache.
fn is_held_back(row: &ComponentSample) {
    assert_eq!((row.state.name(), row.provider.name()), ("running", "docker"), "{row:?}");
    assert_eq!((row.cpu_limit_percent, row.mem_limit), (Some(30.0), Some(128 << 20)), "{row:?}");
    assert!(row.cpu.is_some_and(|cpu| (15.0..45.0).contains(&cpu)), "30 of 100 percent: {row:?}");
    assert!(row.throttled.is_some_and(|share| share > 50.0), "it is held back in nearly each period: {row:?}");
    assert!(row.mem.is_some_and(|bytes| bytes < 20 << 20), "page cache is not its memory: {row:?}");
    assert!(row.network.is_some() && !row.oom_killed && row.exit_code.is_none(), "{row:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_at_its_limit_is_shown_held_back_and_its_page_cache_is_not_its_memory() {
    let containers = Containers::new().await;
    let script = "dd if=/dev/zero of=/data/f bs=1M count=60 2>/dev/null; cat /data/f >/dev/null; echo filled; \
                  while :; do :; done";
    containers.start("redis", script, limits(0.3, 128)).await;
    containers.start("idle", "sleep 60", HostConfig::default()).await;
    said(&containers, "redis", "filled").await;
    let begun = Instant::now();
    is_held_back(&row(&containers, "redis").await);
    let took = begun.elapsed();
    eprintln!("one look at two containers: {} ms", took.as_millis());
    assert!(took < Duration::from_secs(3), "one look took {took:?}");
    let idle = row(&containers, "idle").await;
    assert_eq!((idle.cpu_limit_percent, idle.mem_limit, idle.throttled), (None, None, None), "no limit: {idle:?}");
    assert!(idle.cpu.is_some_and(|cpu| cpu < 5.0), "{idle:?}");

    // Who watches gets the same from streams that stay open; a look is quick then.
    let mut sampler = Sampler::default();
    sampler.sample(&containers.state).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let begun = Instant::now();
    let sample = sampler.sample(&containers.state).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(500), "a look took {:?}", begun.elapsed());
    is_held_back(sample.components.iter().find(|row| row.name == "redis").unwrap());

    let output = std::process::Command::new(ECOMCTL)
        .args(["stats", "redis", "--state-dir"])
        .arg(containers.state.root())
        .output()
        .unwrap();
    let text = both(&output);
    assert!(output.status.success() && text.contains("/30 ") && text.contains("/128M "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oom_kill_is_told_also_while_the_first_process_lives() {
    let containers = Containers::new().await;
    // The child takes what it is given; the shell that started it lives on.
    let script = "tail /dev/zero; echo the child is gone; sleep 60";
    containers.start("consumer-1", script, limits(1.0, 32)).await;
    let dies = containers.start("consumer-2", "exec tail /dev/zero", limits(1.0, 32)).await;
    said(&containers, "consumer-1", "gone").await;
    containers.ended(&dies).await;
    let lives = row(&containers, "consumer-1").await;
    assert_eq!((lives.state.name(), lives.oom_killed), ("running", true), "{lives:?}");
    let evidence = lives.oom_evidence.unwrap();
    assert!(evidence.contains("cgroup") || evidence.contains("event"), "the flag is not set yet: {evidence}");
    let dead = row(&containers, "consumer-2").await;
    assert_eq!((dead.state.name(), dead.exit_code, dead.oom_killed), ("exited", Some(137), true), "{dead:?}");
    assert!(dead.oom_evidence.is_some() && dead.cpu.is_none() && dead.mem.is_none(), "{dead:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_containers_and_processes_are_one_log() {
    let containers = Containers::new().await;
    containers.start("kafka-1", "echo first; sleep 3; echo last; sleep 60", HostConfig::default()).await;
    said(&containers, "kafka-1", "first").await;
    let second = containers.start("kafka-2", "echo second >&2; sleep 60", HostConfig::default()).await;
    said(&containers, "kafka-2", "second").await;
    let between = jiff::Timestamp::now();
    // A native server writes its own time, in its own form and zone.
    let local = between.to_zoned(jiff::tz::TimeZone::system());
    let path = containers.state.folder("logs").unwrap().join("redis.log");
    let text = format!("1:M {} * third\n  and its second line\n", local.strftime("%d %b %Y %H:%M:%S.%3f"));
    std::fs::write(path, text).unwrap();

    let mut follow = logs::follow_merged(&containers.state, &[], Range::default()).await.unwrap();
    said(&containers, "kafka-1", "last").await;
    let all = lines(&containers, &[], Range::default()).await;
    let words: Vec<_> = all.iter().map(|line| line.text.split(' ').next_back().unwrap()).collect();
    assert_eq!(words, ["first", "second", "third", "line", "last"], "{all:#?}");
    assert!(all.is_sorted_by_key(|line| line.at));
    assert_eq!(lines(&containers, &["kafka"], Range::default()).await.len(), 3);
    assert_eq!(lines(&containers, &["kafka"], Range { lines: Some(1), since: None }).await.len(), 2);
    let since = lines(&containers, &["kafka"], Range { lines: None, since: Some(between) }).await;
    assert_eq!(since.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["last"]);

    // Followed: the same lines, and those of a container that was started again or has come later.
    containers.docker.restart_container(&second, None).await.unwrap();
    containers.start("api-1", "echo later; sleep 60", HostConfig::default()).await;
    let mut seen = Vec::new();
    while seen.iter().filter(|text| *text == "second").count() < 2 || !seen.contains(&"later".to_owned()) {
        let line = tokio::time::timeout(Duration::from_secs(15), follow.recv()).await;
        seen.push(line.unwrap_or_else(|_| panic!("only {seen:?} came")).unwrap().text);
    }
    for text in ["first", "last", "later", "  and its second line"] {
        assert_eq!(seen.iter().filter(|seen| *seen == text).count(), 1, "{text}: {seen:?}");
    }
}
