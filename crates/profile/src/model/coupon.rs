//! Coupons in profiles and fixtures: what is said of them, and the rules that only they have.

use std::{collections::BTreeSet, ops::RangeInclusive};

use contract::claim::{Id, Kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fixture, Profile, RequestSpec};
use crate::{claim::IdSource, problem::Finding};

/// How many there may be of one: what its column holds.
const QUANTITIES: RangeInclusive<u64> = 1..=u32::MAX as u64;
/// For how many days they may be valid.
const DAYS: RangeInclusive<u32> = 1..=3_650;

/// One coupon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CouponSeed {
    /// Its id.
    pub id: u64,
    /// T: how many there are.
    pub quantity: u64,
    /// Name that people see.
    #[serde(default)]
    pub name: Option<String>,
    /// Discount in won.
    #[serde(default)]
    pub discount_amount: Option<u64>,
}

/// Holds the coupons of a fixture against their rules; the first that breaks one is told.
pub(super) fn check_fixture(coupons: &[CouponSeed], valid_days: u32) -> Result<(), String> {
    let mut ids = BTreeSet::new();
    for coupon in coupons {
        if coupon.id == 0 || !QUANTITIES.contains(&coupon.quantity) || !ids.insert(coupon.id) {
            return Err(format!("coupon {} needs an id of its own from 1 on, and a quantity from 1 on", coupon.id));
        }
    }
    if !DAYS.contains(&valid_days) {
        return Err(format!("coupon_valid_days: allowed are {} to {}", DAYS.start(), DAYS.end()));
    }
    Ok(())
}

/// What is wrong with those that a profile seeds: key and message.
pub(super) fn seed_problems(coupons: &[CouponSeed]) -> Vec<(String, String)> {
    let (mut seen, mut problems) = (BTreeSet::new(), Vec::new());
    for (i, coupon) in coupons.iter().enumerate() {
        let mut problem = |key: &str, why: String| problems.push((format!("seed.coupons[{i}].{key}"), why));
        if coupon.id == 0 {
            problem("id", "ids begin at 1".into());
        }
        if !seen.insert(coupon.id) {
            problem("id", format!("coupon {} stands here twice", coupon.id));
        }
        if !QUANTITIES.contains(&coupon.quantity) {
            let (least, most) = QUANTITIES.into_inner();
            problem("quantity", format!("{} is out of range; allowed: {least} to {most}", coupon.quantity));
        }
        if let Some(name) = &coupon.name
            && (name.trim().is_empty() || name.chars().count() > 200)
        {
            problem("name", "a name has 1 to 200 letters".into());
        }
    }
    problems
}

/// What claims on them say that cannot be, and what requests for them do not say.
pub(super) fn claim_findings(profile: &Profile, fixture: Option<&Fixture>) -> Vec<Finding> {
    let Some(ids) = ids(profile, fixture) else { return Vec::new() };
    let mut findings = Vec::new();
    for (path, request) in profile.requests() {
        let asked = of_path(&request.path);
        let claims = request.keyed_claims(&path).into_iter().filter(|(_, claim)| claim.kind == Kind::Coupon);
        let sources: Vec<_> = claims.filter_map(|(path, claim)| Some((path, claim.id.source().ok()?))).collect();
        if sources.is_empty() {
            findings.extend(unproven(path, request, asked.filter(|id| ids.contains(id))));
        }
        let wrong = |(path, source)| Some(Finding::Problem(path, why_not(&source, asked, &ids)?));
        findings.extend(sources.into_iter().filter_map(wrong));
    }
    findings
}

/// Ids of those that will exist; none where that cannot be told.
fn ids(profile: &Profile, fixture: Option<&Fixture>) -> Option<BTreeSet<u64>> {
    let own = &profile.seed.coupons;
    let coupons = if own.is_empty() { &fixture?.coupons } else { own };
    Some(coupons.iter().map(|coupon| coupon.id).collect())
}

/// Why a request whose path asks for `asked` cannot claim this one.
fn why_not(source: &IdSource, asked: Option<u64>, ids: &BTreeSet<u64>) -> Option<String> {
    let id = match source {
        IdSource::Fixed(Id::Number(id)) => *id,
        // A rule of all claims says so already.
        IdSource::Answer(_) => return None,
        _ => return Some("coupons have numbers: write the id of one that is seeded".into()),
    };
    if !ids.contains(&id) {
        let known: Vec<String> = ids.iter().map(u64::to_string).collect();
        return Some(format!("coupon {id} is not seeded; `seed.coupons` has {}", known.join(", ")));
    }
    let other = asked.filter(|asked| *asked != id)?;
    Some(format!("the path asks for coupon {other}, not for {id}"))
}

/// What is lost where a request for one claims none.
fn unproven(path: String, request: &RequestSpec, asked: Option<u64>) -> Option<Finding> {
    let id = asked.filter(|_| request.method == "POST")?;
    let why = format!("without `coupon: {id}` its answers are in no ledger, so nothing is proven of them");
    Some(Finding::Doubt(path, why))
}

/// The id in `/api/coupons/1/issue`, or in `/api/coupons/1/issue-fcfs/…`.
fn of_path(path: &str) -> Option<u64> {
    let (id, rest) = path.strip_prefix("/api/coupons/")?.split_once('/')?;
    let is_issue = rest == "issue" || rest.starts_with("issue-fcfs/");
    id.parse().ok().filter(|_| is_issue)
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[test]
    fn the_built_in_fixture_has_those_that_the_shop_is_known_for() {
        let shop = fixture::load("ecommerce").unwrap();
        let coupons: Vec<_> = shop.coupons.iter().map(|c| (c.id, c.quantity, c.discount_amount)).collect();
        assert_eq!(coupons, [(1, 1_000, Some(5_000)), (2, 500, Some(10_000))]);
        assert_eq!(shop.coupon_valid_days, 30);
    }
}
