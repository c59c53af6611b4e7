//! Rows made by the API, as a person would make them.

use std::{sync::Arc, time::Duration};

use super::{
    Backend, SeedError, SeedProgress,
    db::{Db, Survey},
    tables::Table,
};

/// How often a row is tried while the API is busy (503).
const ATTEMPTS: u32 = 5;

/// Posts the rows that are missing, one after the other, so that row n gets the id n. Returns how many were made.
pub(super) async fn fill(
    db: &Db,
    table: &Arc<Table>,
    survey: &Survey,
    backend: &impl Backend,
    url: &str,
    progress: &(dyn Fn(SeedProgress) + Sync),
) -> Result<u64, SeedError> {
    let first = first_missing(db, table, survey).await?;
    for n in first..=table.asked {
        post(backend, url, n, &(table.body)(n)).await?;
        progress(SeedProgress { table: table.name, done: n, total: table.asked });
    }
    Ok((table.asked + 1).saturating_sub(first))
}

/// The number from which rows are missing. The ids of the API's rows come from a counter, so a hole before others
/// cannot be filled by it: then SQL fills the hole first.
async fn first_missing(db: &Db, table: &Arc<Table>, survey: &Survey) -> Result<u64, SeedError> {
    let sql = format!("SELECT CAST(COALESCE(MAX({0}), 0) AS UNSIGNED) FROM {1} WHERE {0} <= ?", table.key, table.name);
    let mut conn = db.conn().await?;
    let what = format!("looking for the last row of {}", table.name);
    let read = mysql_async::prelude::Queryable::exec_first(&mut conn, sql, (table.asked,));
    let last: Option<u64> = db.step(&what, read).await?;
    let last = last.unwrap_or_default();
    if last != survey.good {
        return Err(SeedError::Shortfall {
            table: table.name,
            asked: last,
            found: survey.good,
            extra: ": the API gives ids in turn and cannot fill the holes; seed by SQL first".into(),
        });
    }
    // DDL takes no parameters; the number is ours. It cannot fall below what is there.
    let sql = format!("ALTER TABLE {} AUTO_INCREMENT = {}", table.name, last + 1);
    db.execute(&format!("setting the next id of {}", table.name), &sql, ()).await?;
    Ok(last + 1)
}

async fn post(backend: &impl Backend, url: &str, n: u64, body: &serde_json::Value) -> Result<(), SeedError> {
    let fail = |why: String| Err(SeedError::Api { url: url.to_owned(), row: n, why });
    for attempt in 1..=ATTEMPTS {
        match backend.post(url, body).await {
            Ok((200..=299, _)) => return Ok(()),
            Ok((503, _)) if attempt < ATTEMPTS => {
                tokio::time::sleep(Duration::from_millis(100 * u64::from(attempt))).await;
            }
            Ok((status, answer)) => return fail(format!("{status} {answer}")),
            Err(why) => return fail(why),
        }
    }
    fail(format!("the API was busy {ATTEMPTS} times"))
}
