//! The servers that are containers: made and started by the Engine, and then asked as a client would ask them.

use std::{collections::BTreeMap, time::Duration};

use profile::model::ProviderChoice;
use record::event::names;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{ComponentReport, Parts, Up, UpEvent, probe::carries, runners::Runners};
use crate::{
    choice::{Runner, Server},
    docker::{
        self, ApplyRequest, Container, ContainerState,
        provider::{self, Provider},
    },
    error::InfraError,
    ready,
    stack::{Component, ContainerRef},
};

/// Time limit of one attempt while a server starts.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(20);
/// Time between two looks at whether the container still runs.
const LOOK: Duration = Duration::from_millis(500);

impl Up<'_> {
    /// Everything that runs in Docker; nothing where no server does.
    pub(super) async fn containers(&self, runners: &Runners, cancel: &CancellationToken) -> Result<Parts, InfraError> {
        let Some(docker) = &runners.docker else { return Ok((Vec::new(), Ok(Vec::new()))) };
        let begun = Instant::now();
        let here = |server| runners.of(server) == Runner::Docker;
        let (project, orders) = docker.servers(&here)?;
        let request = ApplyRequest {
            project: &project,
            services: &orders,
            state: self.request.state.root(),
            pull: self.request.pull || self.request.stack.provider == ProviderChoice::Docker,
            recreate: false,
            orphans: true,
            may_replace: &|| self.request.may_replace(),
            keep_failed: self.request.keep_failed,
            ready_within: self.request.ready_within,
            // The servers are asked as a client would ask them, which is quicker and says more; of the others only the
            // Engine knows.
            wait: docker.has_more(),
        };
        let change = docker::change(&docker.engine, &request, self.progress, cancel).await?;
        let containers = change.containers.clone();
        *self.change() = Some(change);
        self.write_down(docker, &containers)?;
        let asking = async {
            tokio::try_join!(
                self.container_mysql(runners, &containers, begun),
                self.container_redis(runners, &containers, begun),
                self.container_kafka(runners, &containers, begun),
            )
        };
        let (mut components, redis, (kafka, topics)) = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(self.cancelled()),
            parts = Box::pin(asking) => parts?,
        };
        components.extend(redis);
        components.extend(kafka);
        let others = containers.iter().filter(|c| !Server::ALL.into_iter().any(|server| server.has(&c.component)));
        components.extend(others.map(|container| self.answered(container, &container.image, begun)));
        Ok((components, topics))
    }

    /// Writes the containers into `stack.json`, so that every other command finds them.
    fn write_down(&self, docker: &Provider, containers: &[Container]) -> Result<(), InfraError> {
        let ports: BTreeMap<String, u16> = docker.kept.places.ports().into_iter().collect();
        let mut stack = self.stack();
        for container in containers {
            let port = ports.get(&container.component).copied();
            let port = port.or_else(|| container.ports.first().map(|port| port.host));
            let component = Component {
                provider: names::Provider::Docker,
                version: container.image.clone(),
                address: port.map_or_else(String::new, |port| format!("127.0.0.1:{port}")),
                process: None,
                log: None,
                container: Some(ContainerRef { id: container.id.clone(), name: container.name.clone() }),
                restarts: self.restarts(container),
            };
            stack.components.insert(container.component.clone(), component);
        }
        // Written under the lock: processes start side by side, and the last to write must know all of them.
        self.request.state.save_stack(&stack)
    }

    /// How often the component was started again until now, without what the Engine counts for the container itself.
    fn restarts(&self, container: &Container) -> u32 {
        let components = self.before.as_ref().map(|stack| &stack.components);
        let before = components.and_then(|all| all.get(&container.component)).filter(|c| c.container.is_some());
        // One whose container somebody removed is started again too.
        let again = if container.reused { 0 } else { container.again.max(1) };
        before.map_or(0, |before| before.restarts.saturating_add(again))
    }

    async fn container_mysql(
        &self,
        runners: &Runners,
        containers: &[Container],
        begun: Instant,
    ) -> Result<Vec<ComponentReport>, InfraError> {
        let Some(docker) = runners.docker_for(Server::Mysql) else { return Ok(Vec::new()) };
        let endpoint = docker.kept.places.endpoints().mysql;
        // The password was drawn for this server alone: whoever lets us in with it is ours.
        let ask = || async { Ok(ready::mysql(&endpoint, ATTEMPT).await?.version) };
        self.ask(docker, &of(Server::Mysql, containers), begun, ask).await
    }

    async fn container_redis(
        &self,
        runners: &Runners,
        containers: &[Container],
        begun: Instant,
    ) -> Result<Vec<ComponentReport>, InfraError> {
        let Some(docker) = runners.docker_for(Server::Redis) else { return Ok(Vec::new()) };
        let endpoint = docker.kept.places.endpoints().redis;
        let ask = || async { Ok(ready::redis(&endpoint, ATTEMPT).await?.version) };
        self.ask(docker, &of(Server::Redis, containers), begun, ask).await
    }

    async fn container_kafka(
        &self,
        runners: &Runners,
        containers: &[Container],
        begun: Instant,
    ) -> Result<Parts, InfraError> {
        let Some(docker) = runners.docker_for(Server::Kafka) else { return Ok((Vec::new(), Ok(Vec::new()))) };
        let endpoint = docker.kept.places.endpoints().kafka;
        let brokers = of(Server::Kafka, containers);
        let replication = i32::from(docker.brokers());
        let ask = || async {
            let cluster = ready::kafka(&endpoint, usize::from(docker.brokers()), ATTEMPT).await?;
            let advertised = endpoint.brokers.split(',').all(|own| cluster.brokers.iter().any(|(_, b)| b == own));
            if !advertised {
                let why = "the brokers advertise other addresses: another cluster answers there";
                return Err(InfraError::client("kafka", &endpoint, "read metadata", why));
            }
            carries(&endpoint, &cluster, replication, ATTEMPT).await?;
            Ok(self.kafka_version(docker, brokers.first().copied()).await)
        };
        let components = self.ask(docker, &brokers, begun, ask).await?;
        let topics = self.topics(&endpoint, replication, true).await;
        Ok((components, topics))
    }

    /// Version of a broker that answers. No request gives it: it stands in the broker's log, and was written down before
    /// where the broker runs on.
    async fn kafka_version(&self, docker: &Provider, broker: Option<&Container>) -> String {
        let Some(broker) = broker else { return String::new() };
        let before = self.before.as_ref().and_then(|stack| stack.components.get(&broker.component));
        let known = before.filter(|c| broker.reused && c.container.as_ref().is_some_and(|known| known.id == broker.id));
        let is_version = |text: &&String| text.starts_with(|c: char| c.is_ascii_digit());
        if let Some(known) = known.map(|component| &component.version).filter(is_version) {
            return known.clone();
        }
        let since = broker.started_at.as_deref().and_then(|at| at.parse().ok());
        let said = docker::logs::said(&docker.engine.docker, &broker.id, since, "Kafka version: ").await;
        said.unwrap_or_else(|| "unknown".to_owned())
    }

    /// Asks until the containers answer, one of them ends, or the time is over.
    async fn ask<F: Future<Output = Result<String, InfraError>>>(
        &self,
        docker: &Provider,
        containers: &[&Container],
        begun: Instant,
        ask: impl Fn() -> F,
    ) -> Result<Vec<ComponentReport>, InfraError> {
        let ports: BTreeMap<String, u16> = docker.kept.places.ports().into_iter().collect();
        let ports: Vec<u16> = containers.iter().filter_map(|c| ports.get(&c.component).copied()).collect();
        let (mut last, mut looked) = ("it does not listen yet".to_owned(), Instant::now());
        loop {
            match attempt(&ports, &ask).await {
                Ok(version) => return Ok(containers.iter().map(|c| self.answered(c, &version, begun)).collect()),
                Err(why) => last = why.unwrap_or(last),
            }
            let over = begun.elapsed() > self.request.ready_within;
            if over || looked.elapsed() > LOOK {
                self.still_run(docker, containers, over.then_some(last.as_str()), begun).await?;
                looked = Instant::now();
            }
            sleep(PAUSE).await;
        }
    }

    /// Fails where a container has ended, or (`late`) the time is over.
    async fn still_run(
        &self,
        docker: &Provider,
        containers: &[&Container],
        late: Option<&str>,
        begun: Instant,
    ) -> Result<(), InfraError> {
        let now = docker::list(&docker.engine, &docker.name).await?;
        for container in containers {
            let found = now.iter().find(|c| c.id == container.id);
            let runs = found.is_some_and(|c| matches!(c.state, ContainerState::Running | ContainerState::Restarting));
            if !runs {
                return Err(provider::failure(&docker.engine, container, None, begun.elapsed()).await);
            }
        }
        match (late, containers.first()) {
            (Some(why), Some(container)) => {
                Err(provider::failure(&docker.engine, container, Some(why), begun.elapsed()).await)
            }
            _ => Ok(()),
        }
    }

    fn answered(&self, container: &Container, version: &str, begun: Instant) -> ComponentReport {
        let mut stack = self.stack();
        let component = stack.components.get_mut(&container.component);
        let address = component.map_or_else(String::new, |component| {
            version.clone_into(&mut component.version);
            component.address.clone()
        });
        drop(stack);
        let report = ComponentReport {
            name: container.component.clone(),
            provider: names::Provider::Docker,
            version: version.to_owned(),
            address,
            took_ms: begun.elapsed().as_millis() as u64,
            reused: container.reused,
        };
        (self.progress)(UpEvent::Ready(report.clone()));
        report
    }
}

fn of(server: Server, containers: &[Container]) -> Vec<&Container> {
    containers.iter().filter(|container| server.has(&container.component)).collect()
}

/// Asks once; `None`: nobody listens there yet.
async fn attempt<F: Future<Output = Result<String, InfraError>>>(
    ports: &[u16],
    ask: impl Fn() -> F,
) -> Result<String, Option<String>> {
    for port in ports {
        if !ready::answers(*port).await {
            return Err(None);
        }
    }
    match tokio::time::timeout(ATTEMPT, ask()).await {
        Ok(result) => result.map_err(|e| Some(e.to_string())),
        Err(_) => Err(Some(format!("no answer within {} s", ATTEMPT.as_secs()))),
    }
}
