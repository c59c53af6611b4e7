//! What the login may do with a gate, asked before anything is changed.

use contract::{
    claim::{GateKeys, gate_keys},
    endpoint::RedisEndpoint,
};

use crate::seed::{SeedError, redis_conn};

/// Names the commands of the gate and its reconciler that this user may not use with these keys; it runs none of them.
/// A server before 7.0 cannot be asked.
const ASK: &str = "
local stock, users, pending, epoch = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local denied = {}
if not redis.acl_check_cmd then return denied end
for _, command in ipairs({
  {'GET', stock}, {'SET', stock, '0'}, {'DECR', stock}, {'DEL', stock}, {'HGET', users, 'u'}, {'HSET', users, 'u', '1'},
  {'HLEN', users}, {'HMGET', epoch, 'id'}, {'HSET', epoch, 'id', '1'}, {'ZADD', pending, '1', 'm'}, {'ZSCORE', pending, 'm'},
  {'ZCARD', pending}, {'ZREM', pending, 'm'}, {'ZRANGEBYSCORE', pending, '0', '1'}, {'TIME'}, {'INFO', 'server'}, {'PING'},
}) do
  local asked, allowed = pcall(redis.acl_check_cmd, unpack(command))
  if asked and not allowed then table.insert(denied, command[1]) end
end
return denied";

/// Looks at what Redis lets the user do with the keys of a gate.
///
/// # Errors
/// [`SeedError::Rights`] with what is missing.
pub(in crate::seed) async fn look(endpoint: &RedisEndpoint, coupon: u64) -> Result<(), SeedError> {
    let GateKeys { stock, users, pending, epoch } = gate_keys(coupon);
    let mut conn = redis_conn::connect(endpoint).await?;
    let fail = |missing: String| {
        let user = endpoint.user.clone().unwrap_or_else(|| "default".into());
        Err(SeedError::Rights { server: format!("Redis at {endpoint}"), user, missing })
    };
    let asked = redis::cmd("EVAL").arg(ASK).arg(4).arg(&[stock, users, pending, epoch]).to_owned();
    match redis_conn::step(endpoint, "asking what the user may do", async {
        // A refusal of the script itself is the answer.
        Ok(asked.query_async::<Vec<String>>(&mut conn).await)
    })
    .await?
    {
        Ok(denied) if denied.is_empty() => Ok(()),
        Ok(mut denied) => {
            denied.sort();
            denied.dedup();
            fail(format!("{} on keys coupon:*", denied.join(", ")))
        }
        Err(error) if error.code() == Some("NOPERM") => {
            fail(format!("EVAL on keys coupon:* ({})", error.detail().unwrap_or_default()))
        }
        // Anything else is told by the step that needs it.
        Err(_) => Ok(()),
    }
}
