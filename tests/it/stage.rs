//! The traces of a coupon run, laid by hand: rows, events, offsets, a gate and a ledger that are in order.
//!
//! Each stage has a database, a topic, a group and a coupon of its own, so that tests can spoil them side by side.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use contract::{
    claim::{Claim, Id, Kind},
    endpoint::Endpoints,
    names,
    system::System,
};
use load::ledger::{Entry, LedgerWriter, Outcome};
use mysql_async::{Conn, prelude::Queryable};
use probe::{self, Starts};
use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use record::event::names::Check;
use redis::aio::MultiplexedConnection;
use verify::{self, CheckResult, LogBefore, Subject, VerifyPlan, VerifyReport};

use crate::support;

pub const PARTITIONS: i32 = 3;
const WAIT: Duration = Duration::from_secs(20);

const TABLES: [&str; 4] = [
    "CREATE TABLE users (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100))",
    "CREATE TABLE coupons (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200), \
     quantity INT UNSIGNED NOT NULL, issued INT UNSIGNED NOT NULL DEFAULT 0, epoch VARCHAR(80) NULL, \
     epoch_floor BIGINT UNSIGNED NOT NULL DEFAULT 0)",
    "CREATE TABLE coupon_users (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, coupon_id BIGINT UNSIGNED NOT NULL, \
     user_id BIGINT UNSIGNED NOT NULL, event_id CHAR(36) CHARACTER SET ascii NOT NULL, \
     grant_seq BIGINT UNSIGNED NOT NULL, created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), \
     UNIQUE KEY uk_coupon_users_event (event_id), UNIQUE KEY uk_coupon_users_coupon_user (coupon_id, user_id), \
     FOREIGN KEY (user_id) REFERENCES users (id))",
    "CREATE TABLE coupon_epochs (coupon_id BIGINT UNSIGNED, counter BIGINT UNSIGNED, epoch VARCHAR(80), \
     run_id VARCHAR(64), total INT UNSIGNED, floor BIGINT UNSIGNED, log_starts LONGTEXT, opened_at DATETIME(6), \
     PRIMARY KEY (coupon_id, counter))",
];

/// One coupon's traces in real servers.
pub struct Stage {
    pub endpoints: Endpoints,
    pub coupon: u64,
    pub total: u64,
    pub topic: String,
    pub group: String,
    /// Users 1..=granted hold a coupon; the two after them were told `SOLD_OUT`.
    pub granted: u64,
    pub folder: tempfile::TempDir,
    pub sql: Conn,
    pub redis: MultiplexedConnection,
    /// Redis's own: an epoch is bound to it.
    pub run_id: String,
    /// Where the logs ended when the epoch was opened.
    pub starts: Starts,
    producer: FutureProducer,
}

impl Stage {
    /// `granted` of `total` coupons, fairly and completely. With all of them granted two more users were told `SOLD_OUT`.
    pub async fn in_order(granted: u64, total: u64) -> Self {
        let mut stage = Self::empty(granted, total).await;
        for user in 1..=granted {
            stage.send(&stage.topic.clone(), user, user, 3, None).await;
            stage.row(user, &stage.event_id(user), user).await;
        }
        stage.run(&format!("UPDATE coupons SET issued = {granted} WHERE id = {}", stage.coupon)).await;
        stage.open_gate().await;
        stage.write_ledger();
        stage.commit_to_end().await;
        stage
    }

    /// Tables, topics and an epoch that has just been opened, behind what an earlier run left.
    pub async fn empty(granted: u64, total: u64) -> Self {
        let mut endpoints = support::servers();
        let id: u64 = rand::random_range(1..1 << 40);
        let mut sql = Conn::new(endpoints.mysql.opts(0, 1)).await.unwrap();
        endpoints.mysql.database = format!("verify_{id}");
        sql.query_drop(format!("CREATE DATABASE verify_{id} CHARACTER SET utf8mb4")).await.unwrap();
        sql.query_drop(format!("USE verify_{id}")).await.unwrap();
        for table in TABLES {
            sql.query_drop(table).await.unwrap();
        }
        let mut redis = endpoints.redis.client().unwrap().get_multiplexed_async_connection().await.unwrap();
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut redis).await.unwrap();
        let run_id = probe::run_id(&info).unwrap();
        let topic = format!("verify-{id}");
        make_topics(&endpoints, &topic).await;
        let producer = endpoints.kafka.client_config().set("linger.ms", "0").create().unwrap();
        let (group, folder) = (format!("verify-{id}-group"), tempfile::tempdir().unwrap());
        let starts = Starts::default();
        let mut stage =
            Self { endpoints, coupon: id, total, topic, group, granted, folder, sql, redis, run_id, starts, producer };
        for user in 1..=granted + 10 {
            stage.run(&format!("INSERT INTO users (id, name) VALUES ({user}, 'User_{user}')")).await;
        }
        // An earlier run's events stay in the log; they are below the epoch's starts.
        stage.send(&stage.topic.clone(), 1, 1, 2, Some("an earlier run")).await;
        let dead = names::dead_letter_topic(&stage.topic);
        stage.send(&dead, 1, 1, 2, Some("an earlier run")).await;
        let mut starts = BTreeMap::new();
        for topic in [stage.topic.clone(), dead.clone()] {
            starts.insert(topic.clone(), stage.ends(&topic));
        }
        stage.starts = Starts { topic: starts[&stage.topic].clone(), dead_letters: Some(starts[&dead].clone()) };
        let starts = serde_json::to_string(&starts).unwrap();
        let (epoch, run_id) = (stage.epoch(3), stage.run_id.clone());
        stage
            .run(&format!(
                "INSERT INTO coupons (id, name, quantity, epoch, epoch_floor) VALUES ({id}, 'c', {total}, '{epoch}', 3)"
            ))
            .await;
        stage
            .run(&format!(
                "INSERT INTO coupon_epochs VALUES ({id}, 3, '{epoch}', '{run_id}', {total}, 3, '{starts}', NOW(6))"
            ))
            .await;
        // A straggler of that run arrives after the epoch was opened; consumers skip it.
        stage.send(&stage.topic.clone(), 2, 2, 2, Some("a straggler")).await;
        stage
    }

    /// An epoch, named as version 0.1 did: what it left must stay readable.
    pub fn epoch(&self, counter: u64) -> String {
        format!("{}:{counter}", self.run_id)
    }

    pub fn event_id(&self, user: u64) -> String {
        format!("{:08x}-0000-4000-8000-{user:012x}", self.coupon as u32)
    }

    /// Sends an event of `user`, with `note` in its id where it is a foreign one. Gives its place.
    pub async fn send(&self, topic: &str, user: u64, seq: u64, counter: u64, note: Option<&str>) -> (i32, i64) {
        let event_id = note.map_or_else(|| self.event_id(user), |note| format!("{note} {user}"));
        let (coupon, epoch) = (self.coupon, self.epoch(counter));
        let event = format!(
            r#"{{"event_id":"{event_id}","coupon_id":{coupon},"user_id":{user},"grant_seq":{seq},"epoch":"{epoch}","granted_at_ms":0}}"#
        );
        self.send_raw(topic, &user.to_string(), &event).await
    }

    pub async fn send_raw(&self, topic: &str, key: &str, value: &str) -> (i32, i64) {
        let headers =
            OwnedHeaders::new().insert(Header { key: names::HEADER_ERROR, value: Some("a row that cannot be") });
        let record = FutureRecord::to(topic).key(key).payload(value).headers(headers);
        let delivery = self.producer.send(record, WAIT).await.unwrap();
        (delivery.partition, delivery.offset)
    }

    pub async fn row(&mut self, user: u64, event_id: &str, seq: u64) {
        let coupon = self.coupon;
        self.run(&format!(
            "INSERT INTO coupon_users (coupon_id, user_id, event_id, grant_seq) VALUES ({coupon}, {user}, '{event_id}', {seq})"
        ))
        .await;
    }

    pub async fn run(&mut self, sql: &str) {
        self.sql.query_drop(sql).await.unwrap();
    }

    pub async fn redis(&mut self, command: &[&str]) {
        let mut cmd = redis::cmd(command[0]);
        cmd.arg(&command[1..]);
        cmd.query_async::<redis::Value>(&mut self.redis).await.unwrap();
    }

    async fn open_gate(&mut self) {
        let keys = contract::claim::gate_keys(self.coupon);
        let (stock, total, granted) =
            ((self.total - self.granted).to_string(), self.total.to_string(), self.granted.to_string());
        self.redis(&["SET", &keys.stock, &stock]).await;
        let epoch = self.epoch(3);
        self.redis(&["HSET", &keys.epoch, "id", &epoch, "total", &total, "seq", &granted]).await;
        for user in 1..=self.granted {
            self.redis(&["HSET", &keys.users, &user.to_string(), &user.to_string()]).await;
        }
    }

    /// Each user asks when the one before has been answered; then the first one asks again, and two more come too late.
    fn write_ledger(&self) {
        let mut ledger = LedgerWriter::create(&self.folder.path().join("ledger"), 0).unwrap();
        let mut clock = 0;
        let (kind, key) = (Kind::Coupon, Some(Id::Number(self.coupon)));
        let mut push = |actor, outcome| {
            clock += 1_000_000;
            let (start_ns, end_ns) = (clock, clock + 500_000);
            ledger.push(Entry { kind, key, actor, start_ns, end_ns, outcome, receipt: None }).unwrap();
        };
        (1..=self.granted).for_each(|user| push(user, Outcome::Acknowledged));
        push(1, Outcome::Duplicate);
        if self.granted == self.total {
            push(self.granted + 1, Outcome::Exhausted);
            push(self.granted + 2, Outcome::Exhausted);
        }
        ledger.finish().unwrap();
    }

    fn answers(&self) -> u64 {
        self.granted + if self.granted == self.total { 3 } else { 1 }
    }

    pub fn consumer(&self) -> BaseConsumer {
        let mut config = self.endpoints.kafka.client_config();
        config.set("group.id", &self.group).set("enable.auto.commit", "false").create().unwrap()
    }

    pub fn ends(&self, topic: &str) -> BTreeMap<i32, i64> {
        let consumer = self.consumer();
        (0..PARTITIONS).map(|p| (p, consumer.fetch_watermarks(topic, p, WAIT).unwrap().1)).collect()
    }

    /// Commits as a group that has consumed everything but the last `behind` records of each partition.
    pub async fn commit(&self, behind: i64) {
        let mut offsets = TopicPartitionList::new();
        for (partition, end) in self.ends(&self.topic) {
            offsets.add_partition_offset(&self.topic, partition, Offset::Offset((end - behind).max(0))).unwrap();
        }
        let consumer = self.consumer();
        tokio::task::spawn_blocking(move || consumer.commit(&offsets, CommitMode::Sync)).await.unwrap().unwrap();
    }

    pub async fn commit_to_end(&self) {
        self.commit(0).await;
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.endpoints.kafka.client_config().create().unwrap()
    }

    /// What its requests claim.
    pub fn claim(&self) -> Claim {
        Claim::coupon(self.coupon)
    }

    pub fn plan(&self) -> VerifyPlan {
        let path = |name: &str| -> PathBuf { self.folder.path().join(name) };
        VerifyPlan {
            endpoints: self.endpoints.clone(),
            topic: self.topic.clone(),
            group: self.group.clone(),
            system: System::default(),
            subjects: vec![Subject { claim: Claim::coupon(self.coupon), total: Some(self.total) }],
            ledger: Some(path("ledger")),
            sent: [(Claim::coupon(self.coupon), self.answers())].into(),
            sets_dir: Some(path("sets")),
            require: Check::all()
                .filter(|check| check.kind != Some(Kind::Point))
                .map(|check| check.id.to_owned())
                .collect(),
            origin_unix_ns: Some(1_000_000_000),
            of_run: None,
            before: LogBefore::default(),
            running: None,
            invariants: verify::invariants::InvariantPlan::default(),
        }
    }

    /// Verifies, sees that the sets that were written lead to the same report, and cleans up.
    pub async fn verify(mut self) -> (VerifyReport, BTreeMap<String, CheckResult>) {
        let report = verify::run(&self.plan()).await.unwrap();
        let again = verify::offline(self.folder.path(), None).unwrap();
        assert_eq!(report, again, "from `sets/` and `ledger/` alone");
        self.clean_up().await;
        let checks = report.checks.iter().map(|check| (check.id.clone(), check.clone())).collect();
        (report, checks)
    }

    pub async fn clean_up(&mut self) {
        let database = self.endpoints.mysql.database.clone();
        self.run(&format!("DROP DATABASE {database}")).await;
        let keys = contract::claim::gate_keys(self.coupon);
        self.redis(&["DEL", &keys.stock, &keys.users, &keys.pending, &keys.epoch]).await;
        let dead = names::dead_letter_topic(&self.topic);
        self.admin().delete_topics(&[&self.topic, &dead], &AdminOptions::new()).await.unwrap();
    }
}

async fn make_topics(endpoints: &Endpoints, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = endpoints.kafka.client_config().create().unwrap();
    let dead = names::dead_letter_topic(topic);
    let new = [topic, &dead].map(|name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)));
    let options = AdminOptions::new().operation_timeout(Some(WAIT));
    for result in admin.create_topics(&new, &options).await.unwrap() {
        result.unwrap();
    }
}
