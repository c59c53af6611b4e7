//! Epochs: each life of a coupon's gate has a number, so that nothing of an earlier one is taken for the present.
//!
//! An epoch is called `"<run_id>:<life>:<counter>"`. The run id is Redis's own and changes whenever Redis starts; the
//! counter rises by one each time. A *reset* ([`open`]) draws a new life and sets the floor to the new counter:
//! everything older is skipped. A *rebuild* (after Redis lost its state) keeps life and floor: what was granted before
//! still counts. Counters begin at 1 again where MySQL's data are made anew; a life is never drawn twice, so whoever
//! kept an epoch's name can tell whether what he finds later is of it.

pub mod log;

use std::{collections::BTreeMap, future::Future, time::Duration};

use mysql_async::{Conn, Pool, TxOpts, prelude::Queryable};
use redis::aio::MultiplexedConnection;
use uuid::Uuid;

pub use self::log::{LogEnds, kafka_log_ends};
use crate::{db::own_connection, redis_pool::read_run_id};
use contract::{
    claim::{EPOCH_ID, EPOCH_SEQUENCE, EPOCH_TOTAL, gate_keys},
    endpoint::RedisEndpoint,
};

/// Seconds to wait for another process that opens or rebuilds the same gate.
const LOCK_WAIT: u32 = 30;
/// How often a transaction that lost a deadlock is tried.
const ATTEMPTS: u32 = 5;
/// Longest time of one Redis command.
const REDIS_TIMEOUT: Duration = Duration::from_secs(10);
/// Users that are written to Redis with one command.
const CHUNK: usize = 2_000;

/// One epoch of one coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Coupon.
    pub coupon_id: u64,
    /// Run id of the Redis that it lives in.
    pub run_id: String,
    /// Drawn at random by the reset that began it; its rebuilds keep it. Empty in an epoch of version 0.1.
    pub life: String,
    /// 1, 2, 3 … per coupon.
    pub counter: u64,
    /// Events of a lower counter are skipped.
    pub floor: u64,
    /// T: how many coupons there are.
    pub total: u32,
}

impl Epoch {
    /// Its name, `"<run_id>:<life>:<counter>"`.
    pub fn id(&self) -> String {
        let Self { run_id, life, counter, .. } = self;
        if life.is_empty() { format!("{run_id}:{counter}") } else { format!("{run_id}:{life}:{counter}") }
    }
}

/// Why an epoch could not be opened. The gate stays closed then.
#[derive(Debug, thiserror::Error)]
pub enum EpochError {
    /// There is no such coupon.
    #[error("there is no coupon {0} in MySQL; seed it first")]
    NoCoupon(u64),
    /// Somebody else opens or rebuilds it.
    #[error("another process has been opening the gate of coupon {0} for {LOCK_WAIT} s")]
    Locked(u64),
    /// MySQL.
    #[error("coupon {coupon_id}: MySQL: {source}")]
    Mysql {
        /// Coupon.
        coupon_id: u64,
        /// What the driver says.
        source: mysql_async::Error,
    },
    /// Redis.
    #[error("coupon {coupon_id}: Redis at {address}: {source}")]
    Redis {
        /// Coupon.
        coupon_id: u64,
        /// `host:port/db`.
        address: String,
        /// What the client says.
        source: redis::RedisError,
    },
    /// Kafka.
    #[error("Kafka at {brokers}: {what}: {source}")]
    Kafka {
        /// `host:port,…`.
        brokers: String,
        /// What was asked for.
        what: String,
        /// What the client says.
        source: Box<rdkafka::error::KafkaError>,
    },
    /// It did not end in time.
    #[error("Kafka at {brokers}: {what} did not end within {limit:?}")]
    Slow {
        /// `host:port,…`.
        brokers: String,
        /// What was asked for.
        what: String,
        /// Limit.
        limit: Duration,
    },
    /// The recorded log starts are no JSON of ours.
    #[error("coupon {coupon_id}: coupon_epochs.log_starts of counter {counter} cannot be read: {why}")]
    LogStarts {
        /// Coupon.
        coupon_id: u64,
        /// Counter of the row.
        counter: u64,
        /// What is wrong.
        why: String,
    },
    /// A grant that is still pending cannot be brought to safety.
    #[error("coupon {coupon_id}: a pending grant was not sent: {why}")]
    Unsent {
        /// Coupon.
        coupon_id: u64,
        /// What Kafka's client says.
        why: String,
    },
    /// The program itself was stopped.
    #[error("stopped")]
    Stopped,
}

/// Resets a coupon: a new epoch, `quantity` coupons, nobody has one.
///
/// The gate is closed in Redis first. Then `log_ends` is called: what is in the log by then belongs to the past. One
/// transaction in MySQL removes the coupon's rows and writes the epoch down; only then the gate opens.
///
/// # Errors
/// The gate stays closed.
pub async fn open<F, R>(
    pool: &Pool,
    redis: &RedisEndpoint,
    log_ends: F,
    coupon_id: u64,
    quantity: u32,
) -> Result<Epoch, EpochError>
where
    F: FnOnce() -> R,
    R: Future<Output = Result<LogEnds, EpochError>>,
{
    let mysql = |source| EpochError::Mysql { coupon_id, source };
    let mut conn = own_connection(pool).await.map_err(mysql)?;
    lock(&mut conn, coupon_id, LOCK_WAIT).await?;
    let opened = async {
        let mut gate = GateWriter::connect(redis, coupon_id).await?;
        gate.close().await?;
        let starts = log_ends().await?;
        let mut attempt = 0;
        let epoch = loop {
            attempt += 1;
            match reset(&mut conn, &gate.run_id, &starts, coupon_id, quantity).await {
                // Batches of the old epoch may hold the rows that are to go; one of the two sides loses.
                Err(EpochError::Mysql { source: mysql_async::Error::Server(e), .. })
                    if matches!(e.code, 1205 | 1213) && attempt < ATTEMPTS =>
                {
                    tracing::debug!(attempt, coupon_id, error = %e, "reset tried again");
                }
                done => break done?,
            }
        };
        gate.open(&epoch, &BTreeMap::new(), 0).await?;
        Ok(epoch)
    }
    .await;
    unlock(&mut conn, coupon_id).await;
    opened
}

async fn reset(
    conn: &mut Conn,
    run_id: &str,
    starts: &LogEnds,
    coupon_id: u64,
    quantity: u32,
) -> Result<Epoch, EpochError> {
    let mysql = |source| EpochError::Mysql { coupon_id, source };
    let mut tx = conn.start_transaction(TxOpts::default()).await.map_err(mysql)?;
    // The row first: whoever inserts for the old epoch then waits for this lock with its counter's UPDATE, finds the
    // floor risen and rolls back.
    let found: Option<u64> =
        tx.exec_first("SELECT id FROM coupons WHERE id = ? FOR UPDATE", (coupon_id,)).await.map_err(mysql)?;
    found.ok_or(EpochError::NoCoupon(coupon_id))?;
    let counter = next_counter(&mut tx, coupon_id).await?;
    let (run_id, life) = (run_id.to_owned(), new_life());
    let epoch = Epoch { coupon_id, run_id, life, counter, floor: counter, total: quantity };
    tx.exec_drop("DELETE FROM coupon_users WHERE coupon_id = ?", (coupon_id,)).await.map_err(mysql)?;
    let update = "UPDATE coupons SET issued = 0, quantity = ?, epoch = ?, epoch_floor = ? WHERE id = ?";
    tx.exec_drop(update, (quantity, epoch.id(), epoch.floor, coupon_id)).await.map_err(mysql)?;
    record(&mut tx, &epoch, starts).await?;
    tx.commit().await.map_err(mysql)?;
    Ok(epoch)
}

/// A life that no epoch ever had: 48 random bits. Shorter than a UUID, because `coupons.epoch` has 80 characters.
fn new_life() -> String {
    let mut text = Uuid::new_v4().simple().to_string();
    text.truncate(12);
    text
}

/// The counter after the highest one that the coupon ever had.
pub(crate) async fn next_counter(conn: &mut impl Queryable, coupon_id: u64) -> Result<u64, EpochError> {
    let last: Option<Option<u64>> = conn
        .exec_first("SELECT MAX(counter) FROM coupon_epochs WHERE coupon_id = ?", (coupon_id,))
        .await
        .map_err(|source| EpochError::Mysql { coupon_id, source })?;
    Ok(last.flatten().unwrap_or(0) + 1)
}

/// Writes an epoch down. `starts` are the log ends of the time when the epoch at its floor was opened.
pub(crate) async fn record(conn: &mut impl Queryable, epoch: &Epoch, starts: &LogEnds) -> Result<(), EpochError> {
    let insert = "INSERT INTO coupon_epochs (coupon_id, counter, epoch, run_id, total, floor, log_starts) \
        VALUES (?, ?, ?, ?, ?, ?, ?)";
    let values = (epoch.coupon_id, epoch.counter, epoch.id(), &epoch.run_id, epoch.total, epoch.floor, starts.json());
    conn.exec_drop(insert, values).await.map_err(|source| EpochError::Mysql { coupon_id: epoch.coupon_id, source })
}

/// Keeps other processes from opening or rebuilding the same gate.
pub(crate) async fn lock(conn: &mut Conn, coupon_id: u64, wait: u32) -> Result<(), EpochError> {
    let got: Option<Option<u8>> = conn
        .exec_first("SELECT GET_LOCK(CONCAT('ecomctl.', LEFT(DATABASE(), 30), '.', ?), ?)", (coupon_id, wait))
        .await
        .map_err(|source| EpochError::Mysql { coupon_id, source })?;
    if got.flatten() == Some(1) { Ok(()) } else { Err(EpochError::Locked(coupon_id)) }
}

/// Gives the lock back. A lost connection has given it back already.
pub(crate) async fn unlock(conn: &mut Conn, coupon_id: u64) {
    let release = "DO RELEASE_LOCK(CONCAT('ecomctl.', LEFT(DATABASE(), 30), '.', ?))";
    if let Err(error) = conn.exec_drop(release, (coupon_id,)).await {
        tracing::debug!(%error, coupon_id, "lock not released; it goes with the connection");
    }
}

/// Writes the keys of one gate, over one connection to one life of Redis.
pub(crate) struct GateWriter {
    conn: MultiplexedConnection,
    /// Run id of the Redis behind the connection.
    pub run_id: String,
    coupon_id: u64,
    address: String,
}

impl GateWriter {
    /// Connects and reads the run id.
    pub async fn connect(redis: &RedisEndpoint, coupon_id: u64) -> Result<Self, EpochError> {
        let address = redis.to_string();
        let failed = |source| EpochError::Redis { coupon_id, address: address.clone(), source };
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(REDIS_TIMEOUT))
            .set_response_timeout(Some(REDIS_TIMEOUT));
        let client = redis.client().map_err(failed)?;
        let mut conn = client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)?;
        let run_id = read_run_id(&mut conn).await.map_err(failed)?;
        Ok(Self { conn, run_id, coupon_id, address })
    }

    fn failed(&self, source: redis::RedisError) -> EpochError {
        EpochError::Redis { coupon_id: self.coupon_id, address: self.address.clone(), source }
    }

    /// Closes the gate: without its epoch the script answers nothing but "closed".
    pub async fn close(&mut self) -> Result<(), EpochError> {
        let key = gate_keys(self.coupon_id).epoch;
        let done = redis::cmd("DEL").arg(key).query_async::<i64>(&mut self.conn).await;
        done.map(drop).map_err(|e| self.failed(e))
    }

    /// The epoch that the gate has.
    pub async fn epoch(&mut self) -> Result<Option<String>, EpochError> {
        let key = gate_keys(self.coupon_id).epoch;
        redis::cmd("HGET").arg(key).arg(EPOCH_ID).query_async(&mut self.conn).await.map_err(|e| self.failed(e))
    }

    /// What the gate has granted and Kafka has not acknowledged.
    pub async fn pending(&mut self) -> Result<Vec<String>, EpochError> {
        let key = gate_keys(self.coupon_id).pending;
        redis::cmd("ZRANGE").arg(key).arg(0).arg(-1).query_async(&mut self.conn).await.map_err(|e| self.failed(e))
    }

    /// Opens the gate with `granted` (user → number) already given out, and `last` as the last number.
    ///
    /// The epoch is written last and together with the stock, so that a half-written gate is a closed one.
    pub async fn open(&mut self, epoch: &Epoch, granted: &BTreeMap<u64, u64>, last: u64) -> Result<(), EpochError> {
        let keys = gate_keys(self.coupon_id);
        let stock = u64::from(epoch.total).saturating_sub(granted.len() as u64);
        let done = async {
            redis::cmd("DEL")
                .arg(&[&keys.epoch, &keys.stock, &keys.users, &keys.pending])
                .query_async::<i64>(&mut self.conn)
                .await?;
            let users: Vec<(&u64, &u64)> = granted.iter().collect();
            for chunk in users.chunks(CHUNK) {
                let mut set = redis::cmd("HSET");
                set.arg(&keys.users);
                for (user, seq) in chunk {
                    set.arg(**user).arg(**seq);
                }
                set.query_async::<i64>(&mut self.conn).await?;
            }
            let mut last_step = redis::pipe();
            last_step.atomic();
            last_step.cmd("SET").arg(&keys.stock).arg(stock).ignore();
            last_step.cmd("HSET").arg(&keys.epoch).arg(EPOCH_ID).arg(epoch.id());
            last_step.arg(EPOCH_TOTAL).arg(epoch.total).arg(EPOCH_SEQUENCE).arg(last).ignore();
            last_step.query_async::<()>(&mut self.conn).await
        }
        .await;
        done.map_err(|e| self.failed(e))
    }
}
