//! `status`: every component with its state, and what the servers say about topics, lag, memory and connections.

mod servers;

use std::time::Duration;

use backend::names::{COUPON_GROUP, COUPON_TOPIC};
use serde::Serialize;

pub use servers::{LagRow, MysqlStatus, RedisStatus};

use super::{
    clients,
    error::InfraError,
    logs,
    stack::{Component, ContainerRef, Stack},
    state::StateDir,
    stats::{self, Row},
    topics::{self, TopicState},
};
use crate::event::{
    names::{ComponentState, Provider},
    watch::ComponentSample,
};

/// Time limit of each question.
const LIMIT: Duration = Duration::from_secs(3);

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
    /// Whether every component runs and answers, and every job ended well.
    pub fn is_healthy(&self) -> bool {
        self.components.iter().all(|component| matches!(component.sample.health.as_str(), "healthy" | "done"))
    }
}

/// One component: what it uses, and what it is.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct ComponentStatus {
    /// Name, provider, state, health and figures.
    #[serde(flatten)]
    pub sample: ComponentSample,
    /// Version.
    pub version: String,
    /// `host:port`
    pub address: String,
    /// Process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerRef>,
    /// Last line of the log of one that ended.
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
    let (rows, mysql, redis, cluster) = tokio::join!(
        stats::rows(state, &stack),
        servers::mysql(&stack.endpoints.mysql, LIMIT),
        servers::redis(&stack.endpoints.redis, LIMIT),
        clients::kafka_cluster(&stack.endpoints.kafka, LIMIT),
    );
    let brokers = cluster.as_ref().map(|cluster| cluster.brokers.iter().map(|b| b.1.clone()).collect::<Vec<_>>());
    // What a client finds counts for more than what the provider says.
    let health = |name: &str, component: &Component| match name {
        "mysql" => verdict(mysql.as_ref().err()),
        "redis" => verdict(redis.as_ref().err()),
        kafka if kafka.starts_with("kafka") => match &brokers {
            Err(error) => verdict(Some(error)),
            Ok(known) if component.provider == Provider::External || known.contains(&component.address) => {
                verdict(None)
            }
            Ok(_) => "not in the cluster's metadata".into(),
        },
        _ => verdict(None),
    };
    let mut components = Vec::new();
    for row in rows {
        let asked = stack.components.get(&row.sample.name).map(|c| health(&row.sample.name, c));
        components.push(component(state, &stack, row, asked).await);
    }
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

/// `asked` is what a client found, of a component that `stack.json` names.
async fn component(state: &StateDir, stack: &Stack, row: Row, asked: Option<String>) -> ComponentStatus {
    let Row { mut sample, pid, container } = row;
    let known = stack.components.get(&sample.name);
    let lives = matches!(sample.state, ComponentState::Running | ComponentState::External);
    if lives {
        sample.health = match (asked, sample.health.as_str()) {
            // A client that was answered knows more than a check that has not been run yet.
            (Some(why), "" | "healthy" | "starting") => why,
            (Some(why), _) if why != "healthy" => why,
            // Without a health check of its own, to run is all that can be asked of it.
            (None, "") => "healthy".into(),
            (_, own) => own.to_owned(),
        };
    }
    let ended = matches!(sample.state, ComponentState::Exited | ComponentState::Restarting | ComponentState::Dead);
    let last_line = if ended { last_line(state, &sample.name).await } else { None };
    ComponentStatus {
        version: known.map_or_else(String::new, |component| component.version.clone()),
        address: known.map_or_else(String::new, |component| component.address.clone()),
        pid,
        container,
        last_line,
        sample,
    }
}

async fn last_line(state: &StateDir, name: &str) -> Option<String> {
    let range = logs::Range { lines: Some(1), since: None };
    Some(logs::tail_merged(state, &[name.to_owned()], range).await.ok()?.pop()?.text)
}
