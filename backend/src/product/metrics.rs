//! What the products count.

use prometheus_client::metrics::counter::Counter;

use crate::telemetry;

/// Figures of the cache. Cloning it is cheap.
#[derive(Clone)]
pub struct Metrics {
    /// Products that were answered from it.
    pub hits: Counter,
    /// Products that were answered past it.
    pub misses: Counter,
    /// Reads and writes that failed.
    pub errors: Counter,
}

impl Metrics {
    /// All at zero, among what the process counts.
    pub fn new(process: &telemetry::Metrics) -> Self {
        process.add(|figures| Self {
            hits: figures.counter("product_cache_hits", "Products answered from the cache"),
            misses: figures.counter("product_cache_misses", "Products answered past the cache"),
            errors: figures.counter("product_cache_errors", "Reads and writes of the product cache that failed"),
        })
    }
}
