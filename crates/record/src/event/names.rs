//! Names that stand in events and files, as closed lists: whoever matches one is told by the compiler when one is added.
//!
//! Files of another version may have names that this one does not know. Such a name is kept as it stands (`Other`), so
//! that its file stays readable and is written back unchanged. An unknown verdict counts as not proven.

use std::{borrow::Cow, fmt};

use contract::claim::Kind;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An enum of names that are serialised as plain strings, with room for names of other versions.
macro_rules! open_names {
    ($($(#[$about:meta])* $list:ident { $($(#[$meaning:meta])* $one:ident = $name:literal),+ $(,)? })+) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $list {
            $($(#[$meaning])* $one,)+
            /// A name that this version does not know.
            Other(Box<str>),
        }

        impl $list {
            /// As it stands in files and in tables.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$one => $name,)+
                    Self::Other(name) => name,
                }
            }
        }

        impl From<&str> for $list {
            fn from(name: &str) -> Self {
                match name {
                    $($name => Self::$one,)+
                    other => Self::Other(other.into()),
                }
            }
        }

        impl fmt::Display for $list {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl Serialize for $list {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> Deserialize<'de> for $list {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Cow::<'de, str>::deserialize(deserializer)?.as_ref().into())
            }
        }

        impl JsonSchema for $list {
            fn schema_name() -> Cow<'static, str> {
                String::schema_name()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                String::json_schema(generator)
            }
        }
    )+};
}

open_names! {
    /// A stage of a run, in the order in which a run goes through them.
    Stage {
        /// Servers are found or started.
        Up = "up",
        /// Rows and epochs are made.
        Seed = "seed",
        /// The backend's processes are started.
        Backend = "backend",
        /// The load is on.
        Load = "load",
        /// What is under way is waited for.
        Drain = "drain",
        /// Checks are judged.
        Verify = "verify",
        /// What the run started is stopped.
        Stop = "stop",
    }

    /// What became of a process of the backend.
    ProcessState {
        /// It was started.
        Started = "started",
        /// It ended.
        Exited = "exited",
        /// It ended, and was started again.
        Restarted = "restarted",
    }

    /// Who runs a component. What ecomctl does not know to be its own it leaves alone.
    #[derive(Default)]
    Provider {
        /// A container of ours.
        Docker = "docker",
        /// A process of ours.
        Native = "native",
        /// Somebody else.
        #[default]
        External = "external",
    }

    /// State of a process or container. An Engine has more of them (`created`, `removing`).
    #[derive(Default)]
    ComponentState {
        /// It runs.
        Running = "running",
        /// It ended, and the Engine starts it again.
        Restarting = "restarting",
        /// It was paused.
        Paused = "paused",
        /// It ended.
        Exited = "exited",
        /// It ended, and the Engine could not clear it away.
        Dead = "dead",
        /// Somebody else runs it.
        External = "external",
        /// A container that was removed.
        Gone = "gone",
        /// It should be there, and nobody has started it.
        Missing = "missing",
        /// The Engine does not answer.
        #[default]
        Unknown = "unknown",
    }
}

/// What a check says. Ordered from good to bad: the worst of several is their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// What was judged has no such thing: it has no say, and is no pass.
    #[serde(rename = "not_applicable")]
    NotApplicable = 0,
    /// It was exercised, read, and is true.
    Holds = 1,
    /// It is false.
    Violated = 3,
    /// Nothing exercised it, or it cannot be read.
    #[default]
    #[serde(other)]
    Unknown = 2,
}

impl Verdict {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotApplicable => "not applicable",
            Self::Holds => "holds",
            Self::Unknown => "unknown",
            Self::Violated => "violated",
        }
    }
}

/// What it means where a check is false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is told, and decides nothing.
    Warning,
    /// Consistency is violated.
    #[default]
    #[serde(other)]
    Violation,
}

impl Severity {
    /// For files, in which the usual one is left out.
    pub fn is_violation(&self) -> bool {
        *self == Self::Violation
    }
}

/// A consistency check. Those of a kind of claims are declared with the kind; see [`Kind::description`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Its id in profiles and reports.
    pub id: &'static str,
    /// What it is about; none: everything that is claimed.
    pub kind: Option<Kind>,
    /// What it states.
    pub states: &'static str,
}

impl Check {
    /// The one about everything that is claimed.
    pub const REQUESTS: Self = Self { id: "SY1", kind: None, states: "every request sent has exactly one outcome" };

    /// All of them, in the order of reports.
    pub fn all() -> impl Iterator<Item = Self> {
        let of_kind = |kind: Kind| {
            let checks = kind.description().checks.iter();
            checks.map(move |&(id, states)| Self { id, kind: Some(kind), states })
        };
        std::iter::once(Self::REQUESTS).chain(Kind::ALL.into_iter().flat_map(of_kind))
    }

    /// The one with this id.
    pub fn named(id: &str) -> Option<Self> {
        Self::all().find(|check| check.id == id)
    }
}

/// What all checks together say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overall {
    /// Nothing is violated and everything that is required is proven.
    Consistent,
    /// Something is violated.
    Violated,
    /// Nothing was claimed and nothing is required: there is no statement that could hold or not.
    #[serde(rename = "nothing to prove")]
    NothingToProve,
    /// Nothing is violated, but something that is required is not proven.
    #[serde(other)]
    Unproven,
}

impl Overall {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consistent => "consistent",
            Self::Violated => "violated",
            Self::NothingToProve => "nothing to prove",
            Self::Unproven => "unproven",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Stamped};

    /// Recordings of version 0.1.0 had these names as free text: each line must read as before and be written back the same.
    #[test]
    fn names_are_written_as_they_always_were() {
        for line in [
            r#"{"t_ms":1,"type":"stage","name":"load"}"#,
            r#"{"t_ms":1,"type":"process","name":"api-1","state":"restarted","detail":"pid 7"}"#,
            r#"{"t_ms":1,"type":"check","id":"CP5","verdict":"violated","evidence":"2 users"}"#,
            r#"{"t_ms":1,"type":"finished","verdict":"unproven","exit_code":4}"#,
        ] {
            let read: Stamped = serde_json::from_str(line).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), line);
        }
        let read: Stamped = serde_json::from_str(r#"{"t_ms":1,"type":"stage","name":"load"}"#).unwrap();
        assert_eq!(read.event, Event::Stage { name: Stage::Load });
    }

    /// A name of another version must neither make its file unreadable nor be lost or taken for a good one.
    #[test]
    fn a_name_of_another_version_is_kept_and_proves_nothing() {
        let line = r#"{"t_ms":1,"type":"stage","name":"report"}"#;
        let read: Stamped = serde_json::from_str(line).unwrap();
        assert_eq!(read.event, Event::Stage { name: Stage::Other("report".into()) });
        assert_eq!(serde_json::to_string(&read).unwrap(), line);
        let verdict = |name: &str| serde_json::from_str::<Verdict>(&format!("{name:?}")).unwrap();
        assert_eq!(["holds", "not_applicable", "unknown", "violated", "void"].map(verdict), {
            use Verdict::{Holds, NotApplicable, Unknown, Violated};
            [Holds, NotApplicable, Unknown, Violated, Unknown]
        });
        assert_eq!(serde_json::from_str::<Overall>("\"splendid\"").unwrap(), Overall::Unproven);
    }

    #[test]
    fn an_id_means_one_check() {
        for check in Check::all() {
            assert_eq!(Check::named(check.id), Some(check), "{} stands twice", check.id);
        }
    }

    #[test]
    fn a_name_fills_the_width_that_is_asked_for() {
        assert_eq!(format!("{:>8}", Provider::Docker), "  docker");
    }
}
