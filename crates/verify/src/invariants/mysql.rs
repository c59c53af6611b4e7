//! One consistent snapshot of MySQL or MariaDB for all statements of a look: read-only, and limited in time.

use std::time::Duration;

use contract::{cause, endpoint::MysqlEndpoint};
use mysql_async::{Conn, Value as Cell, prelude::Queryable};
use serde_json::Value;

use super::{Each, Known};

const CONNECT: Duration = Duration::from_secs(10);
/// How much longer than the server we wait before the connection is closed.
const GRACE: Duration = Duration::from_secs(2);
/// Most rows that a statement without a LIMIT of its own gives.
const MOST_ROWS: u64 = 1_000_001;
/// MySQL's error for a variable that it has not.
const UNKNOWN_VARIABLE: u16 = 1193;

/// A read-only transaction.
pub(super) struct Snapshot {
    /// None: a statement took too long, and its connection was closed.
    conn: Option<Conn>,
    endpoint: MysqlEndpoint,
    limit: Duration,
}

impl Snapshot {
    /// Begins it. `limit` holds for each statement.
    pub async fn open(endpoint: &MysqlEndpoint, limit: Duration) -> Known<Self> {
        let fail = |why: &dyn std::fmt::Display| cause::once(&format!("MySQL at {endpoint}: {why}"));
        let opening = async {
            let mut conn = Conn::new(endpoint.opts(0, 1)).await?;
            limit_time(&mut conn, limit).await?;
            conn.query_drop(format!("SET SESSION sql_select_limit = {MOST_ROWS}, lock_wait_timeout = 5")).await?;
            conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
            Ok::<_, mysql_async::Error>(conn)
        };
        match tokio::time::timeout(CONNECT, opening).await {
            Ok(Ok(conn)) => Ok(Self { conn: Some(conn), endpoint: endpoint.clone(), limit }),
            Ok(Err(error)) => Err(fail(&error)),
            Err(_) => Err(fail(&format!("no answer within {} s", CONNECT.as_secs()))),
        }
    }

    /// Whether the database has this table or view, by its name or as `database.name`.
    pub async fn has_table(&mut self, table: &str) -> Known<bool> {
        let (database, table) =
            table.split_once('.').map_or((None, table), |(database, table)| (Some(database), table));
        let sql = "SELECT COUNT(*) FROM information_schema.TABLES \
                   WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ?";
        let mut conn = self.take()?;
        let id = conn.id();
        let asking = async {
            let found: Result<Option<u64>, _> = conn.exec_first(sql, (database, table)).await;
            (conn, found)
        };
        let (conn, found) = self.in_time(id, asking).await?;
        self.conn = Some(conn);
        found.map(|count| count.unwrap_or_default() > 0).map_err(|e| self.fail(&e))
    }

    /// Sends one statement, prepared: the server takes no second one with it. Gives `each` row as it comes.
    pub async fn rows(&mut self, sql: &str, each: Each<'_>) -> Known<()> {
        let mut conn = self.take()?;
        let id = conn.id();
        let asking = async {
            let read = stream(&mut conn, sql, each).await;
            (conn, read)
        };
        let (conn, read) = self.in_time(id, asking).await?;
        match read {
            Ok(given) => {
                self.conn = Some(conn);
                given
            }
            Err(error @ mysql_async::Error::Server(_)) => {
                self.conn = Some(conn);
                Err(self.fail(&error))
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// Ends it.
    pub async fn close(mut self) {
        if let Some(conn) = self.conn.take() {
            // It has written nothing: how it ends is of no matter.
            let _ = tokio::time::timeout(GRACE, conn.disconnect()).await;
        }
    }

    fn take(&mut self) -> Known<Conn> {
        self.conn.take().ok_or_else(|| self.fail(&"the snapshot ended with a statement that failed before"))
    }

    fn fail(&self, why: &dyn std::fmt::Display) -> String {
        cause::once(&format!("MySQL at {}: {why}", self.endpoint))
    }

    /// The server ends what takes too long; where it does not, the connection is closed, on its side too.
    async fn in_time<T>(&self, id: u32, asking: impl Future<Output = T>) -> Known<T> {
        if let Ok(done) = tokio::time::timeout(self.limit + GRACE, asking).await {
            return Ok(done);
        }
        let ending = async {
            let mut other = Conn::new(self.endpoint.opts(0, 1)).await?;
            other.query_drop(format!("KILL CONNECTION {id}")).await?;
            other.disconnect().await
        };
        let _ = tokio::time::timeout(CONNECT, ending).await;
        Err(self.fail(&format!("no answer within {} s", self.limit.as_secs())))
    }
}

/// MySQL counts milliseconds, MariaDB seconds, each in a variable of its own.
async fn limit_time(conn: &mut Conn, limit: Duration) -> Result<(), mysql_async::Error> {
    let mysql = format!("SET SESSION max_execution_time = {}", limit.as_millis());
    match conn.query_drop(mysql).await {
        Err(mysql_async::Error::Server(error)) if error.code == UNKNOWN_VARIABLE => {
            conn.query_drop(format!("SET SESSION max_statement_time = {}", limit.as_secs_f64())).await
        }
        other => other,
    }
}

async fn stream(conn: &mut Conn, sql: &str, each: Each<'_>) -> Result<Known<()>, mysql_async::Error> {
    let mut result = conn.exec_iter(sql, ()).await?;
    let columns: Vec<String> = result.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
    let mut given = Ok(());
    while let Some(row) = result.next().await? {
        if given.is_ok() {
            given = each(&columns, row.unwrap().into_iter().map(value).collect());
        }
    }
    Ok(given)
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::NULL => Value::Null,
        Cell::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
        Cell::Int(number) => number.into(),
        Cell::UInt(number) => number.into(),
        Cell::Float(number) => f64::from(number).into(),
        Cell::Double(number) => number.into(),
        date @ (Cell::Date(..) | Cell::Time(..)) => date.as_sql(true).trim_matches('\'').to_owned().into(),
    }
}
