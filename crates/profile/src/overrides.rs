//! What the command line changes in a profile for one run.

use std::time::Duration;

use base::yaml::tree::{self, Entry, Node, Value};
use contract::human::HumanDuration;

use super::{
    model::{Executor, Profile},
    problem::{Place, ProfileError},
    schema::ALIASES,
    shape::is_secret,
    validate::MOST_VUS,
    vars::PROFILE,
};

/// Flags that change a profile for one run. None: as the profile has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// `--set backend.consumers=6`: key path and YAML value. `stages[1]` or `stages.1` is a list's second entry;
    /// a key with a dot in it is quoted: `goals."a.b"`.
    pub set: Vec<String>,
    /// `-e USERS=500`: values for `${USERS}`.
    pub env: Vec<String>,
    /// `--vus`: virtual users of every scenario. A ramp is scaled so that this is its highest point.
    pub vus: Option<u32>,
    /// `--duration`: length of every scenario. The stages of a ramp are scaled.
    pub duration: Option<HumanDuration>,
    /// `--rps`: iterations per second of the scenarios that have a rate.
    pub rps: Option<f64>,
}

/// Applies `--set` to the tree.
pub(crate) fn apply_set(root: &mut Node, items: &[String]) -> Result<(), ProfileError> {
    for item in items {
        let (path, text) = split(item).ok_or_else(|| ProfileError::Override {
            flag: format!("--set {item}"),
            why: "write PATH=VALUE, as in backend.consumers=6".into(),
        })?;
        let flag = if is_secret(path) { format!("--set {path}=***") } else { format!("--set {item}") };
        let fail = |why: String| ProfileError::Override { flag: flag.clone(), why };
        let segments = segments(path).map_err(fail)?;
        let place = Place::Flag(flag.clone());
        let value = if text.trim().is_empty() {
            Node { place: place.clone(), value: Value::Null }
        } else {
            tree::parse(text, &PROFILE, &|_, _| place.clone())
                .map_err(|problems| fail(problems.first().map_or_else(String::new, |p| p.message.clone())))?
        };
        set(root, &segments, value, &place).map_err(fail)?;
    }
    Ok(())
}

/// Splits at the first `=` outside quotes.
fn split(item: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let at = item.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == '=' && !quoted
    })?;
    (at.0 > 0).then(|| (&item[..at.0], &item[at.0 + 1..]))
}

/// `a.b[1]."c.d"` → a, b, 1, c.d
fn segments(path: &str) -> Result<Vec<String>, String> {
    let mut segments = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (segment, after) = if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').ok_or("a quote is not closed")?;
            (&quoted[..end], &quoted[end + 1..])
        } else if let Some(index) = rest.strip_prefix('[') {
            let end = index.find(']').ok_or("a `[` is not closed")?;
            (&index[..end], &index[end + 1..])
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            (&rest[..end], &rest[end..])
        };
        if segment.is_empty() {
            return Err("the path has an empty part".into());
        }
        segments.push(segment.to_owned());
        rest = match after.strip_prefix('.') {
            Some("") => return Err("the path ends in a dot".into()),
            Some(next) => next,
            None if after.is_empty() || after.starts_with('[') => after,
            None => return Err(format!("there is no dot before `{after}`")),
        };
    }
    if segments.len() > 16 { Err("the path has too many parts".into()) } else { Ok(segments) }
}

fn set(node: &mut Node, segments: &[String], value: Node, place: &Place) -> Result<(), String> {
    let Some((first, rest)) = segments.split_first() else {
        *node = value;
        return Ok(());
    };
    if node.value == Value::Null {
        *node = Node { place: place.clone(), value: Value::Map(Vec::new()) };
    }
    match &mut node.value {
        Value::Map(entries) => {
            let canonical = ALIASES.iter().find(|(alias, _)| alias == first).map(|(_, key)| *key);
            let present = |key: &str| entries.iter().any(|e| e.key == key);
            let key = canonical.filter(|key| present(key)).unwrap_or(first).to_owned();
            if !present(&key) {
                let node = Node { place: place.clone(), value: Value::Null };
                entries.push(Entry { key: key.clone(), place: place.clone(), node });
            }
            let Some(entry) = entries.iter_mut().find(|e| e.key == key) else { return Ok(()) };
            if rest.is_empty() {
                entry.place = place.clone();
            }
            set(&mut entry.node, rest, value, place)
        }
        Value::List(items) => {
            let index: usize = first.parse().map_err(|_| format!("`{first}` is not the number of an entry"))?;
            if index == items.len() {
                items.push(Node { place: place.clone(), value: Value::Null });
            }
            let length = items.len();
            let item = items.get_mut(index).ok_or_else(|| format!("entry {index} of a list of {length}"))?;
            set(item, rest, value, place)
        }
        _ => Err(format!("`{first}` stands below a value that is no map and no list")),
    }
}

/// Applies `--vus`, `--duration` and `--rps`.
pub(crate) fn apply_flags(profile: &mut Profile, overrides: &Overrides) -> Result<(), ProfileError> {
    let fail = |flag: String, why: &str| Err(ProfileError::Override { flag, why: why.into() });
    if let Some(vus) = overrides.vus {
        if !(1..=MOST_VUS).contains(&vus) {
            return fail(format!("--vus {vus}"), &format!("allowed: 1 to {MOST_VUS}"));
        }
        profile.scenarios.values_mut().for_each(|s| set_vus(&mut s.executor, vus));
    }
    if let Some(duration) = overrides.duration {
        if duration.0.is_zero() {
            return fail(format!("--duration {duration}"), "it must be longer than 0");
        }
        profile.scenarios.values_mut().for_each(|s| set_duration(&mut s.executor, duration));
    }
    if let Some(rps) = overrides.rps {
        if !(rps.is_finite() && rps > 0.0) {
            return fail(format!("--rps {rps}"), "it must be a number above 0");
        }
        let mut found = false;
        for scenario in profile.scenarios.values_mut() {
            if let Executor::ConstantArrivalRate { rate, .. } = &mut scenario.executor {
                (*rate, found) = (rps, true);
            }
        }
        if !found {
            return fail(
                format!("--rps {rps}"),
                "no scenario of this profile has a rate; `executor: constant-arrival-rate` has one",
            );
        }
    }
    Ok(())
}

fn set_vus(executor: &mut Executor, vus: u32) {
    match executor {
        Executor::ConstantVus { vus: old, .. } | Executor::ConstantArrivalRate { max_vus: old, .. } => *old = vus,
        Executor::RampingVus { start_vus, stages } => {
            let highest = stages.iter().map(|s| s.target).max().unwrap_or(0).max(*start_vus);
            if highest == 0 {
                return;
            }
            let scale = |n: u32| (u64::from(n) * u64::from(vus)).div_ceil(u64::from(highest)) as u32;
            *start_vus = scale(*start_vus);
            for stage in stages {
                stage.target = scale(stage.target);
            }
        }
    }
}

fn set_duration(executor: &mut Executor, wanted: HumanDuration) {
    match executor {
        Executor::ConstantVus { duration, .. } | Executor::ConstantArrivalRate { duration, .. } => *duration = wanted,
        Executor::RampingVus { stages, .. } => {
            let total: u128 = stages.iter().map(|s| s.duration.0.as_micros()).sum();
            if total == 0 {
                return;
            }
            // Ends are scaled, not lengths, so that rounding never changes the sum.
            let (mut end, mut scaled_end) = (0, 0);
            for stage in stages {
                end += stage.duration.0.as_micros();
                let next = wanted.0.as_micros().saturating_mul(end) / total;
                stage.duration = HumanDuration(Duration::from_micros((next - scaled_end) as u64));
                scaled_end = next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Stage;

    fn tree(text: &str) -> Node {
        tree::parse(text, &PROFILE, &|line, column| Place::File { line, column }).unwrap()
    }

    #[test]
    fn values_are_set_added_and_appended() {
        let mut root = tree("a: {b: [1, 2]}\nc:\n");
        let items = ["a.b[1]=x", "a.b.2={y: 1}", "a.new.deep=[1]", "c.d=true", "goals.\"m{n:x=y}\"=[p]"];
        apply_set(&mut root, &items.map(String::from)).unwrap();
        let wanted = serde_json::json!({
            "a": {"b": [1, "x", {"y": 1}], "new": {"deep": [1]}}, "c": {"d": true}, "goals": {"m{n:x=y}": ["p"]}
        });
        assert_eq!(root.to_json(), wanted);
    }

    #[test]
    fn bad_paths_and_values_are_refused() {
        for item in ["", "a", "=1", "a..b=1", "a.=1", "a[=1", "a.\"b=1", "b[9]=1", "b.x=1", "c.d=1", "a=[", "a=*x"] {
            let mut root = tree("b: [1]\nc: 1\n");
            assert!(apply_set(&mut root, &[item.to_owned()]).is_err(), "{item} was taken");
        }
    }

    proptest! {
        #[test]
        fn no_item_panics(item in ".{0,40}") {
            let _ = apply_set(&mut tree("b: [1]\nc: 1\n"), &[item]);
        }

        #[test]
        fn a_scaled_ramp_has_the_length_and_height_asked_for(
            stages in prop::collection::vec((1_u64..100_000, 0_u32..10_000), 1..8),
            millis in 1_u64..10_000_000, vus in 1_u32..100_000,
        ) {
            let stages: Vec<Stage> = stages.into_iter()
                .map(|(ms, target)| Stage { duration: HumanDuration::from_millis(ms), target }).collect();
            let idle = stages.iter().all(|s| s.target == 0);
            let mut executor = Executor::RampingVus { start_vus: 0, stages };
            set_duration(&mut executor, HumanDuration::from_millis(millis));
            set_vus(&mut executor, vus);
            let Executor::RampingVus { stages, .. } = executor else { unreachable!() };
            prop_assert_eq!(stages.iter().map(|s| s.duration.0).sum::<Duration>(), Duration::from_millis(millis));
            prop_assert_eq!(stages.iter().map(|s| s.target).max(), Some(if idle { 0 } else { vus }));
        }
    }
}
