//! What a look at a group is about.

use std::time::Duration;

use contract::endpoint::KafkaEndpoint;

use super::rules::Rules;

/// What to look at.
#[derive(Debug, Clone)]
pub struct LagPlan {
    /// Kafka.
    pub endpoint: KafkaEndpoint,
    /// Consumer group.
    pub group: String,
    /// Topics that are looked at in any case; they must exist.
    pub topics: Vec<String>,
    /// Look also at every topic on which the group committed, or that a member reads.
    pub search: bool,
    /// Time from look to look; a second as a rule.
    pub interval: Duration,
    /// What counts as lag, and as a stall.
    pub rules: Rules,
}
