//! `status`: how the components are, and what the servers say.

use std::fmt::Write as _;

use super::{common::Context, stats};
use crate::{exit::Exit, figure::or_dash, infra, infra::Status, table};

/// `status`
pub async fn run(context: &Context) -> anyhow::Result<Exit> {
    let status = infra::status(&context.require_state()?).await?;
    context.print(&text(&status), &status)?;
    Ok(if status.is_healthy() { Exit::Done } else { Exit::Failed })
}

fn text(status: &Status) -> String {
    let samples: Vec<_> = status.components.iter().map(|component| component.sample.clone()).collect();
    let mut places = table::new(&["component", "provider", "version", "address", "process"], &[]);
    for c in &status.components {
        let container = c.container.as_ref().map(|container| container.name.clone());
        let process = container.or_else(|| c.pid.map(|pid| format!("pid {pid}")));
        places.add_row([
            c.sample.name.clone(),
            c.sample.provider.to_string(),
            c.version.clone(),
            c.address.clone(),
            or_dash(process),
        ]);
    }
    let mut topics = table::new(&["topic", "partitions", "replication"], &[1, 2]);
    for t in &status.topics {
        topics.add_row([t.name.clone(), or_dash(t.partitions), or_dash(t.replication)]);
    }
    let mut lag = table::new(&["topic", "partition", "committed", "end", "lag"], &[1, 2, 3, 4]);
    for row in &status.lag {
        lag.add_row(vec![
            row.topic.clone(),
            row.partition.to_string(),
            or_dash(row.committed),
            row.end.to_string(),
            row.lag.map_or_else(|| "unknown: nothing committed".into(), |lag| lag.to_string()),
        ]);
    }
    let mut text = format!("{}\n\n{places}\n\n{topics}\n\n{lag}\n\n", stats::text(&samples));
    for component in &status.components {
        if let Some(line) = &component.last_line {
            let _ = writeln!(text, "{} said last: {line}", component.sample.name);
        }
    }
    if let Some(redis) = &status.redis {
        let _ = writeln!(
            text,
            "redis: {} KiB used, {}, {} clients, {}/s, stock {:?}",
            redis.used_memory >> 10,
            redis.maxmemory_policy,
            redis.clients,
            redis.ops_per_second,
            redis.stock
        );
    }
    if let Some(mysql) = &status.mysql {
        let _ = writeln!(
            text,
            "mysql: {} of {} connections, {} running, {} slow queries",
            mysql.threads_connected, mysql.max_connections, mysql.threads_running, mysql.slow_queries
        );
    }
    text
}
