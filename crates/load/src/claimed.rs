//! What requests came to by what they claim, and what their answers lack.

use std::collections::BTreeMap;

use contract::claim::Claim;

use super::{
    compile::{Compiled, CompiledClaim, CompiledRequest},
    ledger::Outcome,
    measure::{Lacks, Measures, RequestMeasure},
    receipt,
};

/// Requests that claim one thing, or each its own of a kind. `sent` = `done` + `refused` + `unknown` once all are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimSummary {
    /// What they claim.
    pub claim: Claim,
    /// Times they were sent.
    pub sent: u64,
    /// Outcome class → requests.
    pub outcomes: BTreeMap<String, u64>,
    /// It was promised.
    pub done: u64,
    /// It was refused, for whatever reason.
    pub refused: u64,
    /// Nobody knows.
    pub unknown: u64,
    /// Status → refusals.
    pub refusals: BTreeMap<u16, u64>,
    /// Promises without the id that they were to give; none where nobody asks for one.
    pub receipts_missing: Option<u64>,
}

/// Every claim of every request, with what its requests and their answers came to.
fn each<'a>(
    plan: &'a Compiled,
    measures: &'a Measures,
) -> impl Iterator<Item = (&'a CompiledRequest, &'a RequestMeasure, &'a CompiledClaim, Lacks)> {
    plan.requests.iter().zip(&measures.requests).flat_map(|(request, measure)| {
        let lacks = measure.lacks.iter().copied().chain(std::iter::repeat(Lacks::default()));
        request.claims.iter().zip(lacks).map(move |(claim, lacks)| (request, measure, claim, lacks))
    })
}

/// By claim, in the order of kinds and ids. A request counts with all of its claims.
pub(super) fn by_claim(plan: &Compiled, measures: &Measures) -> Vec<ClaimSummary> {
    let mut all: BTreeMap<Claim, ClaimSummary> = BTreeMap::new();
    for (request, measure, claim, lacks) in each(plan, measures) {
        let counted = claim.counted();
        all.entry(counted).or_insert_with(|| ClaimSummary::none(counted)).add(plan, (request, measure), claim, lacks);
    }
    all.into_values().collect()
}

/// What a person should know of answers that lack an id.
pub(super) fn notes(plan: &Compiled, measures: &Measures) -> Vec<String> {
    let lacking = each(plan, measures).filter(|(.., lacks)| lacks.all > 0);
    let note = |(request, measure, claim, lacks): (&CompiledRequest, &RequestMeasure, &CompiledClaim, Lacks)| {
        let promised: u64 = measure.by_outcome(claim, Outcome::Acknowledged);
        let long = match lacks.too_long {
            0 => String::new(),
            n => format!("; {n} of these answers have more than {} bytes", receipt::MOST),
        };
        let (scenario, Lacks { all, .. }) = (&plan.scenarios[request.scenario].name, lacks);
        format!(
            "receipts missing: {all} of {promised} promises of a {} by request `{}` of `{scenario}` give no id where the profile \
             looks for it{long}",
            claim.kind, request.name,
        )
    };
    lacking.map(note).collect()
}

impl ClaimSummary {
    fn none(claim: Claim) -> Self {
        let (outcomes, refusals) = (BTreeMap::new(), BTreeMap::new());
        Self { claim, sent: 0, outcomes, done: 0, refused: 0, unknown: 0, refusals, receipts_missing: None }
    }

    fn add(
        &mut self,
        plan: &Compiled,
        (request, measure): (&CompiledRequest, &RequestMeasure),
        claim: &CompiledClaim,
        lacks: Lacks,
    ) {
        self.sent += measure.sent;
        for (class, count) in plan.by_name(&measure.outcomes) {
            *self.outcomes.entry(class).or_default() += count;
        }
        let (done, unknown) = (Outcome::Acknowledged, Outcome::Unknown);
        self.done += measure.by_outcome(claim, done);
        self.unknown += measure.by_outcome(claim, unknown);
        let refused = Outcome::ALL.into_iter().filter(|outcome| ![done, unknown].contains(outcome));
        self.refused += refused.map(|outcome| measure.by_outcome(claim, outcome)).sum::<u64>();
        for (status, count) in &measure.statuses {
            if ![done, unknown].contains(&claim.outcome(request.class(*status))) {
                *self.refusals.entry(*status).or_default() += count;
            }
        }
        if claim.reads_body() {
            *self.receipts_missing.get_or_insert_default() += lacks.all;
        }
    }
}

impl RequestMeasure {
    /// Requests that came to `outcome` for `claim`.
    fn by_outcome(&self, claim: &CompiledClaim, outcome: Outcome) -> u64 {
        let counts = self.outcomes.iter().enumerate();
        counts.filter(|(class, _)| claim.outcome(*class) == outcome).map(|(_, count)| count).sum()
    }
}
