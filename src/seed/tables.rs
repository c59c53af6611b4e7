//! The tables that are filled row by row: which rows there shall be, and how one tells that a row is as it shall be.

use contract::{names::public_id, system::Step};
use mysql_async::Value;
use profile::fixture::{PointFixture, ProductFixture};

use super::{SeedPlan, claimed};

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
    pub as_asked: String,
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

/// SQL that is true of a user whose public id is [`public_id`] of the id: the same steps, in the words of MySQL. Its
/// integers end at 64 bits with an error, so products are decimals.
fn public_id_as_asked() -> String {
    let times =
        |z: &str, by: u64| format!("CAST(({z}) * CAST({by} AS DECIMAL(20)) % 18446744073709551616 AS UNSIGNED)");
    let shift = |z: &str, by: u32| format!("({z} ^ ({z} >> {by}))");
    let z = times("id + 1", 0x9e37_79b9_7f4a_7c15);
    let z = times(&shift(&z, 30), 0xbf58_476d_1ce4_e5b9);
    let z = shift(&times(&shift(&z, 27), 0x94d0_49bb_1331_11eb), 31);
    let hex = |number: &str, keep: u64, set: u64| format!("LPAD(HEX({number} & {keep} | {set}), 16, '0')");
    let (high, low) = (hex(&z, !0xf000, 0x8000), hex("id", u64::MAX >> 2, 1 << 63));
    format!(
        "public_id LIKE '________-____-____-____-____________' \
         AND REPLACE(public_id, '-', '') = LOWER(CONCAT({high}, {low}))"
    )
}

/// The tables of the plan's system, in the order in which they are filled: what others refer to comes first.
pub(super) fn tables(plan: &SeedPlan) -> Vec<Table> {
    let (fixture, has) = (&plan.fixture, |step: Step| plan.system.has(step));
    let points = fixture.points.as_ref().filter(|_| has(Step::Points));
    let products = fixture.products.as_ref().filter(|_| has(Step::Products));
    [
        has(Step::Users).then(|| Table::users(plan)),
        has(Step::PublicUsers).then(|| Table::public_users(plan)),
        points.map(|points| Table::points(plan, points)),
        products.map(|products| Table::products(plan, products)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Table {
    fn users(plan: &SeedPlan) -> Self {
        let users = plan.fixture.users.clone();
        let texts = [&users.name.before, &users.name.after, &users.email.before, &users.email.after];
        let params = texts.iter().map(|t| Value::from(t.as_str())).collect();
        let for_body = users.clone();
        Self {
            name: "users",
            key: "id",
            columns: &["id", "name", "email"],
            as_asked: USERS_AS_ASKED.into(),
            params,
            asked: plan.users,
            dependants: Some(claimed::OF_A_USER),
            completion: None,
            is_kept: false,
            row: Box::new(move |n| vec![n.into(), users.name.fill(n).into(), users.email.fill(n).into()]),
            api_path: Some("/api/users"),
            body: Box::new(
                move |n| serde_json::json!({"name": for_body.name.fill(n), "email": for_body.email.fill(n)}),
            ),
        }
    }

    /// Users whose public id follows from the id. Those of the API draw theirs, so none is made by it.
    fn public_users(plan: &SeedPlan) -> Self {
        let users = Self::users(plan);
        let row = users.row;
        Self {
            columns: &["id", "name", "email", "public_id"],
            as_asked: format!("{} AND {}", users.as_asked, public_id_as_asked()),
            row: Box::new(move |n| {
                let mut values = row(n);
                values.push(public_id(n).to_string().into());
                values
            }),
            api_path: None,
            ..users
        }
    }

    fn points(plan: &SeedPlan, points: &PointFixture) -> Self {
        let balance = points.balance;
        Self {
            name: "points",
            key: "user_id",
            columns: &["user_id", "balance"],
            as_asked: "balance = ?".into(),
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

    fn products(plan: &SeedPlan, products: &ProductFixture) -> Self {
        let p = products.clone();
        let texts = [&p.name.before, &p.name.after, &p.description.before, &p.description.after];
        let mut params: Vec<Value> = texts.iter().map(|t| Value::from(t.as_str())).collect();
        params.extend([p.price_step.into(), p.stock.into()]);
        let for_body = p.clone();
        Self {
            name: "products",
            key: "id",
            columns: &["id", "name", "price", "stock", "description"],
            as_asked: PRODUCTS_AS_ASKED.into(),
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
