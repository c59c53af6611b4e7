use contract::claim::Kind;

use super::*;

const CLAIM: Claim = Claim::numbered(Kind::OF_A_NUMBER, 1);

fn of_run(opened: &str) -> OfRun {
    OfRun {
        run: "R".into(),
        opened: Ok([(CLAIM, opened.to_owned())].into()),
        history: true,
        openers: [("abc:feed:9".to_owned(), "S".to_owned())].into(),
    }
}

fn present(life: &[&str]) -> Present {
    Present {
        epoch: life.last().map(ToString::to_string),
        life: life.iter().map(ToString::to_string).collect(),
        opened_at: Some("2026-11-27T16:00:00Z".into()),
    }
}

/// Only what a run opened, or what was rebuilt from it, is its own; neither the same number nor the same Redis
/// is enough, and neither another number nor another Redis is against it.
#[test]
fn a_run_owns_its_epochs_and_their_rebuilds_alone() {
    for (opened, life, own) in [
        ("abc:f00d:7", &["abc:f00d:7"][..], true),
        ("abc:f00d:7", &["abc:f00d:7", "def:f00d:8"], true),
        ("abc:f00d:7", &["abc:feed:9"], false),
        // MySQL's data were made anew: the counters begin at 1 again, in the same Redis.
        ("abc:f00d:1", &["abc:feed:1"], false),
        // A copy that lags behind.
        ("abc:f00d:8", &["abc:f00d:7"], false),
        // Names of version 0.1.
        ("abc:7", &["abc:7"], true),
        ("abc:7", &["abc:7", "def:8"], true),
        ("abc:7", &["def:7"], false),
        ("abc:7", &["abc:8"], false),
    ] {
        assert_eq!(of_run(opened).owns(CLAIM, &present(life), true).is_ok(), own, "{opened} {life:?}");
    }
}

/// A person reads who seeded, when, and what to do.
#[test]
fn the_reason_says_who_when_and_what_to_do() {
    let why = of_run("abc:f00d:7").owns(CLAIM, &present(&["abc:feed:9"]), true).unwrap_err();
    assert_eq!(
        why,
        "coupon 1 was seeded again since, by run S, at 2026-11-27T16:00:00Z (epoch now 9, the run's was 7); \
         `ecomctl verify --history R` judges it as it was"
    );
    let why = of_run("abc:f00d:7").owns(CLAIM, &present(&["abc:feed:1"]), false).unwrap_err();
    assert!(why.contains("another server") && why.contains("--history R"), "{why}");
    let unseeded = OfRun { history: false, opened: Ok(Opened::new()), ..of_run("") };
    let why = unseeded.owns(CLAIM, &present(&["abc:feed:1"]), false).unwrap_err();
    assert!(why.contains("its seed did not come so far") && !why.contains("--history"), "{why}");
    let old = OfRun { opened: Err("an older ecomctl wrote it".into()), ..of_run("") };
    assert!(old.owns(CLAIM, &present(&["abc:7"]), false).unwrap_err().starts_with("an older ecomctl wrote it"));
}
