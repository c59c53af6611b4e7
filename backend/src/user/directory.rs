//! Which users exist: known ones in memory, everything else by asking MySQL.

use std::{collections::HashMap, hash::Hash, sync::RwLock};

use mysql_async::{
    Value,
    prelude::{FromValue, Queryable},
};
use uuid::Uuid;

use crate::{
    db::{Db, DbError},
    sync,
};

/// Most users that are kept (about 32 MB). Beyond it MySQL is asked each time.
const MOST: usize = 1_000_000;
/// Users that are read at a time when the directory is warmed.
const PAGE: usize = 20_000;

/// What a user is known by: a column of `users` with a unique key.
pub trait Key: Copy + Eq + Hash + Sync {
    /// The column.
    const COLUMN: &'static str;
    /// Its type in SQL.
    type Sql: FromValue + Send + 'static;
    /// The value in the column.
    fn to_sql(self) -> Value;
    /// The key of a value; none where it is none of ours.
    fn of(value: Self::Sql) -> Option<Self>;
}

impl Key for u64 {
    const COLUMN: &'static str = "id";
    type Sql = Self;

    fn to_sql(self) -> Value {
        self.into()
    }
    fn of(value: Self) -> Option<Self> {
        Some(value)
    }
}

impl Key for Uuid {
    const COLUMN: &'static str = "public_id";
    type Sql = String;

    fn to_sql(self) -> Value {
        self.to_string().into()
    }
    fn of(value: String) -> Option<Self> {
        value.parse().ok()
    }
}

/// The users by one key.
pub struct Directory<K> {
    db: Db,
    /// Key → id.
    known: RwLock<HashMap<K, u64>>,
}

impl<K: Key> Directory<K> {
    /// An empty directory over `db`.
    pub fn new(db: Db) -> Self {
        Self { db, known: RwLock::default() }
    }

    /// Reads the users that are there already; how many those are.
    pub async fn warm(&self) -> Result<usize, DbError> {
        let mut last = 0_u64;
        while self.len() < MOST {
            let query = format!("SELECT id, {} FROM users WHERE id > ? ORDER BY id LIMIT {PAGE}", K::COLUMN);
            let page: Vec<(u64, K::Sql)> = self
                .db
                .within(async {
                    let mut conn = self.db.pool().get_conn().await?;
                    conn.exec(query, (last,)).await
                })
                .await?;
            let Some((end, _)) = page.last() else { break };
            last = *end;
            let more = page.len() == PAGE;
            sync::write(&self.known).extend(page.into_iter().filter_map(|(id, value)| Some((K::of(value)?, id))));
            if !more {
                break;
            }
        }
        Ok(self.len())
    }

    /// The id of the user; none where there is no such user.
    pub async fn find(&self, key: K) -> Result<Option<u64>, DbError> {
        if let Some(id) = self.known(key) {
            return Ok(Some(id));
        }
        let query = format!("SELECT id FROM users WHERE {} = ?", K::COLUMN);
        let found: Option<u64> = self
            .db
            .within(async {
                let mut conn = self.db.pool().get_conn().await?;
                conn.exec_first(query, (key.to_sql(),)).await
            })
            .await?;
        if let Some(id) = found {
            self.add(key, id);
        }
        Ok(found)
    }

    /// Remembers a user that certainly exists.
    pub fn add(&self, key: K, id: u64) {
        let mut known = sync::write(&self.known);
        if known.len() < MOST {
            known.insert(key, id);
        }
    }

    fn known(&self, key: K) -> Option<u64> {
        sync::read(&self.known).get(&key).copied()
    }

    fn len(&self) -> usize {
        sync::read(&self.known).len()
    }
}
