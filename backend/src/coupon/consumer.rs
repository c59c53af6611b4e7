//! Puts a batch of events into MySQL: rows and the coupon's counter in one transaction.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
    sync::Arc,
    time::Duration,
};

use mysql_async::{Conn, Params, Pool, Value, prelude::Queryable};
use uuid::Uuid;

use super::event::{CouponEvent, epoch_counter};
use crate::{
    consumer::{
        Record, Sink, Written,
        bisect::{AllOrNothing, Failure, bisect},
    },
    db::{Class, class},
};
use contract::failpoint::{Failpoints, Point};

/// Longest time of one transaction; longer than MySQL's own wait for a lock (50 s), which names the reason.
const LIMIT: Duration = Duration::from_secs(75);
/// Values of one row.
const COLUMNS: usize = 4;
/// Most rows of one INSERT: a statement may have 65,535 parameters.
const ROWS_MAX: usize = 10_000;

/// Why a batch has to wait: nothing is wrong with its records.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The server, the connection, locks, rights or the schema.
    #[error("MySQL: {0}")]
    Mysql(#[from] mysql_async::Error),
    /// No answer.
    #[error("MySQL did not end a transaction within {LIMIT:?}")]
    TimedOut,
    /// A coupon was reset or changed under the batch.
    #[error("coupon {0} changed under the batch")]
    Changed(u64),
}

/// Writes batches.
pub struct Writer {
    pool: Pool,
    conn: Option<Conn>,
    /// Coupon → floor, as far as it was asked for. It only ever rises; the counter's UPDATE checks it again.
    floors: HashMap<u64, u64>,
    failpoints: Arc<Failpoints>,
    rows: u64,
    there: u64,
}

/// An event that is to become a row.
#[derive(Debug, Clone)]
struct Row {
    /// Index of its record.
    record: usize,
    event: CouponEvent,
    counter: u64,
}

impl Writer {
    /// A writer over `pool`, whose connections must have been set up with [`SESSION`](crate::consumer::SESSION).
    pub fn new(pool: Pool, failpoints: Arc<Failpoints>) -> Self {
        Self { pool, conn: None, floors: HashMap::new(), failpoints, rows: 0, there: 0 }
    }

    async fn settle(&mut self, mut rows: Vec<Row>, written: &mut Written) -> Result<(), WriteError> {
        let coupons: HashSet<u64> = rows.iter().map(|row| row.event.coupon_id).collect();
        for coupon in coupons {
            if !self.floors.contains_key(&coupon) {
                self.read_floor(coupon).await?;
            }
        }
        rows.retain(|row| match self.floors.get(&row.event.coupon_id) {
            None => {
                written.dead.push((row.record, format!("there is no coupon {}", row.event.coupon_id)));
                false
            }
            Some(floor) if row.counter < *floor => {
                written.skipped += 1;
                false
            }
            Some(_) => true,
        });
        let bad = bisect(self, &rows).await?;
        written.dead.extend(bad.into_iter().map(|(i, reason)| (rows[i].record, reason)));
        Ok(())
    }

    async fn connection(&mut self) -> Result<&mut Conn, WriteError> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => limit(self.pool.get_conn()).await?,
        };
        Ok(self.conn.insert(conn))
    }

    async fn read_floor(&mut self, coupon: u64) -> Result<(), WriteError> {
        let conn = self.connection().await?;
        let floor: Option<u64> =
            limit(conn.exec_first("SELECT epoch_floor FROM coupons WHERE id = ?", (coupon,))).await?;
        if let Some(floor) = floor {
            self.floors.insert(coupon, floor);
        }
        Ok(())
    }

    /// One transaction. At first it takes for granted that no row is there, which is nearly always so; when a unique
    /// key objects, it looks which ones are there.
    async fn transaction(&mut self, rows: &[Row]) -> Result<(), Failure<WriteError>> {
        let mut distinct = distinct(rows)?;
        let repeated = (rows.len() - distinct.len()) as u64;
        let failpoints = self.failpoints.clone();
        let conn = self.connection().await.map_err(Failure::Other)?;
        conn.query_drop("START TRANSACTION").await.map_err(failed)?;
        let mut there = 0;
        match insert(conn, &distinct).await {
            Err(error) if class(&error) == Class::Duplicate => {
                rollback(conn).await?;
                conn.query_drop("START TRANSACTION").await.map_err(failed)?;
                there = drop_existing(conn, &mut distinct).await?;
                insert(conn, &distinct).await.map_err(failed)?;
            }
            done => done.map_err(failed)?,
        }
        count(conn, &distinct).await?;
        failpoints.pass(Point::ConsumerBeforeCommit);
        conn.query_drop("COMMIT").await.map_err(failed)?;
        failpoints.pass(Point::ConsumerAfterCommit);
        self.rows += distinct.len() as u64;
        self.there += there + repeated;
        Ok(())
    }
}

impl Sink for Writer {
    type Error = WriteError;

    async fn write(&mut self, records: &[Record]) -> Result<Written, WriteError> {
        let mut written = Written::default();
        let mut rows = Vec::with_capacity(records.len());
        for (record, raw) in records.iter().enumerate() {
            match parse(raw) {
                Ok((event, counter)) => rows.push(Row { record, event, counter }),
                Err(reason) => written.dead.push((record, reason)),
            }
        }
        (self.rows, self.there) = (0, 0);
        let done = self.settle(rows, &mut written).await;
        if done.is_err() {
            // The connection may be in mid-transaction, so it is closed instead of going back to the pool. The floors
            // may have risen, so they are read again.
            if let Some(conn) = self.conn.take() {
                let _ = tokio::time::timeout(Duration::from_secs(1), conn.disconnect()).await;
            }
            self.floors.clear();
        }
        done?;
        (written.rows, written.there) = (self.rows, self.there);
        written.dead.sort_unstable();
        Ok(written)
    }
}

impl AllOrNothing<Row> for Writer {
    type Error = WriteError;

    async fn take(&mut self, rows: &[Row]) -> Result<(), Failure<WriteError>> {
        let Ok(done) = tokio::time::timeout(LIMIT, self.transaction(rows)).await else {
            return Err(Failure::Other(WriteError::TimedOut));
        };
        if let Err(Failure::Bad(_)) = &done
            && let Some(conn) = &mut self.conn
        {
            rollback(conn).await?;
        }
        done
    }
}

/// Reads a record.
fn parse(record: &Record) -> Result<(CouponEvent, u64), String> {
    let value = record.value.as_deref().ok_or("the record has no value")?;
    let event: CouponEvent = serde_json::from_slice(value).map_err(|e| format!("the value is no event: {e}"))?;
    let counter = epoch_counter(&event.epoch).ok_or_else(|| format!("`{}` is no epoch", event.epoch))?;
    Ok((event, counter))
}

/// `rows` without those that are in it already, sorted as the unique key is: batches of several consumers then take
/// their locks in one order.
fn distinct(rows: &[Row]) -> Result<Vec<&Row>, Failure<WriteError>> {
    let mut users = HashSet::with_capacity(rows.len());
    let mut events: HashMap<Uuid, (u64, u64)> = HashMap::with_capacity(rows.len());
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        let owner = (row.event.coupon_id, row.event.user_id);
        match events.insert(row.event.event_id, owner) {
            Some(other) if other != owner => return Err(Failure::Bad(stolen(&row.event))),
            _ if users.insert(owner) => kept.push(row),
            _ => {}
        }
    }
    kept.sort_unstable_by_key(|row| (row.event.coupon_id, row.event.user_id));
    Ok(kept)
}

fn stolen(event: &CouponEvent) -> String {
    format!("event id {} belongs to another grant", event.event_id)
}

async fn insert(conn: &mut Conn, rows: &[&Row]) -> mysql_async::Result<()> {
    for rows in rows.chunks(ROWS_MAX) {
        let mut statement = String::with_capacity(90 + rows.len() * 10);
        statement.push_str("INSERT INTO coupon_users (coupon_id, user_id, event_id, grant_seq) VALUES ");
        let mut values = Vec::with_capacity(rows.len() * COLUMNS);
        for (i, row) in rows.iter().enumerate() {
            statement.push_str(if i == 0 { "(?,?,?,?)" } else { ",(?,?,?,?)" });
            let event = &row.event;
            values.extend([
                Value::from(event.coupon_id),
                Value::from(event.user_id),
                Value::from(event.event_id.to_string()),
                Value::from(event.grant_seq),
            ]);
        }
        conn.exec_drop(statement, Params::Positional(values)).await?;
    }
    Ok(())
}

/// Takes out of `rows` what has its row already, and returns how many those were.
async fn drop_existing(conn: &mut Conn, rows: &mut Vec<&Row>) -> Result<u64, Failure<WriteError>> {
    let mut events: HashMap<String, (u64, u64)> = HashMap::new();
    let mut users = HashSet::new();
    for part in rows.chunks(ROWS_MAX) {
        let query =
            format!("SELECT event_id, coupon_id, user_id FROM coupon_users WHERE event_id IN ({})", marks(part.len()));
        let ids = part.iter().map(|row| Value::from(row.event.event_id.to_string())).collect();
        let found: Vec<(String, u64, u64)> = conn.exec(query, Params::Positional(ids)).await.map_err(failed)?;
        events.extend(found.into_iter().map(|(event, coupon, user)| (event, (coupon, user))));
        for (coupon, part) in by_coupon(part) {
            let query =
                format!("SELECT user_id FROM coupon_users WHERE coupon_id = ? AND user_id IN ({})", marks(part.len()));
            let ids = std::iter::once(coupon).chain(part.iter().map(|row| row.event.user_id)).map(Value::from);
            let found: Vec<u64> = conn.exec(query, Params::Positional(ids.collect())).await.map_err(failed)?;
            users.extend(found.into_iter().map(|user| (coupon, user)));
        }
    }
    let before = rows.len();
    for row in rows.iter() {
        let owner = (row.event.coupon_id, row.event.user_id);
        if events.get(&row.event.event_id.to_string()).is_some_and(|other| *other != owner) {
            return Err(Failure::Bad(stolen(&row.event)));
        }
    }
    rows.retain(|row| !users.contains(&(row.event.coupon_id, row.event.user_id)));
    Ok((before - rows.len()) as u64)
}

/// Counts the new rows on their coupons, in the order of their ids. Last, because all batches want these rows.
async fn count(conn: &mut Conn, rows: &[&Row]) -> Result<(), Failure<WriteError>> {
    for (coupon, rows) in by_coupon(rows) {
        let n = rows.len() as u64;
        let counter = rows.iter().map(|row| row.counter).min().unwrap_or(0);
        let update = "UPDATE coupons SET issued = issued + ? \
            WHERE id = ? AND issued + ? <= quantity AND epoch_floor <= ?";
        conn.exec_drop(update, (n, coupon, n, counter)).await.map_err(failed)?;
        if conn.affected_rows() == 1 {
            continue;
        }
        let row: Option<(u64, u64, u64)> = conn
            .exec_first("SELECT issued, quantity, epoch_floor FROM coupons WHERE id = ?", (coupon,))
            .await
            .map_err(failed)?;
        return Err(match row {
            Some((issued, quantity, floor)) if floor <= counter && issued + n > quantity => {
                Failure::Bad(format!("overflow: {issued} of {quantity} coupons {coupon} are issued already"))
            }
            // Reset, removed or returned since: the floors are read again and the batch is tried again.
            _ => Failure::Other(WriteError::Changed(coupon)),
        });
    }
    Ok(())
}

fn by_coupon<'a>(rows: &[&'a Row]) -> BTreeMap<u64, Vec<&'a Row>> {
    let mut coupons = BTreeMap::<u64, Vec<&Row>>::new();
    for row in rows {
        coupons.entry(row.event.coupon_id).or_default().push(row);
    }
    coupons
}

fn marks(n: usize) -> String {
    let mut marks = String::with_capacity(n * 2);
    for i in 0..n {
        let _ = marks.write_str(if i == 0 { "?" } else { ",?" });
    }
    marks
}

async fn rollback(conn: &mut Conn) -> Result<(), Failure<WriteError>> {
    conn.query_drop("ROLLBACK").await.map_err(|e| Failure::Other(e.into()))
}

fn failed(error: mysql_async::Error) -> Failure<WriteError> {
    match class(&error) {
        Class::Data => Failure::Bad(error.to_string()),
        // A duplicate here was inserted by somebody else since we looked: the next try finds it.
        Class::Duplicate | Class::Transient => Failure::Other(error.into()),
    }
}

async fn limit<T>(work: impl Future<Output = mysql_async::Result<T>>) -> Result<T, WriteError> {
    tokio::time::timeout(LIMIT, work).await.map_err(|_| WriteError::TimedOut)?.map_err(Into::into)
}
