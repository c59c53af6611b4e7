//! `status`: every component with its state, and what the servers say about topics, lag, memory and connections.

mod servers;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use backend::names::{COUPON_GROUP, COUPON_TOPIC};
use serde::Serialize;

pub use servers::{LagRow, MysqlStatus, RedisStatus};

use super::{
    clients,
    error::InfraError,
    logs,
    process::{self, ProcessRef, Stat},
    stack::{Component, Stack},
    state::StateDir,
    topics::{self, TopicState},
};

/// Time limit of each question.
const LIMIT: Duration = Duration::from_secs(3);
/// CPU use is measured over this time.
const CPU_WINDOW: Duration = Duration::from_millis(200);

/// Everything that `status` shows.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Status {
    /// Each component, exited ones too.
    pub components: Vec<ComponentStatus>,
    /// Topics.
    pub topics: Vec<TopicState>,
    /// Lag of the coupon group, per partition.
    pub lag: Vec<LagRow>,
    /// Redis; none where it does not answer.
    pub redis: Option<RedisStatus>,
    /// MySQL; none where it does not answer.
    pub mysql: Option<MysqlStatus>,
}

impl Status {
    /// Whether every component runs and answers.
    pub fn is_healthy(&self) -> bool {
        self.components.iter().all(|component| component.health == "healthy")
    }
}

/// One component.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct ComponentStatus {
    /// `mysql`, `redis`, `kafka-1`, `api-1` …
    pub name: String,
    /// `native` or `external`.
    pub provider: String,
    /// `running` or `exited`; `external` for a server that ecomctl did not start.
    pub state: String,
    /// `healthy`, or what is wrong.
    pub health: String,
    /// Version.
    pub version: String,
    /// `host:port`
    pub address: String,
    /// Process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// CPU use in percent of one core.
    pub cpu: Option<f64>,
    /// Resident memory in bytes.
    pub mem: Option<u64>,
    /// Restarts since `up`.
    pub restarts: u32,
    /// Last line of the log of one that exited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_line: Option<String>,
}

/// Looks at the stack of `state`.
///
/// # Errors
/// [`InfraError::NotUp`] where there is none. A component that does not answer is no error: it is shown.
pub async fn status(state: &StateDir) -> Result<Status, InfraError> {
    let stack = state.require_stack()?;
    let plan: Vec<topics::TopicPlan> = Vec::new();
    let (usage, mysql, redis, cluster) = tokio::join!(
        usage(&stack),
        servers::mysql(&stack.endpoints.mysql, LIMIT),
        servers::redis(&stack.endpoints.redis, LIMIT),
        clients::kafka_cluster(&stack.endpoints.kafka, LIMIT),
    );
    let brokers = cluster.as_ref().map(|cluster| cluster.brokers.iter().map(|b| b.1.clone()).collect::<Vec<_>>());
    let health = |name: &str, component: &Component| match name {
        "mysql" => verdict(mysql.as_ref().err()),
        "redis" => verdict(redis.as_ref().err()),
        kafka if kafka.starts_with("kafka") => match &brokers {
            Err(error) => verdict(Some(error)),
            Ok(known) if component.provider == "external" || known.contains(&component.address) => verdict(None),
            Ok(_) => "not in the cluster's metadata".into(),
        },
        _ => verdict(None),
    };
    let components = stack.components.iter().map(|(name, component)| {
        let usage = component.process.and_then(|process| usage.get(&process.pid).copied());
        row(name, component, usage, health(name, component))
    });
    let components = components.collect();
    let has_coupons = |cluster: &clients::Cluster| cluster.topics.iter().any(|topic| topic.name == COUPON_TOPIC);
    let lag = match &cluster {
        Ok(cluster) if has_coupons(cluster) => {
            servers::lag(&stack.endpoints.kafka, COUPON_TOPIC, COUPON_GROUP, LIMIT).await
        }
        _ => Ok(Vec::new()),
    };
    let topics = cluster.map(|cluster| topics::compare(&cluster, &plan)).unwrap_or_default();
    Ok(Status { components, topics, lag: lag.unwrap_or_default(), redis: redis.ok(), mysql: mysql.ok() })
}

fn verdict(error: Option<&InfraError>) -> String {
    error.map_or_else(|| "healthy".into(), ToString::to_string)
}

/// CPU and memory of a process.
#[derive(Debug, Clone, Copy)]
struct Usage {
    cpu: f64,
    memory: u64,
}

fn row(name: &str, component: &Component, usage: Option<Usage>, health: String) -> ComponentStatus {
    let alive = component.process.map(process::is_alive);
    let (state, health) = match alive {
        None => ("external", health),
        Some(true) => ("running", health),
        Some(false) => ("exited", "exited".into()),
    };
    let last_line = component.log.as_ref().filter(|_| alive == Some(false));
    let last_line = last_line.and_then(|log| logs::tail(log, 1).ok()?.pop());
    ComponentStatus {
        name: name.to_owned(),
        provider: component.provider.clone(),
        state: state.into(),
        health,
        version: component.version.clone(),
        address: component.address.clone(),
        pid: component.process.filter(|_| alive == Some(true)).map(|process| process.pid),
        cpu: usage.map(|usage| (usage.cpu * 10.0).round() / 10.0),
        mem: usage.map(|usage| usage.memory),
        restarts: component.restarts,
        last_line,
    }
}

/// Pid → usage, of the processes that run.
async fn usage(stack: &Stack) -> BTreeMap<i32, Usage> {
    let processes: Vec<ProcessRef> = stack.components.values().filter_map(|component| component.process).collect();
    let read = |process: &ProcessRef| {
        let stat = Stat::read(process.pid).filter(|stat| stat.start_time == process.start_time)?;
        process::is_alive(*process).then_some((process.pid, stat))
    };
    let begun = Instant::now();
    let before: BTreeMap<_, _> = processes.iter().filter_map(read).collect();
    tokio::time::sleep(CPU_WINDOW).await;
    let after = processes.iter().filter_map(read);
    let ticks_per_second = sysconf(nix::unistd::SysconfVar::CLK_TCK, 100);
    let page = sysconf(nix::unistd::SysconfVar::PAGE_SIZE, 4096);
    let seconds = begun.elapsed().as_secs_f64();
    after
        .filter_map(|(pid, stat)| {
            let ticks = stat.cpu_ticks.saturating_sub(before.get(&pid)?.cpu_ticks);
            let cpu = ticks as f64 / ticks_per_second as f64 / seconds * 100.0;
            Some((pid, Usage { cpu, memory: stat.resident_pages * page }))
        })
        .collect()
}

fn sysconf(variable: nix::unistd::SysconfVar, default: u64) -> u64 {
    nix::unistd::sysconf(variable).ok().flatten().and_then(|value| u64::try_from(value).ok()).unwrap_or(default)
}
