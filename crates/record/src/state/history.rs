//! Histories of what is drawn over time.

use std::collections::BTreeMap;

use super::series::Series;
use crate::event::{
    LoadSample, ProbeSample,
    watch::{KafkaSample, MysqlSample, RedisSample, StackSample},
};

/// Histories of one kind that are kept: more coupons or components than this are not drawn over time.
pub const MOST_KEYS: usize = 64;

/// Histories by name.
pub type Keyed<K> = BTreeMap<K, Series>;

/// Histories of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Virtual users.
    pub vus: Series,
    /// Requests per second.
    pub rps: Series,
    /// Median latency in milliseconds.
    pub p50_ms: Series,
    /// 95th percentile.
    pub p95_ms: Series,
    /// 99th percentile.
    pub p99_ms: Series,
    /// Iterations dropped per second.
    pub dropped: Series,
    /// Outcome class → requests per second.
    pub outcomes: Keyed<String>,
    /// Σ lag: of the Kafka watcher, or of the probes where there is none.
    pub lag: Series,
    /// Age of the oldest unconsumed record in milliseconds.
    pub time_lag_ms: Series,
    /// Records per second that come in.
    pub produced: Series,
    /// Records per second that are committed.
    pub consumed: Series,
    /// `topic/partition` → lag.
    pub partition_lag: Keyed<String>,
    /// Dead letters.
    pub dead_letters: Series,
    /// Coupon → left.
    pub stock: Keyed<u64>,
    /// Coupon → granted.
    pub grants: Keyed<u64>,
    /// Coupon → rows.
    pub rows: Keyed<u64>,
    /// Redis: share of reads that found their key, 0..1.
    pub hit_rate: Series,
    /// Redis: round trip in milliseconds.
    pub redis_ms: Series,
    /// Redis: commands per second.
    pub redis_ops: Series,
    /// Redis: bytes in use.
    pub redis_memory: Series,
    /// Redis: keys evicted per second.
    pub evictions: Series,
    /// MySQL: connections.
    pub connections: Series,
    /// MySQL: threads that run a statement.
    pub running: Series,
    /// MySQL: statements per second.
    pub queries: Series,
    /// MySQL: round trip in milliseconds.
    pub mysql_ms: Series,
    /// MySQL: waits for row locks at the moment.
    pub lock_waits: Series,
    /// Pools: requests that wait for a connection, all processes.
    pub pool_waiting: Series,
    /// Component → CPU in percent of one core.
    pub cpu: Keyed<String>,
    /// Component → bytes of memory.
    pub memory: Keyed<String>,
    /// Component → share of its CPU periods in which it was held back, in percent.
    pub throttled: Keyed<String>,
    before: Before,
}

/// What rates are counted from.
#[derive(Debug, Clone, Default, PartialEq)]
struct Before {
    load: Option<(u64, u64, BTreeMap<String, u64>)>,
    evicted: Option<(u64, u64)>,
    /// The watcher of Kafka speaks: the probes' lag would be the same curve twice.
    kafka_watched: bool,
}

fn push<K: Ord + Clone>(keyed: &mut Keyed<K>, key: &K, t_ms: u64, value: Option<f64>) {
    let Some(value) = value else { return };
    if let Some(series) = keyed.get_mut(key) {
        series.push(t_ms, value);
    } else if keyed.len() < MOST_KEYS {
        keyed.entry(key.clone()).or_default().push(t_ms, value);
    }
}

/// Growth per second from `before` to `now`; a counter that fell began anew.
fn rate(before: u64, now: u64, seconds: f64) -> f64 {
    now.saturating_sub(before) as f64 / seconds
}

impl History {
    pub(super) fn load(&mut self, t_ms: u64, sample: &LoadSample) {
        self.vus.push(t_ms, f64::from(sample.vus));
        self.rps.push(t_ms, sample.rps);
        self.p50_ms.extend(t_ms, sample.p50_ms);
        self.p95_ms.extend(t_ms, sample.p95_ms);
        self.p99_ms.extend(t_ms, sample.p99_ms);
        let (then, dropped, outcomes) = self.before.load.take().unwrap_or_default();
        let seconds = t_ms.saturating_sub(then) as f64 / 1_000.0;
        // The last sample of a load may come right behind another one; a rate over so short a time says nothing.
        if seconds >= 0.25 {
            self.dropped.push(t_ms, rate(dropped, sample.dropped, seconds));
            for (class, count) in &sample.outcomes {
                let before = outcomes.get(class).copied().unwrap_or(0);
                push(&mut self.outcomes, class, t_ms, Some(rate(before, *count, seconds)));
            }
        }
        self.before.load = Some((t_ms, sample.dropped, sample.outcomes.clone()));
    }

    pub(super) fn probe(&mut self, t_ms: u64, sample: &ProbeSample) {
        if !self.before.kafka_watched {
            self.lag.extend(t_ms, sample.lag.map(|lag| lag as f64));
            self.time_lag_ms.extend(t_ms, sample.time_lag_ms);
            self.dead_letters.extend(t_ms, sample.dead_letters.map(|n| n as f64));
        }
        for (coupon, figures) in &sample.coupons {
            push(&mut self.stock, coupon, t_ms, figures.stock.map(|n| n as f64));
            push(&mut self.grants, coupon, t_ms, figures.grants.map(|n| n as f64));
            push(&mut self.rows, coupon, t_ms, figures.rows.map(|n| n as f64));
        }
    }

    pub(super) fn kafka(&mut self, t_ms: u64, sample: &KafkaSample) {
        self.before.kafka_watched = true;
        self.lag.extend(t_ms, sample.lag.map(|lag| lag as f64));
        self.time_lag_ms.extend(t_ms, sample.time_lag_ms);
        self.produced.extend(t_ms, sample.produced_per_s);
        self.consumed.extend(t_ms, sample.consumed_per_s);
        self.dead_letters.extend(t_ms, sample.dead_letters.map(|n| n as f64));
        for p in &sample.partitions {
            let key = format!("{}/{}", p.topic, p.partition);
            push(&mut self.partition_lag, &key, t_ms, p.lag.map(|lag| lag as f64));
        }
    }

    /// `probed`: the probes tell stock and grants already.
    pub(super) fn redis(&mut self, t_ms: u64, sample: &RedisSample, probed: bool) {
        self.hit_rate.extend(t_ms, sample.hit_rate);
        self.redis_ms.extend(t_ms, sample.latency_ms);
        if !probed {
            for (coupon, gate) in &sample.gates {
                push(&mut self.stock, coupon, t_ms, gate.stock.map(|n| n as f64));
                push(&mut self.grants, coupon, t_ms, gate.grants.map(|n| n as f64));
            }
        }
        if sample.denied.iter().any(|command| command == "INFO") {
            return;
        }
        self.redis_ops.push(t_ms, sample.ops_per_s);
        self.redis_memory.push(t_ms, sample.used_memory as f64);
        if let Some((then, before)) = self.before.evicted
            && t_ms > then
        {
            self.evictions.push(t_ms, rate(before, sample.evicted, (t_ms - then) as f64 / 1_000.0));
        }
        self.before.evicted = Some((t_ms, sample.evicted));
    }

    pub(super) fn mysql(&mut self, t_ms: u64, sample: &MysqlSample) {
        self.connections.push(t_ms, sample.connections as f64);
        self.running.push(t_ms, sample.running as f64);
        self.queries.extend(t_ms, sample.queries_per_s);
        self.mysql_ms.extend(t_ms, sample.latency_ms);
        self.lock_waits.extend(t_ms, sample.lock_waits.as_ref().map(|waits| waits.len() as f64));
        if !sample.pools.is_empty() {
            self.pool_waiting.push(t_ms, sample.pools.iter().map(|pool| pool.waiting).sum::<u64>() as f64);
        }
    }

    pub(super) fn stack(&mut self, t_ms: u64, sample: &StackSample) {
        for component in &sample.components {
            push(&mut self.cpu, &component.name, t_ms, component.cpu);
            push(&mut self.memory, &component.name, t_ms, component.mem.map(|bytes| bytes as f64));
            push(&mut self.throttled, &component.name, t_ms, component.throttled);
        }
    }
}
