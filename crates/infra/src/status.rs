//! `status`: every component with its state, and what the servers say about topics, lag, memory and connections.

mod kafka;
mod known;
mod servers;

use std::{collections::BTreeMap, fmt, future::Future, time::Duration};

use record::event::{
    names::{ComponentState, Provider},
    watch::ComponentSample,
};
use serde::Serialize;

use self::{kafka::KafkaLook, known::Known};
pub use self::{
    kafka::LagRow,
    servers::{MysqlStatus, RedisStatus},
};
use super::{
    choice::Server,
    error::InfraError,
    logs,
    stack::{Component, ContainerRef},
    state::StateDir,
    stats::{self, Row},
    topics::{self, TopicState},
};

/// Longest time that one server may take for everything that it is asked. They are asked side by side.
const LIMIT: Duration = Duration::from_secs(2);

/// Everything that `status` shows. What is not known is absent, and `unknown` says why.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Status {
    /// Each component, also those that ended, that are missing, or that nobody wrote down.
    pub components: Vec<ComponentStatus>,
    /// Topics; none where Kafka does not tell.
    pub topics: Option<Vec<TopicState>>,
    /// Lag of the backend's group, per partition; none where it cannot be read.
    pub lag: Option<Vec<LagRow>>,
    /// Redis; none where it does not answer.
    pub redis: Option<RedisStatus>,
    /// MySQL; none where it does not answer.
    pub mysql: Option<MysqlStatus>,
    /// `topics`, `lag`, `redis`, `mysql` → why it is not known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown: BTreeMap<String, String>,
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

/// Looks at whatever there is of the stack of `state`.
///
/// # Errors
/// [`InfraError::NotUp`] where there is nothing at all. A component that does not answer is no error: it is shown.
pub async fn status(state: &StateDir) -> Result<Status, InfraError> {
    // Three clients side by side make a future that is too large to stand in its callers'.
    Box::pin(look(state)).await
}

async fn look(state: &StateDir) -> Result<Status, InfraError> {
    let known = Known::read(state)?;
    // What was taken down is not asked for.
    let up = known.stack.as_ref().filter(|stack| !stack.components.is_empty());
    let endpoints = up.map(|stack| &stack.endpoints);
    let (rows, mysql, redis, kafka) = tokio::join!(
        stats::glance(state, &known.components, known.runs_in_docker()),
        asked(endpoints.map(|all| (&all.mysql, servers::mysql(&all.mysql, LIMIT)))),
        asked(endpoints.map(|all| (&all.redis, servers::redis(&all.redis, LIMIT)))),
        asked(up.map(|stack| {
            let kafka = &stack.endpoints.kafka;
            (kafka, kafka::look(kafka, stack.system.claims(), LIMIT))
        })),
    );
    let rows = known.complete(state, rows);
    if rows.is_empty() {
        return Err(InfraError::NotUp { state: state.root().to_owned() });
    }
    // What a client finds counts for more than what the provider says.
    let health = |name: &str, component: &Component| {
        let server = Server::ALL.into_iter().find(|server| server.has(name))?;
        Some(match server {
            Server::Mysql => verdict(mysql.as_ref().err()),
            Server::Redis => verdict(redis.as_ref().err()),
            Server::Kafka => kafka.as_ref().map_or_else(Clone::clone, |look| broker(look, component)),
        })
    };
    let components = rows.into_iter().map(|row| {
        let recorded = known.components.get(&row.sample.name);
        component(state, recorded, recorded.and_then(|c| health(&row.sample.name, c)), row)
    });
    let components = futures_util::future::join_all(components).await;
    let mut unknown = BTreeMap::new();
    let (mysql, redis) = (kept("mysql", mysql, &mut unknown), kept("redis", redis, &mut unknown));
    let plan = known.stack.as_ref().map(topics::plan_of).unwrap_or_default();
    let topics = kafka.as_ref().map(|look| topics::compare(&look.cluster, &plan)).map_err(Clone::clone);
    let topics = kept("topics", topics, &mut unknown);
    let lag = kept("lag", kafka.and_then(|look| look.lag), &mut unknown);
    Ok(Status { components, topics, lag, redis, mysql, unknown })
}

/// An answer that comes in time, or why there is none.
async fn asked<T>(
    question: Option<(impl fmt::Display, impl Future<Output = Result<T, InfraError>>)>,
) -> Result<T, String> {
    let Some((address, question)) = question else { return Err("it was taken down, or never brought up".into()) };
    match tokio::time::timeout(LIMIT, question).await {
        Ok(answer) => answer.map_err(|e| e.to_string()),
        Err(_) => Err(format!("{address}: no answer within {} s", LIMIT.as_secs())),
    }
}

/// The answer; where there is none, the reason goes to `unknown`.
fn kept<T>(name: &str, answer: Result<T, String>, unknown: &mut BTreeMap<String, String>) -> Option<T> {
    answer.map_err(|why| unknown.insert(name.to_owned(), why)).ok()
}

fn verdict(error: Option<&String>) -> String {
    error.cloned().unwrap_or_else(|| "healthy".into())
}

/// How a broker is, as the cluster sees it.
fn broker(look: &KafkaLook, component: &Component) -> String {
    let cluster = &look.cluster;
    let is_known = || cluster.brokers.iter().any(|(_, address)| *address == component.address);
    if component.provider != Provider::External && !is_known() {
        return "not in the cluster's metadata".into();
    }
    let offline: usize =
        cluster.topics.iter().map(|topic| topic.partitions.iter().filter(|p| p.leader < 0).count()).sum();
    if offline > 0 {
        return format!("{offline} partition{} without a leader", if offline == 1 { "" } else { "s" });
    }
    "healthy".into()
}

/// `asked` is what a client found, of a server that was written down.
async fn component(state: &StateDir, recorded: Option<&Component>, asked: Option<String>, row: Row) -> ComponentStatus {
    let Row { mut sample, pid, container } = row;
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
    let ended = matches!(
        sample.state,
        ComponentState::Exited | ComponentState::Restarting | ComponentState::Dead | ComponentState::Gone
    );
    let last_line = if ended && sample.health != "done" { last_line(state, &sample.name).await } else { None };
    ComponentStatus {
        version: recorded.map_or_else(String::new, |component| component.version.clone()),
        address: recorded.map_or_else(String::new, |component| component.address.clone()),
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
