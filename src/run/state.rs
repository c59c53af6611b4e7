//! What a run came to so far, gathered from its events.

use std::collections::{BTreeMap, VecDeque};

use crate::event::{Event, LoadSample, ProbeSample, Stamped};

/// Warnings that are kept; `events.jsonl` has them all.
pub const MOST_WARNINGS: usize = 200;

/// The state of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunState {
    /// Milliseconds since the run began, of the newest event.
    pub t_ms: u64,
    /// Stage it is in.
    pub stage: String,
    /// Scenario → number and target of its phase.
    pub phases: BTreeMap<String, (usize, f64)>,
    /// Newest sample of the generator.
    pub load: Option<LoadSample>,
    /// Newest sample of the probes.
    pub probe: Option<ProbeSample>,
    /// Figures over all samples of the probes.
    pub seen: Seen,
    /// Backend processes that ended unasked: name → how often.
    pub restarts: BTreeMap<String, u32>,
    /// The newest warnings.
    pub warnings: VecDeque<String>,
    /// Check → verdict.
    pub checks: BTreeMap<String, String>,
}

/// Figures over all samples of the probes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Largest Σ lag.
    pub lag_max: Option<u64>,
    /// Each Σ lag.
    pub lags: Vec<f64>,
    /// Each time lag, in milliseconds.
    pub time_lags_ms: Vec<f64>,
    /// Each round trip to Redis, in milliseconds.
    pub redis_ms: Vec<f64>,
    /// Connections to MySQL, of all programs.
    pub mysql_connections: Vec<f64>,
}

/// Samples that are kept for percentiles: eight hours of one a second. What comes after is thinned out.
const MOST_SAMPLES: usize = 8 * 3_600;

impl Seen {
    fn add(&mut self, sample: &ProbeSample) {
        self.lag_max = self.lag_max.max(sample.lag);
        push(&mut self.lags, sample.lag.map(|lag| lag as f64));
        push(&mut self.time_lags_ms, sample.time_lag_ms);
        push(&mut self.redis_ms, sample.redis_ms);
        push(&mut self.mysql_connections, sample.mysql_connections.map(|n| n as f64));
    }
}

fn push(values: &mut Vec<f64>, value: Option<f64>) {
    if values.len() >= MOST_SAMPLES {
        let mut i = 0;
        values.retain(|_| {
            i += 1;
            i % 2 == 0
        });
    }
    values.extend(value);
}

impl RunState {
    /// Takes one event in.
    pub fn apply(&mut self, stamped: &Stamped) {
        self.t_ms = self.t_ms.max(stamped.t_ms);
        match &stamped.event {
            Event::Stage { name } => self.stage.clone_from(name),
            Event::Phase { scenario, index, target } => {
                self.phases.insert(scenario.clone(), (*index, *target));
            }
            Event::Load(sample) => self.load = Some(sample.clone()),
            Event::Probe(sample) => {
                self.seen.add(sample);
                self.probe = Some(sample.clone());
            }
            Event::RunStarted { .. }
            | Event::Finished { .. }
            | Event::Kafka(_)
            | Event::Redis(_)
            | Event::Mysql(_)
            | Event::Stack(_)
            | Event::Unreachable { .. }
            | Event::Act { .. } => {}
            Event::Process { name, state, .. } => {
                if state == "restarted" {
                    *self.restarts.entry(name.clone()).or_default() += 1;
                }
            }
            Event::Warning { message } => {
                if self.warnings.len() == MOST_WARNINGS {
                    self.warnings.pop_front();
                }
                self.warnings.push_back(message.clone());
            }
            Event::Check { id, verdict, .. } => {
                self.checks.insert(id.clone(), verdict.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_keep_bounded_memory_and_the_true_maximum() {
        let mut seen = Seen::default();
        for lag in (0..100_000_u64).rev() {
            seen.add(&ProbeSample { lag: Some(lag), ..ProbeSample::default() });
        }
        assert!(seen.lags.len() <= MOST_SAMPLES);
        assert_eq!(seen.lag_max, Some(99_999));
    }

    #[test]
    fn a_server_that_cannot_be_read_leaves_no_figure() {
        let mut seen = Seen::default();
        seen.add(&ProbeSample::default());
        assert_eq!(seen, Seen::default());
    }
}
