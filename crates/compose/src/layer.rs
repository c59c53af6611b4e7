//! What one compose file says, typed, before files are merged.

use std::{collections::BTreeMap, time::Duration};

use super::{
    env_file::EnvFile,
    model::{Condition, Grant, Mount, Port, Resources, Restart},
    node::At,
    reader::Placed,
};

/// The network that every service is in which names none.
pub(super) const DEFAULT_NETWORK: &str = "default";

/// One file, or several once they are merged.
#[derive(Debug, Default)]
pub(super) struct FileLayer {
    pub name: Option<Placed<String>>,
    pub services: BTreeMap<String, ServiceLayer>,
    pub networks: BTreeMap<String, Placed<ResourceLayer>>,
    pub volumes: BTreeMap<String, Placed<ResourceLayer>>,
    pub configs: BTreeMap<String, Placed<ContentLayer>>,
    pub secrets: BTreeMap<String, Placed<ContentLayer>>,
}

/// A network or a volume.
#[derive(Debug, Default)]
pub(super) struct ResourceLayer {
    pub name: Option<String>,
    pub external: Option<bool>,
    pub driver: Option<String>,
    pub internal: Option<bool>,
    pub labels: BTreeMap<String, String>,
}

/// Where the bytes of a config or secret come from; one of them is given.
#[derive(Debug, Default)]
pub(super) struct ContentLayer {
    pub content: Option<String>,
    pub file: Option<String>,
    pub environment: Option<String>,
}

/// A service.
#[derive(Debug, Default)]
pub(super) struct ServiceLayer {
    /// Where its key stands, in the last file that has it.
    pub at: At,
    pub image: Option<String>,
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    pub env_files: Vec<Placed<EnvFile>>,
    pub environment: BTreeMap<String, Option<String>>,
    pub ports: Vec<Placed<Port>>,
    pub expose: Vec<u16>,
    pub volumes: Vec<Placed<Mount>>,
    pub configs: Vec<Placed<Grant>>,
    pub secrets: Vec<Placed<Grant>>,
    pub networks: Option<BTreeMap<String, Placed<Vec<String>>>>,
    pub healthcheck: Option<HealthLayer>,
    pub depends_on: BTreeMap<String, Placed<Condition>>,
    pub deploy_replicas: Option<Placed<u16>>,
    pub scale: Option<Placed<u16>>,
    pub resources: Resources,
    pub ulimits: BTreeMap<String, (i64, i64)>,
    pub profiles: Vec<String>,
    pub restart: Option<Restart>,
    pub labels: BTreeMap<String, String>,
    pub container_name: Option<Placed<String>>,
    pub hostname: Option<String>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub stop_signal: Option<String>,
    pub stop_grace_period: Option<Duration>,
    pub init: Option<bool>,
    pub privileged: Option<bool>,
    pub read_only: Option<Placed<bool>>,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub security_opt: Vec<String>,
    pub extra_hosts: Vec<String>,
    pub pid: Option<String>,
    pub devices: Vec<String>,
    pub shm_size: Option<u64>,
    pub platform: Option<String>,
    pub extensions: BTreeMap<String, serde_json::Value>,
}

/// A health check; what is not given comes from another file or is the default.
#[derive(Debug, Default)]
pub(super) struct HealthLayer {
    pub test: Option<Vec<String>>,
    pub disable: Option<bool>,
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub retries: Option<u32>,
    pub start_period: Option<Duration>,
    pub start_interval: Option<Duration>,
}
