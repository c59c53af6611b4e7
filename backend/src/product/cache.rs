//! Products in Redis, cache-aside: read there first, put there by whoever had to ask MySQL.
//!
//! It may only ever make an answer faster. Whatever Redis does (away, slow, full, somebody else's values), the answer
//! then comes from MySQL, and the log says so now and then. A product is at most as old as the time to live.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use redis::FromRedisValue;

use contract::{names::product_key, settings::Settings};

use super::{Product, metrics::Metrics};
use crate::{redis_pool::RedisPool, sync, telemetry};

/// Longest a read or a write of the cache may take: beyond it MySQL is the faster one. The connections are shared with
/// the gate; a command that is given up does not hold one.
const LIMIT: Duration = Duration::from_millis(100);
/// Failures are told once in this time.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What the cache has of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The product.
    Hit(Product),
    /// Nothing that could be used: the product is to be put there.
    Miss,
    /// It cannot be asked: nothing is to be put there either.
    Away,
}

/// The products that Redis keeps.
pub struct ProductCache {
    pool: Arc<RedisPool>,
    ttl_ms: u64,
    limit: Duration,
    metrics: Metrics,
    told: Mutex<Option<Instant>>,
}

impl ProductCache {
    /// The cache that `settings` ask for, over the gate's `pool`; none where its time to live is 0.
    pub fn new(pool: Arc<RedisPool>, settings: &Settings, process: &telemetry::Metrics) -> Option<Self> {
        let ttl = settings.product_cache.ttl;
        if ttl.0.is_zero() {
            return None;
        }
        let limit = settings.redis_pool.timeout.0.min(LIMIT);
        let metrics = Metrics::new(process);
        Some(Self { pool, ttl_ms: ttl.millis().max(1), limit, metrics, told: Mutex::default() })
    }

    /// Product `id`, if it is there. Counts hits and misses.
    pub async fn get(&self, id: u64) -> Found {
        let mut command = redis::cmd("GET");
        command.arg(product_key(id));
        let found = match self.ask::<Option<Vec<u8>>>(&command).await {
            Some(Some(text)) => read(&text, id).map_or(Found::Miss, Found::Hit),
            Some(None) => Found::Miss,
            None => Found::Away,
        };
        if matches!(found, Found::Hit(_)) {
            self.metrics.hits.inc();
        } else {
            self.metrics.misses.inc();
        }
        found
    }

    /// Keeps `product` for the time to live.
    pub async fn put(&self, product: &Product) {
        let Ok(text) = serde_json::to_vec(product) else { return };
        let mut command = redis::cmd("SET");
        command.arg(product_key(product.id)).arg(text).arg("PX").arg(self.ttl_ms);
        let _: Option<()> = self.ask(&command).await;
    }

    /// The answer of Redis; none where it gave none in time.
    async fn ask<T: FromRedisValue>(&self, command: &redis::Cmd) -> Option<T> {
        let why = match tokio::time::timeout(self.limit, self.pool.query::<T>(command)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("Redis did not answer within {:?}", self.limit),
        };
        self.metrics.errors.inc();
        let mut told = sync::lock(&self.told);
        if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            *told = Some(Instant::now());
            drop(told);
            let failed = self.metrics.errors.get();
            tracing::warn!(why, failed, "products come from MySQL: the cache cannot be used");
        }
        None
    }
}

/// Reads a value of the cache. Another version of this program, or another program, may have written it.
fn read(text: &[u8], id: u64) -> Option<Product> {
    serde_json::from_slice::<Product>(text).ok().filter(|product| product.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_not_this_product_is_a_miss() {
        let lamp = Product { id: 7, name: "상품 7".into(), price: 7_000, stock: 3, description: "\"".into() };
        let text = serde_json::to_vec(&lamp).unwrap();
        assert_eq!(read(&text, 7), Some(lamp));
        assert_eq!(read(&text, 8), None);
        let wrong: [&[u8]; 5] = [b"", b"\xff\xfe", b"{}", b"7", br#"{"id":7,"name":"x","price":-1}"#];
        for text in wrong {
            assert_eq!(read(text, 7), None, "{}", String::from_utf8_lossy(text));
        }
    }
}
