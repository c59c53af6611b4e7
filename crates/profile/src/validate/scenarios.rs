//! Rules of `scenarios:`, apart from their requests.

use contract::human::HumanDuration;

use super::Context;
use crate::model::Executor;

/// Most virtual users of one scenario: beyond this the ports of one address end.
pub(crate) const MOST_VUS: u32 = 60_000;

fn path(name: &str, key: &str) -> String {
    format!("scenarios.{name}.{key}")
}

pub(super) fn validate_any(c: &mut Context<'_>) {
    if c.profile.scenarios.is_empty() {
        c.problem("scenarios", "there is no scenario, so nothing would be sent; write at least one");
    }
}

pub(super) fn validate_names(c: &mut Context<'_>) {
    for name in c.profile.scenarios.keys() {
        if !is_tag(name) {
            let message = "the name of a scenario has letters, digits, `-`, `_`, `.`, `:` and `/` only";
            c.problem(format!("scenarios.{name}"), message);
        }
    }
}

/// Whether `text` can be the value of a tag in a goal such as `http_reqs{name:issue}`.
pub(super) fn is_tag(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|ch| ch.is_alphanumeric() || "-_.:/".contains(ch))
}

pub(super) fn validate_stages(c: &mut Context<'_>) {
    for (name, scenario) in &c.profile.scenarios {
        let Executor::RampingVus { stages, .. } = &scenario.executor else { continue };
        if stages.is_empty() {
            c.problem(path(name, "stages"), "there is no stage; write at least {duration: 10s, target: 100}");
        } else if stages.iter().all(|s| s.duration.0.is_zero()) {
            c.problem(path(name, "stages"), "the stages take no time at all; give one a duration above 0s");
        }
    }
}

pub(super) fn validate_vus(c: &mut Context<'_>) {
    for (name, scenario) in &c.profile.scenarios {
        let (key, vus) = match &scenario.executor {
            Executor::ConstantVus { vus, .. } => ("vus", *vus),
            Executor::ConstantArrivalRate { max_vus, .. } => ("maxVUs", *max_vus),
            Executor::RampingVus { stages, .. } if stages.is_empty() => continue,
            Executor::RampingVus { start_vus, stages } => {
                ("stages", stages.iter().map(|s| s.target).max().unwrap_or(0).max(*start_vus))
            }
        };
        if vus == 0 {
            c.problem(path(name, key), format!("zero virtual users send nothing; allowed: 1 to {MOST_VUS}"));
        } else if vus > MOST_VUS {
            c.problem(path(name, key), format!("{vus} virtual users are too many; allowed: 1 to {MOST_VUS}"));
        }
    }
}

pub(super) fn validate_rate(c: &mut Context<'_>) {
    for (name, scenario) in &c.profile.scenarios {
        if let Executor::ConstantArrivalRate { rate, .. } = scenario.executor
            && !(rate > 0.0 && rate <= 1_000_000.0)
        {
            c.problem(path(name, "rate"), format!("{rate} is out of range; allowed: above 0, to 1000000 a second"));
        }
    }
}

pub(super) fn validate_durations(c: &mut Context<'_>) {
    let day = HumanDuration::from_secs(86_400);
    for (name, scenario) in &c.profile.scenarios {
        let mut durations = vec![("timeout".to_owned(), scenario.timeout, true)];
        match &scenario.executor {
            Executor::ConstantVus { duration, .. } | Executor::ConstantArrivalRate { duration, .. } => {
                durations.push(("duration".into(), *duration, true));
            }
            Executor::RampingVus { stages, .. } => {
                let each = stages.iter().enumerate();
                durations.extend(each.map(|(i, s)| (format!("stages[{i}].duration"), s.duration, false)));
            }
        }
        durations.extend(scenario.think.map(|think| ("think".to_owned(), think, false)));
        for (key, duration, positive) in durations {
            if positive && duration.0.is_zero() {
                c.problem(path(name, &key), "it must be longer than 0s");
            } else if duration > day {
                c.problem(path(name, &key), format!("{duration} is longer than a day"));
            }
        }
    }
}

pub(super) fn validate_once(c: &mut Context<'_>) {
    for (name, scenario) in &c.profile.scenarios {
        if !scenario.requests.is_empty() && scenario.requests.iter().all(|r| r.once) {
            let message = "every request is `once`, so nothing is left for the second iteration; take it from one";
            c.problem(path(name, "requests"), message);
        }
    }
}

pub(super) fn warn_of_useless_think(c: &mut Context<'_>) {
    for (name, scenario) in &c.profile.scenarios {
        if scenario.think.is_some() && matches!(scenario.executor, Executor::ConstantArrivalRate { .. }) {
            c.warn(path(name, "think"), "`think` is of no effect: the rate decides when an iteration begins");
        }
    }
}
