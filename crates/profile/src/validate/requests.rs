//! Rules of `scenarios.*.requests:`.

use std::collections::BTreeSet;

use contract::claim::Kind;
use serde_json::Value;

use super::{Context, scenarios::is_tag, seed::coupon_ids};
use crate::{
    later,
    model::{METHODS, RequestSpec},
    request::{USER_ID, json_in_text, path_problem, unknown_hole},
    suggest::did_you_mean,
};

/// Every request with its path.
fn each<'a>(c: &Context<'a>) -> Vec<(String, &'a RequestSpec)> {
    let scenarios = c.profile.scenarios.iter();
    scenarios
        .flat_map(|(name, s)| {
            s.requests.iter().enumerate().map(move |(i, r)| (format!("scenarios.{name}.requests[{i}]"), r))
        })
        .collect()
}

pub(super) fn validate_any(c: &mut Context<'_>) {
    for (name, scenario) in &c.profile.scenarios {
        if scenario.requests.is_empty() {
            c.problem(format!("scenarios.{name}.requests"), "there is no request; write at least one");
        }
    }
}

pub(super) fn validate_names(c: &mut Context<'_>) {
    for (path, request) in each(c) {
        if !is_tag(&request.name) {
            let message = "the name of a request has letters, digits, `-`, `_`, `.`, `:` and `/` only";
            c.problem(format!("{path}.name"), message);
        }
    }
    for (name, scenario) in &c.profile.scenarios {
        let mut seen = BTreeSet::new();
        for (i, request) in scenario.requests.iter().enumerate() {
            if !seen.insert(&request.name) {
                let message = format!("`{}` is the name of another request of this scenario", request.name);
                c.problem(format!("scenarios.{name}.requests[{i}].name"), message);
            }
        }
    }
}

pub(super) fn validate_methods(c: &mut Context<'_>) {
    for (path, request) in each(c) {
        let method = request.method.as_str();
        if !METHODS.contains(&method) {
            let why = if later::method(method) {
                format!("`{method}` is not supported yet")
            } else {
                format!("`{method}` is not sent{}", did_you_mean(method, METHODS))
            };
            let message = format!("{why}; allowed: {}", METHODS.join(", "));
            c.problem(format!("{path}.method"), message);
        }
    }
}

pub(super) fn validate_paths(c: &mut Context<'_>) {
    for (path, request) in each(c) {
        if let Some(why) = path_problem(&request.path) {
            c.problem(format!("{path}.path"), why);
        }
    }
}

pub(super) fn validate_bodies(c: &mut Context<'_>) {
    let limit = c.profile.backend.http.body_limit;
    for (path, request) in each(c) {
        let Some(body) = &request.body else { continue };
        if request.method == "GET" {
            c.problem(format!("{path}.body"), "a GET has no body; take it away, or set `method: POST`");
        }
        let text = body.to_string();
        if let Some(hole) = unknown_hole(&text) {
            c.problem(format!("{path}.body"), format!("`{hole}` is not known; allowed: {USER_ID}"));
        }
        match body {
            Value::String(text) if text == USER_ID => {}
            Value::String(text) => match json_in_text(text) {
                Some(map) => {
                    let why = "this is a text, and would be sent as one, in quotes";
                    c.problem(format!("{path}.body"), format!("{why}; without the quotes around it: body: {map}"));
                }
                None => c.warn(format!("{path}.body"), "a text is sent as JSON: in quotes, as application/json"),
            },
            _ => {}
        }
        if text.len() > limit {
            let length = text.len();
            let message = format!("{length} bytes will be answered 413: `backend.http.body_limit` is {limit}");
            c.warn(format!("{path}.body"), message);
        }
    }
}

pub(super) fn validate_outcomes(c: &mut Context<'_>) {
    let ledger: Vec<&str> = Kind::Coupon.classes().iter().map(|(class, _)| *class).collect();
    for (path, request) in each(c) {
        for (status, class) in &request.outcomes {
            let path = format!("{path}.outcomes.{status}");
            let word = class.starts_with(|ch: char| ch.is_ascii_uppercase())
                && class.chars().all(|ch| ch.is_ascii_uppercase() || ch.is_ascii_digit() || ch == '_');
            if request.coupon.is_some() && !ledger.contains(&class.as_str()) {
                let hint = did_you_mean(class, ledger.iter().copied());
                let allowed = ledger.join(", ");
                c.problem(path, format!("a request with `coupon` cannot come to `{class}`{hint}; allowed: {allowed}"));
            } else if !word || class.len() > 32 {
                c.problem(path, format!("`{class}` is no class: write capitals, digits and `_`, as in SOLD_OUT"));
            } else if *status >= 500 && class != "UNKNOWN" && request.coupon.is_some() {
                c.problem(
                    path,
                    format!("after a {status} nobody knows whether the coupon was granted; allowed: UNKNOWN"),
                );
            }
        }
    }
}

pub(super) fn validate_coupons(c: &mut Context<'_>) {
    if !c.clean(&["seed"]) {
        return;
    }
    let Some(ids) = coupon_ids(c) else { return };
    for (path, request) in each(c) {
        let asked = coupon_of_path(&request.path);
        match (request.coupon, asked) {
            (Some(id), _) if !ids.contains(&id) => {
                let known: Vec<String> = ids.iter().map(u64::to_string).collect();
                let message = format!("coupon {id} is not seeded; `seed.coupons` has {}", known.join(", "));
                c.problem(format!("{path}.coupon"), message);
            }
            (Some(id), Some(other)) if id != other => {
                c.problem(format!("{path}.coupon"), format!("the path asks for coupon {other}, not for {id}"));
            }
            (None, Some(id)) if request.method == "POST" && ids.contains(&id) => {
                let message =
                    format!("without `coupon: {id}` its answers are in no ledger, so nothing is proven of them");
                c.warn(path, message);
            }
            _ => {}
        }
    }
}

/// The id in `/api/coupons/1/issue`.
fn coupon_of_path(path: &str) -> Option<u64> {
    path.strip_prefix("/api/coupons/")?.strip_suffix("/issue")?.parse().ok()
}
