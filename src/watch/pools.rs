//! The connection pools of the backend's processes, from their `/metrics`.

use std::time::Duration;

use base::http::Http;
use infra::choice::Server;
use record::event::watch::PoolSample;
use serde_json::Value;

use super::Stacked;

/// Longest wait for one process: one that hangs must not hold up the look at the server.
const LIMIT: Duration = Duration::from_millis(500);
/// Processes that are asked at most.
const MOST: usize = 32;

/// Asks the processes.
pub(super) struct Pools {
    stack: Stacked,
    http: Http,
}

impl Pools {
    pub fn new(stack: Stacked) -> Self {
        Self { stack, http: Http::new(LIMIT) }
    }

    /// The pools of all processes that answer.
    pub async fn read(&self) -> Vec<PoolSample> {
        let Some(stack) = (self.stack)() else { return Vec::new() };
        let processes = stack.components.iter().filter(|(name, _)| !Server::is_any(name)).take(MOST);
        let asked = processes.map(|(name, component)| self.ask(name, &component.address));
        futures_util::future::join_all(asked).await.into_iter().flatten().collect()
    }

    async fn ask(&self, name: &str, address: &str) -> Option<PoolSample> {
        let (status, body) = self.http.get(&format!("http://{address}/metrics")).await.ok()?;
        match body {
            Value::String(text) if status.is_success() => parse(name, &text),
            _ => None,
        }
    }
}

/// The pool's gauges; none where the process has no pool.
fn parse(process: &str, text: &str) -> Option<PoolSample> {
    let gauge = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.split_ascii_whitespace().next()?.parse::<f64>().ok().map(|value| value.max(0.0) as u64)
    };
    let in_use = gauge("ecom_db_connections_in_use")?;
    let open = gauge("ecom_db_connections_open").unwrap_or(in_use);
    Some(PoolSample {
        process: process.to_owned(),
        in_use,
        idle: gauge("ecom_db_connections_idle").unwrap_or(open.saturating_sub(in_use)),
        waiting: gauge("ecom_db_connections_waiting").unwrap_or(0),
        max: gauge("ecom_db_connections_max").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_read_whole_and_what_is_none_is_no_pool() {
        let text = "# HELP ecom_db_connections_in_use x\necom_db_connections_in_use 3\necom_db_connections_open 5\n\
                    ecom_db_connections_idle 2\necom_db_connections_waiting 7\necom_db_connections_max 20\n# EOF\n";
        let pool = PoolSample { process: "api-1".into(), in_use: 3, idle: 2, waiting: 7, max: 20 };
        assert_eq!(parse("api-1", text), Some(pool));
        assert_eq!(parse("api-1", "ecom_db_connections_in_use_total 3\n"), None);
        assert_eq!(parse("api-1", "ecom_db_connections_in_use x\n"), None);
    }
}
