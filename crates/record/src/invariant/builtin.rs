//! The invariants that belong to a system: files that are part of the program.

use std::collections::BTreeMap;

use base::yaml::{
    problem::Place,
    tree::{self, Kind, Value},
};
use contract::{claim, system::System};
use include_dir::{Dir, File, include_dir};

use super::Listed;

const KIND: Kind = Kind { name: "file of invariants", needs: "one check", refuse: |_| None, strict: false };
/// What turns an invariant red stands beside it, for tests alone: it is dropped, so that nothing of the program holds it.
const PLANT: &str = "plant";

/// One folder a system, called as it is; whoever adds a file adds its checks.
static FOLDERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/invariant");

/// The files of a system, in the order of their names.
fn files(system: System) -> Vec<&'static str> {
    let files = FOLDERS.get_dir(system.name()).map(Dir::files).into_iter().flatten();
    let mut files: Vec<_> = files.filter(|file| file.path().extension().is_some_and(|kind| kind == "yaml")).collect();
    files.sort_by_key(|file| file.path());
    files.into_iter().filter_map(File::contents_utf8).collect()
}

/// The invariants that belong to `system`; none for one that has none.
pub fn built_in(system: System) -> Vec<Listed> {
    files(system).into_iter().flat_map(read).collect()
}

/// The ids of the invariants of `system`, each with the kind of claims that it is about: the kind whose checks begin with
/// the same letters.
pub fn kinds(system: System) -> BTreeMap<String, claim::Kind> {
    let of = |listed: Listed| Some((listed.id.clone(), kind_of(&listed.id)?));
    built_in(system).into_iter().filter_map(of).collect()
}

fn kind_of(id: &str) -> Option<claim::Kind> {
    let letters = |id: &str| id.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    let has = |kind: &claim::Kind| kind.description().checks.iter().any(|(check, _)| letters(check) == letters(id));
    claim::Kind::ALL.into_iter().find(has)
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
            assert!(kind_of(&id).is_some(), "{id} is about nothing that can be claimed");
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
