//! Verdicts of several things and of all checks together.

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

/// Nothing to look at is not applicable only where that is known, and proves nothing either way.
#[test]
fn a_check_without_claims_says_whether_there_ought_to_be_some() {
    for (is_claimed, verdict, says) in [
        (Ok(false), Verdict::NotApplicable, "nothing of this run claims a coupon"),
        (Ok(true), Verdict::Unknown, "not among what is to be proven"),
        (Err("no ledger".to_owned()), Verdict::Unknown, "whether anything claims a coupon is not known: no ledger"),
    ] {
        let result = merge("CP5", Some(Kind::Coupon), Vec::new(), || is_claimed);
        assert_eq!((result.id.as_str(), result.verdict), ("CP5", verdict));
        assert!(result.evidence.contains(says), "{}", result.evidence);
        assert_eq!(overall(std::slice::from_ref(&result), &["CP5".into()], true), Overall::Unproven);
    }
    let said = vec![("coupon 1".to_owned(), CheckOutcome::Holds("none lost".into()))];
    assert_eq!(
        merge("CP5", Some(Kind::Coupon), said, || Ok(false)).verdict,
        Verdict::Holds,
        "what was looked at counts"
    );
}

/// A profile that claims nothing proves nothing and lacks nothing; what it requires all the same is not proven.
#[test]
fn where_nothing_is_claimed_there_is_nothing_to_prove() {
    let unknown = [result("CP1", Verdict::Unknown)];
    assert_eq!(overall(&unknown, &[], false), Overall::NothingToProve);
    assert_eq!(overall(&unknown, &["CP1".into()], false), Overall::Unproven);
    assert_eq!(overall(&unknown, &[], true), Overall::Unproven);
}

/// What the system has none of is told apart from what is not known, and from what ecomctl has never heard of.
#[test]
fn a_required_check_that_nobody_answers_is_no_pass() {
    let required = ["CP1".to_owned(), "CP11".to_owned(), "PT6".to_owned()];
    let results = complete(vec![result("CP1", Verdict::Holds)], &required, System::Fcfs);
    let verdicts: Vec<_> = results.iter().map(|result| (result.id.as_str(), result.verdict)).collect();
    assert_eq!(verdicts, [("CP1", Verdict::Holds), ("CP11", Verdict::Unknown), ("PT6", Verdict::NotApplicable)]);
    assert!(results[2].evidence.contains("the system fcfs"), "{results:?}");
    for id in &required[1..] {
        assert_eq!(overall(&results, std::slice::from_ref(id), true), Overall::Unproven);
    }
    assert_eq!(overall(&results[2..], &[], true), Overall::Unproven, "nothing holds");
    assert_eq!(overall(&results, &[], true), Overall::Consistent, "it is not missing");
}
