//! From the servers to the sets, and a second look at what seemed to be wrong.

use std::time::Duration;

use contract::claim::{
    Claim,
    coupon::{GRANTS, PENDING, ROWS},
};
use probe::ProbePlan;
use record::{
    epoch::{Opened, continues},
    event::ProbeSample,
};
use tokio::task::JoinError;

use super::{
    Plan, coupons, kafka,
    model::{CouponSets, Gate, PartitionFacts, Sets},
    mysql, redis,
};
use crate::{VerifyPlan, model::Known};

/// Committed offsets first, then M, then K and D, then G: each later set may only have grown.
pub(super) async fn collect(plan: &VerifyPlan) -> Result<Sets, JoinError> {
    let coupons = coupons(&plan.subjects);
    let ids: Vec<u64> = coupons.iter().map(|coupon| coupon.id).collect();
    let (endpoint, topic, group) = (plan.endpoints.kafka.clone(), plan.topic.clone(), plan.group.clone());
    let before = plan.before.clone();
    let reader = tokio::task::spawn_blocking(move || kafka::LogReader::open(&endpoint, &topic, &group, before)).await?;
    let opened = plan.of_run.as_ref().and_then(|run| run.opened.clone().ok()).unwrap_or_default();
    let mut tables = mysql::read(&plan.endpoints.mysql, &ids, &opened).await;
    let wants: Vec<kafka::Want> = tables
        .coupons
        .iter()
        .filter_map(|(coupon, read)| {
            let (facts, starts) = (read.facts.as_ref().ok()?, read.starts.as_ref().ok()?);
            let epochs = facts.present.life.iter().cloned().collect();
            own(plan, *coupon, read).ok()?;
            Some(kafka::Want { coupon: *coupon, floor: facts.floor, epochs, starts: starts.clone() })
        })
        .collect();
    let mut log = match reader {
        Ok(reader) => tokio::task::spawn_blocking(move || Ok(reader.read(&wants))).await?,
        Err(why) => Err(why),
    };
    let mut gates = redis::read(&plan.endpoints.redis, &ids).await;
    let mut found = Vec::with_capacity(coupons.len());
    for coupon in &coupons {
        let Some(read) = tables.coupons.remove(&coupon.id) else { continue };
        let gate = gates.remove(&coupon.id).unwrap_or_else(|| Err("it was not read".into()));
        let mut sets = match own(plan, coupon.id, &read) {
            Ok(()) => assemble(*coupon, read, &mut log, gate),
            Err(why) => foreign(*coupon, &read, gate, opened.get(&Claim::coupon(coupon.id)), &why),
        };
        sets.moving.clone_from(&plan.running);
        found.push(sets);
    }
    Ok(Sets { topic: log.and_then(|log| log.topic), keys: tables.keys, coupons: found })
}

/// Whether what MySQL holds of a coupon is the run's own; the present epoch's where no run is judged.
fn own(plan: &VerifyPlan, coupon: u64, read: &mysql::CouponRead) -> Known<()> {
    let Some(run) = &plan.of_run else { return Ok(()) };
    let facts = read.facts.as_ref().map_err(Clone::clone)?;
    run.owns(Claim::coupon(coupon), &facts.present, read.known_before)
}

/// A coupon of which nothing is known that belongs to the run. Where MySQL does not answer, the gate may still be shown
/// to be the run's own by the name of its epoch.
fn foreign(
    coupon: Plan,
    read: &mysql::CouponRead,
    gate: Known<Gate>,
    opened: Option<&String>,
    why: &str,
) -> CouponSets {
    let own = |gate: &Gate| read.facts.is_err() && opened.is_some_and(|opened| continues(opened, &gate.epoch));
    CouponSets {
        gate: gate.ok().filter(own).ok_or_else(|| why.to_owned()),
        ..CouponSets::unread(coupon.id, coupon.total, why)
    }
}

fn assemble(coupon: Plan, read: mysql::CouponRead, log: &mut Known<kafka::Log>, gate: Known<Gate>) -> CouponSets {
    let (events, dead) = match (log.as_mut(), read.starts) {
        (Err(why), _) => (Err(why.clone()), Err(why.clone())),
        (_, Err(why)) => (Err(why.clone()), Err(why)),
        (Ok(log), Ok(_)) => match log.coupons.remove(&coupon.id) {
            Some(found) => (found.events, found.dead),
            None => (Err("it was not read".into()), Err("it was not read".into())),
        },
    };
    let present = read.facts.as_ref().ok().and_then(|facts| facts.present.epoch.clone());
    CouponSets {
        coupon: coupon.id,
        total: coupon.total,
        gate: gate.and_then(|gate| redis::of_present_epoch(gate, present.as_deref())),
        facts: read.facts,
        events,
        rows: read.rows,
        dead,
        moving: None,
    }
}

/// Looks once more, and notes in each coupon whose figures have changed since they were read that they do.
pub(super) async fn is_moving(plan: &VerifyPlan, sets: &mut Sets) -> bool {
    let look = ProbePlan {
        endpoints: plan.endpoints.clone(),
        subjects: plan.subjects.iter().map(|subject| subject.claim).collect(),
        topic: plan.topic.clone(),
        group: plan.group.clone(),
        interval: Duration::from_secs(1),
        starts: probe::Starts::default(),
        opened: Opened::new(),
    };
    let now = probe::look(&look).await;
    let consumed = consumed_since(sets, &now);
    let mut moving = false;
    for coupon in &mut sets.coupons {
        let figures = now.subjects.get(&Claim::coupon(coupon.coupon));
        let changed = |read: Option<u64>, now: Option<u64>| matches!((read, now), (Some(r), Some(n)) if r != n);
        let rows = coupon.rows.as_ref().ok().map(|rows| rows.len() as u64);
        let grants = coupon.gate.as_ref().ok().map(|gate| gate.users.len() as u64);
        let pending = coupon.gate.as_ref().ok().map(|gate| gate.pending.len() as u64);
        if consumed
            || changed(rows, figures.and_then(|f| f.count(ROWS)))
            || changed(grants, figures.and_then(|f| f.count(GRANTS)))
            || changed(pending, figures.and_then(|f| f.count(PENDING)))
        {
            coupon.moving.get_or_insert_with(|| "its figures changed while they were read: nothing is at rest".into());
            moving = true;
        }
    }
    moving
}

/// Whether the group has committed further offsets since the topic was read.
fn consumed_since(sets: &Sets, now: &ProbeSample) -> bool {
    let Ok(topic) = &sets.topic else { return false };
    let further = |read: &PartitionFacts| {
        now.partitions.iter().any(|p| p.partition == read.partition && p.committed > read.committed)
    };
    topic.partitions.iter().any(further)
}
