//! Counting, removing and inserting rows in MySQL, in batches over a few connections.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use contract::endpoint::MysqlEndpoint;
use mysql_async::{Conn, Params, Pool, Value, prelude::Queryable};
use tokio::{sync::mpsc, task::JoinSet};

use super::{SeedError, SeedProgress, tables::Table};

/// Connections side by side.
const CONNECTIONS: u64 = 4;
/// Rows in one statement.
const BATCH: u64 = 1_000;
/// Rows that are completed in one statement.
const COMPLETED: u64 = 50_000;
/// Longest a statement may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Deadlock found; lock wait timeout exceeded.
const RETRIED: [u16; 2] = [1213, 1205];

/// MySQL, as the seeder uses it.
#[derive(Clone)]
pub(super) struct Db {
    pool: Pool,
    server: String,
}

/// What is in a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Survey {
    /// Rows that are as asked.
    pub good: u64,
    /// Rows that are not: another number, or other values.
    pub wrong: u64,
    /// Those of them that have a number that is asked for.
    pub in_the_way: u64,
}

impl Survey {
    /// What adding the rows that are missing would destroy.
    pub fn harm(&self, table: &Table) -> Option<String> {
        let (count, name) = (self.in_the_way, table.name);
        (count > 0).then(|| format!("{count} rows of {name} with numbers from 1 to {} would be replaced", table.asked))
    }

    /// Compares what was counted with what was asked. `exact`: nothing else may be there.
    pub fn must_be_as_asked(&self, table: &Table, exact: bool) -> Result<(), SeedError> {
        if self.good == table.asked && (self.wrong == 0 || !exact) {
            return Ok(());
        }
        let extra = if self.wrong > 0 { format!(", and {} others", self.wrong) } else { String::new() };
        Err(SeedError::Shortfall { table: table.name, asked: table.asked, found: self.good, extra })
    }
}

impl Db {
    pub fn new(endpoint: &MysqlEndpoint) -> Self {
        Self { pool: Pool::new(endpoint.opts(0, CONNECTIONS as usize + 2)), server: endpoint.to_string() }
    }

    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Ends the connections; a server that hangs is not waited for.
    pub async fn close(self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.pool.disconnect()).await;
    }

    /// Runs one step with a time limit, and names it where it fails.
    pub async fn step<T>(
        &self,
        what: &str,
        step: impl Future<Output = Result<T, mysql_async::Error>>,
    ) -> Result<T, SeedError> {
        let why = match tokio::time::timeout(TIMEOUT, step).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(e)) => contract::cause::chain(&e),
            Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        };
        Err(SeedError::Mysql { server: self.server.clone(), what: what.to_owned(), why })
    }

    pub async fn conn(&self) -> Result<Conn, SeedError> {
        self.step("connecting", self.pool.get_conn()).await
    }

    /// Runs a statement; the rows it affected.
    pub async fn execute(&self, what: &str, sql: &str, params: impl Into<Params> + Send) -> Result<u64, SeedError> {
        let mut conn = self.conn().await?;
        self.step(what, conn.exec_drop(sql, params)).await?;
        Ok(conn.affected_rows())
    }

    /// Counts what is in a table.
    pub async fn survey(&self, table: &Table) -> Result<Survey, SeedError> {
        let (good, mut params) = table.good();
        let sql = format!(
            "SELECT COUNT(*), CAST(COALESCE(SUM({good}), 0) AS UNSIGNED), \
             CAST(COALESCE(SUM({} BETWEEN 1 AND ?), 0) AS UNSIGNED) FROM {}",
            table.key, table.name
        );
        params.push(table.asked.into());
        let mut conn = self.conn().await?;
        let what = format!("counting {}", table.name);
        let row: Option<(u64, u64, u64)> = self.step(&what, conn.exec_first(sql, Params::Positional(params))).await?;
        let (all, good, in_range) = row.unwrap_or_default();
        Ok(Survey { good, wrong: all.saturating_sub(good), in_the_way: in_range.saturating_sub(good) })
    }

    /// Numbers of the rows that are not as asked.
    pub async fn wrong_keys(&self, table: &Table) -> Result<Vec<u64>, SeedError> {
        let (good, params) = table.good();
        let sql = format!("SELECT {} FROM {} WHERE NOT {good}", table.key, table.name);
        let what = format!("reading rows of {} that are not as asked", table.name);
        let mut conn = self.conn().await?;
        self.step(&what, conn.exec(sql, Params::Positional(params))).await
    }

    /// Removes the rows that are not as asked; how many there were.
    pub async fn remove_wrong(&self, table: &Table, survey: &Survey) -> Result<u64, SeedError> {
        if survey.wrong == 0 {
            return Ok(0);
        }
        let (good, params) = table.good();
        let what = format!("removing rows of {} that are not as asked", table.name);
        if let Some((dependants, column)) = table.dependants {
            let gone = format!("SELECT {} FROM {} WHERE NOT {good}", table.key, table.name);
            let sql = format!("DELETE FROM {dependants} WHERE {column} IN ({gone})");
            self.execute(&what, &sql, Params::Positional(params.clone())).await?;
        }
        let sql = format!("DELETE FROM {} WHERE NOT {good}", table.name);
        self.execute(&what, &sql, Params::Positional(params)).await
    }

    /// Inserts the rows that are missing; how many there were. Whatever has a number asked for must be as asked.
    pub async fn fill(
        &self,
        table: &Arc<Table>,
        survey: &Survey,
        progress: &(dyn Fn(SeedProgress) + Sync),
    ) -> Result<u64, SeedError> {
        if survey.good >= table.asked {
            return Ok(0);
        }
        let next = Arc::new(AtomicU64::new(0));
        let empty = survey.good == 0;
        // Bounded: a slow reader of the progress slows the writers down, and nothing piles up.
        let (sender, mut receiver) = mpsc::channel(64);
        let mut workers = JoinSet::new();
        for _ in 0..CONNECTIONS.min(table.asked.div_ceil(BATCH)) {
            let (db, table, next, sender) = (self.clone(), Arc::clone(table), Arc::clone(&next), sender.clone());
            workers.spawn(async move { db.fill_batches(&table, &next, empty, &sender).await });
        }
        drop(sender);
        let mut inserted = 0;
        while let Some(rows) = receiver.recv().await {
            inserted += rows;
            progress(SeedProgress { table: table.name, done: survey.good + inserted, total: table.asked });
        }
        while let Some(result) = workers.join_next().await {
            result.map_err(|e| SeedError::Mysql {
                server: self.server.clone(),
                what: format!("inserting into {}", table.name),
                why: e.to_string(),
            })??;
        }
        Ok(inserted)
    }

    /// Makes what belongs to the rows that were asked for, where it is missing.
    pub async fn complete(&self, table: &Table) -> Result<(), SeedError> {
        let Some(sql) = table.completion else { return Ok(()) };
        let what = format!("completing {}", table.name);
        let mut first = 1;
        while first <= table.asked {
            let last = first.saturating_add(COMPLETED - 1);
            self.execute(&what, sql, (first, last)).await?;
            first = last.saturating_add(1);
        }
        Ok(())
    }

    /// Takes batch after batch until none is left.
    async fn fill_batches(
        &self,
        table: &Table,
        next: &AtomicU64,
        empty: bool,
        done: &mpsc::Sender<u64>,
    ) -> Result<(), SeedError> {
        let what = format!("inserting into {}", table.name);
        let mut conn = self.conn().await?;
        loop {
            let first = next.fetch_add(1, Ordering::Relaxed) * BATCH + 1;
            if first > table.asked {
                return Ok(());
            }
            let last = (first + BATCH - 1).min(table.asked);
            let mut missing: Vec<u64> = (first..=last).collect();
            if !empty {
                let sql = format!("SELECT {0} FROM {1} WHERE {0} BETWEEN ? AND ?", table.key, table.name);
                let present: Vec<u64> = self.step(&what, conn.exec(sql, (first, last))).await?;
                let present: std::collections::HashSet<u64> = present.into_iter().collect();
                missing.retain(|n| !present.contains(n));
            }
            if missing.is_empty() {
                continue;
            }
            self.insert(&mut conn, table, &missing, &what).await?;
            let _ = done.send(missing.len() as u64).await;
        }
    }

    async fn insert(&self, conn: &mut Conn, table: &Table, rows: &[u64], what: &str) -> Result<(), SeedError> {
        let sql = table.insert(rows.len());
        let values: Vec<Value> = rows.iter().flat_map(|n| (table.row)(*n)).collect();
        let attempts = async {
            let mut left = 5;
            loop {
                match conn.exec_drop(sql.as_str(), Params::Positional(values.clone())).await {
                    Err(mysql_async::Error::Server(e)) if RETRIED.contains(&e.code) && left > 0 => left -= 1,
                    other => return other,
                }
            }
        };
        self.step(what, attempts).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The library says its own name for the error twice, which helps nobody.
    #[tokio::test]
    async fn a_server_that_is_not_there_says_its_cause_once() {
        let port = infra::ports::free(&std::collections::BTreeSet::new()).unwrap();
        let endpoint: MysqlEndpoint = format!("mysql://u:p@127.0.0.1:{port}/d").parse().unwrap();
        let error = Db::new(&endpoint).conn().await.map(drop).unwrap_err().to_string();
        assert_eq!(error.matches("Input/output error").count(), 1, "{error}");
        assert_eq!(error.matches("os error").count(), 1, "{error}");
    }
}
