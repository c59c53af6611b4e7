//! Points: charges and uses of a user's balance, each booked once by its key.
//!
//! [`entries`] looks each claim of the ledger up in MySQL, a part of them at a time, and keeps only what came of it. Where answers say
//! which entry they made ([`receipts`]), it must be that one.

mod entries;
mod receipts;

use std::path::Path;

use contract::claim::Kind;
use load::ledger::Entry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinError;

use self::entries::{Found, Listed, Lookup};
use super::{Doing, Family, Sizes};
use crate::{
    VerifyPlan,
    accounting::{Account, Counts},
    checks::{self, CheckOutcome},
    model::{CheckResult, Known, Subject},
    store::{self, Context, Parts, StoreError},
};

/// What points are called in reports: each request claims another booking.
const SUBJECT: &str = "points";
/// Key in the index of the sets.
const PART: &str = "points";

/// Everything about points: what people were told, and what MySQL has of it.
#[derive(Debug)]
pub(crate) struct Points {
    /// Answers, and when the first request began: nanoseconds since the run's start.
    told: Known<(Counts, u64)>,
    found: Known<Found>,
    /// Whether requests are to claim any.
    is_planned: bool,
}

impl Default for Points {
    fn default() -> Self {
        Self { told: Ok((Counts::default(), u64::MAX)), found: Err("it was not read".into()), is_planned: false }
    }
}

/// How many bookings were asked for. Each counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PointSizes {
    /// `point`
    pub kind: Kind,
    /// Those that were acknowledged.
    pub acknowledged: u64,
    /// Those that may have been made or not.
    pub uncertain: u64,
    /// Those that were refused.
    pub refused: u64,
}

impl Points {
    fn plan(&mut self, subjects: &[Subject]) {
        self.is_planned = subjects.iter().any(|subject| subject.claim.kind == Kind::Point);
    }

    fn account(&self, context: &Context) -> Account {
        let sent = context.sent.iter().filter(|(claim, _)| claim.kind == Kind::Point).map(|(_, sent)| *sent);
        let sent = sent.reduce(|all, sent| all + sent);
        let answers = self.told.as_ref().map(|(counts, _)| *counts).map_err(Clone::clone);
        let is_idle = answers.as_ref().map_or(0, Counts::all) + sent.unwrap_or_default() == 0;
        Account { subject: SUBJECT.to_owned(), kind: Kind::Point, sent, answers, is_idle }
    }

    /// PT6: every acknowledged booking has exactly one entry, the one that was told; no refused one has any.
    fn pt6(&self, account: &Account) -> CheckOutcome {
        if account.is_idle {
            return CheckOutcome::Idle("nobody asked for any".into());
        }
        if let Err(why) = account.adds_up() {
            return CheckOutcome::Unknown(why);
        }
        let found = match &self.found {
            Ok(found) => found,
            Err(why) => return CheckOutcome::Unknown(format!("the entries are not known: {why}")),
        };
        let figures =
            format!("{} acknowledged, {} refused, {} unknown", found.acknowledged, found.refused, found.uncertain);
        // An answer that is not in the ledger may have been another one than a refusal.
        let whole = account.is_whole();
        let mut wrong = vec![
            ("lost", &found.lost),
            ("more than one entry", &found.doubled),
            ("another entry than was told", &found.other),
        ];
        if whole.is_ok() {
            wrong.push(("refused, yet has an entry", &found.made));
        }
        wrong.retain(|(_, listed)| listed.count > 0);
        if !wrong.is_empty() {
            let text = |(what, listed): &(&str, &Listed)| format!("{what}: {}", listed.words());
            let texts = wrong.iter().map(text).collect::<Vec<_>>().join("; ");
            let rows = wrong.iter().flat_map(|(_, listed)| listed.named.clone()).collect();
            return CheckOutcome::Violated(format!("{figures}; {texts}"), rows);
        }
        if let Some(why) = doubts(found).or(whole.err()) {
            return CheckOutcome::Unknown(format!("{figures}; {why}"));
        }
        let told = match found.by_receipt {
            0 => String::new(),
            n => format!("; {n} are the entries that were told"),
        };
        CheckOutcome::Holds(format!(
            "{figures}; one entry for each that was acknowledged, none for a refused one{told}"
        ))
    }
}

impl Family for Points {
    fn told(&mut self, entry: &Entry) {
        if let Ok((counts, began)) = &mut self.told {
            counts.add(entry.outcome);
            *began = (*began).min(entry.start_ns);
        }
    }

    fn untold(&mut self, why: &str) {
        self.told = Err(why.to_owned());
    }

    fn was_told(&self) -> bool {
        self.told.as_ref().is_ok_and(|(counts, _)| counts.all() > 0)
    }

    fn is_claimed(&self, context: &Context) -> Known<bool> {
        if self.is_planned || context.sent.keys().any(|claim| claim.kind == Kind::Point) {
            return Ok(true);
        }
        self.told.as_ref().map(|(counts, _)| counts.all() > 0).map_err(Clone::clone)
    }

    fn collect<'a>(&'a mut self, plan: &'a VerifyPlan) -> Doing<'a, Result<(), JoinError>> {
        Box::pin(async {
            self.plan(&plan.subjects);
            let (Ok(told), Some(ledger)) = (&self.told, &plan.ledger) else {
                if let Err(why) = &self.told {
                    self.found = Err(why.clone());
                }
                return Ok(());
            };
            let began = |origin: u64| (i128::from(origin) + i128::from(told.1)) / 1_000;
            let lookup = Lookup {
                endpoint: plan.endpoints.mysql.clone(),
                ledger: ledger.clone(),
                answers: told.0.all(),
                began_us: plan.origin_unix_ns.map(began),
            };
            self.found = entries::look(&lookup).await?;
            Ok(())
        })
    }

    fn unread(&mut self, subjects: &[Subject], why: &str) {
        self.plan(subjects);
        self.found = Err(why.to_owned());
    }

    fn accounts(&self, context: &Context) -> Vec<Account> {
        let account = self.account(context);
        if self.is_planned || account.sent.is_some() || self.was_told() { vec![account] } else { Vec::new() }
    }

    fn judge(&self, context: &Context) -> Vec<CheckResult> {
        let said = self.accounts(context).iter().map(|account| (account.subject.clone(), self.pt6(account))).collect();
        vec![checks::merge("PT6", Some(Kind::Point), said, || self.is_claimed(context))]
    }

    fn sizes(&self) -> Vec<Sizes> {
        let found = self.found.as_ref().ok();
        found.map(|found| Sizes::Point(found.sizes())).into_iter().collect()
    }

    fn save(&self, folder: &Path, parts: &mut Parts) -> Result<(), StoreError> {
        store::put(folder, parts, PART, &self.found)
    }

    fn load(&mut self, folder: &Path, parts: &mut Parts) -> Result<bool, StoreError> {
        let Some(found) = store::take(folder, parts, PART)? else { return Ok(false) };
        self.found = found;
        Ok(true)
    }
}

/// Why entries that are not there, or a lack of answers, prove nothing.
fn doubts(found: &Found) -> Option<String> {
    if found.gone.count > 0 {
        return Some(format!(
            "{} have no entry, or another one than was told, and whether the entries of their users were removed since is not \
             known: they have none from before the first request ({})",
            found.gone.count,
            found.gone.words()
        ));
    }
    if found.without_key > 0 {
        return Some(format!("{} answers are to requests without a key: they cannot be looked up", found.without_key));
    }
    if found.without_receipt > 0 {
        let n = found.without_receipt;
        return Some(format!(
            "receipts missing: {n} promises do not say which entry is theirs, as the profile expects of them"
        ));
    }
    (found.acknowledged == 0).then(|| "none was acknowledged".into())
}

#[cfg(test)]
mod tests {
    use contract::claim::{Claim, Outcome};

    use super::*;
    use crate::model::Verdict;

    /// Three were acknowledged, one refused, one is unknown.
    fn points(found: Known<Found>) -> Points {
        let mut points = Points { found, ..Points::default() };
        let acknowledged = [Outcome::Acknowledged; 3].into_iter();
        for outcome in acknowledged.chain([Outcome::Refused, Outcome::Unknown]) {
            let (kind, start_ns) = (Kind::Point, 7);
            points.told(&Entry { kind, key: None, actor: 1, start_ns, end_ns: 9, outcome, receipt: None });
        }
        points
    }

    fn found(change: impl Fn(&mut Found)) -> Found {
        let mut found = Found { acknowledged: 3, refused: 1, uncertain: 1, ..Found::default() };
        change(&mut found);
        found
    }

    fn one() -> Listed {
        Listed { count: 1, named: vec!["user 1, key k".into()] }
    }

    fn context(sent: Option<u64>) -> Context {
        let claim = Claim { kind: Kind::Point, id: None };
        Context { sent: sent.map(|sent| (claim, sent)).into_iter().collect(), ..Context::default() }
    }

    #[test]
    fn an_acknowledged_booking_has_one_entry_and_a_refused_one_none() {
        use Verdict::{Holds, Unknown, Violated};
        let lost = |found: &mut Found| found.lost = one();
        for (found, sent, verdict, says) in [
            (Ok(found(|_| ())), Some(5), Holds, "3 acknowledged, 1 refused, 1 unknown; one entry for each"),
            (Ok(found(lost)), Some(5), Violated, "lost: user 1, key k"),
            (Ok(found(|found| found.doubled = one())), Some(5), Violated, "more than one entry: user 1"),
            (Ok(found(|found| found.made = one())), Some(5), Violated, "refused, yet has an entry: user 1"),
            // A refusal may have been followed by an answer that the ledger lacks; a loss stays one.
            (Ok(found(|found| found.made = one())), None, Unknown, "the ledger may lack answers"),
            (Ok(found(lost)), None, Violated, "lost: user 1"),
            (Ok(found(|_| ())), None, Unknown, "the ledger may lack answers"),
            (Ok(found(lost)), Some(6), Unknown, "does not add up"),
            (Ok(found(|found| found.gone = one())), Some(5), Unknown, "none from before the first request (user 1"),
            (Ok(found(|found| found.without_key = 2)), Some(5), Unknown, "2 answers are to requests without a key"),
            (Ok(found(|found| found.acknowledged = 0)), Some(5), Unknown, "none was acknowledged"),
            (Ok(found(|found| found.by_receipt = 3)), Some(5), Holds, "3 are the entries that were told"),
            (Ok(found(|found| found.other = one())), Some(5), Violated, "another entry than was told: user 1, key k"),
            (Ok(found(|found| found.other = one())), None, Violated, "another entry than was told: user 1, key k"),
            (Ok(found(|found| found.without_receipt = 2)), Some(5), Unknown, "receipts missing: 2 promises"),
            (Err("no such table".into()), Some(5), Unknown, "the entries are not known: no such table"),
        ] {
            let result = points(found).judge(&context(sent)).remove(0);
            assert_eq!((result.id.as_str(), result.verdict), ("PT6", verdict), "{}", result.evidence);
            assert!(result.evidence.contains(says), "`{}` does not say `{says}`", result.evidence);
            assert_eq!(result.rows.len(), usize::from(verdict == Violated));
        }
    }

    #[test]
    fn where_nobody_asked_or_was_heard_nothing_is_proven() {
        let mut unheard = points(Ok(found(|_| ())));
        unheard.untold("it is damaged");
        let damaged = unheard.judge(&context(Some(5))).remove(0);
        assert_eq!((damaged.verdict, damaged.evidence.as_str()), (Verdict::Unknown, "it is damaged"));
        let nothing = Points::default().judge(&context(None)).remove(0);
        assert_eq!(nothing.verdict, Verdict::NotApplicable);
        assert_eq!(nothing.evidence, "nothing of this run claims a point");
        let mut untold = Points::default();
        untold.untold("there is no ledger");
        let untold = untold.judge(&context(None)).remove(0);
        assert_eq!(untold.verdict, Verdict::Unknown, "nobody knows whether something claimed any");
        assert_eq!(untold.evidence, "whether anything claims a point is not known: there is no ledger");
        let nobody = Points::default().judge(&context(Some(0))).remove(0);
        assert_eq!((nobody.verdict, nobody.evidence.as_str()), (Verdict::Unknown, "nobody asked for any"));
    }
}
