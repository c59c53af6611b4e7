//! What the servers say about themselves.

use std::{collections::BTreeMap, time::Duration};

use contract::{
    claim::gate_keys,
    endpoint::{MysqlEndpoint, RedisEndpoint},
};
use mysql_async::prelude::Queryable as _;
use serde::Serialize;

use crate::{
    clients::{self, within},
    error::InfraError,
    gates::GateScan,
    ready::info_field,
};

/// Redis in figures.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct RedisStatus {
    /// Changes with each start.
    pub run_id: String,
    /// Bytes in use.
    pub used_memory: u64,
    /// Bytes allowed; 0 = no limit.
    pub maxmemory: u64,
    /// What happens at that limit; `noeviction` keeps the gate.
    pub maxmemory_policy: String,
    /// Connected clients.
    pub clients: u64,
    /// Commands per second at this moment.
    pub ops_per_second: u64,
    /// Id → stock of its gate.
    pub stock: BTreeMap<String, i64>,
}

/// MySQL in figures.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct MysqlStatus {
    /// Connections now.
    pub threads_connected: u64,
    /// Statements that run now.
    pub threads_running: u64,
    /// Connections allowed.
    pub max_connections: u64,
    /// Seconds since its start.
    pub uptime: u64,
    /// Slow statements since its start.
    pub slow_queries: u64,
}

pub(super) async fn redis(endpoint: &RedisEndpoint, limit: Duration) -> Result<RedisStatus, InfraError> {
    let error = |why| InfraError::client("redis", endpoint, "INFO", why);
    let mut conn = clients::redis(endpoint, limit).await?;
    let info: String = within(limit, error, redis::cmd("INFO").query_async(&mut conn)).await?;
    let number = |name: &str| info_field(&info, name).and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut status = RedisStatus {
        run_id: info_field(&info, "run_id").unwrap_or_default(),
        used_memory: number("used_memory"),
        maxmemory: number("maxmemory"),
        maxmemory_policy: info_field(&info, "maxmemory_policy").unwrap_or_default(),
        clients: number("connected_clients"),
        ops_per_second: number("instantaneous_ops_per_sec"),
        stock: BTreeMap::new(),
    };
    let mut scan = GateScan::default();
    while let Some(command) = scan.command() {
        scan.take(within(limit, error, command.query_async(&mut conn)).await?);
    }
    for id in scan.ids(20) {
        let get = redis::cmd("GET").arg(gate_keys(id).stock).to_owned();
        let stock: Option<i64> = within(limit, error, get.query_async(&mut conn)).await?;
        status.stock.extend(stock.map(|stock| (id.to_string(), stock)));
    }
    Ok(status)
}

pub(super) async fn mysql(endpoint: &MysqlEndpoint, limit: Duration) -> Result<MysqlStatus, InfraError> {
    let error = |why| InfraError::client("mysql", endpoint, "SHOW GLOBAL STATUS", why);
    let mut conn = clients::mysql(endpoint, limit).await?;
    let names = "'Threads_connected', 'Threads_running', 'Uptime', 'Slow_queries'";
    let query = format!("SHOW GLOBAL STATUS WHERE Variable_name IN ({names})");
    let rows: Vec<(String, String)> = within(limit, error, conn.query(query)).await?;
    let limit_of = conn.query_first::<u64, _>("SELECT @@max_connections");
    let max_connections = within(limit, error, limit_of).await?.unwrap_or(0);
    let _ = tokio::time::timeout(limit, conn.disconnect()).await;
    let rows: BTreeMap<String, String> = rows.into_iter().collect();
    let number = |name: &str| rows.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(MysqlStatus {
        threads_connected: number("Threads_connected"),
        threads_running: number("Threads_running"),
        max_connections,
        uptime: number("Uptime"),
        slow_queries: number("Slow_queries"),
    })
}
