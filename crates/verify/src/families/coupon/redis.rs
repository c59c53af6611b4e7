//! G: the gate of a coupon, read in one script so that stock, grants, pending and epoch belong to one moment.

use std::{collections::BTreeMap, fmt::Display, time::Duration};

use contract::{
    claim::{EPOCH_ID, EPOCH_SEQUENCE, EPOCH_TOTAL, GRANT_PENDING, gate_keys},
    endpoint::RedisEndpoint,
};
use record::epoch::{counter_of, run_id_of};
use redis::{AsyncConnectionConfig, Script, Value, aio::MultiplexedConnection};
use serde::Deserialize;

use super::model::{Gate, Pending};
use crate::model::Known;

/// Longest time one coupon may take: a million grants are one answer.
const LIMIT: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);

const SCRIPT: &str = "return {redis.call('GET', KEYS[1]), redis.call('HGETALL', KEYS[2]), \
                      redis.call('ZRANGE', KEYS[3], 0, -1), redis.call('HGETALL', KEYS[4])}";

/// Reads the gates; where Redis cannot be reached each says so.
pub(super) async fn read(endpoint: &RedisEndpoint, coupons: &[u64]) -> BTreeMap<u64, Known<Gate>> {
    let fail = |why: &dyn Display| format!("Redis at {endpoint}: {why}");
    let (mut connection, life) = match connect(endpoint).await {
        Ok(connected) => connected,
        Err(error) => return coupons.iter().map(|id| (*id, Err(fail(&error)))).collect(),
    };
    let mut gates = BTreeMap::new();
    for coupon in coupons {
        let gate = read_one(&mut connection, *coupon).await.and_then(|gate| of_this_life(gate, life.as_deref()));
        gates.insert(*coupon, gate.map_err(|why| fail(&why)));
    }
    gates
}

/// A connection, and the run id of the server behind it: a connection belongs to one life of Redis.
async fn connect(endpoint: &RedisEndpoint) -> redis::RedisResult<(MultiplexedConnection, Option<String>)> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(LIMIT));
    let mut connection = endpoint.client()?.get_multiplexed_async_connection_with_config(&config).await?;
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
    Ok((connection, probe::run_id(&info)))
}

/// A Redis that came back with what it had saved may have lost the newest grants: until its gate is rebuilt it proves
/// nothing, and nobody is served by it.
fn of_this_life(gate: Gate, run_id: Option<&str>) -> Known<Gate> {
    match run_id {
        Some(run_id) if run_id_of(&gate.epoch) != run_id => Err(format!(
            "it was started anew since epoch {} was opened: the gate is closed until it is rebuilt; `ecomctl verify \
             --history RUN` judges a run by what was read at its end",
            gate.counter
        )),
        Some(_) => Ok(gate),
        None => Err("it does not say its run_id: whether it lost grants is not known".into()),
    }
}

async fn read_one(connection: &mut MultiplexedConnection, coupon: u64) -> Known<Gate> {
    let keys = gate_keys(coupon);
    let script = Script::new(SCRIPT);
    let answer: (Value, Value, Value, BTreeMap<String, String>) = script
        .key(keys.stock)
        .key(keys.users)
        .key(keys.pending)
        .key(keys.epoch)
        .invoke_async(connection)
        .await
        .map_err(|e| e.to_string())?;
    let (stock, users, pending, epoch) = answer;
    let number = |field: &str| epoch.get(field).and_then(|text| text.parse().ok());
    let id = epoch.get(EPOCH_ID).ok_or_else(|| format!("coupon {coupon} has no epoch: its gate was lost or closed"))?;
    Ok(Gate {
        counter: counter_of(id).ok_or_else(|| format!("`{id}` is no epoch"))?,
        epoch: id.clone(),
        total: number(EPOCH_TOTAL),
        last_seq: number(EPOCH_SEQUENCE),
        stock: text(&stock).map(|text| text.parse().map_err(|_| format!("the stock is `{text}`"))).transpose()?,
        users: grants(&users)?,
        pending: items(&pending).iter().filter_map(text).map(|member| waiting(&member)).collect(),
    })
}

/// The gate's epoch must be the one that MySQL calls present: another one waits for a rebuild, is being reset, or is
/// of another system.
pub(super) fn of_present_epoch(gate: Gate, epoch: Option<&str>) -> Known<Gate> {
    match epoch {
        Some(present) if present != gate.epoch => {
            Err(format!("Redis holds epoch {}, MySQL says {present}: the gate is not the present one", gate.epoch))
        }
        _ => Ok(gate),
    }
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        _ => &[],
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

fn grants(value: &Value) -> Known<BTreeMap<u64, Option<u64>>> {
    let mut users = BTreeMap::new();
    for pair in items(value).chunks_exact(2) {
        let (user, seq) = (text(&pair[0]).unwrap_or_default(), text(&pair[1]));
        let user: u64 = user.parse().map_err(|_| format!("`{user}` among the grants is no user id"))?;
        // A mark behind the number says that Kafka has not acknowledged the grant; `pending` tells the same.
        let number = |seq: String| seq.strip_suffix(GRANT_PENDING).unwrap_or(&seq).parse().ok();
        users.insert(user, seq.and_then(number));
    }
    Ok(users)
}

#[derive(Deserialize)]
struct Waiting {
    user_id: u64,
}

/// `"<seq>|<event JSON>"`
fn waiting(member: &str) -> Pending {
    let body = member.split_once('|').map_or(member, |(_, body)| body);
    let user = serde_json::from_str::<Waiting>(body).ok().map(|waiting| waiting.user_id);
    Pending { user, member: member.to_owned() }
}
