//! Rules of `claim:`, whatever is claimed.

use contract::claim::Kind;

use super::Context;
use crate::{
    answer::AnswerSpec,
    claim::{ClaimSpec, IdSource},
    model::RequestSpec,
    problem::Finding,
    request::Variable,
    suggest::did_you_mean,
};

pub(super) fn validate_ids(c: &mut Context<'_>) {
    for (path, request) in c.profile.requests() {
        let mut seen: Vec<ClaimSpec> = Vec::new();
        for (path, claim) in request.keyed_claims(&path) {
            match claim.id.source() {
                Err(why) => c.problem(format!("{path}.id"), why),
                Ok(IdSource::Variable(Variable::Uuid)) if !sends_uuid(request) => {
                    let message = "nobody is told this id: write ${uuid} into the path, a header or the body too";
                    c.problem(format!("{path}.id"), message);
                }
                Ok(IdSource::Answer(_)) if !claim.kind.is_named_by_answer() => {
                    let (kind, hint) = (claim.kind, "ask for what the answer calls it by `receipt`");
                    c.problem(
                        format!("{path}.id"),
                        format!("a {kind} is known before it is asked for: write its id, and {hint}"),
                    );
                }
                Ok(_) => {}
            }
            if let Some(Err(why)) = claim.receipt.as_ref().map(AnswerSpec::path) {
                c.problem(format!("{path}.receipt.json"), why);
            }
            if seen.iter().any(|other| (other.kind, &other.id) == (claim.kind, &claim.id)) {
                c.problem(path, "this claim stands here twice");
            }
            seen.push(claim);
        }
    }
}

fn sends_uuid(request: &RequestSpec) -> bool {
    let body = request.body.as_ref().map(ToString::to_string);
    let mut texts = request.headers.values().chain([&request.path]).chain(&body);
    texts.any(|text| text.contains(Variable::Uuid.text()))
}

/// What an answer may come to, given all that its request claims.
pub(super) fn validate_outcomes(c: &mut Context<'_>) {
    for (path, request) in c.profile.requests() {
        let kinds: Vec<Kind> = request.claims().iter().map(|claim| claim.kind).collect();
        let Some(first) = kinds.first() else { continue };
        let of_all = |class: &&str| kinds.iter().all(|kind| kind.outcome(class).is_some());
        let (key, what) = request.claim_words();
        let allowed: Vec<&str> = first.classes().iter().map(|(class, _)| *class).filter(of_all).collect();
        for (status, class) in &request.outcomes {
            let path = format!("{path}.outcomes.{status}");
            if !allowed.contains(&class.as_str()) {
                let (hint, allowed) = (did_you_mean(class, allowed.iter().copied()), allowed.join(", "));
                c.problem(path, format!("a request with `{key}` cannot come to `{class}`{hint}; allowed: {allowed}"));
            } else if *status >= 500 && class != "UNKNOWN" {
                c.problem(path, format!("after a {status} nobody knows whether {what} was granted; allowed: UNKNOWN"));
            }
        }
    }
}

/// What a kind itself asks of claims on it. It looks at what is seeded, so that has to be as it was written.
pub(super) fn validate_kinds(c: &mut Context<'_>) {
    if !c.clean(&["seed"]) {
        return;
    }
    for finding in c.profile.claim_findings(c.fixture) {
        match finding {
            Finding::Problem(path, why) => c.problem(path, why),
            Finding::Doubt(path, why) => c.warn(path, why),
        }
    }
}
