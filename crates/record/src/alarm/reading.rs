//! The values of alarms' metrics, read from the events that hold them. Each metric has one kind of event.

use crate::event::{
    Event, LoadSample,
    watch::{ComponentSample, StackSample},
};

/// A look at a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading<'a> {
    /// Its name, as [`super::registry::METRICS`] has it.
    pub metric: &'static str,
    /// Its value in the metric's unit; absent where it could not be measured.
    pub value: Option<f64>,
    /// The component that it is of, where there are several.
    pub component: Option<&'a str>,
}

/// Reads metrics. What is counted since the start becomes a share of the last second, so it remembers the sample before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reader {
    cores: u32,
    before: Ended,
}

/// Requests that ended since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Ended {
    all: u64,
    failed: u64,
}

impl Reader {
    /// A reader for a machine of so many cores; 0: nobody knows.
    pub fn new(cores: u32) -> Self {
        Self { cores, before: Ended::default() }
    }

    /// What `event` says of the metrics. One that it says nothing of is not among them; one that it should have told, and
    /// could not, has no value.
    pub fn read<'a>(&mut self, event: &'a Event) -> Vec<Reading<'a>> {
        let one = |metric, value| Reading { metric, value, component: None };
        match event {
            Event::Load(sample) => {
                vec![one("http_req_duration", sample.mean_ms), one("http_req_failed", self.failed(sample))]
            }
            Event::Probe(sample) => vec![
                one("consumer_lag", sample.lag.map(|lag| lag as f64)),
                one("consumer_time_lag", sample.time_lag_ms),
                one("dead_letters", sample.dead_letters.map(|n| n as f64)),
                one("mysql_connections", sample.mysql_connections.map(|n| n as f64)),
            ],
            Event::Redis(sample) => {
                // Without INFO the figures are 0, and mean nothing; without a maxmemory there is no whole.
                let known = !sample.denied.iter().any(|command| command == "INFO");
                vec![one("redis_memory", share(sample.used_memory, sample.max_memory).filter(|_| known))]
            }
            Event::Mysql(sample) => {
                vec![one("mysql_connections_used", share(sample.connections, sample.max_connections))]
            }
            Event::Stack(sample) => vec![
                worst("cpu", sample, |component| self.cpu(component)),
                worst("memory", sample, |component| share(component.mem?, component.mem_limit?)),
            ],
            Event::Unreachable { source, .. } => match source.as_str() {
                "redis" => vec![one("redis_memory", None)],
                "mysql" => vec![one("mysql_connections_used", None)],
                "stack" => vec![one("cpu", None), one("memory", None)],
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Share of the requests that ended since the sample before and are no answer; none where none ended.
    fn failed(&mut self, sample: &LoadSample) -> Option<f64> {
        let now = Ended {
            all: sample.outcomes.values().sum(),
            failed: ["ERROR", "UNKNOWN"].iter().filter_map(|class| sample.outcomes.get(*class)).sum(),
        };
        let before = std::mem::replace(&mut self.before, now);
        share(now.failed.saturating_sub(before.failed), now.all.saturating_sub(before.all))
    }

    /// Share of what the component may use: its limit, or all cores.
    fn cpu(&self, component: &ComponentSample) -> Option<f64> {
        let cores = component.cpu_limit_percent.map_or_else(|| f64::from(self.cores), |percent| percent / 100.0);
        (cores > 0.0).then_some(component.cpu? / 100.0 / cores)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The component of which the value is largest.
fn worst<'a>(
    metric: &'static str,
    sample: &'a StackSample,
    value: impl Fn(&ComponentSample) -> Option<f64>,
) -> Reading<'a> {
    let all = sample.components.iter().filter_map(|component| Some((value(component)?, component.name.as_str())));
    let worst = all.max_by(|a, b| a.0.total_cmp(&b.0));
    Reading { metric, value: worst.map(|(value, _)| value), component: worst.map(|(_, name)| name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alarm::registry::METRICS,
        event::{
            ProbeSample,
            watch::{MysqlSample, RedisSample},
        },
    };

    fn values(reader: &mut Reader, event: &Event) -> Vec<(&'static str, Option<f64>)> {
        reader.read(event).iter().map(|reading| (reading.metric, reading.value)).collect()
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
        let readings = Reader::new(4).read(&event);
        assert_eq!((readings[0].value, readings[0].component), (Some(0.9), Some("api-1")));
        assert_eq!(readings[1].value, Some(0.9));
        assert_eq!(Reader::new(1).read(&event)[0].component, Some("mysql"));
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

    #[test]
    fn every_metric_is_read_from_one_kind_of_event() {
        let events = [
            Event::Load(LoadSample::default()),
            Event::Probe(ProbeSample::default()),
            Event::Redis(RedisSample::default()),
            Event::Mysql(MysqlSample::default()),
            Event::Stack(StackSample::default()),
        ];
        let mut read: Vec<_> =
            events.iter().flat_map(|event| Reader::default().read(event)).map(|reading| reading.metric).collect();
        read.sort_unstable();
        assert_eq!(read, METRICS.iter().map(|known| known.name).collect::<Vec<_>>());
    }
}
