//! Invariants: consistency checks as data, in a profile or built in for a system.
//!
//! Each asks for the rows that offend, by one SELECT or one reading command of Redis, or compares two readings key by
//! key. What may be asked is decided here, before anything is started ([`statement`], [`command`], [`problems`]); the
//! engine that asks is `verify::invariants`. Here is no I/O, and nothing that could write: what breaks data on purpose
//! (`plant` in the built-in files) is for tests alone, and no type here holds it.

mod builtin;
pub mod command;
mod functions;
mod rules;
pub mod statement;

use std::collections::BTreeMap;

use contract::system::System;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    builtin::{built_in, kinds},
    rules::problems,
};
use crate::event::names::Severity;

/// Most offenders that a report lists.
pub const MOST_KEPT: u32 = 20;

/// One consistency check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Invariant {
    /// What it states, in one line.
    pub says: String,
    /// A SELECT whose rows offend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mysql: Option<String>,
    /// A reading command of Redis, as a list; what it gives offends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<Vec<Argument>>,
    /// One of two readings that must be equal, key by key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Reading>,
    /// The other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<Reading>,
    /// The column of both SELECTs that is the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Gives a number: how much there was that could have offended. With 0 or none the check is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exercised: Option<Reading>,
    /// When it must hold.
    #[serde(default)]
    pub when: When,
    /// What it means where it does not hold.
    #[serde(default)]
    pub severity: Severity,
    /// How many offenders are listed: 1 to 20.
    #[serde(default = "default_keep")]
    pub keep: u32,
    /// Names of tables and columns: `table.points` → the name that stands for `${table.points}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

fn default_keep() -> u32 {
    MOST_KEPT
}

/// A reading of one store: a text is a SELECT, a list is a command of Redis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Reading {
    /// A SELECT.
    Select(String),
    /// A command of Redis.
    Command(Vec<Argument>),
}

/// A word of a command of Redis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Argument {
    /// A text.
    Text(String),
    /// A whole number, as in `[ZRANGE, ranking, 0, -1]`.
    Number(i64),
}

impl Argument {
    /// As it is sent.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// When an invariant must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// When everything is at rest.
    #[default]
    Rest,
    /// At every moment: it is looked at while the load runs, too.
    Load,
}

/// What an invariant asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// What comes back offends.
    Offenders(Reading),
    /// Both must be equal by this key.
    Equal(Reading, Reading, String),
}

impl Invariant {
    /// What it asks for; none: it asks for nothing, or for several things, which [`problems`] tells.
    pub fn asks(&self) -> Option<Asked> {
        match (&self.mysql, &self.redis, &self.left, &self.right) {
            (Some(sql), None, None, None) => Some(Asked::Offenders(Reading::Select(sql.clone()))),
            (None, Some(command), None, None) => Some(Asked::Offenders(Reading::Command(command.clone()))),
            (None, None, Some(left), Some(right)) => Some(Asked::Equal(left.clone(), right.clone(), self.key.clone()?)),
            _ => None,
        }
    }

    /// Its statements for MySQL, each with its key.
    pub fn statements(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("mysql", self.mysql.as_deref()),
            ("left", select_of(self.left.as_ref())),
            ("right", select_of(self.right.as_ref())),
            ("exercised", select_of(self.exercised.as_ref())),
        ];
        all.into_iter().filter_map(|(key, sql)| Some((key, sql?)))
    }
}

fn select_of(reading: Option<&Reading>) -> Option<&str> {
    match reading {
        Some(Reading::Select(sql)) => Some(sql),
        _ => None,
    }
}

/// An invariant with its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Its id in reports and in `checks.require`.
    pub id: String,
    /// It belongs to the system. Where the database has not its tables it is left out, and that is told.
    pub built_in: bool,
    /// What it states and asks.
    pub invariant: Invariant,
}

/// The invariants of `system`, then those of a profile.
pub fn listed(system: System, own: &BTreeMap<String, Invariant>) -> Vec<Listed> {
    let own =
        own.iter().map(|(id, invariant)| Listed { id: id.clone(), built_in: false, invariant: invariant.clone() });
    built_in(system).into_iter().chain(own).collect()
}
