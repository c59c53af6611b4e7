//! A profile as it is resolved: every default filled in. See `docs/profile.md` for the same in words.

pub(crate) mod coupon;
pub(crate) mod fixture;
mod stack;

use std::collections::BTreeMap;

use contract::system::Step;
pub use contract::system::System;
use contract::{claim::Kind, human::HumanDuration, settings::Settings};
use record::{goal::Goal, invariant::Invariant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::fixture::{PointFixture, ProductFixture, UserFixture};
pub use self::{
    coupon::CouponSeed,
    stack::{ExternalSpec, KafkaLogin, PortSpec, ProviderChoice, StackSpec},
};
use crate::{
    claim::{ClaimSpec, Claims, IdSpec},
    problem::Finding,
};

/// One profile: what to run, on which stack, and what must hold afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// One line that says what it is for.
    #[serde(default)]
    pub about: String,
    /// The system under test.
    pub system: System,
    /// The servers.
    #[serde(default)]
    pub stack: StackSpec,
    /// The backend and its tuning.
    #[serde(default)]
    pub backend: Settings,
    /// The data that exist before the load.
    #[serde(default)]
    pub seed: SeedSpec,
    /// Loads, all of them started together.
    pub scenarios: BTreeMap<String, Scenario>,
    /// Thresholds in k6's grammar: metric, or `metric{tag:value}` → expressions.
    #[serde(default)]
    pub goals: BTreeMap<String, Vec<Goal>>,
    /// Levels that metrics should not stay at: metric → levels.
    #[serde(default)]
    pub alarms: BTreeMap<String, AlarmSpec>,
    /// Consistency checks.
    #[serde(default)]
    pub checks: CheckSpec,
    /// Consistency checks of one's own: id → what offends.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub invariants: BTreeMap<String, Invariant>,
    /// How long the consumers may take to come to rest after the load.
    #[serde(default)]
    pub drain: DrainSpec,
}

impl Profile {
    /// Every request, with the key under which it stands.
    pub(crate) fn requests(&self) -> Vec<(String, &RequestSpec)> {
        let keyed = self.scenarios.iter().flat_map(|(name, scenario)| {
            let key = move |i: usize| format!("scenarios.{name}.requests[{i}]");
            scenario.requests.iter().enumerate().map(move |(i, request)| (key(i), request))
        });
        keyed.collect()
    }

    /// What each kind says of the claims on it, given what will be seeded: the profile's own or the fixture's.
    pub(crate) fn claim_findings(&self, fixture: Option<&Fixture>) -> Vec<Finding> {
        coupon::claim_findings(self, fixture)
    }
}

/// The data that exist before the load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeedSpec {
    /// Fixture that gives names and values: `fixtures/<name>.yaml`.
    pub fixture: String,
    /// Users, with ids 1..=users.
    pub users: u64,
    /// Products, with ids 1..=products.
    pub products: u64,
    /// Coupons; empty: those of the fixture.
    pub coupons: Vec<CouponSeed>,
}

impl SeedSpec {
    /// Users and products where nobody says how many.
    const ROWS: u64 = 1_000;

    /// That of `system`, whose name its fixture has.
    pub fn of(system: System) -> Self {
        let products = if system.has(Step::Products) { Self::ROWS } else { 0 };
        Self { fixture: system.name().into(), users: Self::ROWS, products, coupons: Vec::new() }
    }

    /// What breaks a rule of what can be claimed, by its key.
    pub(crate) fn problems(&self) -> Vec<(String, String)> {
        coupon::seed_problems(&self.coupons)
    }
}

impl Default for SeedSpec {
    fn default() -> Self {
        Self::of(System::default())
    }
}

/// Names and values of seed data, as a fixture has them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// One line that says what it is.
    #[serde(default)]
    pub about: String,
    /// Users.
    pub users: UserFixture,
    /// Products, where the system has them.
    #[serde(default)]
    pub products: Option<ProductFixture>,
    /// Points, where the system has them.
    #[serde(default)]
    pub points: Option<PointFixture>,
    /// For how many days coupons are valid, from the moment of seeding.
    pub coupon_valid_days: u32,
    /// Coupons, where the profile names none.
    pub coupons: Vec<CouponSeed>,
}

impl Fixture {
    /// What `system` needs and this fixture has not: keys of it.
    pub fn lacks(&self, system: System) -> Vec<&'static str> {
        let needs =
            [("products", Step::Products, self.products.is_some()), ("points", Step::Points, self.points.is_some())];
        needs.into_iter().filter(|(_, step, is_here)| system.has(*step) && !is_here).map(|(key, ..)| key).collect()
    }

    /// Holds it against the rules that types cannot say.
    ///
    /// # Errors
    /// The first value that breaks one, and what is allowed.
    pub(crate) fn check(&self) -> Result<(), String> {
        coupon::check_fixture(&self.coupons, self.coupon_valid_days)
    }
}

/// One load. Unknown keys are found by the reader of profiles: serde cannot deny them beside `flatten`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scenario {
    /// How requests are paced.
    #[serde(flatten)]
    pub executor: Executor,
    /// Pause of a virtual user after each request (closed executors).
    #[serde(default)]
    pub think: Option<HumanDuration>,
    /// Which user a virtual user is.
    #[serde(default)]
    pub user: UserPick,
    /// What one iteration sends, in this order.
    pub requests: Vec<RequestSpec>,
    /// Longest wait for an answer; after it the outcome is unknown.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(10)
}

/// How requests are paced; names and meaning are k6's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "executor", rename_all = "kebab-case")]
pub enum Executor {
    /// The number of virtual users moves from stage to stage, linearly.
    RampingVus {
        /// Virtual users at the start.
        #[serde(default, rename = "startVUs", alias = "start_vus")]
        start_vus: u32,
        /// Where the number goes, one after the other.
        stages: Vec<Stage>,
    },
    /// A fixed number of virtual users.
    ConstantVus {
        /// Virtual users.
        vus: u32,
        /// For how long.
        duration: HumanDuration,
    },
    /// A fixed rate of iterations, whatever the answers take (open model).
    ConstantArrivalRate {
        /// Iterations per second.
        rate: f64,
        /// For how long.
        duration: HumanDuration,
        /// Most iterations under way at once; one that finds no room is dropped and counted.
        #[serde(rename = "maxVUs", alias = "max_vus")]
        max_vus: u32,
    },
}

/// One stage of a ramp.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// How long it takes.
    pub duration: HumanDuration,
    /// Where it ends.
    pub target: u32,
}

/// Which user a virtual user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UserPick {
    /// Each virtual user is one person and stays that person.
    #[default]
    PerVu,
    /// Each iteration is the next person; after the last the first comes again.
    Sequential,
    /// Each iteration is anybody.
    Random,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    /// Name in metrics and reports.
    pub name: String,
    /// `GET`, `POST`, `PUT` or `DELETE`.
    #[serde(default = "default_method")]
    pub method: String,
    /// Path; `${user.id}`, `${user.publicId}` and `${uuid}` are filled in.
    pub path: String,
    /// Header → value, with the same variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// JSON body with the same variables; the text `"${user.id}"` becomes the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
    /// Status → outcome class. Others: 2xx OK, 4xx ERROR, 5xx UNKNOWN; time-out and reset are UNKNOWN.
    #[serde(default)]
    pub outcomes: BTreeMap<u16, String>,
    /// Only in a virtual user's first iteration.
    #[serde(default)]
    pub once: bool,
    /// What this request claims: its answers go into the ledger, from which consistency is proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claims>,
    /// Short for `claim: {kind: coupon, id: …}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<u64>,
}

impl RequestSpec {
    /// All that it claims, in short form or not.
    pub fn claims(&self) -> Vec<ClaimSpec> {
        let short = self.coupon.map(|id| ClaimSpec { kind: Kind::Coupon, id: IdSpec::Number(id), receipt: None });
        short.into_iter().chain(self.claim.iter().flat_map(Claims::list).cloned()).collect()
    }

    /// The same, each with the key that says it; the request itself stands under `path`.
    pub(crate) fn keyed_claims(&self, path: &str) -> Vec<(String, ClaimSpec)> {
        let several = matches!(self.claim, Some(Claims::Several(_)));
        let key = |i: usize| match self.coupon {
            Some(_) if i == 0 => format!("{path}.coupon"),
            _ if several => format!("{path}.claim[{}]", i - usize::from(self.coupon.is_some())),
            _ => format!("{path}.claim"),
        };
        self.claims().into_iter().enumerate().map(|(i, claim)| (key(i), claim)).collect()
    }

    /// The key that a message names for all that it claims, and what the message calls that.
    pub(crate) fn claim_words(&self) -> (&'static str, &'static str) {
        if self.claim.is_none() && self.coupon.is_some() {
            ("coupon", "the coupon")
        } else {
            ("claim", "what was claimed")
        }
    }
}

/// Methods that a request may have.
pub const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

fn default_method() -> String {
    "GET".into()
}

/// Levels of one metric. At least one of them is given; with both the critical one is the higher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlarmSpec {
    /// Value from which it is a warning, in the metric's unit.
    #[serde(default)]
    pub warning: Option<f64>,
    /// Value from which it is critical.
    #[serde(default)]
    pub critical: Option<f64>,
    /// How long the value must stay at or above a level before it counts.
    #[serde(default = "default_hold", rename = "for")]
    pub hold: HumanDuration,
    /// What to do about it, for people.
    #[serde(default)]
    pub act: Option<String>,
}

fn default_hold() -> HumanDuration {
    HumanDuration::from_secs(10)
}

/// Consistency checks.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckSpec {
    /// Checks that must hold; where one of them is unknown the run proved nothing (exit 4).
    pub require: Vec<String>,
}

/// How the run comes to rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DrainSpec {
    /// Longest wait until everything is consumed and nothing is pending.
    pub timeout: HumanDuration,
}

impl Default for DrainSpec {
    fn default() -> Self {
        Self { timeout: HumanDuration::from_secs(60) }
    }
}
