//! Rows of goals and alarms.

use base::figure::millis;
use record::{
    goal::{GoalResult, State},
    metric::in_unit,
};

use super::{
    pen::{Piece, piece, role_of},
    table::{Detail, headline},
};
use crate::{
    model::{Alarm, AlarmState},
    text::clock,
    theme::Role,
};

/// A goal. Signs are ASCII: they stand in every glyph set.
pub(super) fn goal_row(goal: &GoalResult) -> Vec<Piece<'_>> {
    let (sign, role) = match goal.state {
        State::Met => ("+", Role::Good),
        State::Missed => ("x", Role::Bad),
        State::Unknown => ("?", Role::Dim),
    };
    let now = goal.actual.map_or_else(|| "-".into(), |n| millis(Some(n)));
    vec![
        piece(sign, role),
        piece(goal.metric.as_str(), Role::Text),
        piece(goal.expression.as_str(), Role::Text),
        piece(now, role),
    ]
}

/// A goal in full.
pub(super) fn goal_detail(goal: &GoalResult) -> Detail {
    let state = match goal.state {
        State::Met => "met",
        State::Missed => "missed",
        State::Unknown => "cannot be told yet",
    };
    let now = goal.actual.map_or_else(|| "-".into(), |n| n.to_string());
    let lines = vec![format!("{}: {}", goal.metric, goal.expression), format!("now {now}: {state}")];
    Detail { title: headline(&goal.metric), lines }
}

/// An alarm: its level since when, or up to where all is well.
pub(super) fn alarm_row(alarm: &Alarm) -> Vec<Piece<'_>> {
    let sign = sign(alarm.state);
    let role = if alarm.state == AlarmState::Unknown { Role::Dim } else { role_of(alarm.state.tone()) };
    let metric = match &alarm.now.component {
        Some(name) => format!("{} ({name})", alarm.now.plan.metric).into(),
        None => alarm.now.plan.metric.as_str().into(),
    };
    let level = match (alarm.state, alarm.now.since_ms) {
        (AlarmState::Pending, _) | (_, None) => {
            let relation = if alarm.state == AlarmState::Pending { ">=" } else { "<" };
            format!("{} {relation} {}", alarm.state.name(), value(alarm, Some(alarm.now.plan.lowest())))
        }
        (state, Some(since)) => format!("{} {}", state.name(), clock(since)),
    };
    vec![
        piece(sign, role),
        Piece { text: metric, role: Role::Text },
        piece(level, role),
        piece(value(alarm, alarm.now.value), role),
    ]
}

/// The alarms that are raised, in a line: `   alarms x consumer_lag  ! cpu`. It is seen where the table has no room.
pub(super) fn raised(alarms: &[Alarm]) -> Vec<Piece<'_>> {
    let raised = alarms.iter().filter(|alarm| alarm.state >= AlarmState::Warning);
    let words = raised
        .map(|alarm| piece(format!(" {} {} ", sign(alarm.state), alarm.now.plan.metric), role_of(alarm.state.tone())));
    let words: Vec<_> = words.collect();
    if words.is_empty() { words } else { std::iter::once(piece("   alarms", Role::Dim)).chain(words).collect() }
}

fn sign(state: AlarmState) -> &'static str {
    match state {
        AlarmState::Unknown => "?",
        AlarmState::Ok => "+",
        AlarmState::Pending => "~",
        AlarmState::Warning => "!",
        AlarmState::Critical => "x",
    }
}

/// An alarm in full.
pub(super) fn alarm_detail(alarm: &Alarm) -> Detail {
    let plan = &alarm.now.plan;
    let level = |level: Option<f64>| level.map_or_else(|| "none".into(), |level| value(alarm, Some(level)));
    let since = alarm.now.since_ms.map_or_else(String::new, |ms| format!(" since {}", clock(ms)));
    let of = alarm.now.component.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
    let mut lines = vec![
        format!("now {}{of}: {}{since}", value(alarm, alarm.now.value), alarm.state.name()),
        format!("warning from {}, critical from {}, for {} s", level(plan.warning), level(plan.critical), plan.for_s),
        format!("highest so far {}", value(alarm, alarm.now.highest)),
    ];
    lines.extend(plan.act.as_ref().map(|act| format!("what to do: {act}")));
    Detail { title: headline(&format!("Alarm: {}", plan.metric)), lines }
}

fn value(alarm: &Alarm, value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| in_unit(&alarm.now.plan.metric, value))
}
