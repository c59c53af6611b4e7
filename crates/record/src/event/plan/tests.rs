use super::*;

/// Recordings and folders of version 0.1 say what was proven in two ways; both mean what they meant.
#[test]
fn what_older_versions_proved_is_read() {
    let subject = |name: Option<&str>| SubjectPlan { claim: Claim::coupon(7), total: 10, name: name.map(Into::into) };
    for (text, read) in [
        (r#"{"coupons":[{"id":7,"total":10,"name":"x"}]}"#, vec![subject(Some("x"))]),
        (r#"{"coupons":[[7,10]]}"#, vec![subject(None)]),
        (r#"{"subjects":[{"claim":"coupon:7","total":10}]}"#, vec![subject(None)]),
        ("{}", vec![]),
    ] {
        let proven: Proven = serde_json::from_str(text).unwrap();
        assert_eq!(proven.subjects, read, "{text}");
        let written = serde_json::to_string(&proven).unwrap();
        assert_eq!(serde_json::from_str::<Proven>(&written).unwrap(), proven);
    }
    let written = serde_json::to_string(&Proven { subjects: vec![subject(None)] }).unwrap();
    assert_eq!(written, r#"{"subjects":[{"claim":"coupon:7","total":10}]}"#);
}
