//! A service in the Engine's words.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig, Mount,
    MountTmpfsOptions, MountType, NetworkingConfig, PortBinding, PortMap, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};
use compose::model::{Healthcheck, MountSource, Port, Project, Resources, Restart, Service};

use super::Engine;

/// Logs of one container: as much as this, so that a container cannot fill the disk.
const LOG_SIZE: &str = "20m";
const LOG_FILES: &str = "3";

/// The request that makes a container of `service`, except for its labels.
pub(super) fn create_body(engine: &Engine, project: &Project, name: &str, service: &Service) -> ContainerCreateBody {
    let environment = service.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let declared = service.expose.iter().map(|port| format!("{port}/tcp"));
    let published = service.ports.iter().map(|port| format!("{}/{}", port.target, port.protocol));
    ContainerCreateBody {
        image: Some(service.image.clone()),
        cmd: service.command.clone(),
        entrypoint: service.entrypoint.clone(),
        env: Some(environment),
        exposed_ports: Some(declared.chain(published).collect()),
        hostname: service.hostname.clone(),
        user: service.user.clone(),
        working_dir: service.working_dir.clone(),
        stop_signal: service.stop_signal.clone(),
        stop_timeout: service.stop_grace_period.map(|grace| grace.as_secs() as i64),
        healthcheck: service.healthcheck.as_ref().map(|check| health(engine, check)),
        host_config: Some(host_config(project, service)),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(networks(project, name, service)) }),
        ..Default::default()
    }
}

fn host_config(project: &Project, service: &Service) -> HostConfig {
    let first = service.networks.keys().next().and_then(|key| project.networks.get(key));
    let none_if_empty = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let log =
        HashMap::from([("max-size".to_owned(), LOG_SIZE.to_owned()), ("max-file".to_owned(), LOG_FILES.to_owned())]);
    let config = HostConfig {
        port_bindings: Some(bindings(&service.ports)),
        mounts: Some(mounts(project, service)),
        network_mode: Some(first.map_or_else(|| "none".to_owned(), |network| network.name.clone())),
        restart_policy: Some(restart(service.restart)),
        ulimits: Some(ulimits(&service.ulimits)),
        init: service.init,
        privileged: service.privileged.then_some(true),
        readonly_rootfs: service.read_only.then_some(true),
        cap_add: none_if_empty(&service.cap_add),
        cap_drop: none_if_empty(&service.cap_drop),
        security_opt: none_if_empty(&service.security_opt),
        extra_hosts: none_if_empty(&service.extra_hosts),
        pid_mode: service.pid.clone(),
        devices: Some(service.devices.iter().map(|device| self::device(device)).collect()),
        shm_size: service.shm_size.map(|bytes| bytes as i64),
        log_config: Some(HostConfigLogConfig { typ: Some("json-file".into()), config: Some(log) }),
        ..Default::default()
    };
    limited(config, &service.resources)
}

/// Swap counts as memory: a limit that may be exceeded on disk would hide what it is there to show.
fn limited(config: HostConfig, resources: &Resources) -> HostConfig {
    let memory = resources.memory.map(|bytes| bytes as i64);
    HostConfig {
        nano_cpus: resources.cpus.map(|cpus| (cpus * 1e9).round() as i64),
        memory,
        memory_swap: memory,
        memory_reservation: resources.reserved_memory.map(|bytes| bytes as i64),
        pids_limit: resources.pids,
        ..config
    }
}

fn bindings(ports: &[Port]) -> PortMap {
    let mut map: PortMap = HashMap::new();
    for port in ports {
        let address = port.host_ip.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into());
        let binding = PortBinding {
            host_ip: Some(address.to_string()),
            // An empty port lets the Engine choose a free one.
            host_port: Some(if port.published == 0 { String::new() } else { port.published.to_string() }),
        };
        let list = map.entry(format!("{}/{}", port.target, port.protocol)).or_default();
        list.get_or_insert_with(Vec::new).push(binding);
    }
    map
}

fn mounts(project: &Project, service: &Service) -> Vec<Mount> {
    let mounts = service.volumes.iter().map(|mount| {
        let (typ, source, tmpfs) = match &mount.source {
            MountSource::Volume(key) => {
                let name = project.volumes.get(key).map_or_else(|| key.clone(), |volume| volume.name.clone());
                (MountType::VOLUME, Some(name), None)
            }
            MountSource::Anonymous => (MountType::VOLUME, None, None),
            MountSource::Bind(path) => (MountType::BIND, Some(path.clone()), None),
            MountSource::Tmpfs(size) => {
                let options = MountTmpfsOptions { size_bytes: size.map(|bytes| bytes as i64), ..Default::default() };
                (MountType::TMPFS, None, Some(options))
            }
        };
        Mount {
            typ: Some(typ),
            source,
            target: Some(mount.target.clone()),
            read_only: Some(mount.read_only),
            tmpfs_options: tmpfs,
            ..Default::default()
        }
    });
    mounts.collect()
}

/// The first network; older Engines take no more at once, and [`others`] are joined before the start.
fn networks(project: &Project, name: &str, service: &Service) -> HashMap<String, EndpointSettings> {
    let first = service.networks.iter().next().and_then(|(key, aliases)| Some((project.networks.get(key)?, aliases)));
    first.into_iter().map(|(network, aliases)| (network.name.clone(), endpoint(name, aliases))).collect()
}

/// Networks of the service besides its first.
pub(super) fn others(project: &Project, name: &str, service: &Service) -> Vec<(String, EndpointSettings)> {
    let rest = service.networks.iter().skip(1);
    rest.filter_map(|(key, aliases)| Some((project.networks.get(key)?.name.clone(), endpoint(name, aliases)))).collect()
}

fn endpoint(name: &str, aliases: &[String]) -> EndpointSettings {
    let mut all = vec![name.to_owned()];
    all.extend(aliases.iter().filter(|alias| *alias != name).cloned());
    EndpointSettings { aliases: Some(all), ..Default::default() }
}

fn health(engine: &Engine, check: &Healthcheck) -> HealthConfig {
    let nanos = |duration: Duration| Some(duration.as_nanos() as i64);
    HealthConfig {
        test: Some(check.test.clone()),
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        retries: Some(check.retries.into()),
        start_period: nanos(check.start_period),
        start_interval: check.start_interval.filter(|_| engine.speaks(1, 44)).and_then(nanos),
    }
}

fn restart(restart: Restart) -> RestartPolicy {
    let (name, maximum_retry_count) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure(most) => (RestartPolicyNameEnum::ON_FAILURE, most.map(i64::from)),
    };
    RestartPolicy { name: Some(name), maximum_retry_count }
}

fn ulimits(limits: &BTreeMap<String, (i64, i64)>) -> Vec<ResourcesUlimits> {
    let all = limits.iter();
    all.map(|(name, (soft, hard))| ResourcesUlimits { name: Some(name.clone()), soft: Some(*soft), hard: Some(*hard) })
        .collect()
}

/// `path[:path[:rights]]`
fn device(text: &str) -> DeviceMapping {
    let mut parts = text.split(':').map(str::to_owned);
    let host = parts.next();
    let inside = parts.next().or_else(|| host.clone());
    let rights = parts.next().unwrap_or_else(|| "rwm".to_owned());
    DeviceMapping { path_on_host: host, path_in_container: inside, cgroup_permissions: Some(rights) }
}

#[cfg(test)]
mod kept_promises;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_without_an_address_is_published_on_loopback_only() {
        let port = Port { host_ip: None, published: 3306, target: 3306, protocol: "tcp".into() };
        let map = bindings(&[port]);
        let binding = map["3306/tcp"].as_ref().unwrap()[0].clone();
        assert_eq!((binding.host_ip.as_deref(), binding.host_port.as_deref()), (Some("127.0.0.1"), Some("3306")));
    }

    #[test]
    fn a_memory_limit_leaves_no_room_for_swap() {
        let resources = Resources { cpus: Some(0.5), memory: Some(64 << 20), ..Resources::default() };
        let config = limited(HostConfig::default(), &resources);
        assert_eq!(
            (config.memory, config.memory_swap, config.nano_cpus),
            (Some(64 << 20), Some(64 << 20), Some(500_000_000))
        );
    }
}
