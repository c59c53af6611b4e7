//! What is asked. Times are made into numbers by the server, texts come as bytes: a statement may hold any.

use std::str::FromStr;

use mysql_async::Row;

/// Said on every new connection; a server that does not know one of them goes on without it.
pub(super) const SESSION: [&str; 4] = [
    // MySQL, in milliseconds; MariaDB, in seconds.
    "SET SESSION max_execution_time = 1000",
    "SET SESSION max_statement_time = 1",
    "SET SESSION long_query_time = 100",
    // Needs a right that few have; where it is missing our looks stand among the digests.
    "UPDATE performance_schema.threads SET INSTRUMENTED = 'NO' WHERE PROCESSLIST_ID = CONNECTION_ID()",
];

pub(super) const STATUS: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Threads_running', \
    'Questions', 'Innodb_row_lock_waits', 'Innodb_row_lock_time', 'Innodb_deadlocks', \
    'Innodb_buffer_pool_pages_data', 'Innodb_buffer_pool_pages_total', 'Innodb_buffer_pool_reads', \
    'Innodb_buffer_pool_read_requests')";

pub(super) const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'max_connections', \
    'innodb_buffer_pool_size', 'performance_schema', 'log_output')";

/// MySQL 8 and later: who waits for whom.
pub(super) const LOCK_WAITS: &str = "SELECT r.trx_mysql_thread_id AS waiting, CAST(r.trx_query AS BINARY) AS waiting_sql, \
    TIMESTAMPDIFF(MICROSECOND, r.trx_wait_started, NOW(6)) / 1e6 AS waited_s, \
    b.trx_mysql_thread_id AS blocking, CAST(b.trx_query AS BINARY) AS blocking_sql, \
    TIMESTAMPDIFF(MICROSECOND, b.trx_started, NOW(6)) / 1e6 AS blocking_age_s, \
    CAST(CONCAT(l.OBJECT_SCHEMA, '.', l.OBJECT_NAME) AS BINARY) AS table_name \
    FROM performance_schema.data_lock_waits w \
    JOIN information_schema.innodb_trx r ON r.trx_id = w.REQUESTING_ENGINE_TRANSACTION_ID \
    JOIN information_schema.innodb_trx b ON b.trx_id = w.BLOCKING_ENGINE_TRANSACTION_ID \
    LEFT JOIN performance_schema.data_locks l ON l.ENGINE_LOCK_ID = w.REQUESTING_ENGINE_LOCK_ID \
    ORDER BY r.trx_wait_started LIMIT 20";

/// MariaDB: the same from its own tables.
pub(super) const MARIA_LOCK_WAITS: &str = "SELECT r.trx_mysql_thread_id AS waiting, \
    CAST(r.trx_query AS BINARY) AS waiting_sql, \
    TIMESTAMPDIFF(MICROSECOND, r.trx_wait_started, NOW(6)) / 1e6 AS waited_s, \
    b.trx_mysql_thread_id AS blocking, CAST(b.trx_query AS BINARY) AS blocking_sql, \
    TIMESTAMPDIFF(MICROSECOND, b.trx_started, NOW(6)) / 1e6 AS blocking_age_s, \
    CAST(l.lock_table AS BINARY) AS table_name \
    FROM information_schema.INNODB_LOCK_WAITS w \
    JOIN information_schema.INNODB_TRX r ON r.trx_id = w.requesting_trx_id \
    JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_trx_id \
    LEFT JOIN information_schema.INNODB_LOCKS l ON l.lock_id = w.requested_lock_id \
    ORDER BY r.trx_wait_started LIMIT 20";

pub(super) const DIGESTS: &str = "SELECT CAST(DIGEST_TEXT AS BINARY) AS text, COUNT_STAR AS count, \
    SUM_TIMER_WAIT / 1e9 AS total_ms, SUM_ROWS_EXAMINED AS rows_examined, SUM_ROWS_SENT AS rows_sent \
    FROM performance_schema.events_statements_summary_by_digest WHERE DIGEST_TEXT IS NOT NULL \
    ORDER BY SUM_TIMER_WAIT DESC LIMIT 10";

pub(super) const SLOW: &str = "SELECT CAST(DATE_FORMAT(CONVERT_TZ(start_time, @@session.time_zone, '+00:00'), \
    '%Y-%m-%dT%H:%i:%s.%fZ') AS BINARY) AS at, \
    TIME_TO_SEC(query_time) * 1e3 + MICROSECOND(query_time) / 1e3 AS query_ms, \
    TIME_TO_SEC(lock_time) * 1e3 + MICROSECOND(lock_time) / 1e3 AS lock_ms, \
    rows_examined, CAST(sql_text AS BINARY) AS sql_text \
    FROM mysql.slow_log ORDER BY query_time DESC LIMIT 10";

/// A row of text, cell by cell. What is NULL, or no number, is nothing: other versions may answer otherwise.
pub(super) struct Cells(pub Row);

impl Cells {
    /// A cell's bytes.
    pub fn bytes(&mut self, cell: usize) -> Vec<u8> {
        match self.0.take_opt::<Option<Vec<u8>>, usize>(cell) {
            Some(Ok(Some(bytes))) => bytes,
            _ => Vec::new(),
        }
    }

    /// A cell as a number.
    pub fn number<T: FromStr + Default>(&mut self, cell: usize) -> T {
        String::from_utf8(self.bytes(cell)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    }
}
