//! The route that no domain brings, and the answers to what no route takes.

use std::any::Any;

use axum::{
    Router,
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use tower_http::catch_panic::CatchPanicLayer;

use super::reply;
use crate::telemetry::{self, Metrics};

/// What every API has beside the routes of its domains.
pub fn common() -> Router {
    Router::new().route("/noop", get(noop))
}

/// Gives `router` its answers to what no route takes, and counts all of them.
pub fn finish(router: Router, metrics: Metrics) -> Router {
    router
        .fallback(|| async { reply::error(StatusCode::NOT_FOUND, "there is no such route") })
        .method_not_allowed_fallback(|| async {
            reply::error(StatusCode::METHOD_NOT_ALLOWED, "this route does not take this method")
        })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(metrics, telemetry::http::count))
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
