//! Topics: the plan against what is there. Brokers never make one by themselves.

use std::time::Duration;

use contract::{endpoint::KafkaEndpoint, names::dead_letter_topic, settings::Settings, system::System};
use rdkafka::{
    admin::{AdminOptions, NewTopic, TopicReplication},
    error::RDKafkaErrorCode,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    clients::{self, Cluster, LIMIT, Partition, Topic},
    error::InfraError,
    stack::Stack,
};

/// Topic of `up`'s own produce-and-consume round trip.
pub const PROBE_TOPIC: &str = "ecomctl-probe";

/// A topic as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPlan {
    /// Name.
    pub name: String,
    /// Partitions.
    pub partitions: u16,
}

impl TopicPlan {
    /// [`PROBE_TOPIC`]
    pub fn probe() -> Self {
        Self { name: PROBE_TOPIC.into(), partitions: 1 }
    }
}

/// How a topic stands against the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct TopicState {
    /// Name.
    pub name: String,
    /// Partitions it should have; none for a topic that is not in the plan.
    pub planned: Option<u16>,
    /// Partitions it has; none for a topic that is missing.
    pub partitions: Option<usize>,
    /// Copies of each partition.
    pub replication: Option<usize>,
    /// Partitions of which some broker does not hold all; none for a topic that is missing.
    pub under_replicated: Option<usize>,
    /// Partitions that no broker leads: nobody can read or write them.
    pub offline: Option<usize>,
}

impl TopicState {
    /// Whether the topic is as planned. One that nobody planned is.
    pub fn matches(&self) -> bool {
        self.planned.is_none_or(|planned| self.partitions == Some(usize::from(planned)))
    }
}

/// What happened to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicReport {
    /// Name.
    pub name: String,
    /// Partitions.
    pub partitions: u16,
    /// Made now; else it was there.
    pub created: bool,
}

/// The topics that the backend of `system` needs.
pub fn plan(system: System, settings: &Settings) -> Vec<TopicPlan> {
    let claims = system.claims();
    vec![
        TopicPlan { name: claims.name.into(), partitions: settings.partitions },
        // Dead letters are few, and read by people: one partition keeps them in order.
        TopicPlan { name: dead_letter_topic(claims.name), partitions: 1 },
    ]
}

/// The plan that `stack` was brought up with; that of the defaults, where an older `up` has not written it down.
pub fn plan_of(stack: &Stack) -> Vec<TopicPlan> {
    if stack.topics.is_empty() { plan(stack.system, &Settings::of(stack.system)) } else { stack.topics.clone() }
}

/// All topics and the planned ones, side by side.
pub async fn list(endpoint: &KafkaEndpoint, plan: &[TopicPlan]) -> Result<Vec<TopicState>, InfraError> {
    let cluster = clients::kafka_cluster(endpoint, LIMIT).await?;
    Ok(compare(&cluster, plan))
}

/// Puts `plan` beside what there is; topics of neither interest (the probe's own) are left out.
pub fn compare(cluster: &Cluster, plan: &[TopicPlan]) -> Vec<TopicState> {
    let found = |name: &str| cluster.topics.iter().find(|topic| topic.name == name);
    let planned = plan.iter().map(|plan| state(&plan.name, Some(plan.partitions), found(&plan.name)));
    let others = cluster.topics.iter().filter(|topic| topic.name != PROBE_TOPIC);
    let others = others.filter(|topic| plan.iter().all(|plan| plan.name != topic.name));
    planned.chain(others.map(|topic| state(&topic.name, None, Some(topic)))).collect()
}

fn state(name: &str, planned: Option<u16>, found: Option<&Topic>) -> TopicState {
    let count = |of: fn(&Partition) -> bool| found.map(|topic| topic.partitions.iter().filter(|p| of(p)).count());
    TopicState {
        name: name.to_owned(),
        planned,
        under_replicated: count(|partition| partition.in_sync.len() < partition.replicas.len()),
        offline: count(|partition| partition.leader < 0),
        partitions: found.map(|topic| topic.partitions.len()),
        replication: found.and_then(|topic| topic.partitions.first()).map(|partition| partition.replicas.len()),
    }
}

/// One topic with its partitions, leaders and copies.
pub async fn describe(endpoint: &KafkaEndpoint, name: &str) -> Result<Topic, InfraError> {
    let cluster = clients::kafka_cluster(endpoint, LIMIT).await?;
    let names = cluster.topics.iter().map(|topic| topic.name.clone()).collect::<Vec<_>>().join(", ");
    let topic = cluster.topics.into_iter().find(|topic| topic.name == name);
    topic.ok_or_else(|| {
        InfraError::client("kafka", endpoint, "describe a topic", format!("no topic `{name}`; there are: {names}"))
    })
}

/// Makes the planned topics that are missing.
///
/// # Errors
/// [`InfraError::Partitions`] for a topic that has other partitions than planned, [`InfraError::NeedsYes`] where one is
/// missing and `may_create` is not given.
pub async fn create(
    endpoint: &KafkaEndpoint,
    plan: &[TopicPlan],
    replication: i32,
    may_create: bool,
) -> Result<Vec<TopicReport>, InfraError> {
    let states = compare(&clients::kafka_cluster(endpoint, LIMIT).await?, plan);
    if let Some((state, planned)) =
        states.iter().find_map(|s| s.planned.filter(|_| s.partitions.is_some() && !s.matches()).map(|p| (s, p)))
    {
        let found = state.partitions.unwrap_or(0);
        return Err(InfraError::Partitions { topic: state.name.clone(), found, planned });
    }
    let missing: Vec<TopicPlan> = plan
        .iter()
        .filter(|plan| states.iter().any(|state| state.name == plan.name && state.partitions.is_none()))
        .cloned()
        .collect();
    if !missing.is_empty() {
        if !may_create {
            let names =
                missing.iter().map(|topic| format!("{} ({})", topic.name, topic.partitions)).collect::<Vec<_>>();
            let what = format!(
                "topics (partitions) {} are missing on Kafka at {endpoint} and would be created",
                names.join(", ")
            );
            return Err(InfraError::NeedsYes { what });
        }
        create_all(endpoint, &missing, replication).await?;
    }
    Ok(plan
        .iter()
        .map(|topic| TopicReport {
            name: topic.name.clone(),
            partitions: topic.partitions,
            created: missing.contains(topic),
        })
        .collect())
}

/// Deletes a topic with its records and makes it again as planned.
///
/// # Errors
/// [`InfraError::NeedsYes`] without `yes`.
pub async fn recreate(
    endpoint: &KafkaEndpoint,
    topic: &TopicPlan,
    replication: i32,
    yes: bool,
) -> Result<TopicReport, InfraError> {
    let name = topic.name.as_str();
    if !yes {
        let what = format!("topic {name} on Kafka at {endpoint} would be deleted with all its records");
        return Err(InfraError::NeedsYes { what });
    }
    let admin = clients::kafka_admin(endpoint)?;
    let error = |why: String| InfraError::client("kafka", endpoint, "delete a topic", why);
    let results = clients::within(LIMIT, error, admin.delete_topics(&[name], &options())).await?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((_, code)) => return Err(error(code.to_string())),
        }
    }
    wait_for(endpoint, "wait for the topic to go", |cluster| cluster.topics.iter().all(|t| t.name != name)).await?;
    create_all(endpoint, std::slice::from_ref(topic), replication).await?;
    Ok(TopicReport { name: name.to_owned(), partitions: topic.partitions, created: true })
}

/// Makes topics and waits until each partition has a leader.
pub(super) async fn create_all(
    endpoint: &KafkaEndpoint,
    topics: &[TopicPlan],
    replication: i32,
) -> Result<(), InfraError> {
    let admin = clients::kafka_admin(endpoint)?;
    let error = |why: String| InfraError::client("kafka", endpoint, "create a topic", why);
    let new = topics.iter().map(|topic| {
        let new = NewTopic::new(&topic.name, i32::from(topic.partitions), TopicReplication::Fixed(replication));
        if topic.name == PROBE_TOPIC { new.set("retention.ms", "600000").set("segment.bytes", "1048576") } else { new }
    });
    let new: Vec<_> = new.collect();
    let results = clients::within(LIMIT, error, admin.create_topics(&new, &options())).await?;
    // Its thread takes up to 100 ms to end.
    drop(tokio::task::spawn_blocking(move || drop(admin)));
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(error(format!("{name}: {code}"))),
        }
    }
    let ready = |cluster: &Cluster| {
        topics.iter().all(|plan| {
            let topic = cluster.topics.iter().find(|topic| topic.name == plan.name);
            topic.is_some_and(|t| {
                t.partitions.len() == usize::from(plan.partitions) && t.partitions.iter().all(|p| p.leader >= 0)
            })
        })
    };
    wait_for(endpoint, "wait for the leaders of new topics", ready).await
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT))
}

async fn wait_for(
    endpoint: &KafkaEndpoint,
    operation: &'static str,
    done: impl Fn(&Cluster) -> bool,
) -> Result<(), InfraError> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if done(&clients::kafka_cluster(endpoint, LIMIT).await?) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(InfraError::client("kafka", endpoint, operation, "not done within 10 s"));
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, partitions: i32) -> Topic {
        let partition = |id| Partition { id, leader: 1, replicas: vec![1], in_sync: vec![1] };
        Topic { name: name.into(), partitions: (0..partitions).map(partition).collect() }
    }

    #[test]
    fn the_plan_stands_beside_what_is_there() {
        let claims = System::default().claims().name;
        let dead = dead_letter_topic(claims);
        let topics = vec![topic(claims, 1), topic("foreign", 2), topic(PROBE_TOPIC, 1)];
        let cluster = Cluster { brokers: vec![], topics };
        let states = compare(&cluster, &plan(System::default(), &Settings::default()));
        let short: Vec<_> = states.iter().map(|s| (s.name.as_str(), s.planned, s.partitions, s.matches())).collect();
        assert_eq!(
            short,
            [
                (claims, Some(3), Some(1), false),
                (dead.as_str(), Some(1), None, false),
                ("foreign", None, Some(2), true),
            ]
        );
    }

    /// A broker is gone: what is left of each topic is told, not only how it was made.
    #[test]
    fn copies_that_lag_and_partitions_that_nobody_leads_are_counted() {
        let mut broken = topic(System::default().claims().name, 3);
        broken.partitions[0] = Partition { id: 0, leader: 1, replicas: vec![1, 2], in_sync: vec![1] };
        broken.partitions[1].leader = -1;
        broken.partitions[1].in_sync.clear();
        let states =
            compare(&Cluster { brokers: vec![], topics: vec![broken] }, &plan(System::default(), &Settings::default()));
        assert_eq!((states[0].under_replicated, states[0].offline), (Some(2), Some(1)));
        assert_eq!((states[1].under_replicated, states[1].offline), (None, None), "it is missing");
    }
}
