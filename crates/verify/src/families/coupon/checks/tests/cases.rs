//! One case: what was read in a few lines, and what each check must say.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use crate::{
    families::coupon::testing::{Sketch, world},
    model::Verdict,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// One coupon, or several.
    #[serde(default)]
    coupons: Vec<Sketch>,
    /// Check → verdict. A check that is not listed must not be violated.
    expect: BTreeMap<String, Verdict>,
    /// Check → text that its evidence contains.
    #[serde(default)]
    evidence: BTreeMap<String, String>,
    /// Check → the offenders it lists, all of them.
    #[serde(default)]
    offenders: BTreeMap<String, Vec<String>>,
}

#[test]
fn every_case_gets_its_verdicts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/coupon");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<String, Vec<Verdict>> = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let cases: Vec<Case> = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        for case in cases {
            wrong.extend(judge(&case, &file));
            for (id, verdict) in case.expect {
                seen.entry(id).or_default().push(verdict);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for id in super::super::ALL.map(|(id, _)| id).into_iter().chain(["SY1"]) {
        for verdict in [Verdict::Holds, Verdict::Violated, Verdict::Unknown] {
            assert!(seen.get(id).is_some_and(|all| all.contains(&verdict)), "no case in which {id} is {verdict:?}");
        }
    }
}

/// Everything that is not as the case says.
fn judge(case: &Case, file: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut say = |id: &str, text: String| wrong.push(format!("{}: {}: {id}: {text}", file.display(), case.name));
    let results = world(&case.coupons).check();
    for (id, result) in &results {
        let right = match case.expect.get(id) {
            Some(expected) => result.verdict == *expected,
            None => result.verdict != Verdict::Violated,
        };
        if !right {
            say(id, format!("{:?}: {}", result.verdict, result.evidence));
        }
    }
    for id in case.expect.keys().filter(|id| !results.contains_key(*id)) {
        say(id, "there is no such check".into());
    }
    for (id, text) in &case.evidence {
        let evidence = &results[id].evidence;
        if !evidence.contains(text) {
            say(id, format!("says `{evidence}`, not `{text}`"));
        }
    }
    for (id, offenders) in &case.offenders {
        if &results[id].rows != offenders {
            say(id, format!("lists {:?}", results[id].rows));
        }
    }
    wrong
}
