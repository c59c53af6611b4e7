//! What the coupons count.

use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};

use crate::telemetry;

/// Figures of API and reconciler. Cloning it is cheap.
#[derive(Clone)]
pub struct Metrics {
    /// Answers of the issue route, by result.
    pub issue: Results,
    /// How long the gate took.
    pub gate: Histogram,
    /// Places of the producer's queue that are taken.
    pub queue: Gauge,
    /// Events that stayed in `pending` because Redis could not be told of their delivery.
    pub left_pending: Counter,
    /// Pending events that the reconciler sent.
    pub reconciled: Counter,
    /// Gates that were rebuilt.
    pub rebuilds: Counter,
}

/// Answers of the issue route.
#[derive(Clone)]
pub struct Results {
    /// 200 or 202.
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

impl Metrics {
    /// All at zero, among what the process counts.
    pub fn new(process: &telemetry::Metrics) -> Self {
        process.add(|figures| {
            let result = figures.results("coupon_requests", "Answers of the issue route");
            Self {
                issue: Results {
                    queued: result("queued"),
                    duplicate: result("duplicate"),
                    sold_out: result("sold_out"),
                    unknown: result("unknown_id"),
                    invalid: result("invalid"),
                    unavailable: result("unavailable"),
                },
                gate: figures.seconds("gate_duration_seconds", "Time until the gate has answered"),
                queue: figures.gauge("producer_queue_in_use", "Places of the producer's queue that are taken"),
                left_pending: figures.counter("gate_left_pending", "Delivered events that Redis could not be told of"),
                reconciled: figures.counter("reconciler_sent", "Pending events sent by the reconciler"),
                rebuilds: figures.counter("gate_rebuilds", "Gates rebuilt after Redis lost its state"),
            }
        })
    }
}
