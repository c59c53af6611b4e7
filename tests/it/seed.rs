//! Seeding real servers. Each test has a database of its own in MySQL and in Redis, since a seed removes what was not
//! asked for.

use std::sync::{
    Mutex,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use contract::{
    claim::{Claim, EPOCH_ID, EPOCH_SEQUENCE, EPOCH_TOTAL, gate_keys},
    endpoint::Endpoints,
    system::System,
};
use ecomctl::seed::{self, Backend, Owned, SeedError, SeedPlan, SeedProgress, SeedReport, Via};
use mysql_async::{Pool, prelude::Queryable};
use profile::model::{CouponSeed, SeedSpec};

use crate::support::servers;

const SCHEMA: [&str; 6] = [
    "CREATE TABLE IF NOT EXISTS users (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100) NOT NULL, \
     email VARCHAR(255) NOT NULL UNIQUE, created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))",
    "CREATE TABLE IF NOT EXISTS products (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200) NOT NULL, \
     price BIGINT UNSIGNED NOT NULL, stock INT UNSIGNED NOT NULL, description TEXT, \
     created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))",
    "CREATE TABLE IF NOT EXISTS points (user_id BIGINT UNSIGNED PRIMARY KEY, balance BIGINT NOT NULL, \
     created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))",
    "CREATE TABLE IF NOT EXISTS coupons (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200) NOT NULL, \
     discount_amount BIGINT UNSIGNED NOT NULL, quantity INT UNSIGNED NOT NULL, issued INT UNSIGNED NOT NULL DEFAULT 0, \
     start_date DATETIME(6) NOT NULL, end_date DATETIME(6) NOT NULL, \
     created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), epoch VARCHAR(80) NULL, \
     epoch_floor BIGINT UNSIGNED NOT NULL DEFAULT 0)",
    "CREATE TABLE IF NOT EXISTS coupon_users (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, \
     coupon_id BIGINT UNSIGNED NOT NULL, user_id BIGINT UNSIGNED NOT NULL, event_id CHAR(36) NOT NULL UNIQUE, \
     grant_seq BIGINT UNSIGNED NOT NULL, UNIQUE (coupon_id, user_id), FOREIGN KEY (user_id) REFERENCES users (id))",
    "CREATE TABLE IF NOT EXISTS point_entries (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, \
     user_id BIGINT UNSIGNED NOT NULL, kind VARCHAR(16) NOT NULL, delta BIGINT NOT NULL, balance_after BIGINT NOT NULL, \
     idempotency_key VARCHAR(200) NOT NULL, request_hash CHAR(64) NOT NULL, UNIQUE (user_id, idempotency_key))",
];

/// Stands for the backend: the tables, an epoch without history, and routes that insert a row.
#[derive(Default)]
struct TestBackend {
    counter: AtomicU64,
    /// Opens the gate with this many coupons too few.
    steal: AtomicU64,
    /// Answers the first requests with 503.
    busy: AtomicU64,
    posts: AtomicU64,
    database: Mutex<Option<Pool>>,
}

impl Backend for TestBackend {
    async fn migrate(&self, pool: &Pool) -> Result<(), String> {
        let mut conn = pool.get_conn().await.map_err(|e| e.to_string())?;
        for sql in SCHEMA {
            conn.query_drop(sql).await.map_err(|e| e.to_string())?;
        }
        *self.database.lock().unwrap() = Some(pool.clone());
        Ok(())
    }

    async fn open_epoch(&self, pool: &Pool, endpoints: &Endpoints, claim: Claim, quantity: u64) -> Result<(), String> {
        let coupon = claim.number().unwrap();
        let epoch = format!("{}:{}", "a".repeat(40), self.counter.fetch_add(1, Ordering::Relaxed) + 1);
        let mut conn = pool.get_conn().await.map_err(|e| e.to_string())?;
        conn.exec_drop("DELETE FROM coupon_users WHERE coupon_id = ?", (coupon,)).await.map_err(|e| e.to_string())?;
        let sql = "UPDATE coupons SET issued = 0, quantity = ?, epoch = ? WHERE id = ?";
        conn.exec_drop(sql, (quantity, &epoch, coupon)).await.map_err(|e| e.to_string())?;
        let keys = gate_keys(coupon);
        let mut redis = redis(endpoints).await;
        let mut pipe = redis::pipe();
        pipe.del(&keys.users).del(&keys.pending);
        pipe.set(&keys.stock, quantity - self.steal.load(Ordering::Relaxed));
        pipe.hset_multiple(
            &keys.epoch,
            &[(EPOCH_ID, epoch), (EPOCH_TOTAL, quantity.to_string()), (EPOCH_SEQUENCE, "0".into())],
        );
        pipe.query_async::<()>(&mut redis).await.map_err(|e| e.to_string())
    }

    async fn post(&self, url: &str, body: &serde_json::Value) -> Result<(u16, String), String> {
        if self.busy.load(Ordering::Relaxed) > 0 {
            self.busy.fetch_sub(1, Ordering::Relaxed);
            return Ok((503, "busy".into()));
        }
        self.posts.fetch_add(1, Ordering::Relaxed);
        let pool = self.database.lock().unwrap().clone().unwrap();
        let mut conn = pool.get_conn().await.unwrap();
        let text = |key: &str| body[key].as_str().unwrap().to_owned();
        let result = if url.ends_with("/api/users") {
            conn.exec_drop("INSERT INTO users (name, email) VALUES (?, ?)", (text("name"), text("email"))).await
        } else {
            let sql = "INSERT INTO products (name, price, stock, description) VALUES (?, ?, ?, ?)";
            let numbers = |key: &str| body[key].as_u64().unwrap();
            conn.exec_drop(sql, (text("name"), numbers("price"), numbers("stock"), text("description"))).await
        };
        Ok(result.map_or_else(|e| (409, e.to_string()), |()| (201, String::new())))
    }
}

async fn redis(endpoints: &Endpoints) -> redis::aio::MultiplexedConnection {
    endpoints.redis.client().unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// A database of this test, removed at its end.
struct Own {
    endpoints: Endpoints,
    admin: Pool,
    pool: Pool,
}

impl Own {
    async fn new() -> Self {
        static NEXT: AtomicI64 = AtomicI64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut endpoints = servers();
        let admin = Pool::new(endpoints.mysql.opts(0, 1));
        endpoints.mysql.database = format!("ecom_seed_{}_{number}", std::process::id());
        endpoints.redis.db = number;
        let mut conn = admin.get_conn().await.unwrap();
        let sql = format!("CREATE DATABASE {} CHARACTER SET utf8mb4", endpoints.mysql.database);
        conn.query_drop(sql).await.unwrap();
        let pool = Pool::new(endpoints.mysql.opts(0, 2));
        Self { endpoints, admin, pool }
    }

    async fn end(self) {
        self.pool.disconnect().await.unwrap();
        let mut conn = self.admin.get_conn().await.unwrap();
        conn.query_drop(format!("DROP DATABASE {}", self.endpoints.mysql.database)).await.unwrap();
        drop(conn);
        self.admin.disconnect().await.unwrap();
    }

    async fn one<T: mysql_async::prelude::FromRow + Send + 'static>(&self, sql: &str) -> T {
        self.pool.get_conn().await.unwrap().query_first(sql).await.unwrap().unwrap()
    }

    async fn run(&self, sql: &str) {
        self.pool.get_conn().await.unwrap().query_drop(sql).await.unwrap();
    }

    async fn remove_gates(&self) {
        for coupon in [1, 2] {
            let keys = gate_keys(coupon);
            let mut command = redis::cmd("DEL");
            command.arg(keys.stock).arg(keys.users).arg(keys.pending).arg(keys.epoch);
            command.query_async::<()>(&mut redis(&self.endpoints).await).await.unwrap();
        }
    }

    async fn seed(&self, backend: &TestBackend, plan: &SeedPlan) -> Result<SeedReport, SeedError> {
        seed::run(plan, &self.endpoints, backend, &|_| {}).await
    }
}

fn plan(users: u64, products: u64) -> SeedPlan {
    let mut plan = SeedPlan::new(System::default(), &SeedSpec::default()).unwrap();
    (plan.users, plan.products) = (users, products);
    plan
}

fn counts(report: &SeedReport) -> Vec<(&str, u64, u64)> {
    report.tables.iter().map(|t| (t.table, t.inserted, t.removed)).collect()
}

#[tokio::test]
async fn a_seed_makes_what_was_asked_and_a_second_one_changes_nothing() {
    let (own, backend) = (Own::new().await, TestBackend::default());
    let seen = Mutex::new(Vec::<SeedProgress>::new());
    let progress = |p| seen.lock().unwrap().push(p);
    let first = seed::run(&plan(1_234, 1_000), &own.endpoints, &backend, &progress).await.unwrap();
    assert_eq!(counts(&first), [("users", 1_234, 0), ("points", 1_234, 0), ("products", 1_000, 0), ("coupons", 2, 0)]);
    for table in ["users", "points", "products", "coupons"] {
        let mine: Vec<SeedProgress> = seen.lock().unwrap().iter().filter(|p| p.table == table).copied().collect();
        assert!(mine.windows(2).all(|w| w[0].done <= w[1].done), "{table} goes back");
        assert_eq!(mine.last().map(|p| p.done), mine.last().map(|p| p.total), "{table} does not reach its end");
    }

    let user: (String, String) = own.one("SELECT name, email FROM users WHERE id = 7").await;
    assert_eq!(user, ("User_7".into(), "user7@test.com".into()));
    let product: (Vec<u8>, u64, u32) =
        own.one("SELECT CAST(name AS BINARY), price, stock FROM products WHERE id = 9").await;
    assert_eq!(product, ("상품 9".as_bytes().to_vec(), 9_000, 1_000));
    let points: (i64, i64) = own.one("SELECT MIN(balance), MAX(balance) FROM points").await;
    assert_eq!(points, (100_000, 100_000));
    let coupons: (u64, u64, u64, u64) = own
        .one("SELECT COUNT(*), SUM(quantity), SUM(discount_amount), SUM(end_date BETWEEN NOW() + INTERVAL 29 DAY AND NOW() + INTERVAL 31 DAY AND start_date <= NOW()) FROM coupons")
        .await;
    assert_eq!(coupons, (2, 1_500, 15_000, 2));

    let second = own.seed(&backend, &plan(1_234, 1_000)).await.unwrap();
    assert_eq!(counts(&second), [("users", 0, 0), ("points", 0, 0), ("products", 0, 0), ("coupons", 0, 0)]);
    assert_ne!(first.coupons, second.coupons, "each seed opens a new epoch");
    own.end().await;
}

#[tokio::test]
async fn whatever_was_there_the_state_is_the_one_asked_for() {
    let (own, backend) = (Own::new().await, TestBackend::default());
    own.seed(&backend, &plan(50, 50)).await.unwrap();
    own.run("UPDATE users SET email = 'user7@test.com.x', name = 'User_7 ' WHERE id = 7").await;
    own.run("UPDATE users SET name = 'USER_8' WHERE id = 8").await;
    own.run("DELETE FROM users WHERE id BETWEEN 10 AND 19").await;
    own.run("INSERT INTO users (id, name, email) VALUES (0x7fff, 'Kim', 'user15@test.com')").await;
    own.run("UPDATE points SET balance = -1 WHERE user_id < 5").await;
    own.run(
        "INSERT INTO point_entries (user_id, kind, delta, balance_after, idempotency_key, request_hash) \
         VALUES (2, 'use', -100001, -1, 'a', '')",
    )
    .await;
    own.run("UPDATE products SET description = NULL, stock = 0 WHERE id = 3").await;
    own.run("INSERT INTO coupons (id, name, discount_amount, quantity, start_date, end_date) VALUES (9, 'x', 1, 1, NOW(), NOW())").await;
    own.run(
        "INSERT INTO coupon_users (coupon_id, user_id, event_id, grant_seq) VALUES (9, 7, 'a', 1), (1, 40, 'b', 1)",
    )
    .await;
    let report = own.seed(&backend, &plan(30, 60)).await.unwrap();
    assert_eq!(counts(&report), [("users", 12, 23), ("points", 4, 24), ("products", 11, 1), ("coupons", 0, 0)]);
    let left: (u64, u64) = own.one("SELECT (SELECT COUNT(*) FROM coupon_users), (SELECT COUNT(*) FROM coupons)").await;
    assert_eq!(left, (0, 2));
    let larger = own.seed(&backend, &plan(3_000, 0)).await.unwrap();
    assert_eq!(counts(&larger), [("users", 2_970, 0), ("points", 2_970, 0), ("products", 0, 60), ("coupons", 0, 0)]);
    let ledger: (u64, i64, i64) = own
        .one(
            "SELECT COUNT(*), MIN(sums.sum), MAX(sums.sum) FROM \
             (SELECT CAST(SUM(delta) AS SIGNED) sum FROM point_entries GROUP BY user_id, balance_after) sums",
        )
        .await;
    assert_eq!(ledger, (3_000, 100_000, 100_000), "each balance is opened anew by one entry");
    own.end().await;
}

#[tokio::test]
async fn servers_of_others_are_only_added_to_without_yes() {
    let (own, backend) = (Own::new().await, TestBackend::default());
    let mut careful = plan(20, 20);
    careful.owned = Owned { mysql: false, redis: false };
    own.seed(&backend, &plan(10, 10)).await.unwrap();
    own.run("UPDATE coupons SET epoch = NULL").await;
    own.remove_gates().await;
    own.run("INSERT INTO users (id, name, email) VALUES (777, 'Kim', 'kim@shop.example')").await;
    let report = own.seed(&backend, &careful).await.unwrap();
    assert_eq!(counts(&report), [("users", 10, 0), ("points", 10, 0), ("products", 10, 0), ("coupons", 0, 0)]);
    assert_eq!(own.one::<u64>("SELECT COUNT(*) FROM users WHERE id = 777").await, 1);

    own.run("UPDATE users SET name = 'Lee' WHERE id = 3").await;
    own.run("INSERT INTO coupon_users (coupon_id, user_id, event_id, grant_seq) VALUES (1, 3, 'a', 1)").await;
    let error = own.seed(&backend, &careful).await.unwrap_err();
    let SeedError::NeedsYes { harm } = &error else { panic!("{error}") };
    let (mysql, redis) = (own.endpoints.mysql.to_string(), own.endpoints.redis.to_string());
    let gate = "has a gate that ecomctl did not open here";
    assert_eq!(
        harm.as_slice(),
        [
            format!("MySQL at {mysql}: 1 rows of users with numbers from 1 to 20 would be replaced"),
            format!("MySQL at {mysql}: coupon 1 and its 1 holders would be reset"),
            format!("MySQL at {mysql}: coupon 2 and its 0 holders would be reset"),
            format!("Redis at {redis}: coupon 1 {gate} (stock 1000), which would be overwritten"),
            format!("Redis at {redis}: coupon 2 {gate} (stock 500), which would be overwritten"),
        ]
    );
    assert_eq!(own.one::<String>("SELECT name FROM users WHERE id = 3").await, "Lee");
    assert_eq!(own.one::<u64>("SELECT COUNT(*) FROM coupon_users").await, 1);

    careful.yes = true;
    own.seed(&backend, &careful).await.unwrap();
    assert_eq!(own.one::<u64>("SELECT COUNT(*) FROM users WHERE id = 777").await, 0);
    own.end().await;
}

/// Only MySQL was looked at: a Redis of somebody else lost its gates and products to a seed of an empty database.
#[tokio::test]
async fn a_redis_of_others_keeps_its_gates_and_products_whatever_mysql_says() {
    let (own, backend) = (Own::new().await, TestBackend::default());
    let mut careful = plan(5, 5);
    careful.owned = Owned { mysql: true, redis: false };
    let mut redis = redis(&own.endpoints).await;
    let theirs = gate_keys(1);
    let mut pipe = redis::pipe();
    pipe.set(&theirs.stock, 777)
        .hset(&theirs.users, "42", 1)
        .set("product:3", "theirs")
        .set(gate_keys(2).users, "no hash");
    pipe.query_async::<()>(&mut redis).await.unwrap();

    let error = own.seed(&backend, &careful).await.unwrap_err();
    let SeedError::NeedsYes { harm } = &error else { panic!("{error}") };
    let told = ["coupon 1 has a gate", "(stock 777)", "coupon 2 has a gate", "(1 keys)", "1 keys of products"];
    assert!(told.iter().all(|word| harm.join("\n").contains(word)) && harm.len() == 3, "{harm:#?}");
    let stock: u64 = redis::cmd("GET").arg(&theirs.stock).query_async(&mut redis).await.unwrap();
    assert_eq!((stock, own.one::<u64>("SELECT COUNT(*) FROM coupons").await), (777, 0), "nothing was touched");
    let refused = seed::before_serving(&own.endpoints).await;
    assert!(refused.is_ok(), "MySQL has no coupon that a backend could rebuild: {refused:?}");

    careful.yes = true;
    own.seed(&backend, &careful).await.unwrap();
    // What was opened with that word is provably ours from then on, and no word is needed again.
    careful.yes = false;
    own.seed(&backend, &careful).await.unwrap();
    seed::before_serving(&own.endpoints).await.unwrap();
    // Until somebody else opens one of them.
    redis::cmd("HSET").arg(&theirs.epoch).arg(EPOCH_ID).arg("x:1").query_async::<()>(&mut redis).await.unwrap();
    for refused in [
        own.seed(&backend, &careful).await.map(drop),
        seed::before_serving(&own.endpoints).await.and_then(seed::refuse),
    ] {
        let Err(SeedError::NeedsYes { harm }) = refused else { panic!("{refused:?}") };
        assert!(harm.len() == 1 && harm[0].contains("coupon 1 has a gate"), "{harm:?}");
    }
    own.end().await;
}

#[tokio::test]
async fn a_row_too_few_and_a_gate_that_is_not_full_are_errors() {
    let (own, backend) = (Own::new().await, TestBackend::default());
    own.seed(&backend, &plan(5, 5)).await.unwrap();
    // A database that throws a row away without a word, as the cross join of the shop's own script did.
    own.run("CREATE TRIGGER steal BEFORE INSERT ON points FOR EACH ROW SET NEW.balance = IF(NEW.user_id = 8, 1, NEW.balance)").await;
    let error = own.seed(&backend, &plan(10, 10)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "table points: asked for 10 rows, found 9 as asked, and 1 others; was something else writing to it?"
    );
    own.run("DROP TRIGGER steal").await;
    backend.steal.store(1, Ordering::Relaxed);
    let error = own.seed(&backend, &plan(10, 10)).await.unwrap_err().to_string();
    assert!(
        error.starts_with("the gate of coupon 1 in Redis") && error.ends_with("stock 999 instead of 1000"),
        "{error}"
    );
    own.end().await;
}

#[tokio::test]
async fn a_reset_touches_the_coupons_own_rows_only() {
    let (own, backend) = (Own::new().await, TestBackend::default());
    own.seed(&backend, &plan(5, 5)).await.unwrap();
    own.run("INSERT INTO coupon_users (coupon_id, user_id, event_id, grant_seq) VALUES (1, 1, 'a', 1), (2, 1, 'b', 1)")
        .await;
    own.run("UPDATE users SET name = 'Lee' WHERE id = 3").await;
    let coupon = |id, quantity| CouponSeed { id, quantity, name: None, discount_amount: None };

    let refused = seed::reset(&[coupon(1, 7)], &own.endpoints, &backend, false).await;
    assert!(matches!(refused, Err(SeedError::NeedsYes { .. })), "{refused:?}");
    let unknown = seed::reset(&[coupon(1, 7), coupon(3, 7)], &own.endpoints, &backend, true).await;
    assert!(matches!(unknown, Err(SeedError::Missing(claim)) if claim == Claim::coupon(3)), "{unknown:?}");
    assert_eq!(own.one::<u64>("SELECT COUNT(*) FROM coupon_users").await, 2, "nothing is done by halves");

    let opened = seed::reset(&[coupon(1, 7)], &own.endpoints, &backend, true).await.unwrap();
    assert_eq!((opened[0].id, opened[0].quantity), (1, 7));
    let left: (u64, String) = own.one("SELECT MAX(coupon_id), MAX(event_id) FROM coupon_users").await;
    assert_eq!(left, (2, "b".into()));
    assert_eq!(own.one::<String>("SELECT name FROM users WHERE id = 3").await, "Lee");
    own.end().await;
}

#[tokio::test]
async fn products_that_a_seed_changes_leave_the_cache_and_nothing_else_does() {
    let (own, backend) = (Own::new().await, TestBackend::default());
    own.seed(&backend, &plan(1, 5)).await.unwrap();
    let mut redis = redis(&own.endpoints).await;
    let names = ["product:1", "product:3", "product:5", "product:7", "product:x", "products", "other"];
    let keep = async |redis: &mut redis::aio::MultiplexedConnection| {
        for name in names {
            redis::cmd("SET").arg(name).arg("old").query_async::<()>(redis).await.unwrap();
        }
    };
    let left = async |redis: &mut redis::aio::MultiplexedConnection| {
        let values: Vec<Option<String>> = redis::cmd("MGET").arg(&names).query_async(redis).await.unwrap();
        names.into_iter().zip(values).filter_map(|(name, value)| value.map(|_| name)).collect::<Vec<_>>()
    };

    keep(&mut redis).await;
    own.seed(&backend, &plan(1, 5)).await.unwrap();
    assert_eq!(left(&mut redis).await, names, "nothing was changed");
    own.run("UPDATE products SET price = 1 WHERE id = 3").await;
    own.run("INSERT INTO products (id, name, price, stock, description) VALUES (7, 'x', 1, 1, 'x')").await;
    own.seed(&backend, &plan(1, 5)).await.unwrap();
    assert_eq!(left(&mut redis).await, ["product:1", "product:5", "product:x", "products", "other"]);

    keep(&mut redis).await;
    own.run("DELETE FROM products WHERE id = 5").await;
    own.seed(&backend, &plan(1, 5)).await.unwrap();
    assert_eq!(left(&mut redis).await, ["product:7", "product:x", "products", "other"], "any may have been deleted");
    own.end().await;
}

#[tokio::test]
async fn rows_by_the_api_are_counted_too() {
    let (own, backend) = (Own::new().await, TestBackend::default());
    let mut by_api = plan(seed::API_ROWS, seed::API_ROWS);
    by_api.via = Via::Api("http://api.test".into());
    backend.busy.store(2, Ordering::Relaxed);
    let report = own.seed(&backend, &by_api).await.unwrap();
    assert_eq!(counts(&report), [("users", 100, 0), ("points", 100, 0), ("products", 100, 0), ("coupons", 2, 0)]);
    assert_eq!(backend.posts.load(Ordering::Relaxed), 200);
    by_api.users = 120;
    let more = own.seed(&backend, &by_api).await.unwrap();
    assert_eq!(counts(&more)[0], ("users", 20, 0));
    by_api.users = 60;
    assert_eq!(counts(&own.seed(&backend, &by_api).await.unwrap())[0], ("users", 0, 60));
    by_api.users = 61;
    own.seed(&backend, &by_api).await.unwrap();

    by_api.users = 62;
    backend.busy.store(100, Ordering::Relaxed);
    let error = own.seed(&backend, &by_api).await.unwrap_err().to_string();
    assert_eq!(error, "POST http://api.test/api/users of row 62: 503 busy");
    own.end().await;
}

#[tokio::test]
async fn a_hundred_thousand_users_take_seconds() {
    let (own, backend) = (Own::new().await, TestBackend::default());
    let report = own.seed(&backend, &plan(100_000, 1_000)).await.unwrap();
    println!("100,000 users with points and 1,000 products: {:.2} s", report.seconds);
    assert_eq!(report.tables[0].found, 100_000);
    own.end().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let mut endpoints = servers();
    endpoints.mysql.port = 1;
    let error = seed::run(&plan(1, 1), &endpoints, &Unmigrated, &|_| {}).await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1/") && !error.contains(endpoints.mysql.password.expose()), "{error}");
}

struct Unmigrated;

impl Backend for Unmigrated {
    async fn migrate(&self, _: &Pool) -> Result<(), String> {
        Ok(())
    }
    async fn open_epoch(&self, _: &Pool, _: &Endpoints, _: Claim, _: u64) -> Result<(), String> {
        Ok(())
    }
    async fn post(&self, _: &str, _: &serde_json::Value) -> Result<(u16, String), String> {
        Ok((201, String::new()))
    }
}
