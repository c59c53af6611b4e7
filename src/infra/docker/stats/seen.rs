//! What the Engine says about a container when it is asked: state, limits, ports.

use std::{collections::BTreeSet, path::Path};

use bollard::{
    Docker,
    models::{ContainerInspectResponse, HealthStatusEnum},
    query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder},
};
use futures_util::future::join_all;

use super::LIMIT;
use crate::infra::{
    docker::labels,
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
}

/// Looks at all containers, ended ones too, that were made for the state folder `folder`, wherever it was then.
///
/// # Errors
/// The Engine's, or that it did not answer in time.
pub async fn look(docker: &Docker, folder: &Path) -> Result<Vec<Seen>, bollard::errors::Error> {
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
        for container in list.map_err(|_| bollard::errors::Error::RequestTimeoutError)?? {
            let ours = owner.owns(Labels::of(&container.labels.unwrap_or_default()));
            ids.extend(container.id.filter(|_| ours));
        }
    }
    let inspect = async |id: &String| {
        let asked = docker.inspect_container(id, None::<InspectContainerOptions>);
        tokio::time::timeout(LIMIT, asked).await.ok()?.ok()
    };
    // One that was removed meanwhile is no error.
    Ok(join_all(ids.iter().map(inspect)).await.into_iter().flatten().map(Seen::from).collect())
}

impl From<ContainerInspectResponse> for Seen {
    fn from(of: ContainerInspectResponse) -> Self {
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
        assert_eq!(Seen::from(ContainerInspectResponse::default()), Seen::default());
    }
}
