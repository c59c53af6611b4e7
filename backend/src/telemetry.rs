//! What a process counts, in the form that Prometheus reads. Logs go to `tracing`; the caller sets it up.

use std::sync::Arc;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything a process counts. Each role uses its share. Cloning it is cheap.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
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
        let mut registry = Registry::with_prefix("ecom");
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
        let buckets = [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
        let gate = Histogram::new(buckets);
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
            registry: Arc::new(registry),
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

    /// Everything, as OpenMetrics text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
