//! Requests by method, route and status, and how long they took.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use super::BUCKETS;

/// The route of a request that no route takes. Paths themselves would be as many labels as somebody can think of.
const OTHER_ROUTE: &str = "other";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

/// Counters of requests.
#[derive(Clone)]
pub(super) struct Requests {
    total: Family<Answered, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
}

impl Requests {
    /// Without requests yet, in `registry`.
    pub fn new(registry: &mut Registry) -> Self {
        let (total, seconds) =
            (Family::default(), Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> _));
        registry.register("http_requests", "Requests that were answered", Family::clone(&total));
        registry.register("http_request_duration_seconds", "Time until the answer's head", Family::clone(&seconds));
        Self { total, seconds }
    }

    fn count(&self, method: &Method, route: Option<&MatchedPath>, status: u16, seconds: f64) {
        let method = known(method);
        let route = route.map_or(OTHER_ROUTE, MatchedPath::as_str).to_owned();
        self.seconds.get_or_create(&Route { method, route: route.clone() }).observe(seconds);
        self.total.get_or_create(&Answered { method, route, status }).inc();
    }
}

/// The method as a label; all that are none of HTTP's own are one.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "TRACE" => "TRACE",
        "CONNECT" => "CONNECT",
        _ => "OTHER",
    }
}

/// Counts each request that passes. It stands outermost, so that it counts what people see.
pub async fn count(State(metrics): State<super::Metrics>, request: Request, next: Next) -> Response {
    let (begun, method) = (Instant::now(), request.method().clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    metrics.requests.count(&method, route.as_ref(), response.status().as_u16(), begun.elapsed().as_secs_f64());
    response
}
