//! Takes what Kafka has acknowledged out of `pending`: for the API that sent it, and for the reconciler that sent it again.

use redis::{Cmd, ErrorKind, FromRedisValue, ServerErrorKind};

use crate::redis_pool::{RedisPool, RedisPoolError};
use contract::claim::GateKeys;

const SCRIPT: &str = include_str!("delivered.lua");

/// An event that Kafka has.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledged<'a> {
    /// Who was granted a coupon.
    pub user_id: u64,
    /// Number of the grant.
    pub grant_seq: u64,
    /// The event as it is in `pending`.
    pub member: &'a str,
}

/// The script, and the name by which Redis keeps it.
pub struct Delivery {
    sha: String,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { sha: redis::Script::new(SCRIPT).get_hash().to_owned() }
    }
}

impl Delivery {
    /// Takes `events` of `epoch` out of `pending`. Their users may be told from then on that they have a coupon.
    ///
    /// # Errors
    /// When Redis does not answer. The events may be there still; the reconciler sends them again.
    pub async fn done(
        &self,
        pool: &RedisPool,
        keys: &GateKeys,
        epoch: &str,
        events: &[Acknowledged<'_>],
    ) -> Result<(), RedisPoolError> {
        if events.is_empty() {
            return Ok(());
        }
        let link = pool.link()?;
        let call = |command: &str, script: &str| {
            let mut cmd = Cmd::new();
            cmd.arg(command).arg(script).arg(3).arg(&keys.users).arg(&keys.pending).arg(&keys.epoch).arg(epoch);
            for event in events {
                cmd.arg(event.user_id).arg(event.grant_seq).arg(event.member);
            }
            cmd
        };
        let mut answer = link.send(&call("EVALSHA", &self.sha)).await;
        if answer.as_ref().is_err_and(|e| e.kind() == ErrorKind::Server(ServerErrorKind::NoScript)) {
            answer = link.send(&call("EVAL", SCRIPT)).await;
        }
        let value = answer.map_err(|e| pool.failed(e))?;
        i64::from_redis_value(value).map(drop).map_err(|e| pool.failed(e.into()))
    }
}
