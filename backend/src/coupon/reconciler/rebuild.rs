//! Rebuilds a gate from what is certain: the rows in MySQL and the events in Kafka.
//!
//! What Redis still has in `pending` (it came back with what it had saved) is sent to Kafka first: a grant is never taken
//! back where that can be helped. A grant that is in neither place after that was never acknowledged to anybody, neither
//! by QUEUED nor by DUPLICATE, so it may be given to somebody else.

use std::{collections::BTreeMap, time::Duration};

use mysql_async::{Conn, TxOpts, prelude::Queryable};

use super::{CLAIM_MAX, Parts, send_again};
use crate::{
    coupon::{
        epoch::{Epoch, EpochError, GateWriter, LogEnds, lock, log::read_since, next_counter, record, unlock},
        event::{epoch_counter, epoch_life, epoch_run_id},
    },
    db::own_connection,
};

/// Longest time to read the log of one epoch.
const READ_LIMIT: Duration = Duration::from_secs(120);

/// A coupon as MySQL has it.
struct Lost {
    epoch: String,
    quantity: u32,
    floor: u64,
}

/// Closes the gate in Redis, if it has still lost `epoch`; false when it is whole again, or somebody works on it.
pub(super) async fn close(parts: &Parts, coupon_id: u64, epoch: &str) -> Result<bool, EpochError> {
    let closed = locked(parts, coupon_id, epoch, async |_, gate, _| {
        gate.close().await?;
        Ok(())
    });
    Ok(closed.await?.is_some())
}

/// Opens a new epoch with everything that was granted in the lost one; `None` as for [`close`].
pub(super) async fn rebuild(parts: &Parts, coupon_id: u64, epoch: &str) -> Result<Option<Epoch>, EpochError> {
    locked(parts, coupon_id, epoch, async |conn, gate, lost| reopen(parts, conn, gate, &lost, coupon_id).await).await
}

/// Runs `work` while nobody else opens or rebuilds this gate, provided that it is still lost.
async fn locked<T>(
    parts: &Parts,
    coupon_id: u64,
    epoch: &str,
    work: impl AsyncFnOnce(&mut Conn, &mut GateWriter, Lost) -> Result<T, EpochError>,
) -> Result<Option<T>, EpochError> {
    let mysql = |source| EpochError::Mysql { coupon_id, source };
    let mut conn = own_connection(parts.db.pool()).await.map_err(mysql)?;
    match lock(&mut conn, coupon_id, 0).await {
        Err(EpochError::Locked(_)) => return Ok(None),
        done => done?,
    }
    let done = async {
        let query = "SELECT epoch, quantity, epoch_floor FROM coupons WHERE id = ?";
        let row: Option<(Option<String>, u32, u64)> = conn.exec_first(query, (coupon_id,)).await.map_err(mysql)?;
        let Some((Some(now), quantity, floor)) = row else { return Ok(None) };
        let mut gate = GateWriter::connect(&parts.redis, coupon_id).await?;
        let whole = gate.run_id == epoch_run_id(epoch) && gate.epoch().await?.as_deref() == Some(epoch);
        if now != epoch || whole {
            return Ok(None);
        }
        work(&mut conn, &mut gate, Lost { epoch: now, quantity, floor }).await.map(Some)
    }
    .await;
    unlock(&mut conn, coupon_id).await;
    done
}

async fn reopen(
    parts: &Parts,
    conn: &mut Conn,
    gate: &mut GateWriter,
    before: &Lost,
    coupon_id: u64,
) -> Result<Epoch, EpochError> {
    let mysql = |source| EpochError::Mysql { coupon_id, source };
    let starts = log_starts(conn, coupon_id, before.floor).await?;
    send_kept(parts, gate, &before.epoch, coupon_id).await?;
    let mut granted = events(parts, coupon_id, before.floor, starts.clone()).await?;
    let in_log = granted.len();
    let held: Vec<(u64, u64)> = conn
        .exec("SELECT user_id, grant_seq FROM coupon_users WHERE coupon_id = ?", (coupon_id,))
        .await
        .map_err(mysql)?;
    let in_mysql = held.len();
    for (user, seq) in &held {
        granted.entry(*user).and_modify(|known| *known = (*known).max(*seq)).or_insert(*seq);
    }
    let last = granted.values().copied().max().unwrap_or(0);
    if granted.len() as u64 > u64::from(before.quantity) {
        tracing::error!(coupon_id, granted = granted.len(), quantity = before.quantity, "more were granted than exist");
    }
    let mut tx = conn.start_transaction(TxOpts::default()).await.map_err(mysql)?;
    let counter = next_counter(&mut tx, coupon_id).await?;
    let (run_id, life) = (gate.run_id.clone(), epoch_life(&before.epoch).to_owned());
    let epoch = Epoch { coupon_id, run_id, life, counter, floor: before.floor, total: before.quantity };
    record(&mut tx, &epoch, &starts).await?;
    tx.exec_drop("UPDATE coupons SET epoch = ? WHERE id = ?", (epoch.id(), coupon_id)).await.map_err(mysql)?;
    tx.commit().await.map_err(mysql)?;
    gate.open(&epoch, &granted, last).await?;
    tracing::warn!(coupon_id, epoch = epoch.id(), in_log, in_mysql, granted = granted.len(), "gate rebuilt");
    Ok(epoch)
}

/// Sends what was pending in the lost epoch, if Redis still has it. By now nobody else sends any of it: the gate has been
/// closed for longer than a send may take.
async fn send_kept(parts: &Parts, gate: &mut GateWriter, epoch: &str, coupon_id: u64) -> Result<(), EpochError> {
    let mut kept = gate.pending().await?;
    while !kept.is_empty() {
        let some = kept.split_off(kept.len().saturating_sub(CLAIM_MAX));
        let mut sends = send_again(parts, coupon_id, some, |event| event.epoch == epoch);
        while let Some(sent) = sends.join_next().await {
            let why = match sent {
                Ok(Ok(_)) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            return Err(EpochError::Unsent { coupon_id, why });
        }
    }
    Ok(())
}

/// Where the log ended when the epoch at the floor was opened.
async fn log_starts(conn: &mut Conn, coupon_id: u64, floor: u64) -> Result<LogEnds, EpochError> {
    let query = "SELECT log_starts FROM coupon_epochs WHERE coupon_id = ? AND counter = ?";
    let text: Option<String> =
        conn.exec_first(query, (coupon_id, floor)).await.map_err(|source| EpochError::Mysql { coupon_id, source })?;
    // Without the row the whole log is read: slower, and as right.
    let Some(text) = text else { return Ok(LogEnds::default()) };
    serde_json::from_str(&text).map_err(|e| EpochError::LogStarts { coupon_id, counter: floor, why: e.to_string() })
}

/// User → highest number of a grant of this coupon at or above the floor, as Kafka has them.
async fn events(parts: &Parts, coupon_id: u64, floor: u64, starts: LogEnds) -> Result<BTreeMap<u64, u64>, EpochError> {
    let (kafka, topic) = (parts.kafka.clone(), parts.topic.clone());
    let read = move || {
        let mut granted = BTreeMap::<u64, u64>::new();
        read_since(&kafka, &topic, &starts, READ_LIMIT, |event| {
            if event.coupon_id == coupon_id && epoch_counter(&event.epoch).is_some_and(|counter| counter >= floor) {
                let seq = granted.entry(event.user_id).or_default();
                *seq = (*seq).max(event.grant_seq);
            }
        })?;
        Ok(granted)
    };
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(EpochError::Stopped))
}
