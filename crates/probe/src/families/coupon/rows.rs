//! Rows in MySQL: counted on the unique key's index.

use std::{collections::BTreeMap, time::Duration};

use base::held::Held;
use contract::{cause, endpoint::MysqlEndpoint};
use mysql_async::{Conn, Params, Value, prelude::Queryable};

/// Longest time that one look may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Most rows among which distinct users are counted each time; above that only rows are.
const MOST_DISTINCT: u64 = 100_000;

/// What MySQL says about one coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CouponRows {
    pub epoch: Option<String>,
    pub count: u64,
    /// Distinct users among them.
    pub holders: Option<u64>,
}

/// What MySQL says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RowsReading {
    pub coupons: BTreeMap<u64, CouponRows>,
    pub connections: Option<u64>,
}

/// One connection, made again after any failure.
#[derive(Debug)]
pub(crate) struct Rows {
    endpoint: MysqlEndpoint,
    connection: Held<Conn>,
    /// Rows at the last look.
    seen: u64,
}

impl Rows {
    pub fn new(endpoint: MysqlEndpoint) -> Self {
        Self { endpoint, connection: Held::default(), seen: 0 }
    }

    pub async fn read(&mut self, coupons: &[u64]) -> Result<RowsReading, String> {
        let looking = async {
            let mut connection = self.connection.take_or(Conn::new(self.endpoint.opts(0, 1))).await?;
            let reading = query(&mut connection, coupons, self.seen <= MOST_DISTINCT).await?;
            self.connection.give_back(connection);
            Ok::<_, mysql_async::Error>(reading)
        };
        match tokio::time::timeout(LIMIT, looking).await {
            Ok(Ok(reading)) => {
                self.seen = reading.coupons.values().map(|coupon| coupon.count).sum();
                Ok(reading)
            }
            Ok(Err(error)) => Err(format!("MySQL at {}: {}", self.endpoint, cause::chain(&error))),
            Err(_) => Err(format!("MySQL at {}: no answer within {} s", self.endpoint, LIMIT.as_secs())),
        }
    }
}

async fn query(connection: &mut Conn, coupons: &[u64], distinct: bool) -> Result<RowsReading, mysql_async::Error> {
    let mut reading = RowsReading::default();
    if !coupons.is_empty() {
        let places = vec!["?"; coupons.len()].join(", ");
        let holders = if distinct { "COUNT(DISTINCT u.user_id)" } else { "NULL" };
        let sql = format!(
            "SELECT c.id, c.epoch, COUNT(u.id), {holders} \
             FROM coupons c LEFT JOIN coupon_users u ON u.coupon_id = c.id \
             WHERE c.id IN ({places}) GROUP BY c.id, c.epoch"
        );
        let params = Params::Positional(coupons.iter().map(|id| Value::from(*id)).collect());
        let rows: Vec<(u64, Option<String>, u64, Option<u64>)> = connection.exec(sql, params).await?;
        reading.coupons = rows
            .into_iter()
            .map(|(coupon, epoch, count, holders)| (coupon, CouponRows { epoch, count, holders }))
            .collect();
    }
    let status: Option<(String, u64)> = connection.query_first("SHOW GLOBAL STATUS LIKE 'Threads_connected'").await?;
    reading.connections = status.map(|(_, connections)| connections);
    Ok(reading)
}
