//! The schema, in numbered steps. It may run again and again, and in several processes at once.

use mysql_async::{Conn, Pool, prelude::Queryable};

use crate::db::own_connection;

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

/// Steps by version. MySQL commits each DDL statement on its own, so each has to bear being repeated.
const STEPS: &[(u32, &[&str])] = &[(1, &SHOP), (2, &COUPONS)];

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version INT UNSIGNED NOT NULL PRIMARY KEY,
    applied_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci";

const SHOP: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS users (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    email VARCHAR(255) NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    UNIQUE KEY uk_users_email (email)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci",
    "CREATE TABLE IF NOT EXISTS products (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    price BIGINT UNSIGNED NOT NULL,
    stock INT UNSIGNED NOT NULL,
    description TEXT NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci",
    "CREATE TABLE IF NOT EXISTS points (
    user_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    balance BIGINT NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci",
];

const COUPONS: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS coupons (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    discount_amount BIGINT UNSIGNED NOT NULL,
    quantity INT UNSIGNED NOT NULL,
    issued INT UNSIGNED NOT NULL DEFAULT 0,
    start_date DATETIME(6) NOT NULL,
    end_date DATETIME(6) NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    epoch VARCHAR(80) NULL,
    epoch_floor BIGINT UNSIGNED NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci",
    // No foreign key to coupons: each insert would take a shared lock on the hot row that the counter's UPDATE wants
    // for itself, and two batches would deadlock. The UPDATE itself proves that the coupon exists.
    "CREATE TABLE IF NOT EXISTS coupon_users (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    coupon_id BIGINT UNSIGNED NOT NULL,
    user_id BIGINT UNSIGNED NOT NULL,
    event_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    grant_seq BIGINT UNSIGNED NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    UNIQUE KEY uk_coupon_users_event (event_id),
    UNIQUE KEY uk_coupon_users_coupon_user (coupon_id, user_id),
    KEY idx_coupon_users_user (user_id),
    CONSTRAINT fk_coupon_users_user FOREIGN KEY (user_id) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci",
    "CREATE TABLE IF NOT EXISTS coupon_epochs (
    coupon_id BIGINT UNSIGNED NOT NULL,
    counter BIGINT UNSIGNED NOT NULL,
    epoch VARCHAR(80) NOT NULL,
    run_id VARCHAR(64) NOT NULL,
    total INT UNSIGNED NOT NULL,
    floor BIGINT UNSIGNED NOT NULL,
    log_starts LONGTEXT NOT NULL,
    opened_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (coupon_id, counter)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci",
];

/// Brings the schema of the pool's database up to date.
pub async fn run(pool: &Pool) -> Result<(), MigrateError> {
    let failed = |step: &str| {
        let step = step.to_owned();
        move |source| MigrateError::Failed { step, source }
    };
    let mut conn = own_connection(pool).await.map_err(failed("connect"))?;
    let lock = format!("SELECT GET_LOCK(CONCAT('ecomctl.migrate.', LEFT(DATABASE(), 40)), {LOCK_WAIT})");
    if conn.query_first::<Option<u8>, _>(lock).await.map_err(failed("lock"))?.flatten() != Some(1) {
        return Err(MigrateError::Locked);
    }
    let done = apply(&mut conn).await;
    // A lost connection has given the lock back already; whatever `apply` says is the news.
    let unlock = "DO RELEASE_LOCK(CONCAT('ecomctl.migrate.', LEFT(DATABASE(), 40)))";
    let unlocked = conn.query_drop(unlock).await.map_err(failed("unlock"));
    done.and(unlocked)
}

async fn apply(conn: &mut Conn) -> Result<(), MigrateError> {
    let failed = |step: String| move |source| MigrateError::Failed { step, source };
    conn.query_drop(VERSIONS).await.map_err(failed("schema_migrations".into()))?;
    let found: Option<Option<u32>> =
        conn.query_first("SELECT MAX(version) FROM schema_migrations").await.map_err(failed("version".into()))?;
    let found = found.flatten().unwrap_or(0);
    let known = STEPS.last().map_or(0, |(version, _)| *version);
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    for (version, statements) in STEPS.iter().filter(|(version, _)| *version > found) {
        for statement in *statements {
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
