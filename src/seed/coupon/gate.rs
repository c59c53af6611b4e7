//! The gate in Redis, as the seeder reads it back.

use contract::{
    claim::{Claim, EPOCH_ID, EPOCH_TOTAL, GateKeys, gate_keys},
    endpoint::RedisEndpoint,
};

use crate::seed::{
    SeedError,
    redis_conn::{connect, step},
};

/// Removes the gate of a coupon: without an epoch it is closed.
pub(super) async fn remove(redis: &RedisEndpoint, coupon: u64) -> Result<(), SeedError> {
    let GateKeys { stock, users, pending, epoch } = gate_keys(coupon);
    let mut conn = connect(redis).await?;
    let mut command = redis::cmd("DEL");
    command.arg(epoch).arg(stock).arg(users).arg(pending);
    step(redis, "removing a gate", command.query_async::<()>(&mut conn)).await
}

/// Which of these gates are there and have another epoch than the one that is known of them, in words.
pub(super) async fn foreign<'e>(
    redis: &RedisEndpoint,
    known: impl Iterator<Item = (u64, Option<&'e str>)>,
) -> Result<Vec<String>, SeedError> {
    let mut conn = connect(redis).await?;
    let mut found = Vec::new();
    for (coupon, epoch) in known {
        let GateKeys { stock, users, pending, epoch: epoch_key } = gate_keys(coupon);
        let mut exists = redis::cmd("EXISTS");
        exists.arg(&stock).arg(&users).arg(&pending).arg(&epoch_key);
        let keys: u64 = step(redis, "looking for a gate", exists.query_async(&mut conn)).await?;
        if keys == 0 {
            continue;
        }
        // Somebody else's key of that name may hold anything: what cannot be read is not ours.
        let theirs = redis::cmd("HGET").arg(&epoch_key).arg(EPOCH_ID).query_async::<Option<String>>(&mut conn).await;
        if epoch.is_some() && theirs.ok().flatten().as_deref() == epoch {
            continue;
        }
        let left = redis::cmd("GET").arg(&stock).query_async::<Option<String>>(&mut conn).await.ok().flatten();
        let left = left.map_or_else(|| format!("{keys} keys"), |left| format!("stock {left:.20}"));
        found.push(format!(
            "coupon {coupon} has a gate that ecomctl did not open here ({left}), which would be overwritten"
        ));
    }
    Ok(found)
}

/// Looks whether the gate is open, full and of this epoch.
pub(super) async fn must_be_open(
    redis: &RedisEndpoint,
    coupon: u64,
    quantity: u64,
    epoch: &str,
) -> Result<(), SeedError> {
    let keys = gate_keys(coupon);
    let mut conn = connect(redis).await?;
    let mut pipe = redis::pipe();
    pipe.atomic().get(&keys.stock).hlen(&keys.users).zcard(&keys.pending);
    pipe.hget(&keys.epoch, EPOCH_ID).hget(&keys.epoch, EPOCH_TOTAL);
    let read = pipe.query_async::<(Option<u64>, u64, u64, Option<String>, Option<u64>)>(&mut conn);
    let (stock, users, pending, id, total) = step(redis, "reading a gate", read).await?;
    let number = |n: Option<u64>| n.map_or_else(|| "none".to_owned(), |n| n.to_string());
    let mut wrong = Vec::new();
    if stock != Some(quantity) {
        wrong.push(format!("stock {} instead of {quantity}", number(stock)));
    }
    if total != Some(quantity) {
        wrong.push(format!("total {} instead of {quantity}", number(total)));
    }
    if users > 0 || pending > 0 {
        wrong.push(format!("{users} holders and {pending} pending instead of none"));
    }
    if id.as_deref() != Some(epoch) {
        wrong.push(format!("epoch {} instead of {epoch}", id.as_deref().unwrap_or("none")));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(SeedError::Gate { claim: Claim::coupon(coupon), server: redis.to_string(), why: wrong.join(", ") })
}
