//! The systems that ecomctl runs: a closed list, and of each a description. Whatever differs between them is said here,
//! as data; nobody else asks which system it is.

mod ecommerce;
mod fcfs;
mod parts;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::parts::{Domain, Step};
use crate::{claim::Kind, process::Role};

/// The systems that ecomctl knows. The default is the one that is meant where nothing names one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// S1: a shop.
    #[default]
    Ecommerce,
    /// S2: first come, first served, by public id.
    Fcfs,
}

impl System {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Ecommerce, Self::Fcfs];

    /// What it is made of.
    pub const fn description(self) -> &'static Description {
        match self {
            Self::Ecommerce => &ecommerce::DESCRIPTION,
            Self::Fcfs => &fcfs::DESCRIPTION,
        }
    }

    /// The system of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.name() == name)
    }

    /// Whether its schema has what `step` makes.
    pub fn has(self, step: Step) -> bool {
        self.description().schema.iter().any(|version| version.contains(&step))
    }

    /// Its name in profiles and reports.
    pub const fn name(self) -> &'static str {
        self.description().name
    }

    /// The kind of what its gate grants.
    pub const fn kind(self) -> Kind {
        self.description().grants
    }

    /// The topic of what its gate grants, and the group that turns it into rows.
    pub const fn claims(self) -> &'static Topic {
        &self.description().claims
    }
}

/// What a system is made of.
#[derive(Debug)]
pub struct Description {
    /// Name in profiles and reports.
    pub name: &'static str,
    /// Database.
    pub database: &'static str,
    /// Profile that is meant where nobody names one.
    pub profile: &'static str,
    /// What the gate grants.
    pub grants: Kind,
    /// Topic of what the gate grants.
    pub claims: Topic,
    /// Parts of the backend, in the order of their start.
    pub roles: &'static [RoleSpec],
    /// Consumer processes, unless the profile says otherwise.
    pub consumers: u16,
    /// Port of the API where it is to have the system's own.
    pub api_port: u16,
    /// Port of MySQL in Docker, unless the profile says otherwise.
    pub mysql_port: u16,
    /// Port of Redis in Docker, unless the profile says otherwise.
    pub redis_port: u16,
    /// Port at which Kafka is reached from outside its network; further brokers take the next ones.
    pub kafka_port: u16,
    /// What else of a stack must listen elsewhere than it does as a rule, because the system has its port: variables of
    /// the compose files.
    pub moved: &'static [(&'static str, u16)],
    /// What the backend serves.
    pub domains: &'static [Domain],
    /// How a request for a claim names its user.
    pub user_key: UserKey,
    /// Versions of the schema: the first is 1, and each is made of these steps. A version that was published stays
    /// what it is; what changes is a further one.
    pub schema: &'static [&'static [Step]],
}

impl Description {
    /// Whether it has something of this kind to claim.
    pub fn has(&self, kind: Kind) -> bool {
        self.domains.iter().any(|domain| domain.claims() == Some(kind))
    }
}

/// A topic, and who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Name.
    pub name: &'static str,
    /// Partitions, unless the profile says otherwise.
    pub partitions: u16,
    /// Consumer group.
    pub group: &'static str,
}

/// A part of the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleSpec {
    /// Which one.
    pub role: Role,
    /// What stands in front of the number in the names of its processes.
    pub prefix: &'static str,
    /// It is launched as often as the settings say consumers; else once.
    pub is_scaled: bool,
    /// It has a port that clients know; the others listen for health and metrics only.
    pub has_port: bool,
    /// Dependencies that must be up until it is ready.
    pub ready: &'static [&'static str],
}

/// The HTTP API.
pub(crate) const API: RoleSpec = RoleSpec {
    role: Role::Api,
    prefix: "api",
    is_scaled: false,
    has_port: true,
    ready: &["mysql", "schema", "redis", "kafka", "gate"],
};
/// Members of the consumer group.
pub(crate) const CONSUMER: RoleSpec = RoleSpec {
    role: Role::Consumer,
    prefix: "consumer",
    is_scaled: true,
    has_port: false,
    ready: &["mysql", "schema", "kafka", "group", "progress"],
};
/// The reconciler.
pub(crate) const RECONCILER: RoleSpec = RoleSpec {
    role: Role::Reconciler,
    prefix: "reconciler",
    is_scaled: false,
    has_port: false,
    ready: &["mysql", "schema", "redis", "kafka"],
};

impl RoleSpec {
    /// Name of its process `number`.
    pub fn process(&self, number: u16) -> String {
        format!("{}-{number}", self.prefix)
    }

    /// Whether `name` is that of one of its processes.
    pub fn has(&self, name: &str) -> bool {
        name.strip_prefix(self.prefix).is_some_and(|rest| rest.starts_with('-'))
    }
}

/// How a request for a claim names its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserKey {
    /// By `users.id`.
    Id,
    /// By `users.public_id`, a UUID.
    PublicId,
}

#[cfg(test)]
mod tests;
