//! The coupons as MySQL has them, kept in the process: whether one exists, when it is valid, and its epoch.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use mysql_async::prelude::Queryable;
use tokio::sync::Mutex;

use crate::{
    db::{Db, DbError},
    sync,
};
use contract::claim::{GateKeys, gate_keys};

/// Least time between two refreshes that a closed gate asks for.
const REFRESH_EVERY: Duration = Duration::from_millis(100);
/// How long an unknown coupon stays unknown before MySQL is asked again.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);
/// Most unknown ids that are remembered.
const UNKNOWN_MAX: usize = 10_000;
/// Most coupons that are loaded.
const COUPONS_MAX: u32 = 10_000;

/// One coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coupon {
    /// Id.
    pub id: u64,
    /// Its epoch, `"<run_id>:<life>:<counter>"`; `None` until it is opened for the first time.
    pub epoch: Option<String>,
    /// Its keys in Redis.
    pub keys: GateKeys,
    /// Valid from here, in milliseconds since 1970.
    pub starts_ms: i64,
    /// Valid until here.
    pub ends_ms: i64,
}

impl Coupon {
    /// Whether it may be issued at `now_ms`.
    pub fn valid_at(&self, now_ms: i64) -> bool {
        (self.starts_ms..self.ends_ms).contains(&now_ms)
    }
}

/// The coupons of the database.
pub struct Coupons {
    db: Db,
    known: RwLock<HashMap<u64, Arc<Coupon>>>,
    unknown: RwLock<HashMap<u64, Instant>>,
    refreshed: Mutex<Option<Instant>>,
}

type Row = (u64, Option<String>, i64, i64);

const SELECT: &str = "SELECT id, epoch, \
    CAST(UNIX_TIMESTAMP(start_date) * 1000 AS SIGNED), CAST(UNIX_TIMESTAMP(end_date) * 1000 AS SIGNED) FROM coupons";

impl Coupons {
    /// An empty cache over `db`.
    pub fn new(db: Db) -> Self {
        Self { db, known: RwLock::default(), unknown: RwLock::default(), refreshed: Mutex::default() }
    }

    /// The coupon, from memory or else from MySQL; `None` when there is none.
    pub async fn get(&self, id: u64) -> Result<Option<Arc<Coupon>>, DbError> {
        if let Some(coupon) = self.cached(id) {
            return Ok(Some(coupon));
        }
        if sync::read(&self.unknown).get(&id).is_some_and(|since| since.elapsed() < UNKNOWN_FOR) {
            return Ok(None);
        }
        let row: Option<Row> = self
            .db
            .within(async {
                let mut conn = self.db.pool().get_conn().await?;
                conn.exec_first(format!("{SELECT} WHERE id = ?"), (id,)).await
            })
            .await?;
        let Some(row) = row else {
            let mut unknown = sync::write(&self.unknown);
            if unknown.len() >= UNKNOWN_MAX {
                unknown.clear();
            }
            unknown.insert(id, Instant::now());
            return Ok(None);
        };
        let coupon = Arc::new(coupon(row));
        sync::write(&self.known).insert(id, coupon.clone());
        Ok(Some(coupon))
    }

    /// The coupon as it is in memory.
    pub fn cached(&self, id: u64) -> Option<Arc<Coupon>> {
        sync::read(&self.known).get(&id).cloned()
    }

    /// Every coupon in memory.
    pub fn all(&self) -> Vec<Arc<Coupon>> {
        sync::read(&self.known).values().cloned().collect()
    }

    /// Reads all coupons again, unless somebody else has done so since `seen`, or only just now.
    ///
    /// Many requests may ask for it at once when the gate closes: one asks MySQL, the others wait for it.
    pub async fn refresh(&self, seen: Instant) -> Result<(), DbError> {
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.is_some_and(|at| at > seen || at.elapsed() < REFRESH_EVERY) {
            return Ok(());
        }
        let rows: Result<Vec<Row>, _> = self
            .db
            .within(async {
                let mut conn = self.db.pool().get_conn().await?;
                conn.exec(format!("{SELECT} ORDER BY id DESC LIMIT {COUPONS_MAX}"), ()).await
            })
            .await;
        // A failure counts too: whoever waits must not ask a silent MySQL one after the other.
        *refreshed = Some(Instant::now());
        let coupons = rows?.into_iter().map(|row| (row.0, Arc::new(coupon(row)))).collect();
        *sync::write(&self.known) = coupons;
        Ok(())
    }
}

fn coupon((id, epoch, starts_ms, ends_ms): Row) -> Coupon {
    Coupon { id, epoch, keys: gate_keys(id), starts_ms, ends_ms }
}
