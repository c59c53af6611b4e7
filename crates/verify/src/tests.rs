use record::event::names::Severity;

use super::*;

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
