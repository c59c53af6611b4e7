//! In which order services start.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Project;

/// Waves of services: each waits for services of earlier waves only. They stop in reverse order.
pub fn order(project: &Project) -> Vec<Vec<String>> {
    let edges = project.services.iter();
    let edges = edges.map(|(name, s)| (name.as_str(), s.depends_on.keys().map(String::as_str).collect())).collect();
    // A loaded project has no cycle; of one that was changed by hand the services that can start do.
    let waves = waves(&edges).unwrap_or_else(|cycle| vec![cycle]);
    waves.into_iter().map(|wave| wave.into_iter().map(str::to_owned).collect()).collect()
}

/// Waves of names; an edge to a name that is not there counts for nothing.
///
/// # Errors
/// The names of one cycle, each waiting for the next.
pub(super) fn waves<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Result<Vec<Vec<&'a str>>, Vec<&'a str>> {
    let mut left: BTreeMap<&str, BTreeSet<&str>> = edges
        .iter()
        .map(|(name, others)| (*name, others.iter().copied().filter(|o| edges.contains_key(o)).collect()))
        .collect();
    let mut waves = Vec::new();
    while !left.is_empty() {
        let ready: Vec<&str> = left.iter().filter(|(_, others)| others.is_empty()).map(|(name, _)| *name).collect();
        if ready.is_empty() {
            return Err(cycle(&left));
        }
        left.retain(|name, _| !ready.contains(name));
        for others in left.values_mut() {
            others.retain(|other| !ready.contains(other));
        }
        waves.push(ready);
    }
    Ok(waves)
}

/// One cycle, where every name waits for another.
fn cycle<'a>(left: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<&'a str> {
    let mut way: Vec<&str> = Vec::new();
    let mut next = left.keys().next().copied();
    while let Some(name) = next {
        if let Some(start) = way.iter().position(|seen| *seen == name) {
            return way.split_off(start);
        }
        way.push(name);
        next = left.get(name).and_then(|others| others.first().copied());
    }
    way
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edges<'a>(list: &[(&'a str, &[&'a str])]) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
        list.iter().map(|(name, others)| (*name, others.iter().copied().collect())).collect()
    }

    #[test]
    fn what_waits_comes_later_and_a_circle_is_named() {
        let found = waves(&edges(&[("api", &["redis", "mysql"]), ("mysql", &[]), ("redis", &[]), ("ui", &["api"])]));
        assert_eq!(found, Ok(vec![vec!["mysql", "redis"], vec!["api"], vec!["ui"]]));
        let found = waves(&edges(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])]));
        assert_eq!(found, Err(vec!["b", "c"]));
        assert_eq!(waves(&edges(&[("a", &["a"])])), Err(vec!["a"]));
    }

    proptest! {
        #[test]
        fn waves_hold_every_name_once_and_respect_every_edge(list in proptest::collection::vec((0_u8..12, 0_u8..12), 0..30)) {
            let names: Vec<String> = (0..12).map(|n| format!("s{n:02}")).collect();
            let mut edges: BTreeMap<&str, BTreeSet<&str>> = names.iter().map(|n| (n.as_str(), BTreeSet::new())).collect();
            for (a, b) in list {
                edges.get_mut(names[a as usize].as_str()).unwrap().insert(&names[b as usize]);
            }
            match waves(&edges) {
                Ok(waves) => {
                    let at: BTreeMap<_, _> =
                        waves.iter().enumerate().flat_map(|(i, w)| w.iter().map(move |n| (*n, i))).collect();
                    prop_assert_eq!(waves.iter().map(Vec::len).sum::<usize>(), 12);
                    prop_assert!(edges.iter().all(|(name, others)| others.iter().all(|o| at[o] < at[name])));
                }
                Err(cycle) => {
                    let next = cycle.iter().cycle().skip(1);
                    prop_assert!(cycle.iter().zip(next).all(|(name, other)| edges[name].contains(other)));
                }
            }
        }
    }
}
