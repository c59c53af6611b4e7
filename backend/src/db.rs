//! MySQL: a pool with a time limit on everything, and what its errors mean for a record.

use std::{future::Future, time::Duration};

use mysql_async::{Conn, OptsBuilder, Pool};

use contract::{endpoint::MysqlEndpoint, settings::DbPool};

/// A pool of connections. Cloning it is cheap.
#[derive(Clone)]
pub struct Db {
    pool: Pool,
    limit: Duration,
    max: u16,
    address: String,
}

/// Why MySQL did not answer a question.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// It took too long, the wait for a connection included.
    #[error("MySQL at {address} did not answer within {limit:?}; is it up, and is backend.db_pool.max enough?")]
    TimedOut {
        /// `host:port/database`.
        address: String,
        /// The limit, `backend.db_pool.timeout`.
        limit: Duration,
    },
    /// It said no, or could not be reached.
    #[error("MySQL at {address}: {source}")]
    Failed {
        /// `host:port/database`.
        address: String,
        /// What the driver says.
        source: mysql_async::Error,
    },
}

impl Db {
    /// A pool for `endpoint`; it connects at first use. `extra` statements are sent on every new connection.
    pub fn new(endpoint: &MysqlEndpoint, settings: &DbPool, extra: &[&'static str]) -> Self {
        let opts = endpoint.opts_with(usize::from(settings.min_idle), usize::from(settings.max), extra);
        let opts = OptsBuilder::from_opts(opts).stmt_cache_size(64);
        Self { pool: Pool::new(opts), limit: settings.timeout.0, max: settings.max, address: endpoint.to_string() }
    }

    /// The pool, for what has its own time limit.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Connections that there may be.
    pub fn max(&self) -> u16 {
        self.max
    }

    /// Runs `work` within `backend.db_pool.timeout`. A connection that is given up in mid-query is closed, not reused.
    pub async fn within<T>(&self, work: impl Future<Output = mysql_async::Result<T>>) -> Result<T, DbError> {
        match tokio::time::timeout(self.limit, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => Err(DbError::Failed { address: self.address.clone(), source }),
            Err(_) => Err(DbError::TimedOut { address: self.address.clone(), limit: self.limit }),
        }
    }
}

/// A connection that belongs to no pool. What holds a named lock must use one: given up in mid-work it is closed, and
/// the lock goes with it; a pool would keep both.
pub async fn own_connection(pool: &Pool) -> mysql_async::Result<Conn> {
    let opts = pool.get_conn().await?.opts().clone();
    Conn::new(opts).await
}

/// What an error means for the rows that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A unique key has the value already.
    Duplicate,
    /// The data themselves are wrong (SQLSTATE 22 and 23): they will never be taken.
    Data,
    /// Anything else: the server, the connection, locks, rights, the schema. The same data may be taken later.
    Transient,
}

/// What `error` means for the rows that met it.
pub fn class(error: &mysql_async::Error) -> Class {
    match error {
        mysql_async::Error::Server(error) => class_of(error.code, &error.state),
        _ => Class::Transient,
    }
}

fn class_of(code: u16, state: &str) -> Class {
    match code {
        1022 | 1062 | 1586 => Class::Duplicate,
        _ if state.starts_with("22") || state.starts_with("23") => Class::Data,
        _ => Class::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wrong_data_count_against_a_record() {
        let cases = [
            (1062, "23000", Class::Duplicate),
            (1452, "23000", Class::Data),
            (1048, "23000", Class::Data),
            (1264, "22003", Class::Data),
            (1406, "22001", Class::Data),
            (1690, "22003", Class::Data),
            (1040, "08004", Class::Transient),
            (1205, "HY000", Class::Transient),
            (1213, "40001", Class::Transient),
            (1053, "08S01", Class::Transient),
            (2006, "HY000", Class::Transient),
            (2013, "HY000", Class::Transient),
            (1290, "HY000", Class::Transient),
            (1836, "HY000", Class::Transient),
            (1146, "42S02", Class::Transient),
            (1054, "42S22", Class::Transient),
            (1142, "42000", Class::Transient),
            (1114, "HY000", Class::Transient),
        ];
        for (code, state, expected) in cases {
            assert_eq!(class_of(code, state), expected, "{code} ({state})");
        }
    }

    #[test]
    fn a_lost_connection_is_transient() {
        let error = mysql_async::Error::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert_eq!(class(&error), Class::Transient);
    }
}
