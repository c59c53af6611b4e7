//! Whose the gates in Redis are.

use std::collections::BTreeMap;

use contract::endpoint::{Endpoints, RedisEndpoint};
use mysql_async::prelude::Queryable;

use super::gate;
use crate::seed::{SeedError, SeedPlan, db::Db, guard};

/// Gates in Redis that are not provably ours and would be opened anew, or removed because their coupons are. One is ours
/// where its epoch is the one that MySQL has of that coupon, and that is our own.
pub(in crate::seed) async fn foreign_gates(
    db: &Db,
    redis: &RedisEndpoint,
    plan: &SeedPlan,
) -> Result<Vec<String>, SeedError> {
    let (proof, epochs) = (plan.owned.mysql, epochs(db).await?);
    // Coupons that nobody asks for are removed from our own MySQL, and their gates with them.
    let others = epochs.keys().copied().filter(|_| proof);
    let ids: std::collections::BTreeSet<u64> = plan.coupons.iter().map(|coupon| coupon.id).chain(others).collect();
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
pub(super) async fn check(db: &Db, redis: &RedisEndpoint, asked: &[u64]) -> Result<Vec<String>, SeedError> {
    let epochs = epochs(db).await?;
    let known = asked.iter().map(|id| (*id, epochs.get(id).and_then(Option::as_deref)));
    Ok(guard::on("Redis", redis, gate::foreign(redis, known).await?))
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
        Ok(guard::on("Redis", &endpoints.redis, gate::foreign(&endpoints.redis, known).await?))
    }
    .await;
    db.close().await;
    result
}
