//! Which epoch a piece of evidence belongs to. It is stated here once; the probe, the drain and `verify` all ask here.
//!
//! An epoch is called `"<run_id>:<life>:<counter>"`. Each seed draws a new life; what rebuilds a gate that Redis lost
//! keeps it. So evidence is a run's own where its epoch is the one that the run opened, or a later one of the same life.
//! Anything else is not known to the run: it is never held against it. Version 0.1 named epochs `"<run_id>:<counter>"`.

use std::collections::BTreeMap;

use contract::claim::Claim;
use serde::{Deserialize, Serialize};

/// What can be claimed → the epoch that was opened for it.
pub type Opened = BTreeMap<Claim, String>;

/// The counter of an epoch.
pub fn counter_of(epoch: &str) -> Option<u64> {
    epoch.rsplit_once(':')?.1.parse().ok()
}

/// Run id of the Redis in which an epoch lives.
pub fn run_id_of(epoch: &str) -> &str {
    epoch.split_once(':').map_or(epoch, |(run_id, _)| run_id)
}

/// The life of an epoch; none in the names of version 0.1.
fn life_of(epoch: &str) -> Option<&str> {
    epoch.rsplit_once(':')?.0.split_once(':').map(|(_, life)| life)
}

/// Whether `present` is the epoch `opened`, or has been rebuilt from it.
pub fn continues(opened: &str, present: &str) -> bool {
    let same_life = life_of(opened).is_some() && life_of(opened) == life_of(present);
    opened == present || (same_life && counter_of(opened) <= counter_of(present))
}

/// The number by which people call an epoch.
fn number(epoch: &str) -> String {
    counter_of(epoch).map_or_else(|| epoch.to_owned(), |counter| counter.to_string())
}

/// Why figures of `claim` in its `present` epoch are not those of the run that opened `opened` and still goes on; none
/// where they are. Without a present epoch it is gone.
pub fn taken_over(claim: Claim, opened: &str, present: Option<&str>) -> Option<String> {
    let claim = claim.words();
    match present {
        Some(present) if continues(opened, present) => None,
        Some(present) => Some(format!(
            "{claim} was seeded again while the run went on (epoch now {}, the run's is {}): its figures are \
             another's",
            number(present),
            number(opened)
        )),
        None => Some(format!("{claim} was removed while the run went on")),
    }
}

/// What MySQL says about the present epoch of what can be claimed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Present {
    /// Its name; absent where none was ever opened.
    pub epoch: Option<String>,
    /// The epochs of its life, from the one that a seed opened to the present one.
    #[serde(default)]
    pub life: Vec<String>,
    /// When the seed opened it, UTC.
    #[serde(default)]
    pub opened_at: Option<String>,
}

/// The run whose evidence is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfRun {
    /// Its name.
    pub run: String,
    /// The epochs that it opened, or why they are not known.
    pub opened: Result<Opened, String>,
    /// Whether its folder holds the sets, so that they can be judged without the servers.
    pub history: bool,
    /// Epoch → the run that opened it, as far as the runs' folders tell.
    pub openers: BTreeMap<String, String>,
}

impl OfRun {
    /// Whether what is found of `claim` in its `present` epoch is the run's own. `known_before` tells whether MySQL
    /// remembers the run's epoch as an earlier one.
    ///
    /// # Errors
    /// Why it is not, or cannot be shown to be.
    pub fn owns(&self, claim: Claim, present: &Present, known_before: bool) -> Result<(), String> {
        let opened = self.opened.as_ref().map_err(|why| format!("{why}{}", self.instead()))?;
        let known = opened.get(&claim);
        let claim = claim.words();
        let Some(opened) = known else {
            return Err(format!("run {} opened no epoch of {claim}: its seed did not come so far", self.run));
        };
        let Some(epoch) = &present.epoch else {
            return Err(format!("{claim} has no epoch in this MySQL{}", self.instead()));
        };
        if continues(opened, epoch) || present.life.contains(opened) {
            return Ok(());
        }
        if !known_before {
            return Err(format!(
                "this MySQL knows no epoch {opened}, which run {} opened for {claim}: it is another server, its \
                 data were made anew, or it is a copy that lags behind{}",
                self.run,
                self.instead()
            ));
        }
        let by = present.life.first().and_then(|first| self.openers.get(first));
        let by = by.map_or_else(String::new, |run| format!(", by run {run}"));
        let at = present.opened_at.as_ref().map_or_else(String::new, |at| format!(", at {at}"));
        Err(format!(
            "{claim} was seeded again since{by}{at} (epoch now {}, the run's was {}){}",
            number(epoch),
            number(opened),
            self.instead()
        ))
    }

    /// The command that judges the run all the same, where there is one.
    fn instead(&self) -> String {
        if self.history {
            format!("; `ecomctl verify --history {}` judges it as it was", self.run)
        } else {
            String::new()
        }
    }
}

#[cfg(test)]
mod tests;
