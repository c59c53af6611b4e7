//! What the backend's tests share: coupons, users and topics of their own.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use backend::{
    consumer::{
        SESSION,
        dead_letter::DeadLetters,
        group::{Member, Parts},
    },
    coupon::{
        consumer::Writer,
        epoch::{self, Epoch, kafka_log_ends},
        event::CouponEvent,
    },
    db::Db,
    health::Health,
    producer::{EventProducer, Outgoing},
    telemetry::Metrics,
};
use contract::{
    endpoint::Endpoints,
    failpoint::Failpoints,
    human::HumanDuration,
    names::dead_letter_topic,
    process::{ProcessConfig, Role},
    settings::Settings,
    system::System,
};
use mysql_async::{Conn, Pool, prelude::Queryable};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{free_port, servers};

/// Real servers with a migrated database.
pub struct World {
    pub system: System,
    pub endpoints: Endpoints,
    pub pool: Pool,
    pub settings: Settings,
}

/// A consumer that runs until it is dropped or stopped.
pub struct Running {
    stop: CancellationToken,
    thread: JoinHandle<()>,
    pub metrics: Metrics,
    pub health: Arc<Health>,
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        self.thread.await.expect("the consumer ends well");
    }
}

/// A record of a dead-letter topic: its value and its headers.
pub type Dead = (Vec<u8>, BTreeMap<String, String>);

impl World {
    pub async fn new() -> Self {
        Self::of(System::default(), servers()).await
    }

    /// The same servers as another system has them: a database and a keyspace of its own.
    pub async fn beside(system: System) -> Self {
        let mut endpoints = servers();
        let mut conn = Conn::new(endpoints.mysql.opts(0, 1)).await.expect("connects");
        let database = system.description().database;
        conn.query_drop(format!("CREATE DATABASE IF NOT EXISTS {database}")).await.expect("creates");
        endpoints.mysql.database = database.into();
        // The tests of the seeder count up from 1.
        endpoints.redis.db = 14;
        Self::of(system, endpoints).await
    }

    async fn of(system: System, endpoints: Endpoints) -> Self {
        let pool = Pool::new(endpoints.mysql.opts(1, 8));
        backend::migrate::run(&pool, system).await.expect("migrates");
        let mut settings = Settings::default();
        settings.producer.delivery_timeout = HumanDuration::from_secs(3);
        settings.producer.linger = HumanDuration::from_millis(1);
        Self { system, endpoints, pool, settings }
    }

    pub async fn coupon(&self, quantity: u32) -> u64 {
        let mut conn = self.pool.get_conn().await.expect("connects");
        let insert = "INSERT INTO coupons (name, discount_amount, quantity, start_date, end_date) \
            VALUES ('test', 5000, ?, NOW() - INTERVAL 1 DAY, NOW() + INTERVAL 30 DAY)";
        conn.exec_drop(insert, (quantity,)).await.expect("inserts");
        conn.last_insert_id().expect("has an id")
    }

    pub async fn users(&self, n: usize) -> Vec<u64> {
        let mut conn = self.pool.get_conn().await.expect("connects");
        let mut ids = Vec::new();
        for _ in 0..n {
            let insert = "INSERT INTO users (name, email) VALUES ('사용자', ?)";
            conn.exec_drop(insert, (format!("{}@test.com", Uuid::now_v7()),)).await.expect("inserts");
            ids.push(conn.last_insert_id().expect("has an id"));
        }
        ids
    }

    pub async fn create_topic(&self, name: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> =
            self.endpoints.kafka.client_config().create().expect("an admin client");
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let made = admin.create_topics(&[topic], &AdminOptions::new()).await.expect("asks");
        for topic in made {
            match topic {
                Ok(_) | Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    /// A topic of its own, with its dead-letter topic.
    pub async fn topic(&self, partitions: i32) -> String {
        let name = format!("test-{}", Uuid::now_v7());
        self.create_topic(&name, partitions).await;
        self.create_topic(&dead_letter_topic(&name), 1).await;
        name
    }

    pub async fn open(&self, coupon: u64, quantity: u32, topic: &str) -> Epoch {
        let kafka = self.endpoints.kafka.clone();
        let ends = || async move { kafka_log_ends(&kafka, &[topic]).await };
        epoch::open(&self.pool, &self.endpoints.redis, ends, coupon, quantity).await.expect("opens")
    }

    pub async fn redis(&self) -> redis::aio::MultiplexedConnection {
        let client = self.endpoints.redis.client().expect("a client");
        client.get_multiplexed_async_connection().await.expect("connects")
    }

    pub fn producer(&self) -> EventProducer {
        EventProducer::new(&self.endpoints.kafka, &self.settings.producer, Metrics::new()).expect("a producer")
    }

    pub async fn produce<V: AsRef<[u8]>>(&self, topic: &str, values: &[V]) {
        let producer = self.producer();
        let sends = values.iter().map(|value| {
            producer.send(Outgoing { topic, key: Some(b"k"), value: Some(value.as_ref()), headers: None })
        });
        for sent in futures_util::future::join_all(sends).await {
            sent.expect("is delivered");
        }
    }

    pub fn db(&self) -> Db {
        Db::new(&self.endpoints.mysql, &self.settings.db_pool, &SESSION)
    }

    pub fn consume(&self, topic: &str) -> Running {
        let metrics = Metrics::new();
        let health = Health::new(&self.process(Role::Consumer, free_address()), &["progress"]);
        let parts = Parts {
            name: "consumer-1".into(),
            kafka: self.endpoints.kafka.clone(),
            topic: topic.to_owned(),
            group: format!("{topic}-group"),
            settings: self.settings.consumer.clone(),
            sink: Writer::new(self.db().pool().clone(), Arc::new(Failpoints::default())),
            dead: DeadLetters::new(self.producer(), topic),
            metrics: metrics.clone(),
            health: health.clone(),
        };
        let stop = CancellationToken::new();
        let (handle, token) = (tokio::runtime::Handle::current(), stop.clone());
        let run = move || Member::join(parts, handle, token).expect("joins").run().expect("runs");
        Running { stop, thread: tokio::task::spawn_blocking(run), metrics, health }
    }

    /// User ids that hold `coupon`, in their order.
    pub async fn holders(&self, coupon: u64) -> Vec<u64> {
        let mut conn = self.pool.get_conn().await.expect("connects");
        let query = "SELECT user_id FROM coupon_users WHERE coupon_id = ? ORDER BY user_id";
        conn.exec(query, (coupon,)).await.expect("selects")
    }

    pub async fn issued(&self, coupon: u64) -> u64 {
        let mut conn = self.pool.get_conn().await.expect("connects");
        let query = "SELECT issued FROM coupons WHERE id = ?";
        conn.exec_first(query, (coupon,)).await.expect("selects").expect("exists")
    }

    /// Committed offsets of the group of [`Self::consume`], summed up.
    pub async fn committed(&self, topic: &str) -> i64 {
        let (kafka, topic) = (self.endpoints.kafka.clone(), topic.to_owned());
        let ask = move || {
            let mut config = kafka.client_config();
            config.set("group.id", format!("{topic}-group"));
            let consumer: BaseConsumer = config.create().expect("a consumer");
            let metadata = consumer.fetch_metadata(Some(&topic), Duration::from_secs(5)).expect("metadata");
            let mut list = TopicPartitionList::new();
            for partition in metadata.topics()[0].partitions() {
                list.add_partition(&topic, partition.id());
            }
            let committed = consumer.committed_offsets(list, Duration::from_secs(5)).expect("offsets");
            committed.elements().iter().map(|p| p.offset().to_raw().unwrap_or(0).max(0)).sum()
        };
        tokio::task::spawn_blocking(ask).await.expect("asks")
    }

    /// Everything in `topic` from its start.
    pub async fn read(&self, topic: &str) -> Vec<Dead> {
        let (kafka, topic) = (self.endpoints.kafka.clone(), topic.to_owned());
        let read = move || {
            let mut config = kafka.client_config();
            config.set("group.id", "test-reader").set("enable.auto.commit", "false");
            let consumer: BaseConsumer = config.create().expect("a consumer");
            let wait = Duration::from_secs(5);
            let metadata = consumer.fetch_metadata(Some(&topic), wait).expect("metadata");
            let (mut list, mut left) = (TopicPartitionList::new(), 0);
            for partition in metadata.topics()[0].partitions() {
                list.add_partition_offset(&topic, partition.id(), Offset::Beginning).expect("adds");
                let (low, high) = consumer.fetch_watermarks(&topic, partition.id(), wait).expect("marks");
                left += high - low;
            }
            consumer.assign(&list).expect("assigns");
            let mut records = Vec::new();
            while left > 0 {
                let Some(record) = consumer.poll(wait) else { break };
                let record = record.expect("a record");
                let headers = record.headers().map(|headers| {
                    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
                    headers.iter().map(|h| (h.key.to_owned(), text(h.value))).collect()
                });
                records.push((record.payload().unwrap_or_default().to_vec(), headers.unwrap_or_default()));
                left -= 1;
            }
            records
        };
        tokio::task::spawn_blocking(read).await.expect("reads")
    }

    pub fn process(&self, role: Role, listen: SocketAddr) -> ProcessConfig {
        ProcessConfig {
            system: self.system,
            role,
            name: "test-1".into(),
            instance: "42".into(),
            listen,
            endpoints: self.endpoints.clone(),
            settings: self.settings.clone(),
            stop_with_stdin: false,
        }
    }
}

/// An event as the API would send it.
pub fn event(epoch: &Epoch, user: u64, seq: u64) -> CouponEvent {
    CouponEvent {
        event_id: Uuid::now_v7(),
        coupon_id: epoch.coupon_id,
        user_id: user,
        grant_seq: seq,
        epoch: epoch.id(),
        granted_at_ms: 0,
    }
}

pub fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

/// Waits until `ask` says yes.
pub async fn until<F, R>(what: &str, mut ask: F)
where
    F: FnMut() -> R,
    R: Future<Output = bool>,
{
    for _ in 0..600 {
        if ask().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited 30 s in vain: {what}");
}
