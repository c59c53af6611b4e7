//! `topics`: what the profile wants beside what there is.

use base::{figure::or_dash, table};
use infra::{
    stack::Stack,
    state::StateDir,
    topics::{self, TopicPlan, TopicState},
};
use record::event::names::Provider;

use super::{
    args::{TopicsAction, TopicsArgs},
    common::{Context, note, same_system},
};
use crate::exit::Exit;

/// `topics list|plan|create|recreate|describe`
pub async fn run(context: &Context, args: &TopicsArgs) -> anyhow::Result<Exit> {
    let state = context.require_state()?;
    let stack = state.require_stack()?;
    match &args.action {
        TopicsAction::List => list(context, &stack, &topics::plan_of(&stack)).await,
        TopicsAction::Plan { profile } => list(context, &stack, &plan(context, profile, &state, &stack)?).await,
        TopicsAction::Create { profile } => {
            let plan = plan(context, profile, &state, &stack)?;
            let may = context.global.yes || !external(&stack);
            for topic in topics::create(&stack.endpoints.kafka, &plan, i32::from(stack.brokers), may).await? {
                let made = if topic.created { "made" } else { "is there" };
                note(&format!("{}: {} partitions, {made}", topic.name, topic.partitions));
            }
            Ok(Exit::Done)
        }
        TopicsAction::Recreate { profile } => {
            let _alone = state.alone("topics recreate", false)?;
            for topic in plan(context, profile, &state, &stack)? {
                let replication = i32::from(stack.brokers);
                topics::recreate(&stack.endpoints.kafka, &topic, replication, context.global.yes).await?;
                note(&format!("{}: made again with {} partitions", topic.name, topic.partitions));
            }
            Ok(Exit::Done)
        }
        TopicsAction::Describe { topic } => describe(context, &stack, topic).await,
    }
}

fn plan(context: &Context, profile: &str, state: &StateDir, stack: &Stack) -> anyhow::Result<Vec<TopicPlan>> {
    let profile = context.profile(profile)?.profile;
    same_system(&profile, stack.system, state.root())?;
    Ok(topics::plan(profile.system, &profile.backend))
}

fn external(stack: &Stack) -> bool {
    stack.components.get("kafka").is_some_and(|c| c.provider == Provider::External)
}

async fn list(context: &Context, stack: &Stack, plan: &[TopicPlan]) -> anyhow::Result<Exit> {
    let states = topics::list(&stack.endpoints.kafka, plan).await?;
    let mut table = table::new(&["topic", "planned", "partitions", "replication", "state"], &[1, 2, 3]);
    for state in &states {
        table.add_row([
            state.name.clone(),
            or_dash(state.planned),
            or_dash(state.partitions),
            or_dash(state.replication),
            verdict(state).to_owned(),
        ]);
    }
    context.print(&table.to_string(), &states)?;
    Ok(if states.iter().all(TopicState::matches) { Exit::Done } else { Exit::Failed })
}

fn verdict(state: &TopicState) -> &'static str {
    match (state.planned, state.partitions) {
        (None, _) => "not in the plan",
        (Some(_), None) => "MISSING: `ecomctl topics create`",
        (Some(_), Some(_)) if state.matches() => "as planned",
        _ => "DIFFERS: `ecomctl topics recreate --yes`",
    }
}

async fn describe(context: &Context, stack: &Stack, name: &str) -> anyhow::Result<Exit> {
    let topic = topics::describe(&stack.endpoints.kafka, name).await?;
    let mut table = table::new(&["partition", "leader", "replicas", "in sync"], &[0, 1]);
    for p in &topic.partitions {
        table.add_row([
            p.id.to_string(),
            p.leader.to_string(),
            format!("{:?}", p.replicas),
            format!("{:?}", p.in_sync),
        ]);
    }
    context.print(&format!("{}\n{table}", topic.name), &topic)?;
    Ok(Exit::Done)
}
