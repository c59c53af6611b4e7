//! What a process counts, in the forms that Prometheus reads. Logs go to `tracing`; the caller sets it up.

mod format;
pub mod http;
mod process;

use std::sync::{Arc, Mutex};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

pub use self::format::Format;
use crate::sync;

/// Stands in front of the names of what is not of every process.
const PREFIX: &str = "ecom";
/// Bounds of durations, in seconds.
const BUCKETS: [f64; 14] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// What every process counts; its domains bring figures of their own. Cloning it is cheap.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    requests: http::Requests,
    /// Delivery reports that said yes.
    delivered: Counter,
    /// Sends that ended without one.
    undelivered: Counter,
    /// Producers that were replaced after a fatal error.
    pub producers_rebuilt: Counter,
    /// Rows that were committed.
    pub rows: Counter,
    /// Batches that were written, dead letters included.
    pub batches: Counter,
    /// Records whose row was there already.
    pub redelivered: Counter,
    /// Records from before the last reset.
    pub skipped: Counter,
    /// Records that went to the dead-letter topic.
    pub dead: Counter,
    /// Batches that had to be tried again.
    pub retries: Counter,
    /// 1 while a batch waits for a server.
    pub stalled: Gauge,
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

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ResultLabel {
    /// In one word.
    pub result: &'static str,
}

/// A registry in which figures are made and entered in one go.
pub(crate) struct Figures<'a>(&'a mut Registry);

impl Figures<'_> {
    /// A counter; `_total` is added to its name.
    pub fn counter(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.0.register(name, help, counter.clone());
        counter
    }

    /// A gauge.
    pub fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.0.register(name, help, gauge.clone());
        gauge
    }

    /// A histogram of seconds.
    pub fn seconds(&mut self, name: &str, help: &str) -> Histogram {
        let seconds = Histogram::new(BUCKETS);
        self.0.register(name, help, seconds.clone());
        seconds
    }

    /// Counters by how something ended.
    pub fn results(&mut self, name: &str, help: &str) -> impl Fn(&'static str) -> Counter + use<> {
        let results = Family::<ResultLabel, Counter>::default();
        self.0.register(name, help, results.clone());
        move |result| results.get_or_create_owned(&ResultLabel { result })
    }
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
        let mut figures = Figures(all.sub_registry_with_prefix(PREFIX));
        let sends = figures.results("producer_deliveries", "Sends to Kafka by their delivery report");
        Self {
            requests,
            delivered: sends("acknowledged"),
            undelivered: sends("unknown"),
            producers_rebuilt: figures.counter("producer_rebuilds", "Producers replaced after a fatal error"),
            rows: figures.counter("consumer_rows", "Rows committed"),
            batches: figures.counter("consumer_batches", "Batches written, dead letters included"),
            redelivered: figures.counter("consumer_redelivered", "Records whose row was there already"),
            skipped: figures.counter("consumer_skipped", "Records from before the last reset"),
            dead: figures.counter("consumer_dead_letters", "Records sent to the dead-letter topic"),
            retries: figures.counter("consumer_retries", "Batches tried again"),
            stalled: figures.gauge("consumer_stalled", "1 while a batch waits for a server"),
            db_in_use: figures.gauge("db_connections_in_use", "Connections to MySQL in use"),
            db_open: figures.gauge("db_connections_open", "Connections to MySQL that are open"),
            db_idle: figures.gauge("db_connections_idle", "Connections to MySQL at rest in the pool"),
            db_waiting: figures.gauge("db_connections_waiting", "Requests that wait for a connection to MySQL"),
            db_max: figures.gauge("db_connections_max", "Connections to MySQL that there may be"),
            registry: Arc::new(Mutex::new(all)),
        }
    }

    /// Enters the figures of a domain, which `make` makes.
    pub(crate) fn add<T>(&self, make: impl FnOnce(&mut Figures<'_>) -> T) -> T {
        make(&mut Figures(sync::lock(&self.registry).sub_registry_with_prefix(PREFIX)))
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
        let _ = prometheus_client::encoding::text::encode(&mut text, &sync::lock(&self.registry));
        format.of(text)
    }
}

#[cfg(test)]
mod tests;
