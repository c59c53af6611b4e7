use record::event::names::Severity;

use super::*;

/// Checks of a kind that is required and not claimed are not applicable; without a ledger nobody knows what was claimed.
#[test]
fn what_a_run_claims_none_of_is_not_applicable_to_it() {
    let folder = tempfile::tempdir().unwrap();
    ledger::LedgerWriter::create(folder.path(), 0).unwrap().finish().unwrap();
    let verdicts = |ledger: Known<&Path>, sent: &[Claim], require: &[&str]| {
        let context = Context {
            sent: sent.iter().map(|claim| (*claim, 0)).collect(),
            require: require.iter().map(|id| (*id).to_owned()).collect(),
            ..Context::default()
        };
        let report = Court::hear(ledger, &[], context).judge();
        let of = |check: &CheckResult| (check.id.clone(), check.verdict);
        (report.verdict, report.checks.iter().map(of).collect::<BTreeMap<_, _>>())
    };
    let point = Claim { kind: Kind::Point, id: None };
    let (overall, checks) = verdicts(Ok(folder.path()), &[point], &["CP5"]);
    assert_eq!((checks["CP5"], checks["CP10"]), (Verdict::NotApplicable, Verdict::NotApplicable));
    assert_eq!((checks["PT6"], overall), (Verdict::Unknown, Overall::Unproven), "points were to be claimed");
    let (overall, checks) = verdicts(Ok(folder.path()), &[], &[]);
    assert!(checks.values().all(|verdict| *verdict == Verdict::NotApplicable), "{checks:?}");
    assert_eq!((overall, checks.len()), (Overall::NothingToProve, 14));
    let (_, checks) = verdicts(Err("no ledger".into()), &[], &[]);
    assert!(checks.values().all(|verdict| *verdict == Verdict::Unknown), "{checks:?}");
}

/// A run of one kind says nothing of the balances that it never touched, unless they are wrong.
#[test]
fn invariants_of_what_nobody_claimed_are_told_only_where_they_are_violated() {
    let told = |claim: Claim, verdict: Verdict, require: &[&str]| {
        let check = CheckResult {
            id: "PT1".into(),
            verdict,
            severity: Severity::Violation,
            evidence: String::new(),
            rows: Vec::new(),
        };
        let context = Context {
            sent: [(claim, 1)].into(),
            require: require.iter().map(|id| (*id).to_owned()).collect(),
            invariants: invariants::Judged { checks: vec![check], ..invariants::Judged::default() },
            ..Context::default()
        };
        let report = Court::hear(Err("no ledger".into()), &[], context).judge();
        report.checks.iter().any(|check| check.id == "PT1")
    };
    let point = Claim { kind: Kind::Point, id: None };
    assert!(!told(Claim::coupon(1), Verdict::Unknown, &[]));
    assert!(!told(Claim::coupon(1), Verdict::Holds, &[]));
    assert!(told(Claim::coupon(1), Verdict::Violated, &[]));
    assert!(told(Claim::coupon(1), Verdict::Unknown, &["PT1"]));
    assert!(told(point, Verdict::Unknown, &[]));
}
