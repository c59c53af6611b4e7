//! The systems that ecomctl runs: a closed list, and of each a description. Whatever differs between them is said here,
//! as data; nobody else asks which system it is.

mod ecommerce;
mod fcfs;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{claim::Kind, process::Role};

/// The systems that ecomctl knows. The default is the one that is meant where nothing names one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// S1: shop with first-come-first-served coupons.
    #[default]
    Ecommerce,
    /// S2: first-come-first-served coupons by public id.
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
        match self {
            Self::Ecommerce | Self::Fcfs => Kind::Coupon,
        }
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

/// A part of what the backend serves, with routes, rows and figures of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// Who there is.
    Users,
    /// What is sold.
    Products,
    /// Points of the users.
    Points,
    /// Coupons, granted by a gate.
    Coupons,
}

impl Domain {
    /// What can be claimed of it.
    pub const fn claims(self) -> Option<Kind> {
        match self {
            Self::Users | Self::Products => None,
            Self::Points => Some(Kind::Point),
            Self::Coupons => Some(Kind::Coupon),
        }
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

/// A step of the schema. The statements stand with the backend's domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `users`.
    Users,
    /// `users` with a public id.
    PublicUsers,
    /// `products`.
    Products,
    /// `points`: balances.
    Points,
    /// `point_entries`: what happened to each balance.
    PointEntries,
    /// `coupons`, `coupon_users`, `coupon_epochs`.
    Coupons,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Two systems may use one machine, one cluster and one state folder.
    #[test]
    fn no_two_systems_share_a_name_a_database_or_a_port() {
        let of = |what: fn(&Description) -> String| System::ALL.map(|system| what(system.description()));
        for values in [
            of(|d| d.name.into()),
            of(|d| d.database.into()),
            of(|d| d.api_port.to_string()),
            of(|d| d.mysql_port.to_string()),
            of(|d| d.redis_port.to_string()),
            of(|d| d.kafka_port.to_string()),
            of(|d| d.claims.group.into()),
        ] {
            assert_eq!(values.iter().collect::<BTreeSet<_>>().len(), values.len(), "{values:?}");
        }
    }

    #[test]
    fn a_profile_names_a_system_as_reports_do() {
        for system in System::ALL {
            assert_eq!(serde_json::to_value(system).unwrap(), system.name());
        }
    }

    #[test]
    fn a_process_is_known_by_its_name() {
        for spec in System::default().description().roles {
            let of: Vec<_> =
                System::default().description().roles.iter().filter(|s| s.has(&spec.process(12))).collect();
            assert_eq!(of, [spec]);
        }
        assert!(!API.has("apiary-1") && !API.has("api"));
    }

    /// The one table of all ports, and that of names, say what is the case.
    #[test]
    fn the_documents_say_the_systems_numbers() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/systems.md")).unwrap();
        let cells = |row: &str| -> Vec<String> {
            let line =
                text.lines().find(|line| line.starts_with(&format!("| {row}"))).unwrap_or_else(|| panic!("no {row}"));
            let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
            cells.collect::<Vec<_>>().split_off(line.trim_matches('|').split('|').count() - System::ALL.len())
        };
        for (at, of) in System::ALL.map(System::description).into_iter().enumerate() {
            for (row, value) in [
                ("| ", of.name.to_owned()),
                ("database", of.database.into()),
                ("topic", of.claims.name.into()),
                ("partitions", of.claims.partitions.to_string()),
                ("group", of.claims.group.into()),
                ("consumers", of.consumers.to_string()),
                ("API |", of.api_port.to_string()),
                ("MySQL", of.mysql_port.to_string()),
                ("Redis |", of.redis_port.to_string()),
                ("Kafka;", of.kafka_port.to_string()),
            ] {
                assert_eq!(cells(row)[at], value, "{}: {row}", of.name);
            }
            for (variable, port) in of.moved {
                let row = text.lines().find(|line| line.contains(variable)).unwrap();
                assert!(row.contains(&port.to_string()), "{row}");
            }
        }
    }

    /// Databases of released versions are told by these numbers.
    #[test]
    fn published_versions_of_the_schema_stay_what_they_are() {
        let schema = System::Ecommerce.description().schema;
        assert_eq!(schema[..2], [&[Step::Users, Step::Products, Step::Points][..], &[Step::Coupons]]);
    }
}
