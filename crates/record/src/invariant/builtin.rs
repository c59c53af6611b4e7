//! The invariants that belong to a system: files that are part of the program.

use std::collections::BTreeMap;

use base::yaml::{
    problem::Place,
    tree::{self, Kind, Value},
};
use contract::{claim, system::System};

use super::Listed;

const KIND: Kind = Kind { name: "file of invariants", needs: "one check", refuse: |_| None, strict: false };
/// What turns an invariant red stands beside it, for tests alone: it is dropped, so that nothing of the program holds it.
const PLANT: &str = "plant";

/// The files of a system, each with the kind of claims that it is about.
fn files(system: System) -> &'static [(claim::Kind, &'static str)] {
    match system {
        System::Ecommerce => &[(claim::Kind::Point, include_str!("ecommerce/points.yaml"))],
        System::Fcfs => &[],
    }
}

/// The invariants that belong to `system`; none for one that has none.
pub fn built_in(system: System) -> Vec<Listed> {
    files(system).iter().flat_map(|(_, text)| read(text)).collect()
}

/// The ids of the invariants of `system`, each with the kind of claims that it is about.
pub fn kinds(system: System) -> BTreeMap<String, claim::Kind> {
    let of = |(kind, text): &(claim::Kind, &'static str)| {
        let kind = *kind;
        read(text).into_iter().map(move |listed| (listed.id, kind))
    };
    files(system).iter().flat_map(of).collect()
}

/// The files are ours, and a test reads each: one that is wrong has no entries, and so none of its ids.
fn read(text: &str) -> Vec<Listed> {
    let place = |line, column| Place::File { line, column };
    let Ok(Value::Map(entries)) = tree::parse(text, &KIND, &place).map(|root| root.value) else { return Vec::new() };
    let listed = entries.into_iter().filter_map(|mut entry| {
        if let Value::Map(keys) = &mut entry.node.value {
            keys.retain(|key| key.key != PLANT);
        }
        let invariant = serde_json::from_value(entry.node.to_json()).ok()?;
        Some(Listed { id: entry.key, built_in: true, invariant })
    });
    listed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::problems;

    /// A file that cannot be read would silently check nothing.
    #[test]
    fn every_built_in_invariant_is_read_and_obeys_the_rules() {
        let ids: Vec<String> = built_in(System::Ecommerce).into_iter().map(|listed| listed.id).collect();
        assert_eq!(ids, ["PT1", "PT2", "PT3", "PT4", "PT5"]);
        assert_eq!(kinds(System::Ecommerce).get("PT3"), Some(&claim::Kind::Point));
        assert_eq!((kinds(System::Ecommerce).get("CP1"), kinds(System::Fcfs).get("PT3")), (None, None));
        for Listed { id, invariant, .. } in System::ALL.into_iter().flat_map(built_in) {
            assert_eq!(problems(&id, &invariant), Vec::new(), "{id}");
            assert!(invariant.exercised.is_some(), "{id} could never hold");
        }
    }

    /// No type of the program has a place for it, so that no path can lead there from a profile or a command line.
    #[test]
    fn what_breaks_data_on_purpose_is_not_kept() {
        let kept = serde_json::to_string(&built_in(System::Ecommerce)).unwrap();
        for words in ["plant", "UPDATE", "INSERT"] {
            assert!(!kept.contains(words), "{words}");
        }
    }
}
