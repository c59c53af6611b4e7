//! `status`: how the components are, and what the servers say.

use std::{collections::BTreeMap, fmt::Write as _};

use base::{
    figure::{bytes, count, or_dash},
    table::{Fitted, WIDTH},
};
use contract::claim::Kind;
use infra::{
    Status,
    status::{ComponentStatus, LagRow, MysqlStatus, RedisStatus},
    topics::TopicState,
};
use tui::text::wrap;

use super::common::Context;
use crate::exit::Exit;

/// Cells of a state of health; what takes more stands below the table.
const HEALTH: usize = 9;

/// `status`
pub async fn run(context: &Context) -> anyhow::Result<Exit> {
    let status = Box::pin(infra::status(&context.require_state()?)).await?;
    context.print(&text(&status), &status)?;
    Ok(if status.is_healthy() { Exit::Done } else { Exit::Failed })
}

/// One table of all components, and below it a line for each thing that is worth one. Nothing is wider than 120 columns.
fn text(status: &Status) -> String {
    let header =
        ["component", "provider", "state", "health", "restarts", "cpu %", "memory", "version", "address", "process"];
    // Names, versions and addresses may be of any length: what is cut off there stands below in full.
    let mut table = Fitted::new(&header, &[4, 5, 6], &[(0, 12), (7, 8), (8, 15), (9, 10)]);
    let mut notes = Vec::new();
    for c in &status.components {
        notes.extend(wrong(c));
        table.add(row(c));
    }
    let (table, cut) = table.draw();
    notes.extend(cut.into_iter().map(|(name, column, value)| format!("{name}: {column} {value}")));
    notes.extend(says(status));
    let lines = notes.iter().flat_map(|note| indented(note));
    lines.fold(format!("{table}\n"), |text, line| text + &line + "\n")
}

/// A note in lines that fit; all but the first are set in.
fn indented(note: &str) -> Vec<String> {
    let lines = wrap(note, WIDTH - 2).into_iter().enumerate();
    lines.map(|(n, line)| if n == 0 { line } else { format!("  {line}") }).collect()
}

fn row(c: &ComponentStatus) -> Vec<String> {
    let sample = &c.sample;
    // As `docker ps` shows it.
    let container = c.container.as_ref().map(|container| container.id.chars().take(12).collect::<String>());
    let process = container.or_else(|| c.pid.map(|pid| format!("pid {pid}")));
    let known = |text: &str| or_dash(Some(text).filter(|text| !text.is_empty()).map(str::to_owned));
    vec![
        sample.name.clone(),
        sample.provider.to_string(),
        super::stats::state(sample),
        if is_long(&sample.health) { "see below".into() } else { known(&sample.health) },
        sample.restarts.to_string(),
        or_dash(sample.cpu.map(|cpu| format!("{cpu:.1}"))),
        or_dash(sample.mem.map(bytes)),
        known(&c.version),
        known(&c.address),
        or_dash(process),
    ]
}

fn is_long(health: &str) -> bool {
    tui::text::width(health) > HEALTH
}

/// What is wrong with a component, in full.
fn wrong(c: &ComponentStatus) -> Vec<String> {
    let sample = &c.sample;
    let mut notes = Vec::new();
    if is_long(&sample.health) {
        notes.push(format!("{}: {}", sample.name, sample.health));
    }
    if let Some(evidence) = &sample.oom_evidence {
        notes.push(format!("{}: a process was killed because its memory was used up ({evidence})", sample.name));
    }
    if let Some(line) = &c.last_line {
        notes.push(format!("{} said last: {line}", sample.name));
    }
    notes
}

/// What the servers say, a line each; where they do not, why.
fn says(status: &Status) -> Vec<String> {
    let why = |name: &str| format!("{name}: not known: {}", status.unknown.get(name).map_or("", String::as_str));
    // A reason that a component has told already is not told again.
    let told = |name: &str| status.components.iter().any(|c| status.unknown.get(name) == Some(&c.sample.health));
    let line = |name: &str, said: Option<String>| said.or_else(|| (!told(name)).then(|| why(name)));
    let topics = status.topics.as_deref().map(topics);
    let lag = status.lag.as_deref().map_or_else(|| vec![why("lag")], lag);
    let redis = status.redis.as_ref().map(redis);
    let mysql = status.mysql.as_ref().map(mysql);
    let servers = [line("topics", topics), line("mysql", mysql), line("redis", redis)];
    servers.into_iter().flatten().chain(lag).collect()
}

/// `topics: orders 3 x 1 (1 of 3 partitions without a leader), …`
fn topics(all: &[TopicState]) -> String {
    let one = |topic: &TopicState| {
        let Some(partitions) = topic.partitions else { return format!("{} MISSING", topic.name) };
        let mut text = format!("{} {partitions} x {}", topic.name, or_dash(topic.replication));
        if !topic.matches() {
            let _ = write!(text, " (planned: {})", or_dash(topic.planned));
        }
        for (n, what) in [(topic.offline, "without a leader"), (topic.under_replicated, "under-replicated")] {
            if let Some(n) = n.filter(|n| *n > 0) {
                let _ = write!(text, " ({n} of {partitions} {what})");
            }
        }
        text
    };
    if all.is_empty() {
        return "topics: none".into();
    }
    format!("topics (partitions x copies): {}", all.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// One line where all is consumed, else one for each partition that is behind, and one for each reason not to know.
fn lag(rows: &[LagRow]) -> Vec<String> {
    let total = rows.iter().map(|row| row.lag).try_fold(0_u64, |sum, lag| Some(sum.saturating_add(lag?)));
    let total = total.map_or_else(|| "not known".into(), count);
    let head = format!("lag: {total} over {} partition{}", rows.len(), if rows.len() == 1 { "" } else { "s" });
    let behind = rows.iter().filter_map(|row| {
        let lag = row.lag.filter(|lag| *lag > 0)?;
        let (committed, end) = (or_dash(row.committed), or_dash(row.end));
        Some(format!("{} {}: lag {} (committed {committed}, end {end})", row.topic, row.partition, count(lag)))
    });
    let mut unknown: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for row in rows {
        if let Some(why) = &row.unknown {
            unknown.entry((&row.topic, why)).or_default().push(row.partition.to_string());
        }
    }
    let unknown = unknown.iter().map(|((topic, why), all)| format!("{topic} {}: lag not known: {why}", all.join(", ")));
    std::iter::once(head).chain(behind).chain(unknown).collect()
}

fn redis(redis: &RedisStatus) -> String {
    let stock = redis.stock.iter().map(|(id, stock)| format!("{} {id}: {stock}", Kind::OF_A_NUMBER));
    let stock = stock.collect::<Vec<_>>().join(", ");
    format!(
        "redis: {} used, {}, {} clients, {}/s, stock {}",
        bytes(redis.used_memory),
        redis.maxmemory_policy,
        redis.clients,
        redis.ops_per_second,
        if stock.is_empty() { "none" } else { &stock }
    )
}

fn mysql(mysql: &MysqlStatus) -> String {
    format!(
        "mysql: {} of {} connections, {} running, {} slow queries",
        mysql.threads_connected, mysql.max_connections, mysql.threads_running, mysql.slow_queries
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use infra::stack::ContainerRef;
    use record::event::{names::Provider, watch::ComponentSample};
    use tui::text::width;

    fn component(name: &str) -> ComponentStatus {
        ComponentStatus {
            sample: ComponentSample {
                name: name.into(),
                provider: Provider::Native,
                state: "running".into(),
                health: "healthy".into(),
                restarts: 1,
                cpu: Some(12.3),
                mem: Some(300 << 20),
                ..ComponentSample::default()
            },
            version: "10.11.14-MariaDB-0+deb12u2".into(),
            address: "127.0.0.1:33060".into(),
            pid: Some(4_194_304),
            container: None,
            last_line: None,
        }
    }

    fn status(components: Vec<ComponentStatus>) -> Status {
        Status { components, topics: None, lag: None, redis: None, mysql: None, unknown: BTreeMap::new() }
    }

    fn wide() -> Status {
        let mut far = component("쿠폰-발급-서비스-모니터링-내보내기-아주-긴-이름");
        far.address = "orders-cluster.cluster-c1a2b3d4e5f6.ap-northeast-2.rds.amazonaws.com:3306".into();
        far.version = "registry.example.com:5000/team/orders/mysql-with-everything:8.4.2-debian-20261127".into();
        far.container = Some(ContainerRef { id: "0123456789abcdef".into(), name: format!("shop-{}", "x".repeat(200)) });
        let mut dead = component("kafka-1");
        dead.sample.state = "exited".into();
        (dead.sample.exit_code, dead.sample.oom_killed) = (Some(137), true);
        dead.sample.oom_evidence = Some("its cgroup counts 1 OOM kill(s)".into());
        dead.sample.health = format!("kafka at 127.0.0.1:9092: read metadata: {}", "no answer ".repeat(30));
        (dead.sample.restarts, dead.sample.cpu, dead.sample.mem) = (4_294_967_295, Some(6_400.0), Some(u64::MAX));
        dead.last_line = Some("가나다라".repeat(80));
        let mut status = status(vec![far, dead, component("redis")]);
        let why = "kafka at 127.0.0.1:9092: connection refused";
        status.unknown = ["topics", "lag"].map(|name| (name.to_owned(), why.to_owned())).into();
        status.unknown.insert("mysql".into(), format!("mysql at {}: refused", "h".repeat(300)));
        status
    }

    /// Names, addresses, images and causes may be of any length, and of any script.
    #[test]
    fn whatever_stands_in_it_it_is_one_table_of_120_columns_and_loses_nothing() {
        let text = text(&wide());
        for line in text.lines() {
            assert!(width(line) <= 120, "{} columns: {line}", width(line));
        }
        let flat: String = text.split_whitespace().collect();
        for word in [
            "쿠폰-발급-서비스-모니터링-내보내기-아주-긴-이름",
            "orders-cluster.cluster-c1a2b3d4e5f6.ap-northeast-2.rds.amazonaws.com:3306",
            "mysql-with-everything:8.4.2-debian-20261127",
            "10.11.14-MariaDB-0+deb12u2",
            "exited137OOM",
            "noanswernoanswer",
            "killedbecauseitsmemorywasusedup",
            "lag:notknown:kafkaat127.0.0.1:9092:connectionrefused",
        ] {
            assert!(flat.contains(word), "{word} is not in:\n{text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("component ")).count(), 1, "one table:\n{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("kafka-1 ")).count(), 2, "a row, and its last words");
    }

    #[test]
    fn a_stack_that_is_well_takes_a_row_each_and_a_line_for_each_server() {
        let mut status = status(["mysql", "redis", "kafka-1", "api-1", "consumer-1"].map(component).into());
        let topic = |name: &str, planned, partitions: Option<usize>| TopicState {
            name: name.into(),
            planned,
            partitions,
            replication: partitions.map(|_| 3),
            under_replicated: partitions.map(|_| 1),
            offline: partitions.map(|_| 0),
        };
        status.topics = Some(vec![
            topic("orders-ready", Some(3), Some(3)),
            topic("orders-ready.DLT", Some(1), None),
            topic("foreign", None, Some(2)),
        ]);
        let row = |partition, committed, lag: Option<u64>, unknown: Option<&str>| LagRow {
            topic: "orders-ready".into(),
            partition,
            committed,
            end: Some(1_000),
            lag,
            unknown: unknown.map(str::to_owned),
        };
        status.lag = Some(vec![
            row(0, Some(1_000), Some(0), None),
            row(1, Some(990), Some(10), None),
            row(2, None, None, Some("nothing committed")),
        ]);
        status.redis = Some(RedisStatus {
            run_id: "r".into(),
            used_memory: 1_234_567,
            maxmemory: 0,
            maxmemory_policy: "noeviction".into(),
            clients: 7,
            ops_per_second: 3,
            stock: [("1".to_owned(), 4)].into(),
        });
        status.mysql = Some(MysqlStatus {
            threads_connected: 12,
            threads_running: 2,
            max_connections: 151,
            uptime: 9,
            slow_queries: 0,
        });
        insta::assert_snapshot!(text(&status));
    }
}
