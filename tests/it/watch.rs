//! The watchers against real servers: what they see, and what they say while one is away.

use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant},
};

use contract::{claim::Claim, endpoint::Endpoints, human::Secret, names, system::System};
use ecomctl::watch::{WatchPlan, Watchers};
use infra::{env::Env, ports};
use mysql_async::{Conn, prelude::Queryable};
use record::event::{
    Event,
    watch::{MysqlSample, RedisSample},
};

use crate::support;

const WITHIN: Duration = Duration::from_secs(20);

/// Watchers of `endpoints`, and what they tell.
fn watch(endpoints: &Endpoints) -> (Watchers, Receiver<Event>) {
    let (sender, events) = channel();
    let plan = WatchPlan {
        state: None,
        endpoints: endpoints.clone(),
        stack: Arc::new(|| None),
        topic: System::default().claims().name.to_owned(),
        group: System::default().claims().group.to_owned(),
        interval: Duration::from_millis(200),
    };
    let watchers = Watchers::start(plan, move |event| drop(sender.send(event)));
    (watchers, events)
}

/// The first event that `choose` takes.
async fn wait<T: Send + 'static>(
    events: Receiver<Event>,
    choose: impl Fn(Event) -> Option<T> + Send + 'static,
) -> (T, Receiver<Event>) {
    let waiting = move || {
        let since = Instant::now();
        let mut last = String::new();
        while since.elapsed() < WITHIN {
            let Ok(event) = events.recv_timeout(WITHIN) else { break };
            last = format!("{event:?}");
            if let Some(found) = choose(event) {
                return (found, events);
            }
        }
        panic!("it never came; the last event was {last}");
    };
    tokio::task::spawn_blocking(waiting).await.unwrap()
}

fn mysql(event: Event) -> Option<MysqlSample> {
    if let Event::Mysql(sample) = event { Some(sample) } else { None }
}

fn redis(event: Event) -> Option<RedisSample> {
    if let Event::Redis(sample) = event { Some(sample) } else { None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_wait_is_seen_with_its_blocker_and_slow_statements_are_listed() {
    let endpoints = support::servers();
    let table = format!("watched_{}", rand::random_range(1..1_u64 << 40));
    let mut holder = Conn::new(endpoints.mysql.opts(0, 1)).await.unwrap();
    let mut waiter = Conn::new(endpoints.mysql.opts(0, 1)).await.unwrap();
    holder.query_drop(format!("CREATE TABLE {table} (id INT PRIMARY KEY, n INT)")).await.unwrap();
    holder.query_drop(format!("INSERT INTO {table} VALUES (1, 0)")).await.unwrap();
    holder.query_drop("SET SESSION long_query_time = 0.2").await.unwrap();
    let output: String = holder.query_first("SELECT @@global.log_output").await.unwrap().unwrap();
    holder.query_drop("SET GLOBAL log_output = 'TABLE'").await.unwrap();
    let on: u8 = holder.query_first("SELECT @@global.slow_query_log").await.unwrap().unwrap();
    holder.query_drop("SET GLOBAL slow_query_log = ON").await.unwrap();
    holder.query_drop("SELECT SLEEP(0.4) /* 느린 */").await.unwrap();

    let (watchers, events) = watch(&endpoints);
    holder.query_drop("BEGIN").await.unwrap();
    holder.query_drop(format!("UPDATE {table} SET n = 1 WHERE id = 1")).await.unwrap();
    let (holding, waiting) = (u64::from(holder.id()), u64::from(waiter.id()));
    let update = format!("UPDATE {table} SET n = 2 WHERE id = 1");
    let blocked = tokio::spawn(async move {
        waiter.query_drop(update).await.unwrap();
    });
    let (sample, events) = wait(events, move |event| {
        mysql(event).filter(|sample| sample.lock_waits.iter().flatten().any(|wait| wait.waiting == waiting))
    })
    .await;
    let waits = sample.lock_waits.clone().unwrap();
    let seen = waits.iter().find(|wait| wait.waiting == waiting).unwrap();
    assert_eq!(seen.blocking, holding, "{seen:?}");
    assert!(seen.table.ends_with(&table) && seen.waiting_sql.starts_with("UPDATE watched_"), "{seen:?}");
    assert!(sample.max_connections >= sample.connections && sample.connections >= 3, "{sample:?}");
    assert!(sample.buffer_pool > 0 && sample.latency_ms.is_some() && !sample.version.is_empty());
    holder.query_drop("COMMIT").await.unwrap();
    blocked.await.unwrap();
    let (after, _events) =
        wait(events, move |event| mysql(event).filter(|s| s.lock_waits.as_ref().is_some_and(Vec::is_empty))).await;
    assert!(after.row_lock_waits >= 1 && after.queries_per_s.is_some());
    let slow = after.slow.unwrap_or_default();
    let slept = slow.iter().find(|query| query.sql.contains("SLEEP(0.4)")).unwrap_or_else(|| panic!("{slow:?}"));
    assert!(slept.query_ms >= 400.0 && slept.query_ms < 60_000.0 && slept.at.starts_with("20"), "{slept:?}");
    watchers.stop().await;

    for statement in [
        format!("SET GLOBAL log_output = '{output}'"),
        format!("SET GLOBAL slow_query_log = {on}"),
        format!("DROP TABLE {table}"),
    ] {
        holder.query_drop(statement).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_rights_leaves_figures_out_and_the_rest_goes_on() {
    let mut endpoints = support::servers();
    let mut admin = Conn::new(endpoints.mysql.opts(0, 1)).await.unwrap();
    let user = format!("watch_{}", rand::random_range(1..1_u32 << 30));
    admin.query_drop(format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'pw-Watch-1'")).await.unwrap();
    let mut control = endpoints.redis.client().unwrap().get_multiplexed_async_connection().await.unwrap();
    let acl = ["SETUSER", &user, "on", ">pw-watch", "~*", "-@all", "+ping", "+info", "+client", "+hello", "+select"];
    redis::cmd("ACL").arg(&acl).query_async::<()>(&mut control).await.unwrap();
    (endpoints.mysql.user, endpoints.mysql.password) = (user.clone(), Secret::new("pw-Watch-1"));
    endpoints.mysql.database = "information_schema".into();
    endpoints.redis.user = Some(user.clone());
    endpoints.redis.password = Some(Secret::new("pw-watch"));
    let (watchers, events) = watch(&endpoints);
    let (sample, events) = wait(events, redis).await;
    assert!(sample.used_memory > 0 && sample.latency_ms.is_some() && sample.slow.is_empty(), "{sample:?}");
    assert_eq!(sample.denied, ["SLOWLOG", "SCAN"], "{sample:?}");
    let (sample, _events) = wait(events, mysql).await;
    assert!(sample.lock_waits.is_none() && sample.denied.contains(&"lock_waits".to_owned()), "{sample:?}");
    assert!(sample.connections > 0 && sample.max_connections > 0, "{sample:?}");
    watchers.stop().await;
    admin.query_drop(format!("DROP USER '{user}'@'%'")).await.unwrap();
    redis::cmd("ACL").arg(&["DELUSER", &user]).query_async::<()>(&mut control).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn gates_are_found_behind_very_many_cached_products() {
    let mut endpoints = support::servers();
    endpoints.redis.db = 15;
    let mut control = endpoints.redis.client().unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut pipe = redis::pipe();
    for id in 1..=40_000 {
        pipe.set_ex(names::product_key(id), "x", 60).ignore();
    }
    for id in 1..=9 {
        pipe.set_ex(contract::claim::gate_keys(id).stock, 5, 60).ignore();
    }
    pipe.query_async::<()>(&mut control).await.unwrap();
    let (watchers, events) = watch(&endpoints);
    let (sample, _events) = wait(events, redis).await;
    assert_eq!(sample.subjects.keys().copied().collect::<Vec<_>>(), (1..=9).map(Claim::coupon).collect::<Vec<_>>());
    watchers.stop().await;
    redis::cmd("FLUSHDB").query_async::<()>(&mut control).await.unwrap();
}

/// A Redis of the test's own; it ends with the test.
struct Small {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Small {
    fn start(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = ports::free(&std::collections::BTreeSet::new()).unwrap();
        let child = Self::spawn(&folder, port, policy);
        Self { child, port, folder }
    }

    fn spawn(folder: &tempfile::TempDir, port: u16, policy: &str) -> Child {
        use std::os::unix::process::CommandExt as _;

        let program = Env::from_process().redis_server().unwrap();
        let port = port.to_string();
        Command::new(program)
            .arg0("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--maxmemory", "3mb", "--maxmemory-policy", policy, "--slowlog-log-slower-than", "0"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    async fn connect(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let since = Instant::now();
        loop {
            match client.get_multiplexed_async_connection().await {
                Ok(connection) => return connection,
                Err(error) => assert!(since.elapsed() < WITHIN, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        self.end();
    }
}

/// Writes until the memory is surely full; gives the number of refusals.
async fn fill(connection: &mut redis::aio::MultiplexedConnection) -> u64 {
    let mut refused = 0;
    for i in 0..600 {
        let set = redis::cmd("SET").arg(format!("filler:{i}")).arg("x".repeat(10_000)).to_owned();
        refused += u64::from(set.query_async::<()>(connection).await.is_err());
    }
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_full_evicting_killed_and_back_is_told() {
    let mut endpoints = support::servers();
    let mut small = Small::start("noeviction");
    endpoints.redis = format!("redis://127.0.0.1:{}", small.port).parse().unwrap();
    let mut connection = small.connect().await;
    let (watchers, events) = watch(&endpoints);

    // Full, and nothing may be thrown away: writers are refused.
    let refused = fill(&mut connection).await;
    assert!(refused > 0);
    let (sample, events) = wait(events, |event| redis(event).filter(|sample| sample.oom_errors > 0)).await;
    assert_eq!((sample.policy.as_str(), sample.max_memory, sample.evicted), ("noeviction", 3 << 20, 0));
    assert!(sample.slow.iter().any(|slow| slow.command.starts_with("SET filler:")), "{:?}", sample.slow);

    // Now it may: keys go.
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory-policy", "allkeys-lru"])
        .query_async::<()>(&mut connection)
        .await
        .unwrap();
    assert_eq!(fill(&mut connection).await, 0);
    for key in ["filler:599", "nothing"] {
        redis::cmd("GET").arg(key).query_async::<Option<String>>(&mut connection).await.unwrap();
    }
    let (sample, events) =
        wait(events, |event| redis(event).filter(|sample| sample.evicted > 0 && sample.hit_rate.is_some())).await;
    assert_eq!((sample.policy.as_str(), sample.hit_rate), ("allkeys-lru", Some(0.5)));
    let before = sample.run_id;

    small.end();
    let (why, events) = wait(events, |event| match event {
        Event::Unreachable { source, why } if source == "redis" => Some(why),
        _ => None,
    })
    .await;
    assert!(why.contains(&format!("127.0.0.1:{}", small.port)), "{why}");
    // Told once; the others go on meanwhile.
    let (mut again, mut others) = (0, 0);
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(1_500) {
        match events.recv_timeout(Duration::from_millis(100)) {
            Ok(Event::Unreachable { source, .. }) if source == "redis" => again += 1,
            Ok(Event::Mysql(_)) => others += 1,
            _ => {}
        }
    }
    assert!(again == 0 && others > 0, "told {again} times more; {others} samples of MySQL");
    small.child = Small::spawn(&small.folder, small.port, "noeviction");
    let (sample, _events) = wait(events, redis).await;
    assert_ne!(sample.run_id, before);
    assert!(sample.hit_rate.is_none(), "counters of another server");
    watchers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consumer_group_is_watched_too() {
    let endpoints = support::servers();
    let (watchers, events) = watch(&endpoints);
    let (group, _events) = wait(events, |event| match event {
        Event::Kafka(sample) => Some(sample.group),
        _ => None,
    })
    .await;
    assert_eq!(group, System::default().claims().group);
    let since = Instant::now();
    watchers.stop().await;
    assert!(since.elapsed() < Duration::from_secs(2));
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let time = |t: nix::sys::time::TimeVal| Duration::new(t.tv_sec() as u64, t.tv_usec() as u32 * 1_000);
    time(usage.user_time()) + time(usage.system_time())
}

#[tokio::test]
#[ignore = "measures for half a minute, alone; started by hand"]
async fn what_all_watchers_cost_together() {
    let endpoints = support::servers();
    let (sender, events) = channel();
    let plan = WatchPlan {
        state: None,
        endpoints,
        stack: Arc::new(|| None),
        topic: System::default().claims().name.to_owned(),
        group: System::default().claims().group.to_owned(),
        interval: Duration::from_secs(1),
    };
    let watchers = Watchers::start(plan, move |event| drop(sender.send(event)));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, began) = (cpu(), Instant::now());
    tokio::time::sleep(Duration::from_secs(25)).await;
    let share = cpu().saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64();
    watchers.stop().await;
    println!("all watchers at one look a second: {:.2} % of a core, {} events", share * 100.0, events.iter().count());
    assert!(share < 0.02, "{share}");
}
