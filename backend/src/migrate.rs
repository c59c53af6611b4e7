//! The schema, in numbered versions. It may run again and again, and in several processes at once. What a version is
//! made of is said by the system; the statements stand with the domains.

use contract::system::{Step, System};
use mysql_async::{Conn, Pool, prelude::Queryable};

use crate::{db::own_connection, domains};

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// MySQL said no, or could not be reached.
    #[error("migration {step}: {source}")]
    Failed {
        /// What was being done.
        step: String,
        /// What the driver says.
        source: mysql_async::Error,
    },
    /// Somebody else has held the lock for too long.
    #[error("another process has been migrating this database for {LOCK_WAIT} s; look for it in SHOW PROCESSLIST")]
    Locked,
    /// A newer program was here.
    #[error(
        "the database has schema version {found}, this program knows {known}; use a newer program or another database"
    )]
    Newer {
        /// Version of the database.
        found: u32,
        /// Newest version that this program knows.
        known: u32,
    },
}

/// Seconds to wait for another process that migrates.
const LOCK_WAIT: u32 = 30;

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version INT UNSIGNED NOT NULL PRIMARY KEY,
    applied_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci";

/// Brings the schema of the pool's database up to date with what `system` has there.
pub async fn run(pool: &Pool, system: System) -> Result<(), MigrateError> {
    let failed = |step: &str| {
        let step = step.to_owned();
        move |source| MigrateError::Failed { step, source }
    };
    let mut conn = own_connection(pool).await.map_err(failed("connect"))?;
    let lock = format!("SELECT GET_LOCK(CONCAT('ecomctl.migrate.', LEFT(DATABASE(), 40)), {LOCK_WAIT})");
    if conn.query_first::<Option<u8>, _>(lock).await.map_err(failed("lock"))?.flatten() != Some(1) {
        return Err(MigrateError::Locked);
    }
    let done = apply(&mut conn, system.description().schema).await;
    // A lost connection has given the lock back already; whatever `apply` says is the news.
    let unlock = "DO RELEASE_LOCK(CONCAT('ecomctl.migrate.', LEFT(DATABASE(), 40)))";
    let unlocked = conn.query_drop(unlock).await.map_err(failed("unlock"));
    done.and(unlocked)
}

async fn apply(conn: &mut Conn, schema: &[&[Step]]) -> Result<(), MigrateError> {
    let failed = |step: String| move |source| MigrateError::Failed { step, source };
    conn.query_drop(VERSIONS).await.map_err(failed("schema_migrations".into()))?;
    let found: Option<Option<u32>> =
        conn.query_first("SELECT MAX(version) FROM schema_migrations").await.map_err(failed("version".into()))?;
    let found = found.flatten().unwrap_or(0);
    let known = schema.len() as u32;
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    for (version, steps) in (1_u32..).zip(schema).skip(found as usize) {
        for statement in steps.iter().flat_map(|step| domains::statements(*step)) {
            conn.query_drop(*statement).await.map_err(failed(version.to_string()))?;
        }
        conn.exec_drop("INSERT INTO schema_migrations (version) VALUES (?)", (version,))
            .await
            .map_err(failed(version.to_string()))?;
        tracing::info!(version, "schema migrated");
    }
    Ok(())
}

impl MigrateError {
    /// Whether waiting may help: the server is away, or somebody else is at it.
    pub fn passes(&self) -> bool {
        match self {
            Self::Failed { source: mysql_async::Error::Server(error), .. } => {
                matches!(error.code, 1040 | 1053 | 1205 | 1213 | 1290 | 2006 | 2013 | 3169)
            }
            Self::Failed { .. } | Self::Locked => true,
            Self::Newer { .. } => false,
        }
    }
}
