//! A compose project as it is resolved: files merged, variables filled in, defaults of the specification applied.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
    net::IpAddr,
    time::Duration,
};

use serde::Serialize;

/// Everything that one set of compose files describes. Services of profiles that are not active are left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Project {
    /// Name; prefix of every container, network and volume.
    pub name: String,
    /// Name → service.
    pub services: BTreeMap<String, Service>,
    /// Services of profiles that are not active: they belong to the project and are not to be started.
    pub off: BTreeSet<String>,
    /// Key in the file → network.
    pub networks: BTreeMap<String, Network>,
    /// Key in the file → volume.
    pub volumes: BTreeMap<String, Volume>,
    /// Key in the file → file that is put into containers.
    pub configs: BTreeMap<String, Content>,
    /// The same for what must not be seen. `Debug` and `Serialize` never show it.
    pub secrets: BTreeMap<String, Content>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Network {
    /// Its name in the Engine: `name:`, or `<project>_<key>`.
    pub name: String,
    /// It must be there already; nothing is made or removed.
    pub external: bool,
    /// Driver; none takes the Engine's default.
    pub driver: Option<String>,
    /// No way out.
    pub internal: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Volume {
    /// Its name in the Engine: `name:`, or `<project>_<key>`.
    pub name: String,
    /// It must be there already; nothing is made or removed.
    pub external: bool,
    /// Driver; none takes the Engine's default.
    pub driver: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// What a config or secret holds: read or filled in when the project is loaded.
#[derive(Clone, PartialEq)]
pub struct Content {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// They are a secret.
    pub secret: bool,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Service {
    /// Image reference.
    pub image: String,
    /// `command`, as an argument list; none takes the image's.
    pub command: Option<Vec<String>>,
    /// `entrypoint`, as an argument list; none takes the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Environment; a name without a value is taken from ours when the project is loaded, or left out.
    pub environment: BTreeMap<String, String>,
    /// Published ports.
    pub ports: Vec<Port>,
    /// Ports that are only declared.
    pub expose: Vec<u16>,
    /// Mounted volumes, folders and tmpfs.
    pub volumes: Vec<Mount>,
    /// Configs that are put into the container.
    pub configs: Vec<Grant>,
    /// Secrets that are put into the container.
    pub secrets: Vec<Grant>,
    /// Key of a network → names by which the others find this service there, besides its own.
    pub networks: BTreeMap<String, Vec<String>>,
    /// How its health is asked.
    pub healthcheck: Option<Healthcheck>,
    /// Service → what it must have reached before this one is started.
    pub depends_on: BTreeMap<String, Condition>,
    /// Containers of it (`deploy.replicas` or `scale`).
    pub replicas: u16,
    /// `deploy.resources`.
    pub resources: Resources,
    /// Name → soft and hard limit; -1 is unlimited.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Profiles that activate it; empty: always active.
    pub profiles: Vec<String>,
    /// What happens when it ends.
    pub restart: Restart,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Fixed name of its one container.
    pub container_name: Option<String>,
    /// Host name inside.
    pub hostname: Option<String>,
    /// `user[:group]`
    pub user: Option<String>,
    /// Working folder.
    pub working_dir: Option<String>,
    /// Signal that asks it to end.
    pub stop_signal: Option<String>,
    /// How long it may take to end.
    pub stop_grace_period: Option<Duration>,
    /// Run an init process as PID 1.
    pub init: Option<bool>,
    /// All rights on the host (cAdvisor).
    pub privileged: bool,
    /// Mount the root file system read-only.
    pub read_only: bool,
    /// Capabilities to add.
    pub cap_add: Vec<String>,
    /// Capabilities to drop.
    pub cap_drop: Vec<String>,
    /// `label=…`, `no-new-privileges:true` …
    pub security_opt: Vec<String>,
    /// `host:address` lines for `/etc/hosts`.
    pub extra_hosts: Vec<String>,
    /// `host` to share the host's process ids.
    pub pid: Option<String>,
    /// Devices of the host, `path:path`.
    pub devices: Vec<String>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Operating system and architecture.
    pub platform: Option<String>,
    /// Maps that begin with `x-`: name → value, as JSON.
    pub extensions: BTreeMap<String, serde_json::Value>,
}

/// A published port. Compose's ranges are spread out when the file is read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Port {
    /// Address of the host; the reader insists on a loopback address.
    pub host_ip: Option<IpAddr>,
    /// Port of the host; 0 takes a free one.
    pub published: u16,
    /// Port of the container.
    pub target: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

/// Something that is mounted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mount {
    /// What.
    pub source: MountSource,
    /// Where in the container.
    pub target: String,
    /// Not to be written.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// Key of a volume of the project.
    Volume(String),
    /// A volume without a name.
    Anonymous,
    /// A path of the host; a relative one is made absolute from the first file's folder.
    Bind(String),
    /// Memory, with a limit in bytes.
    Tmpfs(Option<u64>),
}

/// A config or secret in a container.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Grant {
    /// Key of the config or secret.
    pub source: String,
    /// Absolute path in the container. Defaults: `/<source>` for a config, `/run/secrets/<source>` for a secret.
    pub target: String,
    /// User that owns it.
    pub uid: u32,
    /// Group that owns it.
    pub gid: u32,
    /// Its mode; 0444 unless said otherwise.
    pub mode: u32,
}

/// How a container's health is asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Healthcheck {
    /// `["CMD", …]`, `["CMD-SHELL", …]`; `["NONE"]` switches the image's off.
    pub test: Vec<String>,
    /// Time between two.
    pub interval: Duration,
    /// Longest time of one.
    pub timeout: Duration,
    /// Failures in a row until it is unhealthy.
    pub retries: u32,
    /// Failures in this time do not count.
    pub start_period: Duration,
    /// Time between two during the start period; Engines before API 1.44 do not know it.
    pub start_interval: Option<Duration>,
}

/// What another service must have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It runs.
    ServiceStarted,
    /// It is healthy.
    ServiceHealthy,
    /// It ended with 0.
    ServiceCompletedSuccessfully,
}

/// `deploy.resources`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Resources {
    /// Most CPUs, as in 0.5.
    pub cpus: Option<f64>,
    /// Most memory in bytes.
    pub memory: Option<u64>,
    /// Most processes.
    pub pids: Option<i64>,
    /// CPUs that are reserved.
    pub reserved_cpus: Option<f64>,
    /// Memory that is reserved, in bytes.
    pub reserved_memory: Option<u64>,
}

/// What happens when a container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Nothing.
    #[default]
    No,
    /// It is started again.
    Always,
    /// It is started again unless it was stopped.
    UnlessStopped,
    /// It is started again after a failure, this often at most.
    OnFailure(Option<u32>),
}

impl Content {
    /// SHA-256 of the bytes, in hexadecimal: changes are seen by it, and it tells nothing of a secret.
    pub fn digest(&self) -> String {
        use sha2::{Digest as _, Sha256};
        Sha256::digest(&self.bytes).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.bytes.len())
    }
}

impl Serialize for Content {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.digest())
    }
}
