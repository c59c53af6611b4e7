//! Redis, as the seeder uses it: every step with a time limit and a name.

use std::{future::Future, time::Duration};

use contract::endpoint::RedisEndpoint;
use redis::aio::MultiplexedConnection;

use super::SeedError;

/// Longest a connection or a command may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Runs one step with a time limit, and names it where it fails.
pub(super) async fn step<T>(
    redis: &RedisEndpoint,
    what: &str,
    step: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, SeedError> {
    let why = match tokio::time::timeout(TIMEOUT, step).await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(e)) => contract::cause::chain(&e),
        Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
    };
    Err(SeedError::Redis { server: redis.to_string(), what: what.to_owned(), why })
}

/// A connection.
pub(super) async fn connect(redis: &RedisEndpoint) -> Result<MultiplexedConnection, SeedError> {
    step(redis, "connecting", async { redis.client()?.get_multiplexed_async_connection().await }).await
}
