//! The API process: its answers to good and bad requests, health, metrics, and its end.

use std::net::SocketAddr;

use contract::{human::HumanDuration, names::dead_letter_topic, process::Role};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use crate::backend_world::{World, free_address, until};

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

async fn raw(address: SocketAddr, request: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    Ok(Answer { status, head: head.to_ascii_lowercase(), body })
}

pub async fn call(address: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    call_with(address, method, path, "", body).await
}

/// The same with `headers`, each with its line's end.
pub async fn call_with(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    raw(address, request.as_bytes()).await.expect("answers")
}

pub struct Process {
    pub address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), backend::BackendError>>,
}

pub async fn start(world: &World) -> Process {
    let topic = world.system.claims();
    world.create_topic(topic.name, topic.partitions.into()).await;
    world.create_topic(&dead_letter_topic(topic.name), 1).await;
    // Whether every gate is open is no matter here: other tests have coupons of their own.
    launch(world, Role::Api, &["mysql", "schema", "redis", "kafka"]).await
}

/// Launches one process of the backend and waits until `parts` of it are up.
pub async fn launch(world: &World, role: Role, parts: &[&str]) -> Process {
    let address = free_address();
    let stop = CancellationToken::new();
    let process = tokio::spawn(backend::run(world.process(role, address), stop.clone()));
    until("the process answers", async || {
        let health = raw(address, b"GET /actuator/health HTTP/1.0\r\n\r\n").await;
        health.is_ok_and(|health| parts.iter().all(|part| health.body["components"][part]["status"] == "UP"))
    })
    .await;
    Process { address, stop, task: process }
}

impl Process {
    pub async fn end(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(std::time::Duration::from_secs(20), self.task).await;
        ended.expect("ends in time").expect("does not panic").expect("ends well");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn coupons_are_issued_refused_and_run_out() {
    let world = World::new().await;
    let api = start(&world).await;
    let coupon = world.coupon(2).await;
    let users = world.users(3).await;
    let path = format!("/api/coupons/{coupon}/issue");
    let issue = async |user: u64| call(api.address, "POST", &path, &format!(r#"{{"userId":{user}}}"#)).await;

    let closed = issue(users[0]).await;
    assert_eq!(closed.status, 503, "{}", closed.body);
    assert!(closed.head.contains("retry-after: 1"), "{}", closed.head);
    world.open(coupon, 2, world.system.claims().name).await;
    // Refreshes are rate limited: a gate that has just opened may look closed for a moment.
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    let first = issue(users[0]).await;
    assert_eq!((first.status, first.body["result"].as_str()), (200, Some("QUEUED")), "{}", first.body);
    assert_eq!(first.body["grantSeq"], 1);
    let event_id = first.body["eventId"].as_str().expect("an event id").to_owned();
    let sent = world.read(world.system.claims().name).await;
    assert!(sent.iter().any(|(value, _)| String::from_utf8_lossy(value).contains(&event_id)), "not in Kafka");
    let again = issue(users[0]).await;
    assert_eq!((again.status, again.body["result"].as_str()), (409, Some("DUPLICATE")));
    assert_eq!(issue(users[1]).await.body["grantSeq"], 2);
    let late = issue(users[2]).await;
    assert_eq!((late.status, late.body["result"].as_str()), (410, Some("SOLD_OUT")));

    // A new epoch is picked up without a restart.
    world.open(coupon, 1, world.system.claims().name).await;
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    assert_eq!(issue(users[2]).await.status, 200);

    let metrics = call(api.address, "GET", "/metrics", "").await;
    let text = metrics.body.as_str().expect("text").to_owned();
    assert!(metrics.head.contains("text/plain; version=0.0.4"), "{}", metrics.head);
    assert!(text.contains(r#"ecom_coupon_requests_total{result="queued"} 3"#), "{text}");
    assert!(text.contains(r#"ecom_coupon_requests_total{result="sold_out"} 1"#), "{text}");
    let route = r#"method="POST",route="/api/coupons/{id}/issue""#;
    assert!(text.contains(&format!("http_requests_total{{{route},status=\"410\"}} 1")), "{text}");
    assert!(text.contains(&format!("http_request_duration_seconds_count{{{route}}} 6")), "{text}");
    api.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_a_clear_answer() {
    let world = World::new().await;
    let api = start(&world).await;
    let coupon = world.coupon(2).await;
    let user = world.users(1).await[0];
    world.open(coupon, 2, world.system.claims().name).await;
    let mut conn = world.pool.get_conn().await.expect("connects");
    let over = world.coupon(2).await;
    mysql_async::prelude::Queryable::exec_drop(
        &mut conn,
        "UPDATE coupons SET end_date = start_date WHERE id = ?",
        (over,),
    )
    .await
    .expect("updates");
    let issue = format!("/api/coupons/{coupon}/issue");
    let good = format!(r#"{{"userId":{user}}}"#);
    let large = format!(r#"{{"userId":{user},"x":"{}"}}"#, "x".repeat(10 * 1024 * 1024));
    let cases = [
        ("POST", issue.as_str(), "", 422, "empty"),
        ("POST", &issue, "{", 422, "not what it must be"),
        ("POST", &issue, "null", 422, "not what it must be"),
        ("POST", &issue, "{}", 422, "userId"),
        ("POST", &issue, r#"{"userId":"1"}"#, 422, "expected u64"),
        ("POST", &issue, r#"{"userId":-1}"#, 422, "-1"),
        ("POST", &issue, r#"{"userId":1.5}"#, 422, "1.5"),
        ("POST", &issue, r#"{"userId":18446744073709551615}"#, 404, "there is no user"),
        ("POST", &issue, &large, 413, "larger than"),
        ("POST", "/api/coupons/abc/issue", &good, 422, "`abc` is not a number"),
        ("POST", "/api/coupons/-1/issue", &good, 422, "not a number"),
        ("POST", "/api/coupons/%ff/issue", &good, 422, ""),
        ("POST", "/api/coupons/18446744073709551615/issue", &good, 404, "there is no coupon"),
        ("POST", &format!("/api/coupons/{over}/issue"), &good, 422, "not valid at this time"),
        ("GET", &issue, "", 405, "method"),
        ("GET", "/nowhere", "", 404, "no such route"),
        ("POST", "/api/users", r#"{"name":"","email":"a"}"#, 422, "name is empty"),
        ("POST", "/api/users", r#"{"name":"a"}"#, 422, "email"),
        ("GET", "/api/users/x/coupons", "", 422, "not a number"),
        ("GET", "/api/users/18446744073709551615/coupons", "", 404, "there is no user"),
        ("GET", "/api/products?limit=0", "", 422, "1 to 100"),
        ("GET", "/api/products?limit=x", "", 422, ""),
        ("GET", "/api/products/18446744073709551615", "", 404, "there is no product"),
        ("POST", "/api/products", r#"{"name":"a","price":-1,"stock":1}"#, 422, "-1"),
    ];
    for (method, path, body, status, says) in cases {
        let answer = call(api.address, method, path, body).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(answer.status, status, "{method} {path} {shown}: {}", answer.body);
        let error = answer.body["error"].as_str().unwrap_or_else(|| panic!("{method} {path}: no JSON error"));
        assert!(error.contains(says), "{method} {path} {shown}: {error}");
    }
    assert_eq!(call(api.address, "POST", &issue, &good).await.status, 200, "the good one still goes");
    api.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_products_are_made_and_read() {
    let world = World::new().await;
    let api = start(&world).await;
    let email = format!("{}@test.com", uuid::Uuid::now_v7());
    let new = format!(r#"{{"name":"김쿠폰","email":"{email}"}}"#);
    let made = call(api.address, "POST", "/api/users", &new).await;
    assert_eq!((made.status, made.body["name"].as_str()), (201, Some("김쿠폰")));
    assert_eq!(call(api.address, "POST", "/api/users", &new).await.status, 409);
    let user = made.body["id"].as_u64().expect("an id");
    let held = call(api.address, "GET", &format!("/api/users/{user}/coupons"), "").await;
    assert_eq!((held.status, held.body["coupons"].as_array().map(Vec::len)), (200, Some(0)));
    let product = r#"{"name":"셔츠","price":12000,"stock":5,"description":"면"}"#;
    let made = call(api.address, "POST", "/api/products", product).await;
    assert_eq!(made.status, 201);
    let id = made.body["id"].as_u64().expect("an id");
    let read = call(api.address, "GET", &format!("/api/products/{id}"), "").await;
    assert_eq!((read.status, read.body["description"].as_str()), (200, Some("면")));
    let page = call(api.address, "GET", &format!("/api/products?limit=1&after={}", id - 1), "").await;
    assert_eq!(page.body["products"][0]["id"], id);
    let noop = call(api.address, "GET", "/noop", "").await;
    assert_eq!(noop.status, 204);
    let alive = call(api.address, "GET", "/actuator/health/liveness", "").await;
    assert_eq!((alive.status, alive.body["instance"].as_str()), (200, Some("42")));
    api.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_and_a_bad_failpoint_are_start_errors() {
    let mut world = World::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = taken.local_addr().expect("has an address");
    let error = backend::run(world.process(Role::Api, address), CancellationToken::new()).await;
    assert!(error.is_err_and(|e| e.to_string().contains(&address.to_string())));
    world.settings.failpoints.insert("api.after_gate".into(), "boom".into());
    let error = backend::run(world.process(Role::Api, free_address()), CancellationToken::new()).await;
    assert!(error.is_err_and(|e| e.to_string().contains("kill@N")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_servers_is_up_and_not_ready() {
    let mut world = World::new().await;
    world.settings.http.request_timeout = HumanDuration::from_millis(500);
    let nowhere = free_address();
    world.endpoints.mysql.port = nowhere.port();
    world.endpoints.redis.port = nowhere.port();
    world.endpoints.kafka.brokers = nowhere.to_string();
    let address = free_address();
    let stop = CancellationToken::new();
    let process = tokio::spawn(backend::run(world.process(Role::Api, address), stop.clone()));
    until("it listens", async || raw(address, b"GET /noop HTTP/1.0\r\n\r\n").await.is_ok()).await;
    assert_eq!(call(address, "GET", "/actuator/health/liveness", "").await.status, 200);
    let ready = call(address, "GET", "/actuator/health/readiness", "").await;
    assert_eq!((ready.status, ready.body["status"].as_str()), (503, Some("DOWN")));
    let issue = call(address, "POST", "/api/coupons/1/issue", r#"{"userId":1}"#).await;
    assert_eq!(issue.status, 503, "{}", issue.body);
    stop.cancel();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), process).await;
    ended.expect("ends in time").expect("does not panic").expect("ends well");
}

/// DUPLICATE says that there is a coupon. As long as Redis alone knows of it, nobody is told so.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_kafka_has_not_acknowledged_is_no_duplicate_yet() {
    let world = World::new().await;
    let api = start(&world).await;
    let coupon = world.coupon(5).await;
    let user = world.users(1).await[0];
    world.open(coupon, 5, world.system.claims().name).await;
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    let keys = contract::claim::gate_keys(coupon);
    let mut redis = world.redis().await;
    let _: () = redis::AsyncCommands::hset(&mut redis, &keys.users, user, "1?").await.expect("sets");
    let path = format!("/api/coupons/{coupon}/issue");
    let body = format!(r#"{{"userId":{user}}}"#);
    let answer = call(api.address, "POST", &path, &body).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    let asking = call(api.address, "POST", &path, &body);
    let acknowledging = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let _: () = redis::AsyncCommands::hset(&mut redis, &keys.users, user, "1").await.expect("sets");
    };
    let (answer, ()) = tokio::join!(asking, acknowledging);
    assert_eq!((answer.status, answer.body["result"].as_str()), (409, Some("DUPLICATE")), "{}", answer.body);
    api.end().await;
}
