//! SY1: does the ledger add up? Checked first: one that does not proves nothing, whatever the checks are about.

use contract::claim::{Kind, Outcome};
use record::event::names::Check;

use crate::{
    checks::{self, CheckOutcome, Said},
    families::Families,
    model::{CheckResult, Known},
    store::Context,
};

/// Answers by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; Outcome::ALL.len()]);

impl Counts {
    /// Counts one answer.
    pub fn add(&mut self, outcome: Outcome) {
        for (count, of) in self.0.iter_mut().zip(Outcome::ALL) {
            *count += u64::from(of == outcome);
        }
    }

    /// Answers with this outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0.iter().zip(Outcome::ALL).find(|(_, of)| *of == outcome).map_or(0, |(count, _)| *count)
    }

    /// All answers.
    pub fn all(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// What was sent for one thing, and what came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What it is called in reports.
    pub subject: String,
    /// Its kind.
    pub kind: Kind,
    /// Requests, counted by the generator when it sent them.
    pub sent: Option<u64>,
    /// Answers in the ledger, or why there is none.
    pub answers: Known<Counts>,
    /// Nobody touched it, as far as is known.
    pub is_idle: bool,
}

impl Account {
    /// Whether the ledger may be used: it has as many answers as requests were sent, where that is known.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub fn adds_up(&self) -> Known<()> {
        match (&self.answers, self.sent) {
            (Ok(answers), Some(sent)) if answers.all() != sent => Err(format!(
                "the ledger does not add up ({sent} requests sent, {} outcomes): it proves nothing",
                answers.all()
            )),
            (Ok(_), _) => Ok(()),
            (Err(why), _) => Err(why.clone()),
        }
    }

    /// Whether the ledger has all answers. Without the count of what was sent it may lack some, as when the generator was
    /// killed.
    ///
    /// # Errors
    /// Why that is not known.
    pub fn is_whole(&self) -> Known<()> {
        match self.sent {
            Some(_) => Ok(()),
            None => Err("how many requests were sent is not known: the ledger may lack answers".into()),
        }
    }

    /// Whether sent = the sum of all outcomes.
    fn judge(&self) -> CheckOutcome {
        let answers = match &self.answers {
            Ok(answers) => answers,
            Err(why) => return CheckOutcome::Unknown(why.clone()),
        };
        let named = |outcome: Outcome| Some(format!("{} {}", answers.of(outcome), outcome.name(self.kind)?));
        let sum = Outcome::ALL.into_iter().filter_map(named).collect::<Vec<_>>().join(" + ");
        match self.sent {
            None if self.is_idle => CheckOutcome::Idle("nobody asked for it".into()),
            None => CheckOutcome::Unknown(format!("how many requests were sent is not known; outcomes: {sum}")),
            Some(0) if answers.all() == 0 => CheckOutcome::Idle("nobody asked for it".into()),
            Some(sent) if sent == answers.all() => CheckOutcome::Holds(format!("{sent} sent = {sum}")),
            Some(sent) => CheckOutcome::Violated(format!("{sent} sent, but {sum} = {}", answers.all()), Vec::new()),
        }
    }
}

/// Whether anything of any kind is claimed: one that is decides, else one of which that is not known.
fn is_claimed(families: &Families, context: &Context) -> Known<bool> {
    let known: Vec<_> = families.values().map(|family| family.is_claimed(context)).collect();
    if known.contains(&Ok(true)) {
        return Ok(true);
    }
    known.into_iter().try_fold(false, |_, one| one)
}

/// SY1 over everything that is claimed.
pub(crate) fn sy1(families: &Families, context: &Context) -> CheckResult {
    let accounts = families.values().flat_map(|family| family.accounts(context));
    let said: Vec<Said> = accounts.map(|account| (account.subject.clone(), account.judge())).collect();
    checks::merge(Check::REQUESTS.id, None, said, || is_claimed(families, context))
}
