//! What a process counts, in the forms that Prometheus reads. Logs go to `tracing`; the caller sets it up.

mod format;
pub mod http;
mod process;

use std::sync::Arc;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

pub use self::format::Format;

/// Bounds of durations, in seconds.
const BUCKETS: [f64; 14] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Everything a process counts. Each role uses its share. Cloning it is cheap.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: http::Requests,
    /// Answers of the issue route, by result.
    pub issue: Results,
    /// How long the gate took.
    pub gate: Histogram,
    /// Places of the producer's queue that are taken.
    pub queue: Gauge,
    /// Delivery reports that said yes.
    delivered: Counter,
    /// Sends that ended without one.
    undelivered: Counter,
    /// Producers that were replaced after a fatal error.
    pub producers_rebuilt: Counter,
    /// Events that stayed in `pending` because Redis could not be told of their delivery.
    pub left_pending: Counter,
    /// Rows that were committed.
    pub rows: Counter,
    /// Batches that were written, dead letters included.
    pub batches: Counter,
    /// Records whose row was there already.
    pub redelivered: Counter,
    /// Records of an epoch below the floor.
    pub skipped: Counter,
    /// Records that went to the dead-letter topic.
    pub dead: Counter,
    /// Batches that had to be tried again.
    pub retries: Counter,
    /// 1 while a batch waits for a server.
    pub stalled: Gauge,
    /// Pending events that the reconciler sent.
    pub reconciled: Counter,
    /// Gates that were rebuilt.
    pub rebuilds: Counter,
    /// Products that were answered from the cache.
    pub product_hits: Counter,
    /// Products that were answered past it.
    pub product_misses: Counter,
    /// Reads and writes of the cache that failed.
    pub product_cache_errors: Counter,
    /// Connections to MySQL in use.
    pub db_in_use: Gauge,
    /// Connections to MySQL that are open.
    pub db_open: Gauge,
    /// Of those, at rest in the pool.
    pub db_idle: Gauge,
    /// Requests that wait for a connection.
    pub db_waiting: Gauge,
    /// Connections that there may be.
    pub db_max: Gauge,
}

/// Answers of the issue route.
#[derive(Clone)]
pub struct Results {
    /// 200.
    pub queued: Counter,
    /// 409.
    pub duplicate: Counter,
    /// 410.
    pub sold_out: Counter,
    /// 404.
    pub unknown: Counter,
    /// 413 and 422.
    pub invalid: Counter,
    /// 503.
    pub unavailable: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut all = Registry::default();
        all.register_collector(Box::new(process::ProcessFigures::new()));
        let requests = http::Requests::new(&mut all);
        let registry = all.sub_registry_with_prefix("ecom");
        let results = Family::<ResultLabel, Counter>::default();
        let sends = Family::<ResultLabel, Counter>::default();
        registry.register("coupon_requests", "Answers of the issue route", results.clone());
        registry.register("producer_deliveries", "Sends to Kafka by their delivery report", sends.clone());
        let result = |result| results.get_or_create_owned(&ResultLabel { result });
        let issue = Results {
            queued: result("queued"),
            duplicate: result("duplicate"),
            sold_out: result("sold_out"),
            unknown: result("unknown_id"),
            invalid: result("invalid"),
            unavailable: result("unavailable"),
        };
        let gate = Histogram::new(BUCKETS);
        registry.register("gate_duration_seconds", "Time until the gate has answered", gate.clone());
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let producers_rebuilt = counter("producer_rebuilds", "Producers replaced after a fatal error");
        let left_pending = counter("gate_left_pending", "Delivered events that Redis could not be told of");
        let rows = counter("consumer_rows", "Rows committed");
        let batches = counter("consumer_batches", "Batches written, dead letters included");
        let redelivered = counter("consumer_redelivered", "Records whose row was there already");
        let skipped = counter("consumer_skipped", "Records of an epoch below the coupon's floor");
        let dead = counter("consumer_dead_letters", "Records sent to the dead-letter topic");
        let retries = counter("consumer_retries", "Batches tried again");
        let reconciled = counter("reconciler_sent", "Pending events sent by the reconciler");
        let rebuilds = counter("gate_rebuilds", "Gates rebuilt after Redis lost its state");
        let product_hits = counter("product_cache_hits", "Products answered from the cache");
        let product_misses = counter("product_cache_misses", "Products answered past the cache");
        let product_cache_errors = counter("product_cache_errors", "Reads and writes of the product cache that failed");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let queue = gauge("producer_queue_in_use", "Places of the producer's queue that are taken");
        let stalled = gauge("consumer_stalled", "1 while a batch waits for a server");
        let db_in_use = gauge("db_connections_in_use", "Connections to MySQL in use");
        let db_open = gauge("db_connections_open", "Connections to MySQL that are open");
        let db_idle = gauge("db_connections_idle", "Connections to MySQL at rest in the pool");
        let db_waiting = gauge("db_connections_waiting", "Requests that wait for a connection to MySQL");
        let db_max = gauge("db_connections_max", "Connections to MySQL that there may be");
        let delivered = sends.get_or_create_owned(&ResultLabel { result: "acknowledged" });
        let undelivered = sends.get_or_create_owned(&ResultLabel { result: "unknown" });
        Self {
            registry: Arc::new(all),
            requests,
            issue,
            gate,
            queue,
            delivered,
            undelivered,
            producers_rebuilt,
            left_pending,
            rows,
            batches,
            redelivered,
            skipped,
            dead,
            retries,
            stalled,
            reconciled,
            rebuilds,
            product_hits,
            product_misses,
            product_cache_errors,
            db_in_use,
            db_open,
            db_idle,
            db_waiting,
            db_max,
        }
    }

    /// Counts one send by its delivery report.
    pub fn delivery(&self, acknowledged: bool) {
        if acknowledged {
            self.delivered.inc()
        } else {
            self.undelivered.inc()
        };
    }

    /// Everything, in `format`.
    pub fn text(&self, format: Format) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        format.of(text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The rules of `promtool check metrics`: readers of the older format find no help, no type, or another name where
    /// they do not hold.
    #[test]
    fn the_older_format_keeps_its_rules() {
        let metrics = Metrics::new();
        metrics.issue.queued.inc();
        metrics.gate.observe(0.01);
        let text = metrics.text(Format::Text);
        let (mut helps, mut types) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some((name, words)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
                assert!(!words.is_empty() && helps.insert(name, words).is_none(), "{line}");
            } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
                assert!(helps.contains_key(name) && types.insert(name, kind).is_none(), "{line}");
                for unit in ["_ms", "_milliseconds", "_kib", "_percent", "_counter", "_gauge", "_histogram"] {
                    assert!(!name.contains(unit), "{line}");
                }
            } else {
                assert!(!line.starts_with('#'), "{line}");
                let name = line.split(['{', ' ']).next().unwrap();
                let parts = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                let kind = types.get(name).or_else(|| parts.and_then(|name| types.get(name)));
                assert!(kind.is_some_and(|kind| (*kind == "histogram") == parts.is_some()), "{line}");
            }
        }
        for name in ["process_cpu_seconds_total", "process_open_fds", "process_threads", "ecom_coupon_requests_total"] {
            assert!(types.contains_key(name), "{name} is not in\n{text}");
        }
        let open = metrics.text(Format::OpenMetrics);
        assert!(open.ends_with("# EOF\n") && open.contains("# TYPE process_cpu_seconds counter\n"), "{open}");
    }
}
