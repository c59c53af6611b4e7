//! Reading MySQL: all of it in one snapshot, and what the server refuses is unknown.

use std::time::Duration;

use contract::endpoint::MysqlEndpoint;
use mysql_async::{Conn, Error, IsolationLevel, Transaction, TxOpts, prelude::Queryable};

use crate::model::Known;

const CONNECT: Duration = Duration::from_secs(10);

/// A connection.
pub(crate) async fn connect(endpoint: &MysqlEndpoint) -> Result<Conn, Error> {
    let connecting = tokio::time::timeout(CONNECT, Conn::new(endpoint.opts(0, 1)));
    connecting.await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
}

/// A transaction in which everything is read as it was at one moment.
pub(crate) async fn snapshot(conn: &mut Conn) -> Result<Transaction<'_>, Error> {
    let mut options = TxOpts::default();
    options.with_consistent_snapshot(true).with_isolation_level(IsolationLevel::RepeatableRead);
    conn.start_transaction(options).await
}

/// What the server refuses (a missing table or column, say) leaves only this part unknown; a lost connection ends all.
pub(crate) fn known<T>(result: Result<T, Error>, fail: impl Fn(&Error) -> String) -> Result<Known<T>, Error> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error @ Error::Server(_)) => Ok(Err(fail(&error))),
        Err(error) => Err(error),
    }
}

/// Whether nobody can write here but who copies from another server: what the backend wrote is elsewhere then.
pub(crate) async fn is_read_only(snapshot: &mut Transaction<'_>) -> Result<bool, Error> {
    let found: Option<String> = snapshot.query_first("SELECT CAST(@@global.read_only AS CHAR)").await?;
    Ok(found.is_some_and(|value| !matches!(value.as_str(), "0" | "OFF")))
}
