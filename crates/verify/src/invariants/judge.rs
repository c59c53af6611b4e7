//! From what was read to a verdict. Nothing is asked here.

use super::{
    super::model::{CheckResult, Known, Verdict},
    Listed,
};
/// How much there was that could have offended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exercised {
    /// As the store spells the number.
    Number(String),
    /// The store has none.
    Absent,
    /// The invariant does not ask.
    NotAsked,
}

/// What was read for one invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// How much offends.
    pub offenders: u64,
    /// Some of it.
    pub shown: Vec<String>,
    /// The same for the same rows, in whatever order.
    pub digest: u64,
    /// Where the rest of it is, in words.
    pub place: Option<String>,
    /// How much could have offended.
    pub exercised: Known<Exercised>,
}

/// The verdict: what offends decides; without any it holds where something exercised it, and else is unknown.
pub(super) fn result(one: &Listed, found: Known<Found>) -> CheckResult {
    let (verdict, words, rows) = match found {
        Err(why) => (Verdict::Unknown, why, Vec::new()),
        Ok(found) if found.offenders > 0 => {
            let place = found.place.map(|place| format!("; {place}")).unwrap_or_default();
            (Verdict::Violated, format!("{} offend{place}", found.offenders), found.shown)
        }
        Ok(found) => {
            let (verdict, words) = untouched(found.exercised);
            (verdict, words, Vec::new())
        }
    };
    CheckResult {
        id: one.id.clone(),
        verdict,
        severity: one.invariant.severity,
        evidence: format!("{}: {words}", one.invariant.says.trim()),
        rows,
    }
}

/// Nothing offends: whether that says anything.
fn untouched(exercised: Known<Exercised>) -> (Verdict, String) {
    match exercised {
        Ok(Exercised::Number(number)) => match number.parse::<f64>() {
            Ok(some) if some > 0.0 => (Verdict::Holds, format!("none offends of {number}")),
            Ok(_) => (Verdict::Unknown, "nothing exercised it".into()),
            Err(_) => {
                let number: String = number.chars().take(40).collect();
                (Verdict::Unknown, format!("what exercised it is no number: `{number}`"))
            }
        },
        Ok(Exercised::Absent) => (Verdict::Unknown, "nothing exercised it".into()),
        Ok(Exercised::NotAsked) => (Verdict::Unknown, "none offends, and `exercised` does not say of how many".into()),
        Err(why) => (Verdict::Unknown, why),
    }
}

/// What was violated at any moment of the load stays violated, whatever the end says.
pub(super) fn and_under_load(at_rest: CheckResult, earlier: &CheckResult) -> CheckResult {
    if at_rest.verdict == Verdict::Violated {
        return at_rest;
    }
    let evidence = format!(
        "while the load ran: {}; at the end {}: {}",
        earlier.evidence,
        at_rest.verdict.name(),
        at_rest.evidence
    );
    CheckResult { verdict: Verdict::Violated, evidence, rows: earlier.rows.clone(), ..at_rest }
}

#[cfg(test)]
mod tests {
    use record::event::names::Severity;

    use super::*;

    fn listed() -> Listed {
        let invariant = serde_yaml::from_str("{says: a is b, mysql: SELECT 1, severity: warning}").unwrap();
        Listed { id: "X1".into(), built_in: false, invariant }
    }

    fn found(offenders: u64, exercised: Known<Exercised>) -> Found {
        let shown = if offenders > 0 { vec!["id 1".to_owned()] } else { Vec::new() };
        Found { offenders, shown, digest: 0, place: None, exercised }
    }

    #[test]
    fn what_was_read_decides() {
        let number = |text: &str| Ok(Exercised::Number(text.into()));
        for (read, verdict, evidence) in [
            (Ok(found(2, number("9"))), Verdict::Violated, "a is b: 2 offend"),
            (Ok(found(2, number("0"))), Verdict::Violated, "a is b: 2 offend"),
            (Ok(found(2, Err("gone".into()))), Verdict::Violated, "a is b: 2 offend"),
            (Ok(found(0, number("9"))), Verdict::Holds, "a is b: none offends of 9"),
            (Ok(found(0, number("0"))), Verdict::Unknown, "a is b: nothing exercised it"),
            (Ok(found(0, number("0.0"))), Verdict::Unknown, "a is b: nothing exercised it"),
            (Ok(found(0, number("-1"))), Verdict::Unknown, "a is b: nothing exercised it"),
            (Ok(found(0, number("many"))), Verdict::Unknown, "a is b: what exercised it is no number: `many`"),
            (Ok(found(0, Ok(Exercised::Absent))), Verdict::Unknown, "a is b: nothing exercised it"),
            (
                Ok(found(0, Ok(Exercised::NotAsked))),
                Verdict::Unknown,
                "a is b: none offends, and `exercised` does not say of how many",
            ),
            (Ok(found(0, Err("gone".into()))), Verdict::Unknown, "a is b: gone"),
            (Err("away".into()), Verdict::Unknown, "a is b: away"),
        ] {
            let result = result(&listed(), read);
            assert_eq!((result.verdict, result.evidence.as_str()), (verdict, evidence));
            assert_eq!(result.severity, Severity::Warning);
        }
    }

    #[test]
    fn what_was_violated_under_load_is_not_mended_by_the_end() {
        let earlier = result(&listed(), Ok(found(1, Ok(Exercised::Absent))));
        let end = result(&listed(), Ok(found(0, Ok(Exercised::Number("9".into())))));
        let both = and_under_load(end, &earlier);
        assert_eq!((both.verdict, both.rows.len()), (Verdict::Violated, 1));
        assert_eq!(both.evidence, "while the load ran: a is b: 1 offend; at the end holds: a is b: none offends of 9");
    }
}
