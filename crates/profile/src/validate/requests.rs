//! Rules of `scenarios.*.requests:`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Context, scenarios::is_tag};
use crate::{
    later,
    model::METHODS,
    request::{Variable, header_problem, json_in_text, path_problem, unknown_hole},
    suggest::did_you_mean,
};

pub(super) fn validate_any(c: &mut Context<'_>) {
    for (name, scenario) in &c.profile.scenarios {
        if scenario.requests.is_empty() {
            c.problem(format!("scenarios.{name}.requests"), "there is no request; write at least one");
        }
    }
}

pub(super) fn validate_names(c: &mut Context<'_>) {
    for (path, request) in c.profile.requests() {
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
    for (path, request) in c.profile.requests() {
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
    for (path, request) in c.profile.requests() {
        if let Some(why) = path_problem(&request.path) {
            c.problem(format!("{path}.path"), why);
        }
    }
}

pub(super) fn validate_bodies(c: &mut Context<'_>) {
    let limit = c.profile.backend.http.body_limit;
    for (path, request) in c.profile.requests() {
        let Some(body) = &request.body else { continue };
        if request.method == "GET" {
            c.problem(format!("{path}.body"), "a GET has no body; take it away, or set `method: POST`");
        }
        let text = body.to_string();
        if let Some(hole) = unknown_hole(&text) {
            c.problem(format!("{path}.body"), format!("`{hole}` is not known; allowed: {}", Variable::allowed()));
        }
        match body {
            Value::String(text) if Variable::whole(text).is_some() => {}
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

pub(super) fn validate_headers(c: &mut Context<'_>) {
    for (path, request) in c.profile.requests() {
        let mut seen = BTreeSet::new();
        for (name, value) in &request.headers {
            if let Some(why) = header_problem(name, value) {
                c.problem(format!("{path}.headers.{name}"), why);
            }
            if !seen.insert(name.to_ascii_lowercase()) {
                c.problem(format!("{path}.headers.{name}"), "this header stands here twice");
            }
        }
    }
}

pub(super) fn validate_outcomes(c: &mut Context<'_>) {
    for (path, request) in c.profile.requests().into_iter().filter(|(_, request)| request.claims().is_empty()) {
        for (status, class) in &request.outcomes {
            let word = class.starts_with(|ch: char| ch.is_ascii_uppercase())
                && class.chars().all(|ch| ch.is_ascii_uppercase() || ch.is_ascii_digit() || ch == '_');
            if !word || class.len() > 32 {
                let message = format!("`{class}` is no class: write capitals, digits and `_`, as in SOLD_OUT");
                c.problem(format!("{path}.outcomes.{status}"), message);
            }
        }
    }
}
