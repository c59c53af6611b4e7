//! Cases from `tests/*.yaml`, and random worlds that are in order until something is changed in them.

mod cases;
mod properties;

use super::*;

fn result(id: &str, verdict: Verdict) -> CheckResult {
    CheckResult { id: id.into(), verdict, severity: Severity::Violation, evidence: String::new(), rows: Vec::new() }
}

#[test]
fn the_worst_decides_and_unknown_is_never_a_pass() {
    use Verdict::{Holds, Unknown, Violated};
    let require = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (results, required, expected) in [
        (vec![("CP1", Holds), ("CP5", Holds)], vec!["CP5"], Overall::Consistent),
        (vec![("CP1", Holds), ("CP5", Unknown)], vec!["CP5"], Overall::Unproven),
        (vec![("CP1", Unknown), ("CP5", Holds)], vec!["CP5"], Overall::Consistent),
        (vec![("CP1", Violated), ("CP5", Holds)], vec!["CP5"], Overall::Violated),
        (vec![("CP1", Holds), ("CP5", Unknown)], vec![], Overall::Consistent),
        (vec![("CP1", Unknown)], vec![], Overall::Unproven),
        (vec![("CP1", Holds)], vec!["CP99"], Overall::Unproven),
    ] {
        let results: Vec<CheckResult> = results.into_iter().map(|(id, verdict)| result(id, verdict)).collect();
        assert_eq!(overall(&results, &require(&required), true), expected, "{results:?} {required:?}");
    }
}

/// A profile that claims nothing proves nothing and lacks nothing; what it requires all the same is not proven.
#[test]
fn where_nothing_is_claimed_there_is_nothing_to_prove() {
    let unknown = [result("CP1", Verdict::Unknown)];
    assert_eq!(overall(&unknown, &[], false), Overall::NothingToProve);
    assert_eq!(overall(&unknown, &["CP1".into()], false), Overall::Unproven);
    assert_eq!(overall(&unknown, &[], true), Overall::Unproven);
}

#[test]
fn a_required_check_that_does_not_exist_is_unknown() {
    let world = crate::testing::world(&[]);
    let inputs = Inputs { sets: &world.sets, ledger: &world.ledger, sent: &world.context.sent, invariants: &[] };
    let results = all(&inputs, &["CP11".into()]);
    let found = results.iter().find(|result| result.id == "CP11").unwrap();
    assert_eq!(found.verdict, Verdict::Unknown);
    assert!(results.iter().all(|result| result.verdict == Verdict::Unknown), "nothing was looked at: {results:?}");
}
