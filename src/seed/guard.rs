//! What a seed would destroy on servers that ecomctl did not start. Each server is looked at by itself, and all of it is
//! told at once.

use std::collections::BTreeMap;

use contract::endpoint::{Endpoints, RedisEndpoint};
use mysql_async::prelude::Queryable;

use super::{
    SeedError, SeedPlan,
    cache::Changed,
    coupons,
    db::{Db, Survey},
    gate,
    tables::Table,
};

/// Which servers ecomctl started itself: what is in them is its own to overwrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owned {
    /// MySQL.
    pub mysql: bool,
    /// Redis.
    pub redis: bool,
}

/// Refuses where anything would be destroyed that nobody agreed to.
pub(super) async fn check(
    db: &Db,
    plan: &SeedPlan,
    endpoints: &Endpoints,
    tables: &[Table],
    surveys: &[Survey],
) -> Result<(), SeedError> {
    if plan.yes {
        return Ok(());
    }
    let mut harm = Vec::new();
    if !plan.owned.mysql {
        harm.extend(tables.iter().zip(surveys).filter_map(|(table, survey)| survey.harm(table)));
        harm.extend(coupons::harm(db, &plan.coupons).await?);
        harm = on("MySQL", &endpoints.mysql, harm);
    }
    if !plan.owned.redis {
        let ids = plan.coupons.iter().map(|coupon| coupon.id);
        let mut there = gates(db, &endpoints.redis, ids, plan.owned.mysql).await?;
        if plan.owned.mysql {
            for (table, survey) in tables.iter().zip(surveys).filter(|(table, _)| table.is_kept) {
                let kept = Changed::find(db, table, survey).await?.kept(&endpoints.redis).await?;
                let (name, many) = (table.name, kept);
                there.extend((many > 0).then(|| format!("{many} keys of {name} (product:…) would be deleted")));
            }
        }
        harm.extend(on("Redis", &endpoints.redis, there));
    }
    harm.extend(plan.elsewhere.iter().cloned());
    refuse(harm)
}

fn on(server: &str, address: &impl std::fmt::Display, harm: Vec<String>) -> Vec<String> {
    harm.into_iter().map(|what| format!("{server} at {address}: {what}")).collect()
}

/// An error where there is anything in `harm`.
///
/// # Errors
/// [`SeedError::NeedsYes`] with all of it.
pub fn refuse(harm: Vec<String>) -> Result<(), SeedError> {
    if harm.is_empty() { Ok(()) } else { Err(SeedError::NeedsYes { harm }) }
}

/// Gates in Redis that are not provably ours and would be opened anew, or removed because their coupons are. One is ours
/// where its epoch is the one that our own MySQL (`proof`) has of that coupon.
async fn gates(
    db: &Db,
    redis: &RedisEndpoint,
    asked: impl Iterator<Item = u64>,
    proof: bool,
) -> Result<Vec<String>, SeedError> {
    let epochs = epochs(db).await?;
    // Coupons that nobody asks for are removed from our own MySQL, and their gates with them.
    let others = epochs.keys().copied().filter(|_| proof);
    let ids: std::collections::BTreeSet<u64> = asked.chain(others).collect();
    let known = |id: u64| epochs.get(&id).and_then(Option::as_deref).filter(|_| proof);
    gate::foreign(redis, ids.into_iter().map(|id| (id, known(id)))).await
}

/// Coupon → its epoch, as MySQL has it.
async fn epochs(db: &Db) -> Result<BTreeMap<u64, Option<String>>, SeedError> {
    let mut conn = db.conn().await?;
    let rows: Vec<(u64, Option<String>)> =
        db.step("reading the epochs of coupons", conn.query("SELECT id, epoch FROM coupons")).await?;
    Ok(rows.into_iter().collect())
}

/// Refuses where opening new epochs for these coupons would overwrite gates of somebody else.
pub(super) async fn check_gates(db: &Db, redis: &RedisEndpoint, asked: &[u64]) -> Result<Vec<String>, SeedError> {
    let epochs = epochs(db).await?;
    let known = asked.iter().map(|id| (*id, epochs.get(id).and_then(Option::as_deref)));
    Ok(on("Redis", redis, gate::foreign(redis, known).await?))
}

/// Gates of somebody else that a backend would rebuild which is started now: those of coupons that MySQL has, with an
/// epoch that MySQL does not have. In words, each with its server.
///
/// # Errors
/// Where MySQL or Redis do not answer.
pub async fn before_serving(endpoints: &Endpoints) -> Result<Vec<String>, SeedError> {
    let db = Db::new(&endpoints.mysql);
    let result = async {
        let mut conn = db.conn().await?;
        let tables: Vec<String> = db.step("listing tables", conn.query("SHOW TABLES LIKE 'coupons'")).await?;
        drop(conn);
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        let known = epochs(&db).await?;
        let known = known.iter().filter_map(|(id, epoch)| Some((*id, Some(epoch.as_deref()?))));
        Ok(on("Redis", &endpoints.redis, gate::foreign(&endpoints.redis, known).await?))
    }
    .await;
    db.close().await;
    result
}
