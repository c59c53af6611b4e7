//! A stack that is looked at without a run: its watchers tell a state of their own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use infra::{stack::Stack, state::StateDir};
use record::{event::Stamped, state::RunState};
use tokio::sync::{mpsc, watch};

use crate::watch::{WatchPlan, Watchers};

/// Events that may wait; of samples the next one comes anyway.
const QUEUE: usize = 256;
/// Time from look to look.
const EVERY: Duration = Duration::from_secs(1);

/// Watchers at work. Dropping it ends them.
#[derive(Debug)]
pub struct Watching {
    /// What they saw.
    pub state: watch::Receiver<Arc<RunState>>,
    _watchers: Watchers,
}

impl Watching {
    /// Watches `stack`; `state` tells of processes that come and go.
    pub fn start(state: Option<StateDir>, stack: Stack) -> Self {
        let (sender, mut events) = mpsc::channel::<Stamped>(QUEUE);
        let (publish, receiver) = watch::channel(Arc::new(RunState::default()));
        let (origin, system) = (Instant::now(), stack.system);
        let plan = WatchPlan {
            state: state.clone(),
            endpoints: stack.endpoints.clone(),
            stack: Arc::new(move || match &state {
                Some(state) => state.load_stack().ok().flatten().or_else(|| Some(stack.clone())),
                None => Some(stack.clone()),
            }),
            topic: system.claims().name.to_owned(),
            group: system.claims().group.to_owned(),
            interval: EVERY,
        };
        let emit = move |event| {
            let _ = sender.try_send(Stamped { t_ms: origin.elapsed().as_millis() as u64, event });
        };
        let watchers = Watchers::start(plan, emit);
        // It ends with the watchers, who hold the other end.
        tokio::spawn(async move {
            let mut state = RunState::default();
            while let Some(stamped) = events.recv().await {
                state.apply(&stamped);
                publish.send_replace(Arc::new(state.clone()));
            }
        });
        Self { state: receiver, _watchers: watchers }
    }
}
