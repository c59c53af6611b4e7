//! A plan made ready: every name is a number, every request a template. What is wrong with a plan is found here, before
//! anything is sent.

use std::{collections::BTreeMap, sync::atomic::AtomicU64};

use contract::claim::{Claim, Id, Kind};
use profile::{
    answer::{AnswerSpec, JsonPath},
    claim::{ClaimSpec, IdSource},
    model::{RequestSpec, Scenario, UserPick},
};

use super::{
    LoadError, LoadPlan,
    ledger::{Outcome, Receipt},
    receipt::Body,
    schedule::Schedule,
    template::{Template, Values},
};

/// Number of the class `OK`.
pub(super) const OK: usize = 0;
/// Number of the class `ERROR`.
pub(super) const ERROR: usize = 1;
/// Number of the class `UNKNOWN`: nobody knows what the server did.
pub(super) const UNKNOWN: usize = 2;

/// Status codes have three digits.
const STATUSES: usize = 1_000;

/// A plan made ready.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Outcome classes by number.
    pub classes: Vec<String>,
    /// Scenarios.
    pub scenarios: Vec<CompiledScenario>,
    /// Requests of all scenarios, each scenario's beginning at `first_request`.
    pub requests: Vec<CompiledRequest>,
}

/// A scenario made ready. Times are nanoseconds.
#[derive(Debug)]
pub(super) struct CompiledScenario {
    pub name: String,
    pub schedule: Schedule,
    pub think: u64,
    pub timeout: u64,
    pub user: UserPick,
    /// The next user of [`UserPick::Sequential`], over all threads.
    pub next_user: AtomicU64,
    pub first_request: usize,
    pub requests: usize,
    /// Start of each phase.
    pub phase_starts: Vec<u64>,
}

impl CompiledScenario {
    /// Number of the phase at `at`; after the end the last one.
    pub fn phase_at(&self, at: u64) -> usize {
        self.phase_starts.partition_point(|start| *start <= at).saturating_sub(1)
    }
}

/// A request made ready.
#[derive(Debug)]
pub(super) struct CompiledRequest {
    pub scenario: usize,
    pub name: String,
    pub template: Template,
    pub once: bool,
    pub claims: Vec<CompiledClaim>,
    /// Some claim asks for an id out of the answer.
    pub reads_body: bool,
    /// Status → class.
    class_of: Box<[u16]>,
}

/// A claim made ready.
#[derive(Debug)]
pub(super) struct CompiledClaim {
    pub kind: Kind,
    pub id: IdSource,
    receipt: Option<JsonPath>,
    /// Class → what it means.
    outcomes: Box<[Outcome]>,
}

/// The ids of one claim, once its answer is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ids {
    pub key: Option<Id>,
    pub receipt: Option<Receipt>,
}

impl Ids {
    /// Whether the answer gave less than it was to give.
    pub fn lack(&self) -> bool {
        self.key.is_none() || self.receipt == Some(Receipt::Missing)
    }
}

impl CompiledClaim {
    /// What class `number` means for this claim.
    pub fn outcome(&self, class: usize) -> Outcome {
        self.outcomes.get(class).copied().unwrap_or(Outcome::Unknown)
    }

    /// What its requests are counted by.
    pub fn counted(&self) -> Claim {
        self.id.counted(self.kind)
    }

    /// Whether its answers are to give an id.
    pub fn reads_body(&self) -> bool {
        self.receipt.is_some() || matches!(self.id, IdSource::Answer(_))
    }

    /// Its ids in a request with these values, whose answer came to `outcome`. Only a promise gives any of its own.
    pub fn ids(&self, values: &Values, outcome: Outcome, body: &Body) -> Ids {
        let promised = outcome == Outcome::Acknowledged;
        let key = match &self.id {
            IdSource::Fixed(id) => Some(*id),
            IdSource::Variable(variable) => Some(values.of(*variable)),
            IdSource::Answer(path) if promised => body.id(path),
            IdSource::Answer(_) => None,
        };
        let receipt = self.receipt.as_ref().filter(|_| promised);
        Ids { key, receipt: receipt.map(|path| body.id(path).map_or(Receipt::Missing, Receipt::Given)) }
    }
}

impl CompiledRequest {
    /// The class of an answer.
    pub fn class(&self, status: u16) -> usize {
        self.class_of.get(usize::from(status)).map_or(UNKNOWN, |class| usize::from(*class))
    }
}

impl Compiled {
    /// Makes `plan` ready.
    pub fn new(plan: &LoadPlan) -> Result<Self, LoadError> {
        if plan.targets.is_empty() {
            return Err(LoadError::NoTargets);
        }
        if plan.users == 0 {
            return Err(LoadError::NoUsers);
        }
        if plan.scenarios.is_empty() {
            return Err(LoadError::NoScenarios);
        }
        let mut compiled = Self {
            classes: ["OK", "ERROR", "UNKNOWN"].map(str::to_owned).to_vec(),
            scenarios: Vec::new(),
            requests: Vec::new(),
        };
        for (name, scenario) in &plan.scenarios {
            compiled.add(name, scenario, &plan.host)?;
        }
        let classes = &compiled.classes;
        for claim in compiled.requests.iter_mut().flat_map(|request| &mut request.claims) {
            // An answer that cannot be one to this claim is a refusal of some kind.
            let outcome = |name: &String| claim.kind.outcome(name).unwrap_or(Outcome::Refused);
            claim.outcomes = classes.iter().map(outcome).collect();
        }
        Ok(compiled)
    }

    fn add(&mut self, name: &str, scenario: &Scenario, host: &str) -> Result<(), LoadError> {
        let invalid = |problem: &'static str| LoadError::Scenario { scenario: name.to_owned(), problem };
        let schedule = Schedule::new(&scenario.executor);
        if schedule.max_vus() == 0 {
            return Err(invalid("it has no virtual users: set a target, vus or maxVUs above 0"));
        }
        if schedule.end() == 0 {
            return Err(invalid("it takes no time: set a duration above 0"));
        }
        if scenario.requests.is_empty() {
            return Err(invalid("it has no requests"));
        }
        if scenario.timeout.0.is_zero() {
            return Err(invalid("its timeout is 0: no request could be answered"));
        }
        if let Schedule::Open { rate, .. } = schedule
            && !(rate > 0.0 && rate <= 1e7)
        {
            return Err(invalid("its rate must be above 0 and at most 10,000,000 per second"));
        }
        let index = self.scenarios.len();
        let first_request = self.requests.len();
        for spec in &scenario.requests {
            let request = self.request(index, name, spec, host)?;
            self.requests.push(request);
        }
        let nanos = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4);
        self.scenarios.push(CompiledScenario {
            name: name.to_owned(),
            phase_starts: schedule.phases().iter().map(|phase| phase.start).collect(),
            think: if schedule.is_open() { 0 } else { scenario.think.map_or(0, |think| nanos(think.0)) },
            schedule,
            timeout: nanos(scenario.timeout.0),
            user: scenario.user,
            next_user: AtomicU64::new(0),
            first_request,
            requests: scenario.requests.len(),
        });
        Ok(())
    }

    fn request(
        &mut self,
        scenario: usize,
        scenario_name: &str,
        spec: &RequestSpec,
        host: &str,
    ) -> Result<CompiledRequest, LoadError> {
        let (scenario_name, name) = (scenario_name.to_owned(), spec.name.clone());
        let template = match Template::new(spec, host) {
            Ok(template) => template,
            Err(cause) => return Err(LoadError::Request { scenario: scenario_name, request: name, cause }),
        };
        let claims = match spec.claims().iter().map(claim).collect::<Result<Vec<_>, _>>() {
            Ok(claims) => claims,
            Err(problem) => return Err(LoadError::Claim { scenario: scenario_name, request: name, problem }),
        };
        let knows = |class: &str| claims.iter().all(|claim| claim.kind.outcome(class).is_some());
        let mut class_of: Box<[u16]> = (0..STATUSES).map(|status| default_class(status, knows("OK")) as u16).collect();
        for (status, class) in &spec.outcomes {
            if !knows(class) {
                let problem = format!("its answers cannot come to `{class}`");
                return Err(LoadError::Claim { scenario: scenario_name, request: name, problem });
            }
            let number = self.class_number(class);
            if let Some(slot) = class_of.get_mut(usize::from(*status)) {
                *slot = number as u16;
            }
        }
        let reads_body = claims.iter().any(CompiledClaim::reads_body);
        Ok(CompiledRequest { scenario, name, template, once: spec.once, claims, reads_body, class_of })
    }

    fn class_number(&mut self, name: &str) -> usize {
        self.classes.iter().position(|class| class == name).unwrap_or_else(|| {
            self.classes.push(name.to_owned());
            self.classes.len() - 1
        })
    }

    /// Outcome counts by name, without those that never came.
    pub fn by_name(&self, counts: &[u64]) -> BTreeMap<String, u64> {
        let named = self.classes.iter().zip(counts).filter(|(_, count)| **count > 0);
        named.map(|(name, count)| (name.clone(), *count)).collect()
    }
}

/// The class of a status that the profile does not name. What is claimed and answered with a 2xx or 3xx which neither the
/// profile nor the kind knows was neither granted nor refused as agreed: an error.
fn default_class(status: usize, knows_ok: bool) -> usize {
    match status {
        200..400 if knows_ok => OK,
        500.. | 0..200 => UNKNOWN,
        _ => ERROR,
    }
}

fn claim(spec: &ClaimSpec) -> Result<CompiledClaim, String> {
    let receipt = spec.receipt.as_ref().map(AnswerSpec::path).transpose()?;
    Ok(CompiledClaim { kind: spec.kind, id: spec.id.source()?, receipt, outcomes: Box::default() })
}
