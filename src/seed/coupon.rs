//! Coupons: their rows in MySQL and their gates in Redis.

mod gate;
mod owned;
mod rights;

use contract::{
    claim::Claim,
    endpoint::{Endpoints, RedisEndpoint},
};
use mysql_async::prelude::Queryable;
pub use owned::before_serving;
pub(super) use owned::foreign_gates;
use profile::model::CouponSeed;

use super::{Backend, CouponReport, SeedError, SeedPlan, SeedProgress, TableReport, db::Db, guard};

/// Table and column whose rows depend on a user.
pub(super) const OF_A_USER: (&str, &str) = ("coupon_users", "user_id");
/// Discount of a coupon for which nobody gives one, in won.
const DEFAULT_DISCOUNT: u64 = 5_000;

/// One coupon as MySQL has it.
struct Row {
    quantity: u64,
    epoch: Option<String>,
    holders: u64,
}

async fn row(db: &Db, id: u64) -> Result<Option<Row>, SeedError> {
    let sql = "SELECT quantity, epoch, (SELECT COUNT(*) FROM coupon_users WHERE coupon_id = c.id) \
               FROM coupons c WHERE id = ?";
    let mut conn = db.conn().await?;
    let row: Option<(u64, Option<String>, u64)> = db.step("reading a coupon", conn.exec_first(sql, (id,))).await?;
    Ok(row.map(|(quantity, epoch, holders)| Row { quantity, epoch, holders }))
}

/// Looks at what the login may do with the gates of a plan's coupons, by the first of them.
pub(super) async fn look_at_rights(plan: &SeedPlan, redis: &RedisEndpoint) -> Result<(), SeedError> {
    match plan.coupons.first() {
        Some(coupon) => rights::look(redis, coupon.id).await,
        None => Ok(()),
    }
}

/// What opening new epochs for the coupons of a plan would destroy.
pub(super) async fn harm(db: &Db, plan: &SeedPlan) -> Result<Vec<String>, SeedError> {
    let mut harm = Vec::new();
    for coupon in &plan.coupons {
        if let Some(row) = row(db, coupon.id).await?
            && (row.holders > 0 || row.epoch.is_some())
        {
            harm.push(format!("coupon {} and its {} holders would be reset", coupon.id, row.holders));
        }
    }
    Ok(harm)
}

/// Removes coupons that were not asked for: the gate first, so that nobody gets one any more, then the rows. Their
/// numbers in `coupon_epochs` stay: a coupon that comes back must not take an old event for one of its own.
pub(super) async fn remove_others(db: &Db, endpoints: &Endpoints, plan: &SeedPlan) -> Result<(), SeedError> {
    let mut conn = db.conn().await?;
    let ids: Vec<u64> = db.step("reading the coupons", conn.query("SELECT id FROM coupons")).await?;
    drop(conn);
    for id in ids.into_iter().filter(|id| plan.coupons.iter().all(|c| c.id != *id)) {
        gate::remove(&endpoints.redis, id).await?;
        db.execute("removing a coupon's rows", "DELETE FROM coupon_users WHERE coupon_id = ?", (id,)).await?;
        db.execute("removing a coupon", "DELETE FROM coupons WHERE id = ?", (id,)).await?;
    }
    Ok(())
}

/// Writes the coupons and opens their gates. All of it is read back.
pub(super) async fn seed(
    db: &Db,
    plan: &SeedPlan,
    endpoints: &Endpoints,
    backend: &impl Backend,
    progress: &(dyn Fn(SeedProgress) + Sync),
) -> Result<(TableReport, Vec<CouponReport>), SeedError> {
    let total = plan.coupons.len() as u64;
    let mut opened = Vec::new();
    let mut inserted = 0;
    for (done, coupon) in plan.coupons.iter().enumerate() {
        progress(SeedProgress { table: "coupons", done: done as u64, total });
        inserted += write(db, plan, coupon).await?;
        opened.push(open(db, coupon, endpoints, backend).await?);
    }
    progress(SeedProgress { table: "coupons", done: total, total });
    let found = opened.len() as u64;
    Ok((TableReport { table: "coupons", asked: total, found, inserted, removed: 0 }, opened))
}

/// Writes what people see of a coupon; 1 where it is new. How many there are is set together with the epoch.
async fn write(db: &Db, plan: &SeedPlan, coupon: &CouponSeed) -> Result<u64, SeedError> {
    let fixture = plan.fixture.coupons.iter().find(|c| c.id == coupon.id);
    let name = coupon.name.clone().or_else(|| fixture.and_then(|f| f.name.clone()));
    let name = name.unwrap_or_else(|| format!("쿠폰 {}", coupon.id));
    let discount = coupon.discount_amount.or_else(|| fixture.and_then(|f| f.discount_amount));
    let discount = discount.unwrap_or(DEFAULT_DISCOUNT);
    let days = plan.fixture.coupon_valid_days;
    // It begins at midnight, so that a clock that is a little behind does not find it not yet valid.
    let (sql, what) = if row(db, coupon.id).await?.is_some() {
        let sql = "UPDATE coupons SET name = ?, discount_amount = ?, start_date = UTC_DATE(), \
                   end_date = UTC_TIMESTAMP(6) + INTERVAL ? DAY WHERE id = ?";
        (sql, "updating a coupon")
    } else {
        let sql = "INSERT INTO coupons (name, discount_amount, start_date, end_date, quantity, id) \
                   VALUES (?, ?, UTC_DATE(), UTC_TIMESTAMP(6) + INTERVAL ? DAY, ?, ?)";
        db.execute("writing a coupon", sql, (name, discount, days, coupon.quantity, coupon.id)).await?;
        return Ok(1);
    };
    db.execute(what, sql, (name, discount, days, coupon.id)).await?;
    Ok(0)
}

/// Opens a new epoch, then looks whether MySQL and Redis both have it.
async fn open(
    db: &Db,
    coupon: &CouponSeed,
    endpoints: &Endpoints,
    backend: &impl Backend,
) -> Result<CouponReport, SeedError> {
    let CouponSeed { id, quantity, .. } = *coupon;
    let claim = Claim::coupon(id);
    let opened = backend.open_epoch(db.pool(), endpoints, claim, quantity).await;
    opened.map_err(|why| SeedError::Epoch { claim, why })?;
    let row = row(db, id).await?.ok_or(SeedError::Missing(claim))?;
    let epoch = row.epoch.ok_or_else(|| SeedError::Epoch { claim, why: "MySQL holds no epoch of it".into() })?;
    if row.quantity != quantity || row.holders > 0 {
        let why = format!("MySQL holds {} of {quantity} coupons and {} holders of 0", row.quantity, row.holders);
        return Err(SeedError::Epoch { claim, why });
    }
    gate::must_be_open(&endpoints.redis, id, quantity, &epoch).await?;
    Ok(CouponReport { id, quantity, epoch })
}

/// Opens a new epoch for each coupon.
pub(super) async fn reset(
    db: &Db,
    coupons: &[CouponSeed],
    endpoints: &Endpoints,
    backend: &impl Backend,
    may_destroy: bool,
) -> Result<Vec<CouponReport>, SeedError> {
    let mut harmed = Vec::new();
    for coupon in coupons {
        let row = row(db, coupon.id).await?.ok_or(SeedError::Missing(Claim::coupon(coupon.id)))?;
        if row.holders > 0 {
            harmed.push(format!("{} holders of coupon {} would lose it", row.holders, coupon.id));
        }
    }
    if !may_destroy {
        let ids: Vec<u64> = coupons.iter().map(|coupon| coupon.id).collect();
        harmed.extend(owned::check(db, &endpoints.redis, &ids).await?);
        guard::refuse(harmed)?;
    }
    let mut opened = Vec::new();
    for coupon in coupons {
        opened.push(open(db, coupon, endpoints, backend).await?);
    }
    Ok(opened)
}
