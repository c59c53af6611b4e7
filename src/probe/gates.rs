//! The gates in Redis: one script a coupon, all of them in one round trip.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use backend::{
    endpoint::RedisEndpoint,
    names::{self, EPOCH_ID, EPOCH_SEQUENCE},
};
use redis::{AsyncConnectionConfig, aio::MultiplexedConnection};

/// Longest time that one look may take.
const LIMIT: Duration = Duration::from_secs(2);

const SCRIPT: &str = "return {redis.call('HLEN', KEYS[2]), redis.call('GET', KEYS[1]), redis.call('ZCARD', KEYS[3]), \
                      redis.call('HGET', KEYS[4], ARGV[1]), redis.call('HGET', KEYS[4], ARGV[2])}";

/// What Redis says about one coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GateReading {
    pub grants: u64,
    pub stock: Option<i64>,
    pub pending: u64,
    pub epoch: Option<String>,
    pub sequence: Option<u64>,
}

type Answer = (u64, Option<i64>, u64, Option<String>, Option<u64>);

/// One connection, made again after any failure.
#[derive(Debug)]
pub(super) struct Gates {
    endpoint: RedisEndpoint,
    connection: Option<MultiplexedConnection>,
}

impl Gates {
    pub fn new(endpoint: RedisEndpoint) -> Self {
        Self { endpoint, connection: None }
    }

    /// Coupon → its gate, and how long the round trip took.
    pub async fn read(&mut self, coupons: &[u64]) -> Result<(BTreeMap<u64, GateReading>, Duration), String> {
        let taken = self.connection.take();
        match tokio::time::timeout(LIMIT * 2, look(&self.endpoint, taken, coupons)).await {
            Ok(Ok((gates, took, connection))) => {
                self.connection = Some(connection);
                Ok((gates, took))
            }
            Ok(Err(error)) => Err(format!("Redis at {}: {error}", self.endpoint)),
            Err(_) => Err(format!("Redis at {}: no answer in time", self.endpoint)),
        }
    }
}

type Looked = (BTreeMap<u64, GateReading>, Duration, MultiplexedConnection);

async fn look(
    endpoint: &RedisEndpoint,
    taken: Option<MultiplexedConnection>,
    coupons: &[u64],
) -> redis::RedisResult<Looked> {
    let mut connection = if let Some(connection) = taken {
        connection
    } else {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(LIMIT)).set_response_timeout(Some(LIMIT));
        endpoint.client()?.get_multiplexed_async_connection_with_config(&config).await?
    };
    let mut pipe = redis::pipe();
    for coupon in coupons {
        let keys = names::gate_keys(*coupon);
        pipe.cmd("EVAL").arg(SCRIPT).arg(4).arg(keys.stock).arg(keys.users).arg(keys.pending).arg(keys.epoch);
        pipe.arg(EPOCH_ID).arg(EPOCH_SEQUENCE);
    }
    if coupons.is_empty() {
        pipe.cmd("PING").ignore();
    }
    let began = Instant::now();
    let answers: Vec<Answer> = pipe.query_async(&mut connection).await?;
    let took = began.elapsed();
    let gates = coupons.iter().copied().zip(answers.into_iter().map(reading)).collect();
    Ok((gates, took, connection))
}

fn reading((grants, stock, pending, epoch, sequence): Answer) -> GateReading {
    GateReading { grants, stock, pending, epoch, sequence }
}
