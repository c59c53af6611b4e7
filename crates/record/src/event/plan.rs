//! What a run means to do, told with its first event: whoever attaches or replays can then draw progress and goals.

use contract::claim::{Claim, Kind};
use serde::{Deserialize, Serialize};

use super::AlarmLevel;

/// The plan of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunPlan {
    /// The system under test.
    pub system: String,
    /// Loads, all started together.
    pub scenarios: Vec<ScenarioPlan>,
    /// Goals, in the order in which they are reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goals: Vec<GoalPlan>,
    /// Alarms, in the order of their metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<AlarmPlan>,
    /// Cores of the machine, of which CPU use without a limit is a share; 0 where nobody said.
    #[serde(default)]
    pub cores: u32,
    /// What is proven.
    #[serde(flatten)]
    pub proven: Proven,
    /// Checks that the profile requires.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<String>,
    /// Consumers at the start.
    #[serde(default)]
    pub consumers: u16,
    /// Longest drain in seconds.
    #[serde(default)]
    pub drain_s: f64,
}

/// A scenario.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ScenarioPlan {
    /// Its name.
    pub name: String,
    /// Targets are iterations per second, not virtual users.
    pub open: bool,
    /// Most virtual users that the profile plans.
    pub max_vus: u32,
    /// Its phases in order.
    pub phases: Vec<PhasePlan>,
}

/// A phase of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PhasePlan {
    /// When it begins, in seconds since the load began.
    pub start_s: f64,
    /// How long it takes.
    pub duration_s: f64,
    /// Virtual users, or iterations per second, at its end.
    pub target: f64,
}

/// A goal.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GoalPlan {
    /// Metric, as in the profile.
    pub metric: String,
    /// Expression, as in the profile.
    pub expression: String,
}

/// An alarm. At least one of its levels is there; with both the critical one is the higher.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AlarmPlan {
    /// Metric, as in the profile.
    pub metric: String,
    /// Value from which it is a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<f64>,
    /// Value from which it is critical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<f64>,
    /// Seconds for which the value must stay there.
    #[serde(default)]
    pub for_s: f64,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<String>,
}

impl AlarmPlan {
    /// The lowest of its levels.
    pub fn lowest(&self) -> f64 {
        self.warning.or(self.critical).unwrap_or(f64::INFINITY)
    }

    /// The value at which `level` begins; of [`AlarmLevel::Ok`] the one at which it ends.
    pub fn threshold(&self, level: AlarmLevel) -> f64 {
        match level {
            AlarmLevel::Critical => self.critical.unwrap_or(f64::INFINITY),
            AlarmLevel::Ok | AlarmLevel::Warning => self.lowest(),
        }
    }
}

/// What can be claimed and is proven. It stands in a run's first event and in its `run.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Proven {
    /// One by one. Version 0.1 knew coupons only, and called them so.
    #[serde(default, alias = "coupons", skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<SubjectPlan>,
}

/// Something that can be claimed, and of which there is a limited number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct SubjectPlan {
    /// Which one.
    pub claim: Claim,
    /// How many there are.
    pub total: u64,
    /// Name that people see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// As it stands in files: the last two are version 0.1's, in events and in `run.json`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Claim {
        claim: Claim,
        total: u64,
        #[serde(default)]
        name: Option<String>,
    },
    Number {
        id: u64,
        total: u64,
        #[serde(default)]
        name: Option<String>,
    },
    Pair(u64, u64),
}

impl From<Written> for SubjectPlan {
    fn from(written: Written) -> Self {
        let numbered = |id| Claim::numbered(Kind::OF_A_NUMBER, id);
        let (claim, total, name) = match written {
            Written::Claim { claim, total, name } => (claim, total, name),
            Written::Number { id, total, name } => (numbered(id), total, name),
            Written::Pair(id, total) => (numbered(id), total, None),
        };
        Self { claim, total, name }
    }
}

impl RunPlan {
    /// Seconds of load that are planned: the longest scenario's.
    pub fn load_s(&self) -> f64 {
        self.scenarios.iter().map(ScenarioPlan::duration_s).fold(0.0, f64::max)
    }

    /// The scenario called `name`.
    pub fn scenario(&self, name: &str) -> Option<&ScenarioPlan> {
        self.scenarios.iter().find(|scenario| scenario.name == name)
    }
}

impl ScenarioPlan {
    /// Seconds that it takes.
    pub fn duration_s(&self) -> f64 {
        self.phases.last().map_or(0.0, |phase| phase.start_s + phase.duration_s)
    }
}

#[cfg(test)]
mod tests;
