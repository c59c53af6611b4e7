//! Kafka's part of `up`: the brokers, the planned topics, and a record sent and read back.

use std::time::Instant;

use contract::endpoint::KafkaEndpoint;

use super::{ComponentReport, Parts, Up, UpEvent, probe::Probe, runners::Runners};
use crate::{
    choice::Server,
    clients::LIMIT,
    error::InfraError,
    ready,
    topics::{self, PROBE_TOPIC, TopicPlan, TopicReport},
};

impl Up<'_> {
    pub(super) async fn kafka(&self, runners: &Runners) -> Result<Parts, InfraError> {
        if let Some(endpoint) = &runners.external.kafka {
            return self.external_kafka(endpoint).await;
        }
        let Some(native) = runners.native_for(Server::Kafka) else { return Ok((Vec::new(), Ok(Vec::new()))) };
        let servers = native.kafka()?;
        let endpoint = native.kafka_endpoint();
        let replication = servers.len().min(3) as i32;
        let version = self.request.env.kafka()?.version;
        let brokers = servers.len();
        let probe = Probe::Kafka { endpoint: endpoint.clone(), brokers, replication, version };
        let components = self.ensure(&servers, &probe).await?;
        let topics = self.topics(&endpoint, replication, true).await;
        Ok((components, topics))
    }

    async fn external_kafka(&self, endpoint: &KafkaEndpoint) -> Result<Parts, InfraError> {
        let begun = Instant::now();
        let cluster = ready::kafka(endpoint, 1, LIMIT).await?;
        // −1 leaves the number of copies to the cluster's own default.
        let topics = self.topics(endpoint, -1, self.request.yes).await?;
        if !cluster.has(PROBE_TOPIC) && self.request.yes {
            topics::create_all(endpoint, &[TopicPlan::probe()], -1).await?;
        }
        if cluster.has(PROBE_TOPIC) || self.request.yes {
            ready::round_trip(endpoint, LIMIT).await?;
        } else {
            self.note(format!(
                "Kafka at {endpoint}: no record was sent and read back, because topic {PROBE_TOPIC} is missing; --yes makes it"
            ));
        }
        let found: ComponentReport = self.found("kafka", "unknown".into(), endpoint.to_string(), begun);
        Ok((vec![found], Ok(topics)))
    }

    pub(super) async fn topics(
        &self,
        endpoint: &KafkaEndpoint,
        replication: i32,
        may_create: bool,
    ) -> Result<Vec<TopicReport>, InfraError> {
        let topics = topics::create(endpoint, &self.request.topics, replication, may_create).await?;
        for topic in &topics {
            (self.progress)(UpEvent::Topic(topic.clone()));
        }
        Ok(topics)
    }
}
