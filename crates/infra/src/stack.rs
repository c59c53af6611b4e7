//! What runs: the file `stack.json` of the state folder, read by every command.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use contract::{endpoint::Endpoints, system::System};
use record::event::names::Provider;
use serde::{Deserialize, Serialize};

use super::{process::ProcessRef, topics::TopicPlan};

/// Version of `stack.json`. A newer file is refused with a clear message.
pub const SCHEMA_VERSION: u32 = 2;

/// A stack that is up (or was, until somebody killed it).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Id of the state folder that it was brought up for; none in a file of ecomctl 0.1.0.
    #[serde(default)]
    pub owner: Option<String>,
    /// The system it serves.
    pub system: System,
    /// Brokers it was brought up with.
    pub brokers: u8,
    /// The servers, with logins (the file has mode 0600).
    pub endpoints: Endpoints,
    /// Where the API listens, once it was launched: kept so that the port stays the same from run to run.
    #[serde(default)]
    pub api: Option<SocketAddr>,
    /// URL of an API that ecomctl does not run.
    #[serde(default)]
    pub api_url: Option<String>,
    /// Topics that it was brought up with.
    #[serde(default)]
    pub topics: Vec<TopicPlan>,
    /// Components by name: `mysql`, `redis`, `kafka-1` …, and `api-1`, `consumer-1` … while a backend is kept up.
    pub components: BTreeMap<String, Component>,
    /// When it was brought up, UTC (RFC 3339).
    pub started_at: String,
    /// Containers of it, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker: Option<DockerRef>,
}

/// The part of a stack that runs in Docker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerRef {
    /// Name of the compose project, by whose label everything of it is found.
    pub project: String,
    /// What was asked for beside the servers: brought back by `restart`.
    #[serde(default)]
    pub monitoring: bool,
    /// The teams' own stack.
    #[serde(default)]
    pub original: bool,
}

/// One component of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// `docker`, `native` or `external`.
    pub provider: Provider,
    /// Version as the server itself gives it.
    pub version: String,
    /// `host:port`, for people.
    pub address: String,
    /// Its process, where ecomctl started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessRef>,
    /// Its log, where ecomctl started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
    /// Its container, where it runs in Docker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerRef>,
    /// How often it was restarted since `up`.
    #[serde(default)]
    pub restarts: u32,
}

/// A container that ecomctl started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ContainerRef {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}
