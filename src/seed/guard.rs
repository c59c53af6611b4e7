//! What a seed would destroy on servers that ecomctl did not start. Each server is looked at by itself, and all of it is
//! told at once.

use contract::endpoint::Endpoints;

use super::{
    SeedError, SeedPlan,
    cache::Changed,
    claimed,
    db::{Db, Survey},
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
        harm.extend(claimed::harm(db, plan).await?);
        harm = on("MySQL", &endpoints.mysql, harm);
    }
    if !plan.owned.redis {
        let mut there = claimed::foreign_gates(db, &endpoints.redis, plan).await?;
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

/// Each of `harm` with the server that it is on.
pub(super) fn on(server: &str, address: &impl std::fmt::Display, harm: Vec<String>) -> Vec<String> {
    harm.into_iter().map(|what| format!("{server} at {address}: {what}")).collect()
}

/// An error where there is anything in `harm`.
///
/// # Errors
/// [`SeedError::NeedsYes`] with all of it.
pub fn refuse(harm: Vec<String>) -> Result<(), SeedError> {
    if harm.is_empty() { Ok(()) } else { Err(SeedError::NeedsYes { harm }) }
}
