//! The tables that are filled row by row: which rows there shall be, and how one tells that a row is as it shall be.

use mysql_async::Value;

use super::SeedPlan;

/// Makes the values of row `n`.
type RowOf = Box<dyn Fn(u64) -> Vec<Value> + Send + Sync>;
/// Makes the body by which the API creates row `n`.
type BodyOf = Box<dyn Fn(u64) -> serde_json::Value + Send + Sync>;

/// A table whose rows 1..=asked are given by their number.
pub(super) struct Table {
    pub name: &'static str,
    /// The column that holds the number.
    pub key: &'static str,
    /// Columns that are written; the first is the key.
    pub columns: &'static [&'static str],
    /// SQL that is true of a row that is as asked.
    pub as_asked: &'static str,
    /// Its parameters.
    pub params: Vec<Value>,
    pub asked: u64,
    /// Table and column that refer to the key; their rows are deleted first (foreign key).
    pub dependants: Option<(&'static str, &'static str)>,
    /// SQL that makes what belongs to the rows of a range of numbers, where it is missing.
    pub completion: Option<&'static str>,
    /// The API keeps rows of it in Redis.
    pub is_kept: bool,
    pub row: RowOf,
    /// Path and body of the API's route that makes a row, where it has one.
    pub api_path: Option<&'static str>,
    pub body: BodyOf,
}

/// The comparisons are by bytes: a collation takes `USER_1` and `User_1` for the same.
const USERS_AS_ASKED: &str = "CAST(name AS BINARY) = CAST(CONCAT(?, id, ?) AS BINARY) AND CAST(email AS BINARY) = CAST(CONCAT(?, id, ?) AS BINARY)";
/// The ledger's first entry of a balance: the sum of the entries is the balance. Clients cannot send its key.
const OPENING_ENTRIES: &str = "INSERT INTO point_entries (user_id, kind, delta, balance_after, idempotency_key, request_hash) \
     SELECT p.user_id, 'open', p.balance, p.balance, '', '' FROM points p WHERE p.user_id BETWEEN ? AND ? \
     AND NOT EXISTS (SELECT 1 FROM point_entries e WHERE e.user_id = p.user_id)";
const PRODUCTS_AS_ASKED: &str = "CAST(name AS BINARY) = CAST(CONCAT(?, id, ?) AS BINARY) \
     AND CAST(description AS BINARY) = CAST(CONCAT(?, id, ?) AS BINARY) AND price = id * ? AND stock = ?";

impl Table {
    pub fn users(plan: &SeedPlan) -> Self {
        let users = plan.fixture.users.clone();
        let texts = [&users.name.before, &users.name.after, &users.email.before, &users.email.after];
        let params = texts.iter().map(|t| Value::from(t.as_str())).collect();
        let for_body = users.clone();
        Self {
            name: "users",
            key: "id",
            columns: &["id", "name", "email"],
            as_asked: USERS_AS_ASKED,
            params,
            asked: plan.users,
            dependants: Some(("coupon_users", "user_id")),
            completion: None,
            is_kept: false,
            row: Box::new(move |n| vec![n.into(), users.name.fill(n).into(), users.email.fill(n).into()]),
            api_path: Some("/api/users"),
            body: Box::new(
                move |n| serde_json::json!({"name": for_body.name.fill(n), "email": for_body.email.fill(n)}),
            ),
        }
    }

    pub fn points(plan: &SeedPlan) -> Self {
        let balance = plan.fixture.points.balance;
        Self {
            name: "points",
            key: "user_id",
            columns: &["user_id", "balance"],
            as_asked: "balance = ?",
            params: vec![balance.into()],
            asked: plan.users,
            dependants: Some(("point_entries", "user_id")),
            completion: Some(OPENING_ENTRIES),
            is_kept: false,
            row: Box::new(move |n| vec![n.into(), balance.into()]),
            api_path: None,
            body: Box::new(|_| serde_json::Value::Null),
        }
    }

    pub fn products(plan: &SeedPlan) -> Self {
        let p = plan.fixture.products.clone();
        let texts = [&p.name.before, &p.name.after, &p.description.before, &p.description.after];
        let mut params: Vec<Value> = texts.iter().map(|t| Value::from(t.as_str())).collect();
        params.extend([p.price_step.into(), p.stock.into()]);
        let for_body = p.clone();
        Self {
            name: "products",
            key: "id",
            columns: &["id", "name", "price", "stock", "description"],
            as_asked: PRODUCTS_AS_ASKED,
            params,
            asked: plan.products,
            dependants: None,
            completion: None,
            is_kept: true,
            row: Box::new(move |n| {
                let price = n.saturating_mul(p.price_step);
                vec![n.into(), p.name.fill(n).into(), price.into(), p.stock.into(), p.description.fill(n).into()]
            }),
            api_path: Some("/api/products"),
            body: Box::new(move |n| {
                serde_json::json!({
                    "name": for_body.name.fill(n),
                    "price": n.saturating_mul(for_body.price_step),
                    "stock": for_body.stock,
                    "description": for_body.description.fill(n),
                })
            }),
        }
    }

    /// The condition that a row is one of those asked for, and its parameters.
    pub fn good(&self) -> (String, Vec<Value>) {
        let mut params = vec![Value::from(self.asked)];
        params.extend(self.params.iter().cloned());
        // A NULL makes a comparison neither true nor false; here it is false.
        (format!("COALESCE({} BETWEEN 1 AND ? AND {}, FALSE)", self.key, self.as_asked), params)
    }

    /// `INSERT` of `rows` rows.
    pub fn insert(&self, rows: usize) -> String {
        let one = format!("({})", vec!["?"; self.columns.len()].join(","));
        format!("INSERT INTO {} ({}) VALUES {}", self.name, self.columns.join(","), vec![one; rows].join(","))
    }
}
