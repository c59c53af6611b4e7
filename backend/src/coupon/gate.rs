//! Asks Redis whether a user gets a coupon. One script decides, numbers the grant and remembers it.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, ErrorKind, FromRedisValue, ServerErrorKind};

use super::event::epoch_run_id;
use crate::redis_pool::{Link, RedisPool, RedisPoolError};
use contract::claim::GateKeys;

const SCRIPT: &str = include_str!("gate.lua");
/// How long to wait for a new connection before the one second try.
const RECONNECT: Duration = Duration::from_millis(500);

/// What the gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Granted, with this number.
    Granted(u64),
    /// The user has one already.
    Duplicate,
    /// The user has been granted one that Kafka has not acknowledged yet: nobody knows whether it stays.
    Waiting,
    /// None is left.
    SoldOut,
    /// The epoch is another one, or Redis has lost its state: nothing was decided.
    Closed,
}

/// The gate of every coupon.
pub struct Gate {
    pool: Arc<RedisPool>,
    sha: String,
}

impl Gate {
    /// A gate over `pool`.
    pub fn new(pool: Arc<RedisPool>) -> Self {
        Self { pool, sha: redis::Script::new(SCRIPT).get_hash().to_owned() }
    }

    /// The connections.
    pub fn pool(&self) -> &Arc<RedisPool> {
        &self.pool
    }

    /// Asks for one coupon. `event` is the event's JSON without its number; `epoch` is what the caller believes.
    ///
    /// After a lost connection it asks once more with the same event, which the script answers in the same way.
    ///
    /// # Errors
    /// When Redis does not answer. The coupon may have been granted: the event is then in `pending`.
    pub async fn ask(&self, keys: &GateKeys, epoch: &str, user_id: u64, event: &str) -> Result<Answer, RedisPoolError> {
        match self.ask_once(&*self.pool.link()?, keys, epoch, user_id, event).await {
            Err(error) if error.connection_lost() => {
                // Its keeper may not have noticed yet: the second try must not take the same dead connection.
                tokio::task::yield_now().await;
                let link = self.pool.link_within(RECONNECT).await?;
                self.ask_once(&link, keys, epoch, user_id, event).await
            }
            answer => answer,
        }
    }

    async fn ask_once(
        &self,
        link: &Link,
        keys: &GateKeys,
        epoch: &str,
        user_id: u64,
        event: &str,
    ) -> Result<Answer, RedisPoolError> {
        // An epoch belongs to one life of Redis. In another one its state may be older than what was granted.
        if link.run_id() != epoch_run_id(epoch) {
            return Ok(Answer::Closed);
        }
        let call = |command: &str, script: &str| {
            let mut cmd = Cmd::with_capacity(10, 400);
            cmd.arg(command).arg(script).arg(4).arg(&keys.stock).arg(&keys.users).arg(&keys.pending).arg(&keys.epoch);
            cmd.arg(epoch).arg(user_id).arg(event);
            cmd
        };
        let mut answer = link.send(&call("EVALSHA", &self.sha)).await;
        if answer.as_ref().is_err_and(|e| e.kind() == ErrorKind::Server(ServerErrorKind::NoScript)) {
            answer = link.send(&call("EVAL", SCRIPT)).await;
        }
        let value = answer.map_err(|e| self.pool.failed(e))?;
        match i64::from_redis_value(value).map_err(|e| self.pool.failed(e.into()))? {
            0 => Ok(Answer::SoldOut),
            -2 => Ok(Answer::Duplicate),
            -3 => Ok(Answer::Waiting),
            seq if seq > 0 => Ok(Answer::Granted(seq as u64)),
            _ => Ok(Answer::Closed),
        }
    }
}
