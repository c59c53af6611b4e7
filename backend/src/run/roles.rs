//! The three roles.

use std::{sync::Arc, time::Duration};

use axum::Router;
use contract::{
    failpoint::Failpoints,
    system::{Domain, Topic},
};

use super::{BackendError, Process};
use crate::{
    api::{Limits, router},
    consumer::{
        dead_letter::DeadLetters,
        group::{self, Member},
    },
    coupon::{
        self,
        consumer::Writer,
        issuer::{self, Issuer},
        reconciler::{self, Reconciler},
    },
    point::{self, Points},
    producer::EventProducer,
    product::{self, Products, cache::ProductCache},
    redis_pool::RedisPool,
    user::{self, Users},
};

/// Longest time of one question to Kafka about its topics.
const PROBE: Duration = Duration::from_secs(3);
/// How long requests may still run after the stop, on top of their own limit.
const SLACK: Duration = Duration::from_secs(1);

/// The domains of an API process.
struct Domains {
    routes: Router,
    users: Arc<Users>,
    issuer: Option<Arc<Issuer>>,
}

impl Domains {
    fn start(process: &Process, pool: &Arc<RedisPool>, failpoints: &Arc<Failpoints>) -> Result<Self, BackendError> {
        let (settings, description) = (&process.config.settings, process.config.system.description());
        let (db, limits) = (process.db.clone(), Limits::from(&settings.http));
        let users = Arc::new(Users::new(db.clone(), limits, description.user_key));
        let (mut routes, mut issuer) = (router::common(), None);
        for domain in description.domains {
            routes = routes.merge(match domain {
                Domain::Users => user::api::router(users.clone()),
                Domain::Products => {
                    let cache = ProductCache::new(pool.clone(), settings, &process.metrics);
                    product::api::router(Arc::new(Products { db: db.clone(), cache, limits }))
                }
                Domain::Points => {
                    let users = users.clone();
                    point::api::router(Arc::new(Points { db: db.clone(), users, limits }))
                }
                Domain::Coupons => {
                    let parts = issuer::Parts {
                        config: &process.config,
                        db: db.clone(),
                        pool: pool.clone(),
                        users: users.clone(),
                        failpoints: failpoints.clone(),
                        tasks: process.tasks.clone(),
                        end: process.end.clone(),
                        metrics: &process.metrics,
                    };
                    let started = Issuer::start(parts)?;
                    issuer = Some(started.clone());
                    coupon::api::router(started)
                }
            });
        }
        Ok(Self { routes, users, issuer })
    }
}

pub(super) async fn api(mut process: Process, failpoints: Arc<Failpoints>) -> Result<(), BackendError> {
    let settings = process.config.settings.clone();
    let pool = redis(&process)?;
    let Domains { routes, users, issuer } = Domains::start(&process, &pool, &failpoints)?;
    let drain = settings.http.request_timeout.0 + SLACK;
    let serving = process.serve(routes, drain);
    process.watch_mysql();
    watch_redis(&process, &pool);
    if let Some(issuer) = issuer.clone() {
        process.watch("kafka", move || {
            let issuer = issuer.clone();
            async move { issuer.producer.probe(issuer.topic, PROBE).await }
        });
    }
    process.migrate().await?;
    match users.warm().await {
        Ok(users) => tracing::info!(users, "directory warmed"),
        Err(error) => tracing::warn!(%error, "users are looked up one by one"),
    }
    if let Some(issuer) = issuer.clone() {
        let end = process.end.clone();
        process.tasks.spawn(async move { issuer.watch_queue(end).await });
    }
    if let Some(issuer) = issuer.clone() {
        process.watch("gate", move || {
            let issuer = issuer.clone();
            async move { issuer.look().await }
        });
    }
    process.stop.cancelled().await;
    process.health.drain();
    tracing::info!("draining");
    let served = serving.await.unwrap_or(Err(BackendError::Broken("the HTTP server")));
    if let Some(issuer) = issuer {
        issuer.drain(settings.producer.delivery_timeout.0 + SLACK).await;
    }
    process.end(SLACK).await;
    served
}

fn redis(process: &Process) -> Result<Arc<RedisPool>, BackendError> {
    let settings = &process.config.settings.redis_pool;
    let endpoint = &process.config.endpoints.redis;
    Ok(RedisPool::start(endpoint, settings.max, settings.timeout.0, &process.end, &process.tasks)?)
}

fn watch_redis(process: &Process, pool: &Arc<RedisPool>) {
    let pool = pool.clone();
    process.watch("redis", move || {
        let pool = pool.clone();
        async move { pool.query::<String>(&redis::cmd("PING")).await.map(drop).map_err(|e| e.to_string()) }
    });
}

pub(super) async fn consumer(mut process: Process, failpoints: Arc<Failpoints>) -> Result<(), BackendError> {
    let settings = process.config.settings.clone();
    let kafka = process.config.endpoints.kafka.clone();
    let Topic { name: topic, group, .. } = *process.config.system.claims();
    let serving = process.serve(Router::new(), SLACK);
    process.watch_mysql();
    let producer = Arc::new(EventProducer::new(&kafka, &settings.producer, process.metrics.clone())?);
    let probe = producer.clone();
    process.watch("kafka", move || {
        let probe = probe.clone();
        async move { probe.probe(topic, PROBE).await }
    });
    process.migrate().await?;
    let mut joined = Ok(());
    if !process.stop.is_cancelled() {
        let parts = group::Parts {
            name: process.config.name.clone(),
            kafka,
            topic: topic.to_owned(),
            group: group.to_owned(),
            settings: settings.consumer.clone(),
            sink: Writer::new(process.db.pool().clone(), failpoints),
            dead: DeadLetters::new(producer, topic),
            metrics: process.metrics.clone(),
            health: process.health.clone(),
        };
        let (handle, stop) = (tokio::runtime::Handle::current(), process.stop.clone());
        let member = tokio::task::spawn_blocking(move || Member::join(parts, handle, stop)?.run());
        joined = member.await.map_or(Err(BackendError::Broken("the consumer")), |done| done.map_err(Into::into));
    }
    process.health.drain();
    process.stop.cancel();
    let served = serving.await.unwrap_or(Err(BackendError::Broken("the HTTP server")));
    process.end(SLACK).await;
    joined.and(served)
}

pub(super) async fn reconciler(mut process: Process) -> Result<(), BackendError> {
    let settings = process.config.settings.clone();
    let endpoints = process.config.endpoints.clone();
    let topic = process.config.system.claims().name;
    let pool = redis(&process)?;
    let producer = Arc::new(EventProducer::new(&endpoints.kafka, &settings.producer, process.metrics.clone())?);
    let serving = process.serve(Router::new(), SLACK);
    process.watch_mysql();
    watch_redis(&process, &pool);
    let probe = producer.clone();
    process.watch("kafka", move || {
        let probe = probe.clone();
        async move { probe.probe(topic, PROBE).await }
    });
    process.migrate().await?;
    let mut reconciler = Reconciler::new(reconciler::Parts {
        db: process.db.clone(),
        pool,
        redis: endpoints.redis,
        kafka: endpoints.kafka,
        producer: producer.clone(),
        topic: topic.to_owned(),
        after: settings.reconcile_after(),
        closed_for: settings.closed_for(),
        metrics: coupon::metrics::Metrics::new(&process.metrics),
    });
    let pause = settings.reconciler.interval.0.max(Duration::from_millis(10));
    while !process.stop.is_cancelled() {
        if let Err(error) = reconciler.round().await {
            tracing::warn!(%error, "the round is repeated");
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = process.stop.cancelled() => {}
        }
    }
    process.health.drain();
    producer.flush(settings.producer.delivery_timeout.0).await;
    let served = serving.await.unwrap_or(Err(BackendError::Broken("the HTTP server")));
    process.end(SLACK).await;
    served
}
