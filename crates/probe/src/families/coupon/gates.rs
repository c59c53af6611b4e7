//! The gates in Redis: one script a coupon, all of them in one round trip.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use base::held::Held;
use contract::{
    claim::{EPOCH_ID, EPOCH_SEQUENCE, gate_keys},
    endpoint::RedisEndpoint,
};
use record::epoch::run_id_of;
use redis::{AsyncConnectionConfig, aio::MultiplexedConnection};

/// Longest time that one look may take.
const LIMIT: Duration = Duration::from_secs(2);

const SCRIPT: &str = "return {redis.call('HLEN', KEYS[2]), redis.call('GET', KEYS[1]), redis.call('ZCARD', KEYS[3]), \
                      redis.call('HGET', KEYS[4], ARGV[1]), redis.call('HGET', KEYS[4], ARGV[2])}";

/// What Redis says about one coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GateReading {
    pub grants: u64,
    pub stock: Option<i64>,
    pub pending: u64,
    pub epoch: Option<String>,
    pub sequence: Option<u64>,
    /// Redis was started since the epoch was opened: what it holds may lack the newest grants.
    pub restarted: bool,
}

type Answer = (u64, Option<i64>, u64, Option<String>, Option<u64>);

/// One connection, made again after any failure.
#[derive(Debug)]
pub(crate) struct Gates {
    endpoint: RedisEndpoint,
    connection: Held<Connected>,
}

/// A connection and the run id of the server behind it: a connection belongs to one life of Redis.
#[derive(Debug)]
struct Connected {
    connection: MultiplexedConnection,
    run_id: Option<String>,
}

/// The run id in what Redis answers to `INFO server`.
pub fn run_id(info: &str) -> Option<String> {
    let line = info.lines().find_map(|line| line.strip_prefix("run_id:"))?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

impl Gates {
    pub fn new(endpoint: RedisEndpoint) -> Self {
        Self { endpoint, connection: Held::default() }
    }

    /// Coupon → its gate, and how long the round trip took.
    pub async fn read(&mut self, coupons: &[u64]) -> Result<(BTreeMap<u64, GateReading>, Duration), String> {
        match tokio::time::timeout(LIMIT * 2, look(&self.endpoint, &mut self.connection, coupons)).await {
            Ok(Ok(looked)) => Ok(looked),
            Ok(Err(error)) => Err(format!("Redis at {}: {error}", self.endpoint)),
            Err(_) => Err(format!("Redis at {}: no answer in time", self.endpoint)),
        }
    }
}

type Looked = (BTreeMap<u64, GateReading>, Duration);

async fn connect(endpoint: &RedisEndpoint) -> redis::RedisResult<Connected> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(LIMIT)).set_response_timeout(Some(LIMIT));
    let mut connection = endpoint.client()?.get_multiplexed_async_connection_with_config(&config).await?;
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
    Ok(Connected { connection, run_id: run_id(&info) })
}

async fn look(endpoint: &RedisEndpoint, held: &mut Held<Connected>, coupons: &[u64]) -> redis::RedisResult<Looked> {
    let mut connected = held.take_or(connect(endpoint)).await?;
    let mut pipe = redis::pipe();
    for coupon in coupons {
        let keys = gate_keys(*coupon);
        pipe.cmd("EVAL").arg(SCRIPT).arg(4).arg(keys.stock).arg(keys.users).arg(keys.pending).arg(keys.epoch);
        pipe.arg(EPOCH_ID).arg(EPOCH_SEQUENCE);
    }
    if coupons.is_empty() {
        pipe.cmd("PING").ignore();
    }
    let began = Instant::now();
    let answers: Vec<Answer> = pipe.query_async(&mut connected.connection).await?;
    let took = began.elapsed();
    let readings = answers.into_iter().map(|answer| reading(answer, connected.run_id.as_deref()));
    let gates = coupons.iter().copied().zip(readings).collect();
    held.give_back(connected);
    Ok((gates, took))
}

fn reading((grants, stock, pending, epoch, sequence): Answer, run_id: Option<&str>) -> GateReading {
    let restarted = epoch.as_deref().is_some_and(|epoch| run_id != Some(run_id_of(epoch)));
    GateReading { grants, stock, pending, epoch, sequence, restarted }
}
