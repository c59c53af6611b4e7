//! Rules of claims on coupons.

use std::collections::BTreeSet;

use contract::claim::{Id, Kind};

use super::{Context, claims::named, requests::each, seed::coupon_ids};
use crate::{claim::IdSource, model::RequestSpec};

pub(super) fn validate_claims(c: &mut Context<'_>) {
    if !c.clean(&["seed"]) {
        return;
    }
    let Some(ids) = coupon_ids(c) else { return };
    for (path, request) in each(c) {
        let asked = of_path(&request.path);
        let claims = named(&path, request).into_iter().filter(|(_, claim)| claim.kind == Kind::Coupon);
        let sources: Vec<_> = claims.filter_map(|(path, claim)| Some((path, claim.id.source().ok()?))).collect();
        if sources.is_empty() {
            warn_of_unproven(c, path, request, asked.filter(|id| ids.contains(id)));
        }
        for (path, source) in sources {
            if let Some(why) = problem(source, asked, &ids) {
                c.problem(path, why);
            }
        }
    }
}

fn problem(source: IdSource, asked: Option<u64>, ids: &BTreeSet<u64>) -> Option<String> {
    let IdSource::Fixed(Id::Number(id)) = source else {
        return Some("coupons have numbers: write the id of one that is seeded".into());
    };
    if !ids.contains(&id) {
        let known: Vec<String> = ids.iter().map(u64::to_string).collect();
        return Some(format!("coupon {id} is not seeded; `seed.coupons` has {}", known.join(", ")));
    }
    let other = asked.filter(|asked| *asked != id)?;
    Some(format!("the path asks for coupon {other}, not for {id}"))
}

fn warn_of_unproven(c: &mut Context<'_>, path: String, request: &RequestSpec, asked: Option<u64>) {
    if let (Some(id), "POST") = (asked, request.method.as_str()) {
        c.warn(path, format!("without `coupon: {id}` its answers are in no ledger, so nothing is proven of them"));
    }
}

/// The id in `/api/coupons/1/issue`, or in `/api/coupons/1/issue-fcfs/…`.
fn of_path(path: &str) -> Option<u64> {
    let (id, rest) = path.strip_prefix("/api/coupons/")?.split_once('/')?;
    let is_issue = rest == "issue" || rest.starts_with("issue-fcfs/");
    id.parse().ok().filter(|_| is_issue)
}
