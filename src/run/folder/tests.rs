use super::*;

#[test]
fn runs_are_found_by_name_or_beginning_and_come_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let now: jiff::Timestamp = "2026-11-21T06:00:00Z".parse().unwrap();
    let file = RunFile {
        schema_version: SCHEMA_VERSION,
        profile: "x".into(),
        started_at: now.to_string(),
        proven: Proven { subjects: vec![SubjectPlan { claim: Claim::coupon(1), total: 10, name: None }] },
        require: vec!["CP5".into()],
        origin_unix_ns: 0,
        sent: [(Claim::coupon(1), 12)].into(),
        epochs: Some([(Claim::coupon(1), "a:b:7".to_owned())].into()),
        invariants: Vec::new(),
        process: None,
        control: None,
    };
    for profile in ["a/../b", "a/../b", "quick"] {
        RunFolder::create(folder.path(), profile, now).unwrap().write(&file).unwrap();
    }
    let names: Vec<_> = RunFolder::list(folder.path()).unwrap().iter().map(RunFolder::name).collect();
    assert_eq!(names, ["20261121T060000Z-a----b", "20261121T060000Z-a----b-2", "20261121T060000Z-quick"]);
    let found = RunFolder::find(folder.path(), "20261121T060000Z-q").unwrap().unwrap();
    assert_eq!(found.read().unwrap(), file);
    assert_eq!(RunFolder::find(folder.path(), "2026").unwrap(), None, "several begin so");
}

/// A name is readable in the script in which it was written, and never longer than a folder's name may be.
#[test]
fn names_of_profiles_stay_readable() {
    for (profile, name) in [("선착순 쿠폰_2", "선착순-쿠폰_2"), ("café", "café"), ("a/../b", "a----b"), ("", "")]
    {
        assert_eq!(safe(profile), name);
    }
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), &"쿠폰".repeat(100), jiff::Timestamp::UNIX_EPOCH).unwrap();
    assert!(run.name().starts_with("19700101T000000Z-쿠폰쿠폰") && run.name().len() < 128, "{}", run.name());
}

/// Room for the summary is kept from the beginning, and what a folder takes is counted.
#[test]
fn room_is_kept_and_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "x", jiff::Timestamp::UNIX_EPOCH).unwrap();
    run.reserve().unwrap();
    std::fs::write(run.logs().join("a.log"), "12345").unwrap();
    assert_eq!(RunFolder::size(folder.path()), RESERVED as u64 + 5);
    run.release();
    run.release();
    assert_eq!(RunFolder::size(folder.path()), 5);
}

#[test]
fn what_version_1_counted_was_for_coupons() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "x", jiff::Timestamp::UNIX_EPOCH).unwrap();
    let older = r#"{"schema_version":1,"profile":"x","started_at":"","coupons":[[7,10]],"require":[],"origin_unix_ns":0,"sent":{"7":12},"process":null}"#;
    std::fs::write(run.path().join("run.json"), older).unwrap();
    assert_eq!(run.read().unwrap().sent, [(Claim::coupon(7), 12)].into());
}

#[test]
fn a_newer_run_is_refused_with_a_clear_word() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "x", jiff::Timestamp::UNIX_EPOCH).unwrap();
    let newer = r#"{"schema_version":9,"profile":"x","started_at":"","coupons":[],"require":[],"origin_unix_ns":0,"process":null}"#;
    std::fs::write(run.path().join("run.json"), newer).unwrap();
    assert!(run.read().unwrap_err().to_string().contains("newer ecomctl"));
}
