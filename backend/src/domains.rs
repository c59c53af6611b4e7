//! What each domain puts into the processes of the backend. This is the one place that names them all: a new one is a
//! folder of its own and its lines here, and roles, schema and figures take it as it comes.

use std::sync::Arc;

use axum::Router;
use contract::{
    failpoint::Failpoints,
    process::ProcessConfig,
    system::{Domain, Step},
};
use mysql_async::Pool;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api::{Limits, router},
    consumer::Sink,
    coupon::{
        self,
        consumer::Writer,
        issuer::{self, Issuer},
        reconciler::{self, Reconciler},
    },
    db::Db,
    point::{self, Points},
    producer::{EventProducer, ProducerError},
    product::{self, Products, cache::ProductCache},
    redis_pool::RedisPool,
    telemetry::Metrics,
    user::{self, Users},
};

/// The statements of a step. MySQL commits each DDL statement on its own, so each has to bear being repeated.
pub(crate) fn statements(step: Step) -> &'static [&'static str] {
    match step {
        Step::Users => &user::migrations::USERS,
        Step::PublicUsers => &user::migrations::PUBLIC_USERS,
        Step::Products => &product::migrations::PRODUCTS,
        Step::Points => &point::migrations::POINTS,
        Step::PointEntries => &point::migrations::POINT_ENTRIES,
        Step::Coupons => &coupon::migrations::COUPONS,
    }
}

/// What a process gives to its domains.
pub(crate) struct Parts<'a> {
    /// What the process was told.
    pub config: &'a ProcessConfig,
    /// MySQL.
    pub db: &'a Db,
    /// Redis.
    pub pool: &'a Arc<RedisPool>,
    /// The process's tasks.
    pub tasks: &'a TaskTracker,
    /// Ends what is needed until the last grant is sent.
    pub end: &'a CancellationToken,
    /// What the process counts.
    pub metrics: &'a Metrics,
}

/// The domains of an API process.
pub(crate) struct Api {
    /// Their routes.
    pub routes: Router,
    /// Who may ask.
    pub users: Arc<Users>,
    /// What grants by a gate and sends events, where a domain does: it has to be watched, and drained at the end.
    pub gate: Option<Arc<Issuer>>,
}

impl Api {
    /// The domains that the system has.
    ///
    /// # Errors
    /// When the producer's settings are refused.
    pub fn start(parts: &Parts<'_>, failpoints: &Arc<Failpoints>) -> Result<Self, ProducerError> {
        let Parts { config, db, pool, tasks, end, metrics } = *parts;
        let (settings, description) = (&config.settings, config.system.description());
        let limits = Limits::from(&settings.http);
        let users = Arc::new(Users::new(db.clone(), limits, description.user_key));
        let (mut routes, mut gate) = (router::common(), None);
        for domain in description.domains {
            routes = routes.merge(match domain {
                Domain::Users => user::api::router(users.clone()),
                Domain::Products => {
                    let cache = ProductCache::new(pool.clone(), settings, metrics);
                    product::api::router(Arc::new(Products { db: db.clone(), cache, limits }))
                }
                Domain::Points => {
                    let users = users.clone();
                    point::api::router(Arc::new(Points { db: db.clone(), users, limits }))
                }
                Domain::Coupons => {
                    let issuer = Issuer::start(issuer::Parts {
                        config,
                        db: db.clone(),
                        pool: pool.clone(),
                        users: users.clone(),
                        failpoints: failpoints.clone(),
                        tasks: tasks.clone(),
                        end: end.clone(),
                        metrics,
                    })?;
                    gate = Some(issuer.clone());
                    coupon::api::router(issuer)
                }
            });
        }
        Ok(Self { routes, users, gate })
    }
}

/// What the events of a gate become. The gates of all systems grant coupons.
pub(crate) fn sink(pool: Pool, failpoints: Arc<Failpoints>) -> impl Sink {
    Writer::new(pool, failpoints)
}

/// What repairs a gate, and sends what its API could not.
pub(crate) fn reconciler(parts: &Parts<'_>, producer: Arc<EventProducer>) -> Reconciler {
    let Parts { config, db, pool, metrics, .. } = *parts;
    let (settings, endpoints) = (&config.settings, &config.endpoints);
    Reconciler::new(reconciler::Parts {
        db: db.clone(),
        pool: pool.clone(),
        redis: endpoints.redis.clone(),
        kafka: endpoints.kafka.clone(),
        producer,
        topic: config.system.claims().name.to_owned(),
        after: settings.reconcile_after(),
        closed_for: settings.closed_for(),
        metrics: coupon::metrics::Metrics::new(metrics),
    })
}

/// The figures of all domains, with something in them.
#[cfg(test)]
pub(crate) fn figures(process: &Metrics) {
    product::metrics::Metrics::new(process).hits.inc();
    let coupons = coupon::metrics::Metrics::new(process);
    coupons.issue.queued.inc();
    coupons.gate.observe(0.01);
}
