//! Checks: what one says about each thing that is claimed, and one result from all of it. No server is asked here.

use contract::{claim::Kind, system::System};
use record::event::names::Check;

use crate::model::{CheckResult, Known, Overall, Severity, Verdict};

/// Most offending rows that a result lists.
pub const MOST_ROWS: usize = 20;
/// Most offenders that the evidence names.
pub const MOST_NAMED: usize = 5;

/// Why a check of which ecomctl has nothing to say is unknown.
const NO_RESULT: &str = "there is no result: this version has no such check, or it is an invariant that was not looked \
                         at, which needs the servers";

/// What one check says about one thing that is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It is true; the figures.
    Holds(String),
    /// It is false; the figures and the offenders.
    Violated(String, Vec<String>),
    /// It cannot be read or nothing exercised it; why.
    Unknown(String),
    /// Nobody asked for this one, so that it says nothing about the others; why.
    Idle(String),
}

/// What a check says about one thing, and what people call that ([`contract::claim::Claim::words`]).
pub(crate) type Said = (String, CheckOutcome);

/// Ids and statements of the checks, in the order of reports.
pub fn catalogue() -> impl Iterator<Item = (&'static str, &'static str)> {
    Check::all().map(|check| (check.id, check.states))
}

/// Results in the order of reports, the invariants behind the others, and at the end one for each id of `require` that nobody answered: not applicable
/// where the system has nothing of its kind, else unknown.
pub(crate) fn complete(mut results: Vec<CheckResult>, require: &[String], system: System) -> Vec<CheckResult> {
    let place = |result: &CheckResult| Check::all().position(|check| check.id == result.id).unwrap_or(usize::MAX);
    results.sort_by_key(place);
    for id in require {
        if results.iter().any(|result| result.id == *id) {
            continue;
        }
        let (verdict, evidence) = match kind_of(id) {
            Some(kind) if system.description().has(kind) => (Verdict::Unknown, "nothing was kept that tells".into()),
            Some(kind) => (Verdict::NotApplicable, format!("nothing of the system {} claims a {kind}", system.name())),
            None => (Verdict::Unknown, NO_RESULT.into()),
        };
        let severity = Severity::Violation;
        results.push(CheckResult { id: id.clone(), verdict, severity, evidence, rows: Vec::new() });
    }
    results
}

/// The kind of claims that the check `id` is about; none where there is no such check, or it is about all of them.
pub(crate) fn kind_of(id: &str) -> Option<Kind> {
    Check::named(id)?.kind
}

/// All results together: any violation decides; else every required check must hold. With none required at least one
/// check must hold: a verdict over nothing would be no proof. Where nothing is claimed and nothing is required
/// (`claims` is false) there is nothing that could be proven, and nothing is missing.
pub fn overall(results: &[CheckResult], require: &[String], claims: bool) -> Overall {
    let verdict_of = |id: &String| results.iter().find(|result| result.id == *id).map(|result| result.verdict);
    if results.iter().any(CheckResult::is_violated) {
        return Overall::Violated;
    }
    if !claims && require.is_empty() {
        return Overall::NothingToProve;
    }
    let proven = if require.is_empty() {
        results.iter().any(|result| result.verdict == Verdict::Holds)
    } else {
        require.iter().all(|id| verdict_of(id) == Some(Verdict::Holds))
    };
    if proven { Overall::Consistent } else { Overall::Unproven }
}

/// The result of a check that has nothing to look at: not applicable where it is known that nothing of its kind is claimed.
fn without_claims(id: &str, kind: Option<Kind>, is_claimed: Known<bool>) -> CheckResult {
    let what = kind.map_or_else(|| "anything".to_owned(), |kind| format!("a {kind}"));
    let (verdict, evidence) = match is_claimed {
        Ok(false) => (Verdict::NotApplicable, format!("nothing of this run claims {what}")),
        Ok(true) => (Verdict::Unknown, "what is claimed is not among what is to be proven".to_owned()),
        Err(why) => (Verdict::Unknown, format!("whether anything claims {what} is not known: {why}")),
    };
    CheckResult { id: id.to_owned(), verdict, severity: Severity::Violation, evidence, rows: Vec::new() }
}

/// One result from what the check says about each thing. The worst verdict wins; its evidence comes first. Where there is
/// nothing, `is_claimed` says whether there ought to be. `kind` is what the check is about; none: everything that is
/// claimed.
pub(crate) fn merge(
    id: &str,
    kind: Option<Kind>,
    said: Vec<Said>,
    is_claimed: impl FnOnce() -> Known<bool>,
) -> CheckResult {
    use CheckOutcome::{Holds, Idle, Unknown, Violated};
    if said.is_empty() {
        return without_claims(id, kind, is_claimed());
    }
    let several = said.len() > 1;
    // Where another one has something to say, one that nobody touched has no say.
    let anybody = said.iter().any(|(_, outcome)| !matches!(outcome, Idle(_)));
    let mut parts: Vec<(Verdict, String)> = Vec::new();
    let mut offenders = Vec::new();
    for (subject, outcome) in said {
        let (verdict, text) = match outcome {
            Idle(text) if !anybody => (Verdict::Unknown, text),
            Holds(text) | Idle(text) => (Verdict::Holds, text),
            Unknown(text) => (Verdict::Unknown, text),
            Violated(text, rows) => {
                offenders.extend(rows.into_iter().map(|row| named(several, &subject, &row)));
                (Verdict::Violated, text)
            }
        };
        parts.push((verdict, named(several, &subject, &text)));
    }
    parts.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
    offenders.truncate(MOST_ROWS);
    CheckResult {
        id: id.to_owned(),
        verdict: parts.first().map_or(Verdict::Unknown, |(verdict, _)| *verdict),
        severity: Severity::Violation,
        evidence: parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("; "),
        rows: offenders,
    }
}

fn named(several: bool, subject: &str, text: &str) -> String {
    if several { format!("{subject}: {text}") } else { text.to_owned() }
}

/// "user 3, user 9 and 40 more"
pub(crate) fn some_of(offenders: &[String]) -> String {
    let text = offenders.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    match offenders.len().saturating_sub(MOST_NAMED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// Several statements about one thing: any violation wins, then any that is not known.
pub(crate) fn conjunction(parts: Vec<CheckOutcome>) -> CheckOutcome {
    let (mut bad, mut rows, mut unknown, mut good) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        match part {
            CheckOutcome::Violated(text, offenders) => {
                bad.push(text);
                rows.extend(offenders);
            }
            CheckOutcome::Unknown(text) | CheckOutcome::Idle(text) => unknown.push(text),
            CheckOutcome::Holds(text) if text.is_empty() => {}
            CheckOutcome::Holds(text) => good.push(text),
        }
    }
    if !bad.is_empty() {
        return CheckOutcome::Violated(bad.join("; "), rows);
    }
    if unknown.is_empty() { CheckOutcome::Holds(good.join("; ")) } else { CheckOutcome::Unknown(unknown.join("; ")) }
}

#[cfg(test)]
mod tests;
