//! Steps of the schema: coupons, who has one, and the lives of their gates.

/// Coupons, their holders and their epochs.
pub const COUPONS: [&str; 3] = [
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
