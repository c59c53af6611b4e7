//! How the goals stand while the run goes on.

use super::Seen;
use crate::{
    event::plan::GoalPlan,
    goal::{self, GoalResult, Metric, Selector, State},
};

/// All goals of a plan, without a figure yet.
pub(super) fn unknown(goals: &[GoalPlan]) -> Vec<GoalResult> {
    let unknown = |goal: &GoalPlan| GoalResult {
        metric: goal.metric.clone(),
        expression: goal.expression.clone(),
        state: State::Unknown,
        actual: None,
    };
    goals.iter().map(unknown).collect()
}

/// Takes over what `results` say; a goal that was not there is added.
pub(super) fn merge(goals: &mut Vec<GoalResult>, results: &[GoalResult]) {
    for result in results {
        match goals.iter_mut().find(|goal| goal.metric == result.metric && goal.expression == result.expression) {
            Some(goal) => goal.clone_from(result),
            None => goals.push(result.clone()),
        }
    }
}

/// Judges the goals over what the probes see. Those over the generator's figures come as events.
pub(super) fn judge(goals: &mut [GoalResult], seen: &Seen) {
    let trend = |selector: &Selector| seen.trend(&selector.metric).cloned().map(Metric::Trend);
    for goal in goals {
        let result = goal::evaluate_one(&goal.metric, &goal.expression, trend);
        if result.state != State::Unknown {
            *goal = result;
        }
    }
}
