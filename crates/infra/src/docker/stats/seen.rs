//! What the Engine says about a container when it is asked: state, limits, ports.

use std::{collections::BTreeSet, path::Path};

use bollard::{
    Docker,
    errors::Error,
    models::{ContainerInspectResponse, HealthStatusEnum, RestartPolicyNameEnum},
    query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder},
};
use contract::process::is_backend;
use futures_util::future::join_all;

use super::LIMIT;
use crate::{
    choice::Server,
    docker::{call::words, labels},
    owned::{Labels, Owner},
};

/// A container as the Engine describes it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    /// Id.
    pub id: String,
    /// Name, without the Engine's leading stroke.
    pub name: String,
    /// Component, by its label.
    pub component: Option<String>,
    /// Image, as it was asked for.
    pub image: String,
    /// `created`, `running`, `paused`, `restarting`, `exited`, `dead`.
    pub state: String,
    /// `starting`, `healthy`, `unhealthy`; none without a health check.
    pub health: Option<String>,
    /// Exit code of one that ended.
    pub exit_code: Option<i64>,
    /// The Engine's own flag: see [`super::oom`] for why it is not enough.
    pub oom_flag: bool,
    /// How often the Engine started it again.
    pub restarts: u32,
    /// Its first process, on the Engine's machine.
    pub pid: Option<i64>,
    /// CPUs it may use.
    pub cpu_limit: Option<f64>,
    /// Bytes it may use.
    pub memory_limit: Option<u64>,
    /// Published ports, `127.0.0.1:3306->3306/tcp`.
    pub ports: Vec<String>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Nothing says that it is to stay up: no health check, no port, no order to start it again.
    pub may_end: bool,
    /// Others wait for it to end with 0.
    pub awaited: bool,
}

impl Seen {
    /// Whether the component `name` is a job, which is to end: no server, and no role of the backend.
    pub fn is_job(&self, name: &str) -> bool {
        let stays = is_backend(name) || Server::is_any(name);
        !stays && (self.awaited || self.may_end)
    }
}

/// Looks at all containers, ended ones too, that were made for the state folder `folder`, wherever it was then.
///
/// # Errors
/// The Engine's, or that it did not answer in time, in words.
pub async fn look(docker: &Docker, folder: &Path) -> Result<Vec<Seen>, String> {
    let owner = Owner::of(folder);
    let path = folder.to_string_lossy();
    // Whatever 0.1.0 made has the path alone.
    let filters = [(labels::ID, owner.id()), (labels::STATE, &path)].into_iter().filter(|(_, value)| !value.is_empty());
    let lists = filters.map(|(key, value)| {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&labels::with(key, value)).build();
        tokio::time::timeout(LIMIT, docker.list_containers(Some(options)))
    });
    let mut ids = BTreeSet::new();
    for list in join_all(lists).await {
        let list = list.unwrap_or(Err(Error::RequestTimeoutError));
        for container in list.map_err(|error| words(&error))? {
            let ours = owner.owns(Labels::of(&container.labels.unwrap_or_default()));
            ids.extend(container.id.filter(|_| ours));
        }
    }
    let inspect = async |id: &String| {
        let asked = docker.inspect_container(id, None::<InspectContainerOptions>);
        tokio::time::timeout(LIMIT, asked).await.ok()?.ok()
    };
    // One that was removed meanwhile is no error.
    let found: Vec<_> = join_all(ids.iter().map(inspect)).await.into_iter().flatten().collect();
    let awaited: BTreeSet<String> = found.iter().flat_map(awaited_by).collect();
    let seen = found.into_iter().map(|container| {
        let service = label(&container, labels::SERVICE).map(str::to_owned);
        Seen { awaited: service.is_some_and(|service| awaited.contains(&service)), ..container.into() }
    });
    Ok(seen.collect())
}

fn label<'c>(container: &'c ContainerInspectResponse, name: &str) -> Option<&'c str> {
    container.config.as_ref()?.labels.as_ref()?.get(name).map(String::as_str)
}

/// Services whose good end this container waited for.
fn awaited_by(container: &ContainerInspectResponse) -> Vec<String> {
    let edges = label(container, labels::DEPENDS_ON).unwrap_or_default().split(',');
    let done = edges.filter_map(|edge| edge.split_once(":service_completed_successfully"));
    done.map(|(service, _)| service.to_owned()).collect()
}

/// Without a health check, a published port, or an order to start it again.
fn may_end(of: &ContainerInspectResponse) -> bool {
    let check = of.config.as_ref().and_then(|config| config.healthcheck.as_ref()?.test.as_ref()?.first());
    let host = of.host_config.as_ref();
    let ports = host.and_then(|host| host.port_bindings.as_ref()).is_some_and(|ports| !ports.is_empty());
    let restart = host.and_then(|host| host.restart_policy.as_ref()?.name);
    let again = matches!(restart, Some(RestartPolicyNameEnum::ALWAYS | RestartPolicyNameEnum::UNLESS_STOPPED));
    check.is_none_or(|kind| kind == "NONE") && !ports && !again
}

impl From<ContainerInspectResponse> for Seen {
    fn from(of: ContainerInspectResponse) -> Self {
        let may_end = may_end(&of);
        let state = of.state.unwrap_or_default();
        let config = of.config.unwrap_or_default();
        let host = of.host_config.unwrap_or_default();
        let status = state.status.map_or_else(String::new, |status| status.to_string());
        let quota = host.cpu_quota.filter(|quota| *quota > 0).map(|quota| {
            // The kernel's default, where nobody set one.
            let period = host.cpu_period.filter(|period| *period > 0).unwrap_or(100_000);
            quota as f64 / period as f64
        });
        let ended = matches!(status.as_str(), "exited" | "dead" | "restarting");
        let known = |health: &HealthStatusEnum| !matches!(health, HealthStatusEnum::EMPTY | HealthStatusEnum::NONE);
        Self {
            id: of.id.unwrap_or_default(),
            name: of.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            component: config.labels.and_then(|all| all.get(labels::COMPONENT).cloned()),
            image: config.image.unwrap_or_default(),
            health: state.health.and_then(|health| health.status).filter(known).map(|health| health.to_string()),
            exit_code: state.exit_code.filter(|_| ended),
            oom_flag: state.oom_killed.unwrap_or(false),
            restarts: of.restart_count.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            pid: state.pid.filter(|pid| *pid > 0),
            cpu_limit: host.nano_cpus.filter(|nano| *nano > 0).map(|nano| nano as f64 / 1e9).or(quota),
            memory_limit: host.memory.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0),
            ports: of.network_settings.and_then(|network| network.ports).map(ports).unwrap_or_default(),
            created: of.created.unwrap_or_default(),
            state: status,
            may_end,
            awaited: false,
        }
    }
}

/// Published ones, in the order of their numbers.
fn ports(all: bollard::models::PortMap) -> Vec<String> {
    let mut ports: Vec<(u16, String)> = Vec::new();
    for (inside, bindings) in all {
        let number = inside.split('/').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        for binding in bindings.into_iter().flatten() {
            let (Some(host), Some(port)) = (binding.host_ip, binding.host_port) else { continue };
            let host = if host.is_empty() { "0.0.0.0" } else { &host };
            ports.push((number, format!("{host}:{port}->{inside}")));
        }
    }
    ports.sort();
    ports.into_iter().map(|(_, port)| port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected(text: &str) -> Seen {
        serde_json::from_str::<ContainerInspectResponse>(text).unwrap().into()
    }

    #[test]
    fn limits_ports_and_the_end_are_read() {
        let seen = inspected(
            r#"{"Id": "abc", "Name": "/shop-mysql-1", "Created": "2026-11-21T10:00:00.5Z", "RestartCount": 2,
                "State": {"Status": "exited", "ExitCode": 137, "OOMKilled": true, "Pid": 0,
                          "Health": {"Status": "unhealthy"}},
                "Config": {"Image": "mysql:8.4", "Labels": {"dev.ecomctl.component": "mysql"}},
                "HostConfig": {"NanoCpus": 500000000, "Memory": 536870912},
                "NetworkSettings": {"Ports": {"33060/tcp": null,
                    "3306/tcp": [{"HostIp": "127.0.0.1", "HostPort": "3307"}]}}}"#,
        );
        assert_eq!((seen.name.as_str(), seen.component.as_deref()), ("shop-mysql-1", Some("mysql")));
        assert_eq!((seen.state.as_str(), seen.exit_code, seen.oom_flag, seen.pid), ("exited", Some(137), true, None));
        assert_eq!((seen.cpu_limit, seen.memory_limit), (Some(0.5), Some(536_870_912)));
        assert_eq!((seen.ports, seen.restarts), (vec!["127.0.0.1:3307->3306/tcp".to_owned()], 2));
        assert_eq!(seen.health.as_deref(), Some("unhealthy"));
    }

    #[test]
    fn what_is_not_set_is_no_limit_and_no_end() {
        let seen = inspected(
            r#"{"State": {"Status": "running", "ExitCode": 0, "Pid": 42}, "HostConfig": {"NanoCpus": 0, "Memory": 0,
                "CpuQuota": 150000, "CpuPeriod": 0}}"#,
        );
        assert_eq!((seen.exit_code, seen.pid, seen.health), (None, Some(42), None));
        assert_eq!((seen.cpu_limit, seen.memory_limit), (Some(1.5), None), "a quota is a limit too");
        let nothing = Seen { may_end: true, ..Seen::default() };
        assert_eq!(Seen::from(ContainerInspectResponse::default()), nothing);
    }

    /// `status` exited with 1 for ever because of a job that had done its work, and with 0 after the backend was stopped by
    /// hand.
    #[test]
    fn a_job_may_end_and_what_serves_may_not() {
        let host = |text: &str| inspected(&format!(r#"{{"HostConfig": {text}, "Config": {{"Image": "x"}}}}"#));
        assert!(host("{}").is_job("kafka-init"));
        for name in ["kafka-1", "mysql", "redis", "api-1", "api-small", "consumer-3", "reconciler-1"] {
            assert!(!host("{}").is_job(name), "{name}");
        }
        assert!(!host(r#"{"PortBindings": {"9090/tcp": [{"HostPort": "9090"}]}}"#).is_job("prometheus"));
        assert!(!host(r#"{"RestartPolicy": {"Name": "always"}}"#).is_job("agent"));
        assert!(host(r#"{"RestartPolicy": {"Name": "on-failure"}}"#).is_job("migrate"));
        let checked = r#"{"Config": {"Healthcheck": {"Test": ["CMD", "true"]}}}"#;
        assert!(!inspected(checked).is_job("zookeeper"));
        assert!(Seen { awaited: true, ..inspected(checked) }.is_job("migrate"), "somebody waits for its end");
    }

    #[test]
    fn who_is_waited_for_stands_in_the_label() {
        let container = serde_json::from_str(
            r#"{"Config": {"Labels": {"com.docker.compose.depends_on":
                "a:service_completed_successfully:false,b:service_healthy:false,c:service_completed_successfully"}}}"#,
        );
        assert_eq!(awaited_by(&container.unwrap()), ["a", "c"]);
        assert!(awaited_by(&ContainerInspectResponse::default()).is_empty());
    }
}
