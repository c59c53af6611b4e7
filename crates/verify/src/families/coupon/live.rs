//! CP1, CP2, CP3, CP4 and CP9 while the load runs, on counts alone.
//!
//! A probe reads rows before Kafka and Kafka before Redis, and the sets only grow: |M| ≤ |K| ≤ |G| holds at every
//! moment without a pause. Nothing can be proven from counts, so only violations are told.

use std::collections::BTreeMap;

use contract::claim::{
    Claim,
    coupon::{GRANTS, HOLDERS, ROWS, SEQUENCE, STOCK},
};
use record::event::{Figures, ProbeSample};

use super::{Plan, name_of};
use crate::model::{CheckResult, Severity, Verdict};

/// The checks that counts can contradict.
pub(super) const CHECKS: [&str; 5] = ["CP1", "CP2", "CP3", "CP4", "CP9"];

/// The statements about `coupons` that a sample proves false. `topic_starts` is where each partition of the topic ended
/// when the epoch was opened; without it |M| ≤ |K| is not looked at.
pub(super) fn live(sample: &ProbeSample, coupons: &[Plan], topic_starts: &BTreeMap<i32, i64>) -> Vec<CheckResult> {
    let mut found = Vec::new();
    for coupon in coupons {
        if let Some(figures) = sample.subjects.get(&Claim::coupon(coupon.id)) {
            of_coupon(*coupon, figures, &mut found);
        }
    }
    if let Some(text) = more_rows_than_records(sample, topic_starts) {
        found.push(violated("CP4", text));
    }
    found
}

fn of_coupon(coupon: Plan, figures: &Figures, found: &mut Vec<CheckResult>) {
    let (name, total) = (name_of(coupon.id), coupon.total);
    let mut add = |id: &str, text: String| found.push(violated(id, format!("{name}: {text}")));
    let rows = figures.count(ROWS);
    if let Some(rows) = rows.filter(|rows| *rows > total) {
        add("CP1", format!("|M| = {rows}, T = {total}"));
    }
    if let (Some(rows), Some(holders)) = (rows, figures.count(HOLDERS))
        && rows > holders
    {
        add("CP2", format!("{rows} rows for {holders} users"));
    }
    if let (Some(stock), Some(grants)) = (figures.get(STOCK), figures.count(GRANTS))
        && (stock < 0 || i128::from(stock) + i128::from(grants) != i128::from(total))
    {
        add("CP3", format!("stock {stock} + |G| {grants}, T = {total}"));
    }
    if let (Some(rows), Some(grants)) = (rows, figures.count(GRANTS))
        && rows > grants
    {
        add("CP4", format!("|M| = {rows}, |G| = {grants}"));
    }
    // A rebuild may leave numbers without a user, never a user without a number of their own.
    if let (Some(sequence), Some(grants)) = (figures.count(SEQUENCE), figures.count(GRANTS))
        && grants > sequence
    {
        add("CP9", format!("{grants} grants share {sequence} numbers"));
    }
}

/// |M| ≤ |K| over all coupons; copies and control records only make the right side larger.
fn more_rows_than_records(sample: &ProbeSample, topic_starts: &BTreeMap<i32, i64>) -> Option<String> {
    if sample.partitions.is_empty() || topic_starts.is_empty() {
        return None;
    }
    let mut records = 0_i64;
    for partition in &sample.partitions {
        let since = partition.end - topic_starts.get(&partition.partition).copied().unwrap_or(0);
        // A log that ends before its start was made anew: what it held is not known.
        records += (since >= 0).then_some(since)?;
    }
    let rows: u64 = sample.subjects.values().filter_map(|figures| figures.count(ROWS)).sum();
    (i128::from(rows) > i128::from(records)).then(|| format!("|M| = {rows}, records in Kafka = {records}"))
}

fn violated(id: &str, evidence: String) -> CheckResult {
    let (verdict, severity) = (Verdict::Violated, Severity::Violation);
    CheckResult { id: id.to_owned(), verdict, severity, evidence, rows: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::claim::coupon::PENDING;
    use record::event::PartitionSample;

    const TEN: [Plan; 1] = [Plan { id: 1, total: 10 }];

    fn sample(rows: u64, grants: u64, stock: i64, sequence: u64, end: i64) -> ProbeSample {
        let figures = Figures::default()
            .with(ROWS, rows)
            .with(GRANTS, grants)
            .with(STOCK, stock)
            .with(PENDING, 0)
            .with(HOLDERS, rows)
            .with(SEQUENCE, sequence);
        let partition = PartitionSample { partition: 0, start: 0, end, committed: None };
        ProbeSample {
            subjects: [(Claim::coupon(1), figures)].into(),
            partitions: vec![partition],
            ..ProbeSample::default()
        }
    }

    #[test]
    fn counts_that_cannot_be_are_named() {
        let starts = [(0, 100)].into();
        for (sample, expected) in [
            (sample(3, 5, 5, 5, 104), vec![]),
            (sample(11, 11, -1, 11, 111), vec!["CP1", "CP3"]),
            (sample(3, 5, 6, 5, 105), vec!["CP3"]),
            (sample(6, 5, 5, 5, 106), vec!["CP4"]),
            (sample(4, 5, 5, 5, 103), vec!["CP4"]),
            (sample(4, 5, 5, 5, 3), vec![]),
            (sample(3, 5, 5, 4, 105), vec!["CP9"]),
            (ProbeSample::default(), vec![]),
        ] {
            let found = live(&sample, &TEN, &starts);
            assert_eq!(found.iter().map(|f| f.id.as_str()).collect::<Vec<_>>(), expected, "{sample:?}");
        }
    }

    #[test]
    fn a_doubled_row_is_seen_while_the_load_runs() {
        let mut sample = sample(3, 5, 5, 5, 0);
        if let Some(figures) = sample.subjects.get_mut(&Claim::coupon(1)) {
            figures.set(HOLDERS, Some(2));
        }
        assert_eq!(live(&sample, &TEN, &BTreeMap::new()).iter().map(|f| f.id.as_str()).collect::<Vec<_>>(), ["CP2"]);
    }

    #[test]
    fn what_could_not_be_read_is_not_judged() {
        let mut sample = sample(6, 5, 5, 5, 0);
        if let Some(figures) = sample.subjects.get_mut(&Claim::coupon(1)) {
            figures.set(GRANTS, None::<u64>);
        }
        assert!(live(&sample, &TEN, &BTreeMap::new()).is_empty());
    }
}
