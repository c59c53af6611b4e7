//! `seed`: what exists before the load, counted.

use std::{collections::BTreeMap, sync::Mutex, sync::PoisonError};

use anyhow::Context as _;
use base::{figure::count, table};
use contract::system::Step;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use infra::state::RUN;

use super::{
    args::{SeedArgs, Via},
    common::{Context, note, same_system},
    exit::UsageError,
};
use crate::{
    exit::Exit,
    run::{kept, seeding},
    seed::{self, SeedPlan, SeedProgress, SeedReport},
};

/// `seed [PROFILE]`
pub async fn run(context: &Context, args: &SeedArgs) -> anyhow::Result<Exit> {
    let loaded = context.profile(&args.profile)?;
    let state = context.require_state()?;
    let stack = state.require_stack()?;
    same_system(&loaded.profile, stack.system, state.root())?;
    // New epochs under a run would take its evidence away.
    let _run = state.lock(RUN, "seed")?;
    let mut plan =
        seeding::plan(SeedPlan::new(loaded.profile.system, &loaded.profile.seed)?, &stack, context.global.yes, &note)
            .await;
    let system = plan.system;
    if args.products.is_some() && !system.has(Step::Products) {
        return Err(UsageError(format!("--products: the system {} has no products", system.name())).into());
    }
    if args.via == Via::Api && system.has(Step::PublicUsers) {
        let why = format!("--via api: the API of {} draws the users' public ids; seed by SQL", system.name());
        return Err(UsageError(why).into());
    }
    if args.via == Via::Api {
        let api = kept::api_url(&state, &stack).await;
        let why = "--via api needs an API that answers: `ecomctl serve` in another shell";
        let api = api.ok_or_else(|| UsageError(why.into()))?;
        plan.via = seed::Via::Api(api);
        (plan.users, plan.products) = (seed::API_ROWS, seed::API_ROWS);
    }
    plan.users = args.users.unwrap_or(plan.users);
    plan.products = args.products.unwrap_or(plan.products);
    let bars = Bars::new(context.draw);
    let report = seeding::run(&plan, &stack, &|progress| bars.show(progress)).await.context("seeding failed");
    bars.finish();
    let report = report?.report;
    context.print(&render(&report), &report)?;
    note(&seeding::words(&report));
    Ok(Exit::Done)
}

fn render(report: &SeedReport) -> String {
    let mut table = table::new(&["table", "asked", "counted", "written", "removed"], &[1, 2, 3, 4]);
    for t in &report.tables {
        table.add_row([t.table.to_owned(), count(t.asked), count(t.found), count(t.inserted), count(t.removed)]);
    }
    let (headings, rows) = report.claimed();
    let mut claimed = table::new(&headings, &[0, 1]);
    claimed.add_rows(rows);
    format!("{table}\n{claimed}")
}

/// A bar a table.
struct Bars {
    draw: Option<MultiProgress>,
    bars: Mutex<BTreeMap<&'static str, ProgressBar>>,
}

impl Bars {
    fn new(draw: bool) -> Self {
        Self { draw: draw.then(MultiProgress::new), bars: Mutex::default() }
    }

    fn show(&self, progress: SeedProgress) {
        let Some(multi) = &self.draw else { return };
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars.entry(progress.table).or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg:10} {wide_bar} {human_pos}/{human_len}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            multi.add(ProgressBar::new(progress.total).with_style(style).with_message(progress.table))
        });
        bar.set_position(progress.done);
    }

    fn finish(&self) {
        for bar in self.bars.lock().unwrap_or_else(PoisonError::into_inner).values() {
            bar.finish();
        }
    }
}
