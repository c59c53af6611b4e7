//! Which users exist: known ids in memory, everything else by asking MySQL.

use std::{collections::HashSet, sync::RwLock};

use mysql_async::prelude::Queryable;

use crate::{
    db::{Db, DbError},
    sync,
};

/// Most ids that are kept (about 16 MB). Beyond it MySQL is asked each time.
const MOST: usize = 1_000_000;
/// Ids that are read at a time when the directory is warmed.
const PAGE: usize = 20_000;

/// The users' ids.
pub struct Directory {
    db: Db,
    known: RwLock<HashSet<u64>>,
}

impl Directory {
    /// An empty directory over `db`.
    pub fn new(db: Db) -> Self {
        Self { db, known: RwLock::default() }
    }

    /// Reads the ids that are there already, so that the first rush does not meet MySQL.
    pub async fn warm(&self) -> Result<usize, DbError> {
        let mut last = 0_u64;
        while self.len() < MOST {
            let page: Vec<u64> = self
                .db
                .within(async {
                    let mut conn = self.db.pool().get_conn().await?;
                    let page = format!("SELECT id FROM users WHERE id > ? ORDER BY id LIMIT {PAGE}");
                    conn.exec(page, (last,)).await
                })
                .await?;
            let Some(end) = page.last() else { break };
            last = *end;
            let more = page.len() == PAGE;
            sync::write(&self.known).extend(page);
            if !more {
                break;
            }
        }
        Ok(self.len())
    }

    /// Whether the user is known already, without asking MySQL.
    pub fn known(&self, id: u64) -> bool {
        sync::read(&self.known).contains(&id)
    }

    /// Whether the user exists.
    pub async fn exists(&self, id: u64) -> Result<bool, DbError> {
        if self.known(id) {
            return Ok(true);
        }
        let found: Option<u8> = self
            .db
            .within(async {
                let mut conn = self.db.pool().get_conn().await?;
                conn.exec_first("SELECT 1 FROM users WHERE id = ?", (id,)).await
            })
            .await?;
        if found.is_some() {
            self.add(id);
        }
        Ok(found.is_some())
    }

    /// Remembers a user that certainly exists.
    pub fn add(&self, id: u64) {
        let mut known = sync::write(&self.known);
        if known.len() < MOST {
            known.insert(id);
        }
    }

    fn len(&self) -> usize {
        sync::read(&self.known).len()
    }
}
