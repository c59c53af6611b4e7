//! Seed data: what exists before the load, counted.
//!
//! [`run`] writes users, points, products and coupons into MySQL and opens the gate of every coupon in Redis; then it
//! reads all of it back and compares it with what was asked. [`reset`] opens a new epoch for the coupons of a run and
//! touches nothing else. What is claimed of each kind is the business of [`claimed`] alone.

mod api;
mod cache;
mod coupon;
mod db;
mod error;
mod guard;
mod redis_conn;
mod rights;
mod tables;

use std::{future::Future, time::Instant};

use base::figure::count;
use cache::Changed;
use contract::{claim::Claim, endpoint::Endpoints, system::System};
pub use coupon::before_serving;
// What can be claimed: of one kind, so far.
use coupon as claimed;
use db::Db;
pub use error::SeedError;
pub use guard::{Owned, refuse};
use mysql_async::Pool;
use profile::{
    fixture::{self, Fixture},
    model::{CouponSeed, SeedSpec},
};
use record::{epoch::Opened, event::plan::SubjectPlan};
use serde::Serialize;

/// Users and products that are made by the API where no number is given.
pub const API_ROWS: u64 = 100;

/// How users and products come into being.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// By SQL, in batches.
    Sql,
    /// By POST to the API at this URL, one after the other.
    Api(String),
}

/// What shall exist.
#[derive(Debug, Clone)]
pub struct SeedPlan {
    /// Whose data.
    pub system: System,
    /// Names and values.
    pub fixture: Fixture,
    /// Users, with ids 1..=users.
    pub users: u64,
    /// Products, with ids 1..=products.
    pub products: u64,
    /// Coupons.
    pub coupons: Vec<CouponSeed>,
    /// How users and products come into being.
    pub via: Via,
    /// Which servers are ecomctl's own. On others nothing is deleted or changed without `yes`.
    pub owned: Owned,
    /// What else would be harmed on servers of others, in words. Without `yes` it is refused with the rest.
    pub elsewhere: Vec<String>,
    /// The person agreed that rows are deleted and changed.
    pub yes: bool,
}

impl SeedPlan {
    /// The plan of the `seed:` section of a profile of `system`, for servers of our own, by SQL.
    pub fn new(system: System, spec: &SeedSpec) -> Result<Self, SeedError> {
        let fixture = fixture::load(&spec.fixture)?;
        let coupons = if spec.coupons.is_empty() { fixture.coupons.clone() } else { spec.coupons.clone() };
        let (users, products) = (spec.users, spec.products);
        Ok(Self {
            system,
            fixture,
            users,
            products,
            coupons,
            via: Via::Sql,
            owned: Owned { mysql: true, redis: true },
            elsewhere: Vec::new(),
            yes: false,
        })
    }

    /// What can be claimed of it, each with how many there are.
    pub fn subjects(&self) -> impl Iterator<Item = SubjectPlan> {
        let subject =
            |c: &CouponSeed| SubjectPlan { claim: Claim::coupon(c.id), total: c.quantity, name: c.name.clone() };
        self.coupons.iter().map(subject)
    }

    /// Whether rows may be deleted and changed.
    fn may_destroy(&self) -> bool {
        self.owned.mysql || self.yes
    }
}

/// How far a seed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedProgress {
    /// Table.
    pub table: &'static str,
    /// Rows that are there.
    pub done: u64,
    /// Rows that were asked for.
    pub total: u64,
}

/// What a seed did. All of it was read back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeedReport {
    /// Each table.
    pub tables: Vec<TableReport>,
    /// Coupons with their new epochs.
    pub coupons: Vec<CouponReport>,
    /// How long it took.
    pub seconds: f64,
}

impl SeedReport {
    /// What can be claimed now: headings, and rows of its id, how many there are, and its epoch.
    pub fn claimed(&self) -> ([&'static str; 3], Vec<[String; 3]>) {
        let row = |c: &CouponReport| [c.id.to_string(), count(c.quantity), c.epoch.clone()];
        (["coupon", "quantity", "epoch"], self.coupons.iter().map(row).collect())
    }

    /// The epochs that were opened.
    pub fn opened(&self) -> Opened {
        self.coupons.iter().map(|c| (Claim::coupon(c.id), c.epoch.clone())).collect()
    }
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Its name.
    pub table: &'static str,
    /// Rows that were asked for.
    pub asked: u64,
    /// Rows, as asked, that were counted afterwards.
    pub found: u64,
    /// Rows that were written.
    pub inserted: u64,
    /// Rows that were there and not as asked, and were removed.
    pub removed: u64,
}

/// One coupon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CouponReport {
    /// Its id.
    pub id: u64,
    /// T: how many there are.
    pub quantity: u64,
    /// Its epoch, as the gate in Redis and the row in MySQL both have it.
    pub epoch: String,
}

/// What the seeder needs of the backend. The seeder itself holds no logic of the gate.
pub trait Backend: Sync {
    /// Brings the schema up to date. Safe to repeat.
    fn migrate(&self, pool: &Pool) -> impl Future<Output = Result<(), String>> + Send;

    /// Opens a new epoch of `claim`, of which there are `quantity`: its rows are deleted and its gate in Redis is opened
    /// anew.
    fn open_epoch(
        &self,
        pool: &Pool,
        endpoints: &Endpoints,
        claim: Claim,
        quantity: u64,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// `POST url` with a JSON body → status and answer in words. Bounded in time.
    fn post(&self, url: &str, body: &serde_json::Value) -> impl Future<Output = Result<(u16, String), String>> + Send;
}

/// Makes exist what the plan says, and counts it.
///
/// On servers of our own, and on others with `yes`, the state afterwards is exactly the one asked for, whatever was
/// there: rows too many or different are removed. On others without `yes` rows are only added.
pub async fn run(
    plan: &SeedPlan,
    endpoints: &Endpoints,
    backend: &impl Backend,
    progress: &(dyn Fn(SeedProgress) + Sync),
) -> Result<SeedReport, SeedError> {
    let started = Instant::now();
    let db = Db::new(&endpoints.mysql);
    let result = run_on(&db, plan, endpoints, backend, progress).await;
    db.close().await;
    let (tables, coupons) = result?;
    Ok(SeedReport { tables, coupons, seconds: started.elapsed().as_secs_f64() })
}

async fn run_on(
    db: &Db,
    plan: &SeedPlan,
    endpoints: &Endpoints,
    backend: &impl Backend,
    progress: &(dyn Fn(SeedProgress) + Sync),
) -> Result<(Vec<TableReport>, Vec<CouponReport>), SeedError> {
    rights::look(db, plan, endpoints).await?;
    backend.migrate(db.pool()).await.map_err(SeedError::Migrate)?;
    let tables = tables::tables(plan);
    let mut surveys = Vec::new();
    for table in &tables {
        surveys.push(db.survey(table).await?);
    }
    guard::check(db, plan, endpoints, &tables, &surveys).await?;
    if plan.may_destroy() {
        claimed::remove_others(db, endpoints, plan).await?;
    }
    let mut reports = Vec::new();
    for (table, survey) in tables.into_iter().zip(surveys) {
        progress(SeedProgress { table: table.name, done: survey.good, total: table.asked });
        // On servers of others nothing is removed, and a row that is only added was never kept.
        let kept = table.is_kept && plan.may_destroy();
        let changed = if kept { Some(Changed::find(db, &table, &survey).await?) } else { None };
        let removed = if plan.may_destroy() { db.remove_wrong(&table, &survey).await? } else { 0 };
        let table = std::sync::Arc::new(table);
        let inserted = match (&plan.via, table.api_path) {
            (Via::Api(url), Some(path)) => {
                api::fill(db, &table, &survey, backend, &format!("{url}{path}"), progress).await?
            }
            _ => db.fill(&table, &survey, progress).await?,
        };
        db.complete(&table).await?;
        let found = db.survey(&table).await?;
        found.must_be_as_asked(&table, plan.may_destroy())?;
        if let Some(changed) = changed {
            changed.forget(&endpoints.redis).await?;
        }
        let (asked, found) = (table.asked, found.good);
        reports.push(TableReport { table: table.name, asked, found, inserted, removed });
    }
    let (report, opened) = claimed::seed(db, plan, endpoints, backend, progress).await?;
    reports.push(report);
    Ok((reports, opened))
}

/// Opens a new epoch for each of `coupons`: their rows go, their gates are full again. Nothing else is touched.
///
/// # Errors
/// Also when a coupon does not exist, and on servers that are not ecomctl's own when rows would be deleted without
/// `yes`.
pub async fn reset(
    coupons: &[CouponSeed],
    endpoints: &Endpoints,
    backend: &impl Backend,
    may_destroy: bool,
) -> Result<Vec<CouponReport>, SeedError> {
    let db = Db::new(&endpoints.mysql);
    let result = claimed::reset(&db, coupons, endpoints, backend, may_destroy).await;
    db.close().await;
    result
}
