use super::*;

fn run(runs: &Path, profile: &str, files: &[(&str, &str)]) -> RunFolder {
    let run = RunFolder::create(runs, profile, jiff::Timestamp::UNIX_EPOCH).unwrap();
    for (name, text) in files {
        std::fs::write(run.path().join(name), text).unwrap();
    }
    run
}

/// One run that nobody can read is listed with the reason, and the others are listed as they are.
#[test]
fn a_run_that_cannot_be_read_is_a_row_with_its_reason() {
    const GOOD: &str = r#"{"schema_version":1,"profile":"p","started_at":"t","coupons":[],"require":[],"origin_unix_ns":0,"process":null}"#;
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "a", &[("run.json", GOOD)]);
    run(folder.path(), "b", &[("run.json", r#"{"schema_version":9,"what":"else"}"#)]);
    run(folder.path(), "c", &[("run.json", &GOOD[..40])]);
    run(folder.path(), "d", &[("run.json", GOOD), ("summary.json", r#"{"schema_v"#)]);
    run(folder.path(), "e", &[("run.json", GOOD), ("summary.json", r#"{"schema_version":99}"#)]);
    // A file that may not be read is one for root too when it is a link in a ring.
    let ring = run(folder.path(), "f", &[]);
    std::os::unix::fs::symlink("run.json", ring.path().join("run.json")).unwrap();
    run(folder.path(), "g", &[("notes.txt", "no run")]);

    let rows: Vec<Row> = RunFolder::list(folder.path()).unwrap().iter().map(Row::of).collect();
    let wanted = [
        ("a", "broken off", ""),
        ("b", "unreadable", "run.json was written by a newer ecomctl (schema 9"),
        ("c", "unreadable", "run.json is damaged"),
        ("d", "unreadable", "summary.json is damaged"),
        ("e", "unreadable", "summary.json was written by a newer ecomctl"),
        ("f", "unreadable", "run.json cannot be read"),
    ];
    assert_eq!(rows.len(), wanted.len(), "{rows:#?}");
    for (row, (name, state, why)) in rows.iter().zip(wanted) {
        assert!(row.run.ends_with(name) && row.state == state, "{row:?}");
        assert_eq!(row.unreadable.is_some(), state == "unreadable", "{row:?}");
        assert!(row.unreadable.as_deref().unwrap_or_default().contains(why), "{row:?}");
    }
}

/// The last run is the last one, also when it cannot be read: then that is told of it, and not another one shown.
#[test]
fn a_summary_that_cannot_be_read_names_its_run() {
    let folder = tempfile::tempdir().unwrap();
    for (profile, summary, why) in
        [("a", None, "has no summary: it was broken off"), ("b", Some("{"), "summary.json is damaged")]
    {
        let files: Vec<_> = summary.map(|text| ("summary.json", text)).into_iter().collect();
        let run = run(folder.path(), profile, &files);
        let error = cause::chain(read_summary(&run).unwrap_err().as_ref());
        assert!(error.contains(&run.name()) && error.contains(why), "{error}");
    }
}
