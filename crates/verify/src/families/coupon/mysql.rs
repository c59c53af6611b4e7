//! M, the table's keys and the coupon's own figures, in one consistent snapshot.

use std::{collections::BTreeMap, time::Duration};

use contract::{cause, claim::Claim, endpoint::MysqlEndpoint};
use mysql_async::{Transaction, prelude::Queryable};
use record::epoch::{Opened, Present};

use super::{
    kafka::LogStarts,
    model::{CouponFacts, Row, UniqueKey},
};
use crate::{
    model::Known,
    mysql::{self, known},
};

/// Longest time that reading everything may take.
const LIMIT: Duration = Duration::from_secs(120);
/// Rows of one page.
const PAGE: usize = 10_000;
/// Most epochs of one life that are read: each but the first is a rebuild.
const EPOCHS: usize = 1_000;

/// What MySQL says about one coupon.
pub(super) struct CouponRead {
    pub facts: Known<CouponFacts>,
    pub starts: Known<LogStarts>,
    pub rows: Known<Vec<Row>>,
    /// Whether MySQL remembers the epoch that was asked for, as the present one or as an earlier one.
    pub known_before: bool,
}

/// What MySQL gave.
pub(super) struct Tables {
    pub keys: Known<Vec<UniqueKey>>,
    pub coupons: BTreeMap<u64, CouponRead>,
}

/// Reads everything, and looks for the epochs of `opened`. Where MySQL cannot be reached each part says so.
pub(super) async fn read(endpoint: &MysqlEndpoint, coupons: &[u64], opened: &Opened) -> Tables {
    let fail = |why: &dyn std::fmt::Display| cause::once(&format!("MySQL at {endpoint}: {why}"));
    let result = match tokio::time::timeout(LIMIT, read_all(endpoint, coupons, opened)).await {
        Ok(Ok(tables)) => return tables,
        Ok(Err(error)) => fail(&error),
        Err(_) => fail(&format!("not read within {} s", LIMIT.as_secs())),
    };
    let nothing = || CouponRead {
        facts: Err(result.clone()),
        starts: Err(result.clone()),
        rows: Err(result.clone()),
        known_before: false,
    };
    Tables { keys: Err(result.clone()), coupons: coupons.iter().map(|id| (*id, nothing())).collect() }
}

async fn read_all(endpoint: &MysqlEndpoint, coupons: &[u64], opened: &Opened) -> Result<Tables, mysql_async::Error> {
    let mut conn = mysql::connect(endpoint).await?;
    let mut snapshot = mysql::snapshot(&mut conn).await?;
    let fail = |e: &mysql_async::Error| format!("MySQL at {endpoint}: {}", cause::chain(e));
    let copy = known(mysql::is_read_only(&mut snapshot).await, fail)?.unwrap_or_default();
    let keys = known(keys(&mut snapshot).await, fail)?;
    let mut found = BTreeMap::new();
    for coupon in coupons {
        let rows = known(rows(&mut snapshot, *coupon).await, fail)?;
        let mut facts = known(facts(&mut snapshot, *coupon).await, fail)?
            .and_then(|facts| facts.ok_or_else(|| format!("MySQL at {endpoint}: there is no coupon {coupon}")));
        let starts = match &mut facts {
            Ok(facts) => known(life(&mut snapshot, *coupon, facts).await, fail)?.and_then(|json| {
                let json = json.ok_or_else(|| format!("the opening of epoch {} is not recorded", facts.floor))?;
                serde_json::from_str(&json).map_err(|e| format!("coupon_epochs.log_starts of coupon {coupon}: {e}"))
            }),
            Err(why) => Err(why.clone()),
        };
        let known_before = match opened.get(&Claim::coupon(*coupon)) {
            Some(epoch) => known(remembers(&mut snapshot, *coupon, epoch).await, fail)?.unwrap_or_default(),
            None => false,
        };
        // Without its coupon nobody knows which epoch the rows belong to: they may just have been removed with it.
        let rows = match &facts {
            _ if copy => Err(format!("MySQL at {endpoint} is read-only: it is a copy, which may lag behind")),
            Ok(_) => rows,
            Err(why) => Err(why.clone()),
        };
        found.insert(*coupon, CouponRead { facts, starts, rows, known_before });
    }
    snapshot.rollback().await?;
    conn.disconnect().await?;
    Ok(Tables { keys, coupons: found })
}

async fn keys(snapshot: &mut Transaction<'_>) -> Result<Vec<UniqueKey>, mysql_async::Error> {
    let parts: Vec<(String, String, Option<u64>)> = snapshot
        .query(
            "SELECT INDEX_NAME, IFNULL(COLUMN_NAME, '(an expression)'), SUB_PART FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'coupon_users' AND NON_UNIQUE = 0 \
             ORDER BY INDEX_NAME, SEQ_IN_INDEX",
        )
        .await?;
    let mut keys: Vec<UniqueKey> = Vec::new();
    for (name, column, part) in parts {
        let column = part.map_or_else(|| column.clone(), |part| format!("{column}({part})"));
        match keys.last_mut() {
            Some(key) if key.name == name => key.columns.push(column),
            _ => keys.push(UniqueKey { name, columns: vec![column] }),
        }
    }
    Ok(keys)
}

async fn facts(snapshot: &mut Transaction<'_>, coupon: u64) -> Result<Option<CouponFacts>, mysql_async::Error> {
    let row: Option<(u64, u64, Option<String>, u64)> = snapshot
        .exec_first(
            "SELECT IFNULL(quantity, 0), IFNULL(issued, 0), epoch, IFNULL(epoch_floor, 0) FROM coupons WHERE id = ?",
            (coupon,),
        )
        .await?;
    Ok(row.map(|(quantity, issued, epoch, floor)| CouponFacts {
        quantity,
        issued,
        present: Present { epoch, ..Present::default() },
        floor,
        opened_total: None,
    }))
}

/// Counter, name, how many there were, log starts, microseconds since 1970.
type RawEpoch = (u64, String, Option<u64>, Option<String>, Option<i64>);

/// Fills in the epochs of the present life, and gives where the log ended when a seed opened the first of them: the one
/// whose counter is the floor. A rebuild after it keeps its first record.
async fn life(
    snapshot: &mut Transaction<'_>,
    coupon: u64,
    facts: &mut CouponFacts,
) -> Result<Option<String>, mysql_async::Error> {
    let epochs: Vec<RawEpoch> = snapshot
        .exec(
            "SELECT counter, epoch, total, log_starts, CAST(UNIX_TIMESTAMP(opened_at) * 1000000 AS SIGNED) \
             FROM coupon_epochs WHERE coupon_id = ? AND floor = ? ORDER BY counter LIMIT ?",
            (coupon, facts.floor, EPOCHS),
        )
        .await?;
    let mut starts = None;
    for (counter, epoch, total, log_starts, opened_us) in epochs {
        if counter == facts.floor {
            facts.opened_total = total;
            let opened = opened_us.and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
            facts.present.opened_at = opened.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            starts = log_starts;
        }
        facts.present.life.push(epoch);
    }
    Ok(starts)
}

/// Whether MySQL ever had this epoch.
async fn remembers(snapshot: &mut Transaction<'_>, coupon: u64, epoch: &str) -> Result<bool, mysql_async::Error> {
    let sql = "SELECT COUNT(*) FROM coupon_epochs WHERE coupon_id = ? AND epoch = ?";
    let found: Option<u64> = snapshot.exec_first(sql, (coupon, epoch)).await?;
    Ok(found.unwrap_or_default() > 0)
}

/// id, user, event, number, time of writing.
type RawRow = (u64, u64, Option<String>, Option<u64>, Option<i64>);

/// Pages by primary key: by user a doubled row could fall between two pages.
async fn rows(snapshot: &mut Transaction<'_>, coupon: u64) -> Result<Vec<Row>, mysql_async::Error> {
    let statement = snapshot
        .prep(
            "SELECT id, user_id, event_id, grant_seq, CAST(UNIX_TIMESTAMP(created_at) * 1000000 AS SIGNED) \
             FROM coupon_users WHERE coupon_id = ? AND id > ? ORDER BY id LIMIT ?",
        )
        .await?;
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let after = rows.last().map_or(0, |row| row.id);
        let page: Vec<RawRow> = snapshot.exec(&statement, (coupon, after, PAGE)).await?;
        let full = page.len() == PAGE;
        rows.extend(page.into_iter().map(|(id, user, event_id, seq, created_us)| Row {
            id,
            user,
            event_id: event_id.unwrap_or_default(),
            seq,
            created_us: created_us.unwrap_or_default(),
        }));
        if !full {
            return Ok(rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The driver says some causes twice.
    #[tokio::test]
    async fn a_server_that_is_away_is_told_once() {
        let nobody: MysqlEndpoint = "mysql://u:p@127.0.0.1:1/d".parse().unwrap();
        let why = read(&nobody, &[1], &Opened::new()).await.keys.unwrap_err();
        assert_eq!((why.matches("Input/output error").count(), why.matches("os error").count()), (1, 1), "{why}");
    }
}
