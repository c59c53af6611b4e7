//! The HTTP API: what its handlers share, and its routes.

pub mod body;
pub mod reply;
pub mod server;

use std::{any::Any, sync::Arc, time::Duration};

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    coupon::{self, cache::Coupons, delivered::Delivered, gate::Gate},
    db::Db,
    failpoint::Failpoints,
    producer::EventProducer,
    product::{self, cache::ProductCache},
    settings::Settings,
    telemetry::Metrics,
    user::{self, directory::Directory},
};

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

/// The API's routes. Health and metrics are added by the caller.
pub fn router(api: Arc<Api>) -> Router {
    Router::new()
        .merge(coupon::routes::router())
        .merge(user::routes::router())
        .merge(product::routes::router())
        .route("/noop", get(noop))
        .with_state(api)
}

/// Gives `router` its answers to what no route takes.
pub fn finish(router: Router) -> Router {
    router
        .fallback(|| async { reply::error(StatusCode::NOT_FOUND, "there is no such route") })
        .method_not_allowed_fallback(|| async {
            reply::error(StatusCode::METHOD_NOT_ALLOWED, "this route does not take this method")
        })
        .layer(CatchPanicLayer::custom(panicked))
}

/// Does nothing: what the server can do at most, as the yardstick of benches.
async fn noop() -> StatusCode {
    StatusCode::NO_CONTENT
}

#[allow(clippy::needless_pass_by_value, reason = "the layer hands it over")]
fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    tracing::error!(cause = text.unwrap_or("unknown"), "a handler panicked");
    reply::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the log").into_response()
}
