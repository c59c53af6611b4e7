//! The values of metrics, read from the events that hold them. Each metric has one kind of event.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    COMPONENT_MEMORY, CONSUMER_LAG, CONSUMER_TIME_LAG, CPU, DEAD_LETTERS, DROPPED_ITERATIONS, GROUP_CONSUMED,
    GROUP_LAG, GROUP_PRODUCED, GROUP_TIME_LAG, HTTP_REQ_DURATION, HTTP_REQ_FAILED, HTTP_REQ_P50, HTTP_REQ_P95,
    HTTP_REQ_P99, HTTP_REQS, Known, MEMORY, MYSQL_CONNECTIONS, MYSQL_CONNECTIONS_USED, MYSQL_LOCK_WAITS, MYSQL_PING,
    MYSQL_QUERIES, MYSQL_RUNNING, MYSQL_THREADS, POOL_WAITING, REDIS_DURATION, REDIS_EVICTIONS, REDIS_HIT_RATE,
    REDIS_MEMORY, REDIS_OPS, REDIS_PING, REDIS_USED_MEMORY, THROTTLED, VUS,
};
use crate::event::{
    Event, LoadSample, ProbeSample, Stamped,
    watch::{ComponentSample, KafkaSample, MysqlSample, RedisSample, StackSample},
};

/// A look at a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading<'a> {
    /// Which.
    pub metric: &'static Known,
    /// What of it, where there are several: a component, a partition, an outcome. None: the whole.
    pub label: Option<Cow<'a, str>>,
    /// Its value in the metric's unit, of a counter of the load its growth per second; absent where it could not be
    /// measured.
    pub value: Option<f64>,
}

const fn whole(metric: &'static Known, value: Option<f64>) -> Reading<'static> {
    Reading { metric, label: None, value }
}

fn part<'a>(metric: &'static Known, label: impl Into<Cow<'a, str>>, value: Option<f64>) -> Reading<'a> {
    Reading { metric, label: Some(label.into()), value }
}

/// Reads metrics. What is counted since the start becomes a share of the last second, or a rate, so it remembers the
/// sample before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reader {
    cores: u32,
    load: Before,
    evicted: Option<(u64, u64)>,
}

/// Requests that ended, and iterations that were dropped, since the start.
#[derive(Debug, Clone, Default, PartialEq)]
struct Before {
    t_ms: u64,
    outcomes: BTreeMap<String, u64>,
    dropped: u64,
}

impl Reader {
    /// A reader for a machine of so many cores; 0: nobody knows.
    pub fn new(cores: u32) -> Self {
        Self { cores, ..Self::default() }
    }

    /// What an event says of the metrics. One that it says nothing of is not among them; one that it should have told,
    /// and could not, has no value.
    pub fn read<'a>(&mut self, stamped: &'a Stamped) -> Vec<Reading<'a>> {
        match &stamped.event {
            Event::Load(sample) => self.load(stamped.t_ms, sample),
            Event::Probe(sample) => probe(sample),
            Event::Kafka(sample) => kafka(sample),
            Event::Redis(sample) => self.redis(stamped.t_ms, sample),
            Event::Mysql(sample) => mysql(sample),
            Event::Stack(sample) => self.stack(sample),
            Event::Unreachable { source, .. } => match source.as_str() {
                "redis" => vec![whole(REDIS_MEMORY, None)],
                "mysql" => vec![whole(MYSQL_CONNECTIONS_USED, None)],
                "stack" => vec![whole(CPU, None), whole(MEMORY, None)],
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn load<'a>(&mut self, t_ms: u64, sample: &'a LoadSample) -> Vec<Reading<'a>> {
        let now = Before { t_ms, outcomes: sample.outcomes.clone(), dropped: sample.dropped };
        let before = std::mem::replace(&mut self.load, now);
        let mut all = vec![
            whole(HTTP_REQ_DURATION, sample.mean_ms),
            whole(HTTP_REQ_FAILED, failed(&before.outcomes, &sample.outcomes)),
            whole(VUS, Some(f64::from(sample.vus))),
            whole(HTTP_REQS, Some(sample.rps)),
            whole(HTTP_REQ_P50, sample.p50_ms),
            whole(HTTP_REQ_P95, sample.p95_ms),
            whole(HTTP_REQ_P99, sample.p99_ms),
        ];
        let seconds = t_ms.saturating_sub(before.t_ms) as f64 / 1_000.0;
        // The last sample of a load may come right behind another one; a rate over so short a time says nothing.
        if seconds >= 0.25 {
            all.push(whole(DROPPED_ITERATIONS, Some(rate(before.dropped, sample.dropped, seconds))));
            all.extend(sample.outcomes.iter().map(|(class, count)| {
                let before = before.outcomes.get(class).copied().unwrap_or(0);
                part(HTTP_REQS, class, Some(rate(before, *count, seconds)))
            }));
        }
        all
    }

    fn redis(&mut self, t_ms: u64, sample: &RedisSample) -> Vec<Reading<'static>> {
        let mut all = vec![whole(REDIS_PING, sample.latency_ms), whole(REDIS_HIT_RATE, sample.hit_rate)];
        // Without INFO the figures are 0, and mean nothing.
        if sample.denied.iter().any(|command| command == "INFO") {
            all.push(whole(REDIS_MEMORY, None));
            return all;
        }
        // Without a maxmemory there is no whole.
        all.push(whole(REDIS_MEMORY, share(sample.used_memory, sample.max_memory)));
        all.push(whole(REDIS_OPS, Some(sample.ops_per_s)));
        all.push(whole(REDIS_USED_MEMORY, Some(sample.used_memory as f64)));
        if let Some((then, before)) = self.evicted.replace((t_ms, sample.evicted)).filter(|(then, _)| *then < t_ms) {
            let seconds = (t_ms - then) as f64 / 1_000.0;
            all.push(whole(REDIS_EVICTIONS, Some(rate(before, sample.evicted, seconds))));
        }
        all
    }

    fn stack<'a>(&self, sample: &'a StackSample) -> Vec<Reading<'a>> {
        // Said even of no component at all: then there is no value.
        let mut all = vec![whole(CPU, None), whole(MEMORY, None)];
        for component in &sample.components {
            let of = |metric, value| part(metric, component.name.as_str(), value);
            all.push(of(CPU, self.cpu(component)));
            all.push(of(MEMORY, component.mem.zip(component.mem_limit).and_then(|(used, of)| share(used, of))));
            all.push(of(COMPONENT_MEMORY, component.mem.map(|bytes| bytes as f64)));
            all.push(of(THROTTLED, component.throttled.map(|percent| percent / 100.0)));
        }
        all
    }

    /// Share of what the component may use: its limit, or all cores.
    fn cpu(&self, component: &ComponentSample) -> Option<f64> {
        let cores = component.cpu_limit_percent.map_or_else(|| f64::from(self.cores), |percent| percent / 100.0);
        (cores > 0.0).then_some(component.cpu? / 100.0 / cores)
    }
}

fn probe(sample: &ProbeSample) -> Vec<Reading<'static>> {
    vec![
        whole(CONSUMER_LAG, sample.lag.map(|lag| lag as f64)),
        whole(CONSUMER_TIME_LAG, sample.time_lag_ms),
        whole(DEAD_LETTERS, sample.dead_letters.map(|n| n as f64)),
        whole(REDIS_DURATION, sample.redis_ms),
        whole(MYSQL_CONNECTIONS, sample.mysql_connections.map(|n| n as f64)),
    ]
}

fn kafka(sample: &KafkaSample) -> Vec<Reading<'static>> {
    let mut all = vec![
        whole(GROUP_LAG, sample.lag.map(|lag| lag as f64)),
        whole(GROUP_TIME_LAG, sample.time_lag_ms),
        whole(GROUP_PRODUCED, sample.produced_per_s),
        whole(GROUP_CONSUMED, sample.consumed_per_s),
    ];
    let lag = |p: &crate::event::watch::PartitionLag| {
        part(GROUP_LAG, format!("{}/{}", p.topic, p.partition), p.lag.map(|lag| lag as f64))
    };
    all.extend(sample.partitions.iter().map(lag));
    all
}

fn mysql(sample: &MysqlSample) -> Vec<Reading<'static>> {
    let waiting = || sample.pools.iter().map(|pool| pool.waiting).sum::<u64>() as f64;
    vec![
        whole(MYSQL_CONNECTIONS_USED, share(sample.connections, sample.max_connections)),
        whole(MYSQL_THREADS, Some(sample.connections as f64)),
        whole(MYSQL_RUNNING, Some(sample.running as f64)),
        whole(MYSQL_QUERIES, sample.queries_per_s),
        whole(MYSQL_PING, sample.latency_ms),
        whole(MYSQL_LOCK_WAITS, sample.lock_waits.as_ref().map(|waits| waits.len() as f64)),
        whole(POOL_WAITING, (!sample.pools.is_empty()).then(waiting)),
    ]
}

/// Share of the requests that ended between two samples and are no answer; none where none ended.
fn failed(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Option<f64> {
    let all = |outcomes: &BTreeMap<String, u64>| outcomes.values().sum::<u64>();
    let failed = |outcomes: &BTreeMap<String, u64>| {
        ["ERROR", "UNKNOWN"].iter().filter_map(|class| outcomes.get(*class)).sum::<u64>()
    };
    share(failed(now).saturating_sub(failed(before)), all(now).saturating_sub(all(before)))
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Growth per second from `before` to `now`; a counter that fell began anew.
fn rate(before: u64, now: u64, seconds: f64) -> f64 {
    now.saturating_sub(before) as f64 / seconds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::watch::PoolSample;
    use crate::{
        alarm::watch::looks,
        metric::{self, METRICS},
    };

    fn at(t_ms: u64, event: &Event) -> Stamped {
        Stamped { t_ms, event: event.clone() }
    }

    /// What alarms see.
    fn values(reader: &mut Reader, event: &Event) -> Vec<(&'static str, Option<f64>)> {
        looks(&reader.read(&at(0, event))).iter().map(|look| (look.metric, look.value)).collect()
    }

    #[test]
    fn failures_are_a_share_of_the_last_second() {
        let load = |ok: u64, unknown: u64| {
            let outcomes = [("SOLD_OUT".to_owned(), ok), ("UNKNOWN".to_owned(), unknown)].into();
            Event::Load(LoadSample { outcomes, mean_ms: Some(2.5), ..LoadSample::default() })
        };
        let mut reader = Reader::default();
        let mut failed = |event: &Event| values(&mut reader, event)[1].1;
        assert_eq!(failed(&load(0, 0)), None, "nothing has ended");
        assert_eq!(failed(&load(80, 20)), Some(0.2), "a refusal is an answer");
        assert_eq!(failed(&load(180, 20)), Some(0.0));
        assert_eq!(failed(&load(180, 20)), None, "nothing ended in this second");
        assert_eq!(failed(&load(0, 0)), None, "counters that fell are no share");
        assert_eq!(values(&mut reader, &load(0, 0))[0], ("http_req_duration", Some(2.5)));
    }

    #[test]
    fn the_worst_component_counts_by_what_it_may_use() {
        let component = |name: &str, cpu: Option<f64>, limit: Option<f64>| ComponentSample {
            name: name.into(),
            cpu,
            cpu_limit_percent: limit.map(|cores| cores * 100.0),
            mem: Some(90),
            mem_limit: limit.map(|_| 100),
            ..ComponentSample::default()
        };
        let components = vec![
            component("mysql", Some(160.0), None),
            component("api-1", Some(45.0), Some(0.5)),
            component("gone", None, Some(0.1)),
        ];
        let event = Event::Stack(StackSample { components });
        let stamped = at(0, &event);
        let readings = Reader::new(4).read(&stamped);
        let seen = looks(&readings);
        assert_eq!((seen[0].value, seen[0].component), (Some(0.9), Some("api-1")));
        assert_eq!((seen[1].metric, seen[1].value), ("memory", Some(0.9)));
        let each = readings.iter().filter(|reading| reading.metric == CPU);
        let each: Vec<_> = each.map(|reading| (reading.label.as_deref(), reading.value)).collect();
        assert_eq!(each[1..], [(Some("mysql"), Some(0.4)), (Some("api-1"), Some(0.9)), (Some("gone"), None)]);
        assert_eq!(looks(&Reader::new(1).read(&stamped))[0].component, Some("mysql"));
        let nobody = Event::Stack(StackSample::default());
        assert_eq!(values(&mut Reader::new(4), &nobody), [("cpu", None), ("memory", None)], "told, without a value");
        let none = Event::Stack(StackSample { components: vec![component("mysql", Some(50.0), None)] });
        assert_eq!(values(&mut Reader::default(), &none), [("cpu", None), ("memory", None)], "no limit, no cores");
    }

    #[test]
    fn what_is_not_known_has_no_value() {
        let mut reader = Reader::new(2);
        let redis = |max_memory, denied: &[&str]| {
            let denied = denied.iter().map(|d| (*d).to_owned()).collect();
            Event::Redis(RedisSample { used_memory: 50, max_memory, denied, ..RedisSample::default() })
        };
        assert_eq!(values(&mut reader, &redis(100, &["SLOWLOG"])), [("redis_memory", Some(0.5))]);
        assert_eq!(values(&mut reader, &redis(100, &["INFO"])), [("redis_memory", None)]);
        assert_eq!(values(&mut reader, &redis(0, &[])), [("redis_memory", None)]);
        let mysql = MysqlSample { connections: 3, max_connections: 0, ..MysqlSample::default() };
        assert_eq!(values(&mut reader, &Event::Mysql(mysql)), [("mysql_connections_used", None)]);
        assert!(values(&mut reader, &Event::Probe(ProbeSample::default())).iter().all(|(_, value)| value.is_none()));
        let away = |source: &str| Event::Unreachable { source: source.into(), why: String::new() };
        assert_eq!(values(&mut reader, &away("stack")), [("cpu", None), ("memory", None)]);
        assert_eq!(values(&mut reader, &away("kafka")), [], "lag is the probes' word");
    }

    /// Growth over a moment says nothing, and a counter that fell began anew.
    #[test]
    fn rates_are_over_the_time_between_two_samples() {
        let load = |queued: u64, dropped: u64| {
            let outcomes = [("QUEUED".to_owned(), queued)].into();
            Event::Load(LoadSample { outcomes, dropped, ..LoadSample::default() })
        };
        let mut reader = Reader::default();
        let mut rates = |t_ms, event: &Event| {
            let stamped = at(t_ms, event);
            let readings = reader.read(&stamped);
            let found = |metric: &Known, label: Option<&str>| {
                let reading = readings.iter().find(|r| r.metric == metric && r.label.as_deref() == label);
                reading.and_then(|reading| reading.value)
            };
            (found(HTTP_REQS, Some("QUEUED")), found(DROPPED_ITERATIONS, None))
        };
        assert_eq!(rates(1_000, &load(10, 4)), (Some(10.0), Some(4.0)));
        assert_eq!(rates(3_000, &load(30, 4)), (Some(10.0), Some(0.0)));
        assert_eq!(rates(3_100, &load(90, 9)), (None, None));
        assert_eq!(rates(4_100, &load(0, 10)), (Some(0.0), Some(1.0)));
    }

    /// What no event tells is known at the end only, of the generator or of the rows.
    #[test]
    fn every_metric_is_read_from_one_kind_of_event() {
        let mysql = MysqlSample { pools: vec![PoolSample::default()], ..MysqlSample::default() };
        let redis = |t_ms| at(t_ms, &Event::Redis(RedisSample::default()));
        let events = [
            at(1_000, &Event::Load(LoadSample::default())),
            at(0, &Event::Probe(ProbeSample::default())),
            at(0, &Event::Kafka(KafkaSample::default())),
            redis(0),
            redis(1_000),
            at(0, &Event::Mysql(mysql)),
            at(0, &Event::Stack(StackSample { components: vec![ComponentSample::default()] })),
        ];
        let mut of: BTreeMap<&str, usize> = BTreeMap::new();
        let mut reader = Reader::default();
        for stamped in &events {
            let kind = std::mem::discriminant(&stamped.event);
            let first = events.iter().position(|other| std::mem::discriminant(&other.event) == kind).unwrap();
            for reading in reader.read(stamped) {
                assert_eq!(*of.entry(reading.metric.name).or_insert(first), first, "{}", reading.metric.name);
            }
        }
        let unread: Vec<_> = METRICS.iter().filter(|known| !of.contains_key(known.name)).collect();
        assert!(unread.iter().all(|known| known.goal.is_some() && known.alarm.is_none()), "{unread:?}");
        assert!(metric::alarms().all(|known| of.contains_key(known.name)));
    }
}
