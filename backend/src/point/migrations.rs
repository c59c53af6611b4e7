//! Steps of the schema: points.

/// Balances.
pub const POINTS: [&str; 1] = ["CREATE TABLE IF NOT EXISTS points (
    user_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    balance BIGINT NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci"];

/// What happened to each balance. Balances that are there already get an entry that opens them, so that the sum of the
/// entries is the balance; its key is one that no client can send.
pub const POINT_ENTRIES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS point_entries (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT UNSIGNED NOT NULL,
    kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    delta BIGINT NOT NULL,
    balance_after BIGINT NOT NULL,
    idempotency_key VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    request_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    UNIQUE KEY uk_point_entries_user_key (user_id, idempotency_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci",
    "INSERT INTO point_entries (user_id, kind, delta, balance_after, idempotency_key, request_hash)
SELECT p.user_id, 'open', p.balance, p.balance, '', '' FROM points p
WHERE NOT EXISTS (SELECT 1 FROM point_entries e WHERE e.user_id = p.user_id)",
];
