//! Processes and containers of the stack.

use infra::{StateDir, stats::Sampler};
use record::event::Event;

use super::{Source, Stacked};

/// The watcher.
pub(super) struct Components {
    state: Option<StateDir>,
    stack: Stacked,
    sampler: Sampler,
}

impl Components {
    pub fn new(state: Option<StateDir>, stack: Stacked) -> Self {
        Self { state, stack, sampler: Sampler::default() }
    }
}

impl Source for Components {
    const NAME: &'static str = "stack";

    async fn look(&mut self) -> Result<Event, String> {
        let stack = (self.stack)().ok_or("nothing is up: `ecomctl up` brings a stack up")?;
        Ok(Event::Stack(self.sampler.sample_of(self.state.as_ref(), &stack).await))
    }
}
