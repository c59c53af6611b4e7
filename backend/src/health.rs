//! `/actuator/health`: which dependency answers. Each is asked in the background, so that a probe costs nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

use crate::{
    api::reply,
    db::Db,
    sync,
    telemetry::{Format, Metrics},
};
use contract::process::{ProcessConfig, Role};

/// What a process knows of itself and its dependencies.
pub struct Health {
    role: Role,
    name: String,
    instance: String,
    /// Dependency → why it is down; `None`: it is up.
    parts: RwLock<BTreeMap<&'static str, Option<String>>>,
    draining: AtomicBool,
}

#[derive(Serialize)]
struct Report<'a> {
    status: &'static str,
    role: Role,
    name: &'a str,
    instance: &'a str,
    components: BTreeMap<&'static str, Part>,
}

#[derive(Serialize)]
struct Part {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn word(up: bool) -> &'static str {
    if up { "UP" } else { "DOWN" }
}

impl Health {
    /// Everything in `parts` is down until it was seen up.
    pub fn new(process: &ProcessConfig, parts: &[&'static str]) -> Arc<Self> {
        Arc::new(Self {
            role: process.role,
            name: process.name.clone(),
            instance: process.instance.clone(),
            parts: RwLock::new(parts.iter().map(|part| (*part, Some("not asked yet".to_owned()))).collect()),
            draining: AtomicBool::new(false),
        })
    }

    /// Records how `part` does.
    pub fn set(&self, part: &'static str, state: Result<(), String>) {
        let reason = state.err();
        let mut parts = sync::write(&self.parts);
        let before = parts.insert(part, reason.clone());
        match (before.flatten(), reason) {
            (None, Some(reason)) => tracing::warn!(part, reason, "down"),
            (Some(_), None) => tracing::info!(part, "up"),
            _ => {}
        }
    }

    /// From now on the process is not ready: it finishes what it has.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether every dependency is up and the process is not about to end.
    pub fn ready(&self) -> bool {
        !self.draining.load(Ordering::Relaxed) && sync::read(&self.parts).values().all(Option::is_none)
    }

    fn report(&self) -> Response {
        let ready = self.ready();
        let components = sync::read(&self.parts)
            .iter()
            .map(|(name, reason)| (*name, Part { status: word(reason.is_none()), reason: reason.clone() }))
            .collect();
        let report =
            Report { status: word(ready), role: self.role, name: &self.name, instance: &self.instance, components };
        reply::json(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &report)
    }

    fn alive(&self) -> Response {
        let (role, name, instance) = (self.role, self.name.as_str(), self.instance.as_str());
        let report = Report { status: "UP", role, name, instance, components: BTreeMap::new() };
        reply::json(StatusCode::OK, &report)
    }
}

/// Health and metrics, which every role serves.
pub fn router(health: Arc<Health>, metrics: Metrics, db: Db) -> Router {
    let report = |State(health): State<Arc<Health>>| async move { health.report() };
    Router::new()
        .route("/actuator/health", get(report))
        .route("/actuator/health/readiness", get(report))
        .route("/actuator/health/liveness", get(|State(health): State<Arc<Health>>| async move { health.alive() }))
        .with_state(health)
        .route("/metrics", get(move |headers: HeaderMap| async move { text(&metrics, &db, &headers) }))
}

fn text(metrics: &Metrics, db: &Db, headers: &HeaderMap) -> Response {
    let pool = db.pool().metrics();
    metrics.db_in_use.set(pool.connections_in_use.load(Ordering::Relaxed) as i64);
    metrics.db_open.set(pool.connection_count.load(Ordering::Relaxed) as i64);
    metrics.db_idle.set(pool.connections_in_pool.load(Ordering::Relaxed) as i64);
    metrics.db_waiting.set(pool.active_wait_requests.load(Ordering::Relaxed) as i64);
    metrics.db_max.set(i64::from(db.max()));
    let accept: Vec<_> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::asked(Some(&accept.join(",")));
    ([(header::CONTENT_TYPE, format.content_type())], metrics.text(format)).into_response()
}
