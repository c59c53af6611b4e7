//! What a run means to do, told with its first event: whoever attaches or replays can then draw progress and goals.

use serde::{Deserialize, Serialize};

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
    /// Coupons that are proven.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<CouponPlan>,
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

/// A coupon.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CouponPlan {
    /// Its id.
    pub id: u64,
    /// How many there are.
    pub total: u64,
    /// Name that people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
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
