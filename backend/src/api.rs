//! The HTTP API: what its handlers share. The routes are in [`crate::routes`].

pub mod body;
pub mod reply;
pub mod server;

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{
    coupon::{cache::Coupons, delivered::Delivered, gate::Gate},
    db::Db,
    producer::EventProducer,
    product::cache::ProductCache,
    telemetry::Metrics,
    user::directory::Directory,
};
use contract::{failpoint::Failpoints, settings::Settings};

/// What the handlers share.
pub struct Api {
    /// MySQL.
    pub db: Db,
    /// The gate.
    pub gate: Gate,
    /// What Kafka has goes there.
    pub delivered: Delivered,
    /// The coupons.
    pub coupons: Coupons,
    /// The users.
    pub users: Directory,
    /// Products in Redis; none where the profile turns it off.
    pub products: Option<ProductCache>,
    /// Kafka.
    pub producer: EventProducer,
    /// Places of the producer's queue. One is taken before the gate is asked.
    pub queue: Arc<Semaphore>,
    /// Tasks that outlive their request: a grant is sent even when the client has hung up.
    pub tasks: TaskTracker,
    /// Failures on purpose.
    pub failpoints: Failpoints,
    /// Counters.
    pub metrics: Metrics,
    /// Topic of the events.
    pub topic: String,
    /// Longest time until an answer.
    pub request_timeout: Duration,
    /// Largest body.
    pub body_limit: usize,
}

impl Api {
    /// The places of the producer's queue that `settings` give.
    pub fn queue(settings: &Settings) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(settings.producer.queue.clamp(1, Semaphore::MAX_PERMITS)))
    }
}
