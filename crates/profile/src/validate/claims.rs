//! Rules of `claim:`, whatever is claimed.

use contract::claim::Kind;

use super::{Context, requests::each};
use crate::{
    claim::{ClaimSpec, Claims, IdSource},
    model::RequestSpec,
    request::Variable,
    suggest::did_you_mean,
};

/// Every claim of `request` with its key, for messages.
pub(super) fn named(path: &str, request: &RequestSpec) -> Vec<(String, ClaimSpec)> {
    let several = matches!(request.claim, Some(Claims::Several(_)));
    let key = |i: usize| match request.coupon {
        Some(_) if i == 0 => format!("{path}.coupon"),
        _ if several => format!("{path}.claim[{}]", i - usize::from(request.coupon.is_some())),
        _ => format!("{path}.claim"),
    };
    request.claims().into_iter().enumerate().map(|(i, claim)| (key(i), claim)).collect()
}

pub(super) fn validate_ids(c: &mut Context<'_>) {
    for (path, request) in each(c) {
        let mut seen: Vec<ClaimSpec> = Vec::new();
        for (path, claim) in named(&path, request) {
            match claim.id.source() {
                Err(why) => c.problem(format!("{path}.id"), why),
                Ok(IdSource::Variable(Variable::Uuid)) if !sends_uuid(request) => {
                    let message = "nobody is told this id: write ${uuid} into the path, a header or the body too";
                    c.problem(format!("{path}.id"), message);
                }
                Ok(_) => {}
            }
            if seen.contains(&claim) {
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
    for (path, request) in each(c) {
        let kinds: Vec<Kind> = request.claims().iter().map(|claim| claim.kind).collect();
        let Some(first) = kinds.first() else { continue };
        let of_all = |class: &&str| kinds.iter().all(|kind| kind.outcome(class).is_some());
        let allowed: Vec<&str> = first.classes().iter().map(|(class, _)| *class).filter(of_all).collect();
        for (status, class) in &request.outcomes {
            let path = format!("{path}.outcomes.{status}");
            if !allowed.contains(&class.as_str()) {
                let key = if request.claim.is_some() { "claim" } else { "coupon" };
                let (hint, allowed) = (did_you_mean(class, allowed.iter().copied()), allowed.join(", "));
                c.problem(path, format!("a request with `{key}` cannot come to `{class}`{hint}; allowed: {allowed}"));
            } else if *status >= 500 && class != "UNKNOWN" {
                let what = if request.claim.is_some() { "what was claimed" } else { "the coupon" };
                c.problem(path, format!("after a {status} nobody knows whether {what} was granted; allowed: UNKNOWN"));
            }
        }
    }
}
