//! A profile as the plan that stands in a run's first event.

use load::schedule::{Phase, SECOND, Schedule};
use profile::model::{AlarmSpec, Profile, Scenario};
use record::event::plan::{AlarmPlan, GoalPlan, PhasePlan, Proven, RunPlan, ScenarioPlan};

/// What a run of `profile` means to do, and to prove.
pub(super) fn of(profile: &Profile, proven: &Proven) -> RunPlan {
    let goals = profile.goals.iter().flat_map(|(metric, goals)| {
        goals.iter().map(|goal| GoalPlan { metric: metric.clone(), expression: goal.expression().to_owned() })
    });
    RunPlan {
        system: profile.system.name().to_owned(),
        scenarios: profile.scenarios.iter().map(|(name, s)| scenario(name, s)).collect(),
        goals: goals.collect(),
        alarms: profile.alarms.iter().map(|(metric, spec)| alarm(metric, spec)).collect(),
        cores: std::thread::available_parallelism().map_or(0, |n| n.get() as u32),
        proven: proven.clone(),
        require: profile.checks.require.clone(),
        consumers: profile.backend.consumers,
        drain_s: profile.drain.timeout.0.as_secs_f64(),
    }
}

fn alarm(metric: &str, spec: &AlarmSpec) -> AlarmPlan {
    AlarmPlan {
        metric: metric.to_owned(),
        warning: spec.warning,
        critical: spec.critical,
        for_s: spec.hold.0.as_secs_f64(),
        act: spec.act.clone(),
    }
}

fn scenario(name: &str, scenario: &Scenario) -> ScenarioPlan {
    let schedule = Schedule::new(&scenario.executor);
    let seconds = |nanos: u64| nanos as f64 / SECOND as f64;
    let phase = |phase: Phase| PhasePlan {
        start_s: seconds(phase.start),
        duration_s: seconds(phase.duration),
        target: phase.target,
    };
    ScenarioPlan {
        name: name.to_owned(),
        open: schedule.is_open(),
        max_vus: schedule.max_vus(),
        phases: schedule.phases().into_iter().map(phase).collect(),
    }
}
