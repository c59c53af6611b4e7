//! Products through the cache: what the API answers whatever Redis does, and a run that tells hits from misses.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use contract::{human::HumanDuration, names::product_key};
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::{
    backend_api::{Answer, Process, call, start},
    backend_world::{World, until},
    support::{exit_of, shared},
};

async fn product(world: &World, price: u64) -> u64 {
    let mut conn = world.pool.get_conn().await.expect("connects");
    let insert = "INSERT INTO products (name, price, stock, description) VALUES ('셔츠', ?, 5, '면')";
    conn.exec_drop(insert, (price,)).await.expect("inserts");
    conn.last_insert_id().expect("has an id")
}

async fn read(api: &Process, id: u64) -> Answer {
    call(api.address, "GET", &format!("/api/products/{id}"), "").await
}

/// The header `X-Cache`, in small letters.
fn cache(answer: &Answer) -> Option<&str> {
    answer.head.lines().find_map(|line| line.strip_prefix("x-cache: "))
}

async fn counter(api: &Process, name: &str) -> u64 {
    let metrics = call(api.address, "GET", "/metrics", "").await;
    let text = metrics.body.as_str().expect("text").to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("ecom_product_cache_{name}_total ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_kept_for_its_time_and_whatever_cannot_be_read_is_replaced() {
    let world = World::new().await;
    let api = start(&world).await;
    let id = product(&world, 12_000).await;
    let key = product_key(id);
    let mut redis = world.redis().await;

    let first = read(&api, id).await;
    assert_eq!((first.status, cache(&first)), (200, Some("miss")), "{}", first.head);
    let second = read(&api, id).await;
    assert_eq!((second.status, cache(&second)), (200, Some("hit")), "{}", second.head);
    assert_eq!(first.body, second.body);
    assert_eq!(second.body["description"], "면");
    let ttl: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut redis).await.expect("asks");
    assert!((1..=60_000).contains(&ttl), "{ttl}");

    // What cannot be read, or is another product, is a miss, and is replaced.
    for wrong in ["{", "", r#"{"id":0,"name":"x","price":1,"stock":1,"description":""}"#] {
        redis::cmd("SET").arg(&key).arg(wrong).query_async::<()>(&mut redis).await.expect("sets");
        assert_eq!(cache(&read(&api, id).await), Some("miss"), "{wrong}");
        let again = read(&api, id).await;
        assert_eq!((cache(&again), &again.body), (Some("hit"), &first.body), "{wrong}");
    }
    // What is no text at all belongs to somebody else: it stays, and the answer comes from MySQL.
    redis::pipe().del(&key).hset(&key, "theirs", 1).query_async::<()>(&mut redis).await.expect("sets");
    for _ in 0..2 {
        let answer = read(&api, id).await;
        assert_eq!((cache(&answer), &answer.body), (Some("miss"), &first.body));
    }
    let theirs: u64 = redis::cmd("HGET").arg(&key).arg("theirs").query_async(&mut redis).await.expect("asks");
    assert_eq!(theirs, 1);
    redis::cmd("DEL").arg(&key).query_async::<()>(&mut redis).await.expect("deletes");

    let unknown = read(&api, u64::from(u32::MAX)).await;
    assert_eq!((unknown.status, cache(&unknown)), (404, Some("miss")));
    let list = call(api.address, "GET", "/api/products?limit=1", "").await;
    assert_eq!((list.status, cache(&list)), (200, None));
    let counters = (counter(&api, "hits").await, counter(&api, "misses").await, counter(&api, "errors").await);
    assert_eq!(counters, (4, 7, 2));
    api.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_time_to_live_nothing_is_kept_and_nothing_is_said() {
    let mut world = World::new().await;
    world.settings.product_cache.ttl = HumanDuration::from_secs(0);
    let api = start(&world).await;
    let id = product(&world, 1).await;
    for _ in 0..2 {
        let answer = read(&api, id).await;
        assert_eq!((answer.status, cache(&answer)), (200, None), "{}", answer.head);
    }
    let kept: bool =
        redis::cmd("EXISTS").arg(product_key(id)).query_async(&mut world.redis().await).await.expect("asks");
    assert!(!kept);
    api.end().await;
}

/// A way to a server that can fall silent, and be cut.
struct Way {
    address: SocketAddr,
    silent: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Way {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("has an address");
        let (silent, is_silent) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                ways.spawn(carry(from_client, to_server, is_silent.clone()));
                ways.spawn(carry(from_server, to_client, is_silent.clone()));
            }
        });
        Self { address, silent, task }
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut silent: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(n @ 1..) = from.read(&mut bytes).await {
        if silent.wait_for(|silent| !silent).await.is_err() || to.write_all(&bytes[..n]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_silent_or_away_makes_reads_slower_and_no_more() {
    let mut world = World::new().await;
    let way = Way::to(format!("{}:{}", world.endpoints.redis.host, world.endpoints.redis.port)).await;
    world.endpoints.redis.host = way.address.ip().to_string();
    world.endpoints.redis.port = way.address.port();
    let api = start(&world).await;
    let id = product(&world, 1).await;
    assert_eq!(cache(&read(&api, id).await), Some("miss"));
    assert_eq!(cache(&read(&api, id).await), Some("hit"));

    way.silent.send_replace(true);
    let since = Instant::now();
    let answers = futures_util::future::join_all((0..20).map(|_| read(&api, id))).await;
    let took = since.elapsed();
    assert!(answers.iter().all(|answer| (answer.status, cache(answer)) == (200, Some("miss"))));
    assert!(took < Duration::from_millis(1_500), "20 reads at once took {took:?}");
    assert!(counter(&api, "errors").await >= 20);
    way.silent.send_replace(false);
    until("the cache is used again", async || cache(&read(&api, id).await) == Some("hit")).await;

    way.task.abort();
    for _ in 0..5 {
        let since = Instant::now();
        let answer = read(&api, id).await;
        assert_eq!((answer.status, cache(&answer)), (200, Some("miss")));
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    }
    api.end().await;
}

/// Answers of a summary or an event, hits and misses.
fn answers(cache: &Value) -> (u64, u64) {
    let of = |name: &str| cache[name]["answers"].as_u64().unwrap_or_default();
    (of("hit"), of("miss"))
}

fn named<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let all = summary["requests"].as_array().expect("requests");
    all.iter().find(|request| request["name"] == name).expect("the request")
}

#[test]
fn a_run_tells_hits_from_misses() {
    let stack = shared();
    let run = |ttl: &str| {
        let ttl = format!("backend.product_cache.ttl={ttl}");
        let (code, summary) =
            stack.json(&["run", "product-read", "--duration", "5s", "--set", &ttl, "--set", "goals={}"]);
        assert_eq!((code, &summary["verdict"]), (exit_of(&summary), &"consistent".into()), "{summary:#}");
        let folder = stack.state_dir().join("runs").join(summary["run"].as_str().expect("a name"));
        (summary, folder)
    };
    let events = |folder: &PathBuf| -> Vec<Value> {
        let text = std::fs::read_to_string(folder.join("events.jsonl")).expect("events");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.filter(|event| event["type"] == "load").collect()
    };

    // Of 500 products each is missed again after a second.
    let (summary, folder) = run("1s");
    let product = named(&summary, "product");
    let (hits, misses) = answers(&product["cache"]);
    assert!(hits > 0 && misses > 0, "{product:#}");
    assert_eq!(hits + misses, product["statuses"]["200"].as_u64().expect("answers"), "{product:#}");
    assert!(product["cache"]["hit"]["p95_ms"].is_f64() && product["cache"]["miss"]["p95_ms"].is_f64(), "{product:#}");
    assert!(named(&summary, "issue").get("cache").is_none());
    let metric = |name: &str, value: &str| summary["metrics"][name]["values"][value].as_f64();
    assert_eq!(metric("http_reqs{cache:hit}", "count"), Some(hits as f64));
    assert_eq!(metric("http_req_duration{cache:miss,name:product}", "count"), Some(misses as f64));
    assert_eq!(metric("cache_hit_rate", "passes"), Some(hits as f64));
    assert_eq!(metric("cache_hit_rate", "fails"), Some(misses as f64));
    let loads = events(&folder);
    assert_eq!(answers(&loads.last().expect("a sample")["cache"]), (hits, misses));
    assert!(loads.iter().any(|load| load["cache"]["hit"]["p95_ms"].is_f64()));
    let report = std::fs::read_to_string(folder.join("report.md")).expect("a report");
    assert!(report.contains("cache hit") && report.contains("cache miss"), "{report}");

    let (summary, folder) = run("0s");
    let product = named(&summary, "product");
    assert!(product.get("cache").is_none() && product["statuses"]["200"].as_u64() > Some(0), "{product:#}");
    assert!(summary["metrics"].get("cache_hit_rate").is_none());
    assert!(events(&folder).iter().all(|load| load.get("cache").is_none()));
}
