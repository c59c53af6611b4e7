//! Coupons: rows in MySQL, gates in Redis, and what of them is not at rest.

mod gates;
mod rows;

use std::{collections::BTreeMap, time::Duration};

use contract::claim::{
    Claim, Kind,
    coupon::{GRANTS, HOLDERS, PENDING, ROWS, SEQUENCE, STOCK},
};
use record::{
    epoch::{Opened, continues, taken_over},
    event::{Figures, ProbeSample},
};

pub use self::gates::run_id;
pub(super) use self::rows::RowsReading;
use self::{
    gates::{GateReading, Gates},
    rows::Rows,
};
use crate::ProbePlan;

/// Long-lived readers of the coupons of a plan.
#[derive(Debug)]
pub(super) struct Coupons {
    pub ids: Vec<u64>,
    opened: Opened,
    pub rows: Rows,
    pub gates: Gates,
}

impl Coupons {
    pub fn new(plan: &ProbePlan) -> Self {
        Self {
            ids: plan
                .subjects
                .iter()
                .filter(|claim| claim.kind == Kind::Coupon)
                .filter_map(|claim| claim.number())
                .collect(),
            opened: plan.opened.clone(),
            rows: Rows::new(plan.endpoints.mysql.clone()),
            gates: Gates::new(plan.endpoints.redis.clone()),
        }
    }

    /// Fills in what was read, with the reasons where it was not; gives the coupons that are another's by now, with why.
    pub fn fill(
        &self,
        sample: &mut ProbeSample,
        rows: Result<RowsReading, String>,
        gates: Result<(BTreeMap<u64, GateReading>, Duration), String>,
    ) -> BTreeMap<Claim, String> {
        let taken_over = rows.as_ref().map(|rows| self.taken_over(rows)).unwrap_or_default();
        let rows = rows.unwrap_or_else(|why| {
            sample.errors.insert("mysql".into(), why);
            RowsReading::default()
        });
        sample.mysql_connections = rows.connections;
        let gates = match gates {
            Ok((gates, took)) => {
                sample.redis_ms = Some(took.as_secs_f64() * 1_000.0);
                gates
            }
            Err(why) => {
                sample.errors.insert("redis".into(), why);
                BTreeMap::new()
            }
        };
        self.of_each(sample, &rows, &gates, &taken_over);
        taken_over
    }

    /// Coupons that MySQL holds in another epoch than the run's, or not at all any more.
    fn taken_over(&self, rows: &RowsReading) -> BTreeMap<Claim, String> {
        let present = |coupon: &u64| rows.coupons.get(coupon).and_then(|row| row.epoch.as_deref());
        let why = |coupon: &u64| {
            let claim = Claim::coupon(*coupon);
            Some((claim, taken_over(claim, self.opened.get(&claim)?, present(coupon))?))
        };
        self.ids.iter().filter_map(why).collect()
    }

    fn of_each(
        &self,
        sample: &mut ProbeSample,
        rows: &RowsReading,
        gates: &BTreeMap<u64, GateReading>,
        taken: &BTreeMap<Claim, String>,
    ) {
        for coupon in &self.ids {
            if let Some(why) = taken.get(&Claim::coupon(*coupon)) {
                complain(sample, "epoch", why);
                sample.subjects.insert(Claim::coupon(*coupon), Figures::default());
                continue;
            }
            let row = rows.coupons.get(coupon);
            let mut figures = Figures::default();
            figures.set(ROWS, row.map(|row| row.count));
            figures.set(HOLDERS, row.and_then(|row| row.holders));
            if let Some(gate) = gates.get(coupon) {
                figures.set(PENDING, Some(gate.pending));
                let present = row.and_then(|row| row.epoch.as_deref());
                match unfit(gate, present, self.opened.get(&Claim::coupon(*coupon))) {
                    // Figures of another epoch, or of a gate that Redis lost, must not be held against the rows.
                    Some(why) => complain(sample, "redis", &format!("coupon {coupon}: {why}")),
                    None if gate.epoch.is_none() => {}
                    None => {
                        figures.set(GRANTS, Some(gate.grants));
                        figures.set(STOCK, gate.stock);
                        figures.set(SEQUENCE, gate.sequence);
                    }
                }
            }
            sample.subjects.insert(Claim::coupon(*coupon), figures);
        }
    }
}

/// Why a gate's figures say nothing about the epoch that is looked at: MySQL's present one or, where MySQL does not
/// answer, the run's.
fn unfit(gate: &GateReading, present: Option<&str>, opened: Option<&String>) -> Option<String> {
    match (&gate.epoch, present, opened) {
        (None, Some(_), _) | (None, None, Some(_)) => Some("the gate is closed: Redis holds no epoch".into()),
        (Some(epoch), Some(present), _) if epoch != present => {
            Some(format!("Redis holds epoch {epoch}, MySQL says {present}"))
        }
        (Some(epoch), None, Some(opened)) if !continues(opened, epoch) => {
            Some(format!("Redis holds epoch {epoch}, the run opened {opened}"))
        }
        (Some(_), ..) if gate.restarted => {
            Some("the gate is closed until it is rebuilt: Redis was started anew".into())
        }
        _ => None,
    }
}

/// Adds a reason to those that stand under `key`: each coupon may have one of its own.
fn complain(sample: &mut ProbeSample, key: &str, why: &str) {
    let told = sample.errors.entry(key.to_owned()).or_default();
    if !told.is_empty() {
        told.push_str("; ");
    }
    told.push_str(why);
}

/// What of a coupon is not at rest, or not known to be.
pub(super) fn moving(coupon: Claim, figures: &Figures) -> Vec<String> {
    let mut moving = Vec::new();
    let coupon = coupon.words();
    match figures.get(PENDING) {
        Some(0) => {}
        Some(pending) => moving.push(format!("{coupon}: {pending} grants pending")),
        None => moving.push(format!("{coupon}: its gate could not be read")),
    }
    if figures.get(ROWS).is_none() {
        moving.push(format!("{coupon}: its rows could not be counted"));
    }
    moving
}

/// What coupons look like at rest.
pub(super) fn at_rest(sample: &ProbeSample) -> String {
    let rows: i64 = sample.subjects.values().filter_map(|figures| figures.get(ROWS)).sum();
    format!("nothing pending, {rows} rows")
}

#[cfg(test)]
mod tests {
    use contract::endpoint::Endpoints;

    use super::{rows::CouponRows, *};

    /// One coupon's trouble must not hide another's.
    #[test]
    fn each_coupon_tells_its_own_trouble() {
        let plan = ProbePlan {
            endpoints: Endpoints {
                mysql: "mysql://u:p@127.0.0.1:1/d".parse().unwrap(),
                redis: "redis://127.0.0.1:1".parse().unwrap(),
                kafka: "127.0.0.1:1".parse().unwrap(),
            },
            subjects: vec![Claim::coupon(1), Claim::coupon(2)],
            topic: "t".into(),
            group: "g".into(),
            interval: Duration::from_secs(1),
            starts: crate::Starts::default(),
            opened: Opened::new(),
        };
        let row = |epoch: &str| CouponRows { epoch: Some(epoch.into()), count: 1, holders: Some(1) };
        let rows = RowsReading { coupons: [(1, row("a:x:1")), (2, row("a:y:2"))].into(), ..RowsReading::default() };
        let gate = |epoch: Option<&str>| GateReading {
            grants: 1,
            stock: Some(1),
            pending: 0,
            epoch: epoch.map(Into::into),
            sequence: Some(1),
            restarted: false,
        };
        let mut sample = ProbeSample::default();
        let coupons = Coupons::new(&plan);
        let gates = [(1, gate(None)), (2, gate(Some("a:z:3")))].into();
        coupons.of_each(&mut sample, &rows, &gates, &BTreeMap::new());
        let told = &sample.errors["redis"];
        assert!(
            told.contains("coupon 1: the gate is closed") && told.contains("coupon 2: Redis holds epoch"),
            "{told}"
        );
        // A coupon that was seeded again has no figures of this run, and nobody says that its server is away.
        let coupons = Coupons { opened: [(Claim::coupon(1), "a:old:1".to_owned())].into(), ..coupons };
        let taken = coupons.taken_over(&rows);
        let mut sample = ProbeSample::default();
        coupons.of_each(&mut sample, &rows, &gates, &taken);
        assert_eq!(sample.subjects[&Claim::coupon(1)], Figures::default());
        assert!(sample.errors["epoch"].contains("coupon 1 was seeded again while the run went on"), "{sample:?}");
    }
}
