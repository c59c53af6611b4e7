//! The products that Redis keeps for the API: what the seeder changes must not be answered from there any more.

use contract::{endpoint::RedisEndpoint, names::product_key};

use super::{
    SeedError,
    db::{Db, Survey},
    redis_conn::{connect, step},
    tables::Table,
};

/// Keys in one command.
const BATCH: usize = 1_000;

/// The products that a seed is about to change.
pub(super) struct Changed {
    /// Rows that are not as asked.
    wrong: Vec<u64>,
    /// Up to this number all, where rows are missing; else 0. One that was never there costs nothing.
    all_to: u64,
}

impl Changed {
    /// Looks for them in MySQL.
    pub async fn find(db: &Db, table: &Table, survey: &Survey) -> Result<Self, SeedError> {
        let wrong = if survey.wrong > 0 { db.wrong_keys(table).await? } else { Vec::new() };
        let missing = survey.good + survey.in_the_way < table.asked;
        Ok(Self { wrong, all_to: if missing { table.asked } else { 0 } })
    }

    /// Their numbers.
    fn ids(&self) -> impl Iterator<Item = u64> {
        self.wrong.iter().copied().filter(|id| *id > self.all_to).chain(1..=self.all_to)
    }

    /// How many of them Redis has.
    pub async fn kept(&self, redis: &RedisEndpoint) -> Result<u64, SeedError> {
        let mut ids = self.ids().peekable();
        let mut kept = 0;
        if ids.peek().is_none() {
            return Ok(kept);
        }
        let mut conn = connect(redis).await?;
        while ids.peek().is_some() {
            let mut command = redis::cmd("EXISTS");
            for id in ids.by_ref().take(BATCH) {
                command.arg(product_key(id));
            }
            kept += step(redis, "looking for products in the cache", command.query_async::<u64>(&mut conn)).await?;
        }
        Ok(kept)
    }

    /// Removes their keys, and no others, from the cache. To be done once the rows are as asked: before that an API could
    /// put an old one back. What it read just before may still come back; its time to live bounds that.
    pub async fn forget(&self, redis: &RedisEndpoint) -> Result<(), SeedError> {
        let mut ids = self.ids().peekable();
        if ids.peek().is_none() {
            return Ok(());
        }
        let mut conn = connect(redis).await?;
        while ids.peek().is_some() {
            let mut command = redis::cmd("DEL");
            for id in ids.by_ref().take(BATCH) {
                command.arg(product_key(id));
            }
            step(redis, "removing products from the cache", command.query_async::<()>(&mut conn)).await?;
        }
        Ok(())
    }
}
