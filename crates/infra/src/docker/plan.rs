//! What has to be done to turn the containers that are there into those that are wanted. Pure.

use super::list::ContainerState;

/// A container that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub service: String,
    pub number: u16,
    pub hash: String,
    /// It runs to its end, and others wait for that.
    pub one_shot: bool,
}

/// A container that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct There {
    pub id: String,
    pub service: String,
    pub number: u16,
    pub hash: String,
    pub state: ContainerState,
    pub exit_code: Option<i64>,
}

/// What is done for one container that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// It runs with these settings, or has done its work.
    Keep(String),
    /// It is there with these settings, and is started.
    Start(String),
    /// It is frozen, and goes on.
    Unpause(String),
    /// It is made; the containers in its place are removed first.
    Create(Vec<String>),
}

impl Action {
    /// Ids of the containers that go for it.
    pub fn replaced(&self) -> &[String] {
        match self {
            Self::Create(old) => old,
            Self::Keep(_) | Self::Start(_) | Self::Unpause(_) => &[],
        }
    }

    /// The container that is there and stays.
    pub fn kept(&self) -> Option<&str> {
        match self {
            Self::Keep(id) | Self::Start(id) | Self::Unpause(id) => Some(id),
            Self::Create(_) => None,
        }
    }

    /// Whether a container is started that does not run now.
    pub fn starts(&self) -> bool {
        matches!(self, Self::Start(_) | Self::Create(_))
    }
}

/// What is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// One for each wanted container, in their order.
    pub actions: Vec<Action>,
    /// Ids that go: more than are wanted of a service, and orphans.
    pub remove: Vec<String>,
}

/// Compares. A service that is not among the wanted is an orphan only where the project does not `know` it.
pub(super) fn plan(
    wanted: &[Wanted],
    there: &[There],
    knows: &dyn Fn(&str) -> bool,
    recreate: bool,
    orphans: bool,
) -> Plan {
    let actions: Vec<Action> = wanted.iter().map(|want| action(want, there, recreate)).collect();
    let surplus = there.iter().filter(|container| {
        let ordered = wanted.iter().any(|want| want.service == container.service);
        let place = wanted.iter().position(|w| w.service == container.service && w.number == container.number);
        // One beside the one that stays: what a killed replacement left.
        let beside = || place.and_then(|at| actions.get(at)?.kept()).is_some_and(|kept| kept != container.id);
        (ordered && place.is_none()) || beside() || (orphans && !knows(&container.service))
    });
    let remove = surplus.map(|container| container.id.clone()).collect();
    Plan { actions, remove }
}

fn action(want: &Wanted, there: &[There], recreate: bool) -> Action {
    let same: Vec<_> = there.iter().filter(|c| c.service == want.service && c.number == want.number).collect();
    let mut fit: Vec<_> = same.iter().filter(|container| container.hash == want.hash && !recreate).collect();
    // Of two in one place (a replacement was killed) the one that runs stays.
    fit.sort_by_key(|container| !matches!(container.state, ContainerState::Running | ContainerState::Restarting));
    for one in fit {
        match (one.state, one.exit_code) {
            (ContainerState::Running | ContainerState::Restarting, _) => return Action::Keep(one.id.clone()),
            (ContainerState::Exited, Some(0)) if want.one_shot => return Action::Keep(one.id.clone()),
            (ContainerState::Exited, _) => return Action::Start(one.id.clone()),
            (ContainerState::Paused, _) => return Action::Unpause(one.id.clone()),
            // Half made: its files may not be in it.
            (ContainerState::Created | ContainerState::Dead, _) => {}
        }
    }
    Action::Create(same.iter().map(|container| container.id.clone()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state() -> impl Strategy<Value = ContainerState> {
        use ContainerState::*;
        prop::sample::select(vec![Created, Running, Paused, Restarting, Exited, Dead])
    }

    fn there() -> impl Strategy<Value = Vec<There>> {
        let one = ("[abz]", 1..4_u16, "[hi]", state(), prop::option::of(0..2_i64));
        prop::collection::vec(one, 0..8).prop_map(|all| {
            let numbered = all.into_iter().enumerate();
            numbered
                .map(|(i, (service, number, hash, state, exit_code))| There {
                    id: i.to_string(),
                    service,
                    number,
                    hash,
                    state,
                    exit_code,
                })
                .collect()
        })
    }

    fn wanted() -> impl Strategy<Value = Vec<Wanted>> {
        (0..3_u16, 0..3_u16, any::<bool>()).prop_map(|(a, b, one_shot)| {
            let want = |service: &str, number| Wanted { service: service.into(), number, hash: "h".into(), one_shot };
            (1..=a).map(|n| want("a", n)).chain((1..=b).map(|n| want("b", n))).collect()
        })
    }

    /// What the Engine has after the plan was carried out.
    fn carry_out(plan: &Plan, wanted: &[Wanted], there: &[There]) -> Vec<There> {
        let mut gone: Vec<String> = plan.remove.clone();
        let mut now = there.to_vec();
        for (i, (action, want)) in plan.actions.iter().zip(wanted).enumerate() {
            match action {
                Action::Keep(_) => {}
                Action::Start(id) | Action::Unpause(id) => {
                    for container in now.iter_mut().filter(|container| container.id == *id) {
                        container.state = ContainerState::Running;
                    }
                }
                Action::Create(old) => {
                    gone.extend(old.iter().cloned());
                    now.push(There {
                        id: format!("new-{i}"),
                        service: want.service.clone(),
                        number: want.number,
                        hash: want.hash.clone(),
                        state: ContainerState::Running,
                        exit_code: None,
                    });
                }
            }
        }
        now.retain(|container| !gone.contains(&container.id));
        now
    }

    proptest! {
        /// Idempotent: what one `up` did leaves nothing to do for the next, whatever was there before.
        #[test]
        fn a_second_plan_has_nothing_to_do(wanted in wanted(), there in there(), orphans: bool) {
            let knows = |service: &str| service != "z";
            let first = plan(&wanted, &there, &knows, false, orphans);
            let now = carry_out(&first, &wanted, &there);
            let second = plan(&wanted, &now, &knows, false, orphans);
            prop_assert!(second.actions.iter().all(|action| matches!(action, Action::Keep(_))), "{second:?}");
            prop_assert!(second.remove.is_empty(), "{second:?}");
        }

        /// Nothing is removed that the order does not name: other services stay, and orphans unless asked.
        #[test]
        fn services_that_were_not_ordered_are_left_alone(wanted in wanted(), there in there()) {
            let plan = plan(&wanted, &there, &|_| true, true, true);
            let gone: Vec<&String> = plan.remove.iter().chain(plan.actions.iter().flat_map(|a| match a {
                Action::Create(old) => old.as_slice(),
                _ => &[],
            })).collect();
            for container in there.iter().filter(|c| !wanted.iter().any(|w| w.service == c.service)) {
                prop_assert!(!gone.contains(&&container.id));
            }
        }
    }

    #[test]
    fn a_one_shot_that_ended_well_is_done_and_one_that_failed_is_run_again() {
        let want = Wanted { service: "init".into(), number: 1, hash: "h".into(), one_shot: true };
        let there = |code| There {
            id: "1".into(),
            service: "init".into(),
            number: 1,
            hash: "h".into(),
            state: ContainerState::Exited,
            exit_code: Some(code),
        };
        let knows = |_: &str| true;
        assert_eq!(
            plan(std::slice::from_ref(&want), &[there(0)], &knows, false, false).actions,
            [Action::Keep("1".into())]
        );
        assert_eq!(plan(&[want], &[there(1)], &knows, false, false).actions, [Action::Start("1".into())]);
    }
}
