//! How far each service is, for those that wait for it.

use std::collections::BTreeMap;

use compose::model::Condition;
use tokio::sync::watch;

/// How far a service is. Later ones include the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Not started yet.
    Waiting,
    /// Every container of it was started.
    Started,
    /// Every container of it is healthy; without a health check, runs on.
    Healthy,
    /// Every container of it ended with 0, after whatever else was waited for.
    Completed,
}

impl Stage {
    /// Whether whoever waits for `condition` may go on.
    pub fn meets(self, condition: Condition) -> bool {
        match condition {
            Condition::ServiceStarted => self >= Self::Started,
            Condition::ServiceHealthy => self >= Self::Healthy,
            Condition::ServiceCompletedSuccessfully => self >= Self::Completed,
        }
    }
}

/// The stage of every service of one `up`.
#[derive(Debug)]
pub(super) struct Stages(BTreeMap<String, watch::Sender<Stage>>);

impl Stages {
    /// All of them waiting.
    pub fn new(services: &[String]) -> Self {
        Self(services.iter().map(|name| (name.clone(), watch::Sender::new(Stage::Waiting))).collect())
    }

    /// Tells how far `service` is now.
    pub fn set(&self, service: &str, stage: Stage) {
        if let Some(sender) = self.0.get(service) {
            sender.send_replace(stage);
        }
    }

    /// Waits until `service` meets `condition`. It waits for ever where that never comes: whoever failed ends the `up`.
    pub async fn wait(&self, service: &str, condition: Condition) {
        if let Some(sender) = self.0.get(service) {
            // The sender lives as long as we do.
            let _ = sender.subscribe().wait_for(|stage| stage.meets(condition)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_enough_for_whoever_waits_for_it_or_for_less() {
        assert!(!Stage::Waiting.meets(Condition::ServiceStarted));
        assert!(Stage::Started.meets(Condition::ServiceStarted) && !Stage::Started.meets(Condition::ServiceHealthy));
        assert!(!Stage::Healthy.meets(Condition::ServiceCompletedSuccessfully));
        assert!(Stage::Completed.meets(Condition::ServiceCompletedSuccessfully));
    }
}
