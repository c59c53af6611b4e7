//! What one backend process is told: its role, where the servers are, and the settings.
//!
//! It is handed over in a file of mode 0600 (it holds passwords), never on the command line.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{endpoint::Endpoints, settings::Settings, system::System};

/// The part that a process plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// HTTP API.
    Api,
    /// One member of the consumer group.
    Consumer,
    /// Sends grants that are pending too long, and rebuilds a gate that Redis lost.
    Reconciler,
}

/// Everything a backend process needs to start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessConfig {
    /// The system whose backend it is a part of. Processes of version 0.1 were not told.
    #[serde(default)]
    pub system: System,
    /// Its role.
    pub role: Role,
    /// Its name: `api-1`, `consumer-2`, `reconciler-1`.
    pub name: String,
    /// A number drawn at each start; `/actuator/health` repeats it, so that whoever waits for the process
    /// knows that it is this one which answered and not another program on the same port.
    pub instance: String,
    /// Where it listens: the API for everything, the others for health and metrics only. Loopback.
    pub listen: SocketAddr,
    /// The servers.
    pub endpoints: Endpoints,
    /// The profile's `backend:` section.
    pub settings: Settings,
    /// Drain when standard input ends: the parent holds the other end, so a killed parent leaves no orphan.
    pub stop_with_stdin: bool,
}

/// Whether `name` belongs to the backend, and not to the servers.
pub fn is_backend(name: &str) -> bool {
    System::ALL.iter().flat_map(|system| system.description().roles).any(|spec| spec.has(name))
}
