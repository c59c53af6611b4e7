//! `verify`: the proof again, on the servers as they are now or from a run's files alone.

use std::collections::BTreeSet;

use anyhow::Context as _;
use backend::names::{COUPON_GROUP, COUPON_TOPIC};

use super::{args::VerifyArgs, common::Context, runs};
use crate::{
    exit::Exit,
    report,
    run::{execute, folder::RunFolder},
    verify::{self, CouponPlan, Overall, VerifyPlan, VerifyReport},
};

/// `verify [PROFILE] [--run R | --history R]`
pub async fn run(context: &Context, args: &VerifyArgs) -> anyhow::Result<Exit> {
    let report = match &args.history {
        Some(name) => verify::offline(runs::find(context, Some(name))?.path(), None)?,
        None => online(context, args).await?,
    };
    context.print(&report::terminal::verification(&report), &report)?;
    Ok(match report.verdict {
        Overall::Consistent => Exit::Done,
        Overall::Violated => Exit::Violated,
        Overall::Unproven => Exit::Unproven,
    })
}

async fn online(context: &Context, args: &VerifyArgs) -> anyhow::Result<VerifyReport> {
    let stack = context.stack()?;
    let mut plan = VerifyPlan {
        endpoints: stack.endpoints,
        topic: COUPON_TOPIC.to_owned(),
        group: COUPON_GROUP.to_owned(),
        coupons: Vec::new(),
        ledger: None,
        sent: std::collections::BTreeMap::new(),
        sets_dir: None,
        require: Vec::new(),
        planted: BTreeSet::new(),
        origin_unix_ns: None,
    };
    let runs = RunFolder::list(&context.runs())?;
    match (&args.profile, &args.run, runs.last()) {
        (Some(profile), None, _) => of_profile(context, profile, &mut plan)?,
        (_, Some(name), _) => of_run(&runs::find(context, Some(name))?, &mut plan)?,
        (None, None, Some(last)) => of_run(last, &mut plan)?,
        (None, None, None) => of_profile(context, "coupon-quick", &mut plan)?,
    }
    verify::run(&plan).await.context("the sets could not be compared")
}

/// Without a run nobody knows what people were told: checks on the ledger are unknown.
fn of_profile(context: &Context, name: &str, plan: &mut VerifyPlan) -> anyhow::Result<()> {
    let profile = context.profile(name)?.profile;
    plan.coupons = execute::proven(&profile)?.into_iter().map(|(id, total)| CouponPlan { id, total }).collect();
    plan.require = profile.checks.require;
    Ok(())
}

fn of_run(run: &RunFolder, plan: &mut VerifyPlan) -> anyhow::Result<()> {
    let file = run.read()?;
    plan.coupons = file.coupons.into_iter().map(|(id, total)| CouponPlan { id, total }).collect();
    plan.require = file.require;
    plan.ledger = Some(run.ledger());
    plan.origin_unix_ns = Some(file.origin_unix_ns);
    plan.sent = file.sent;
    Ok(())
}
