//! What comes of comparing what was read, whatever it is.

use contract::claim::Claim;
use record::event::Event;
pub use record::event::names::{Overall, Severity, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::families::Sizes;

/// A reading, or why there is none. What is not known is never taken for zero.
pub type Known<T> = Result<T, String>;

/// One check's verdict with the figures behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// `CP5`
    pub id: String,
    /// What it says.
    pub verdict: Verdict,
    /// What it means where it is false.
    #[serde(default, skip_serializing_if = "Severity::is_violation")]
    pub severity: Severity,
    /// Figures, or why there are none.
    pub evidence: String,
    /// Offending users or rows, 20 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
}

impl CheckResult {
    /// Whether it is false, and that counts.
    pub fn is_violated(&self) -> bool {
        self.verdict == Verdict::Violated && self.severity == Severity::Violation
    }

    /// The same as an event of a run.
    pub fn event(&self) -> Event {
        Event::Check {
            id: self.id.clone(),
            verdict: self.verdict,
            severity: self.severity,
            evidence: self.evidence.clone(),
            rows: self.rows.clone(),
        }
    }
}

/// Something that can be claimed, and is to be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Which one; or a kind, where each request claims one of its own.
    pub claim: Claim,
    /// How many times it can be claimed, where that is limited.
    pub total: Option<u64>,
}

/// What `verify` found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyReport {
    /// One result a check id, in the order of the catalogue.
    pub checks: Vec<CheckResult>,
    /// All of them together.
    pub verdict: Overall,
    /// Sizes of the sets.
    pub sets: Vec<Sizes>,
    /// What a reader should know besides: stale and malformed records, differing figures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// From a request's first byte to its row, in microseconds.
    #[serde(skip)]
    pub end_to_end: Option<hdrhistogram::Histogram<u64>>,
}
