//! The three roles.

use std::{sync::Arc, time::Duration};

use axum::Router;
use contract::{failpoint::Failpoints, system::Topic};

use super::{BackendError, Process};
use crate::{
    consumer::{
        dead_letter::DeadLetters,
        group::{self, Member},
    },
    domains::{self, Api},
    producer::EventProducer,
    redis_pool::RedisPool,
};

/// Longest time of one question to Kafka about its topics.
const PROBE: Duration = Duration::from_secs(3);
/// How long requests may still run after the stop, on top of their own limit.
const SLACK: Duration = Duration::from_secs(1);

pub(super) async fn api(mut process: Process, failpoints: Arc<Failpoints>) -> Result<(), BackendError> {
    let settings = process.config.settings.clone();
    let pool = redis(&process)?;
    let Api { routes, users, gate } = Api::start(&parts(&process, &pool), &failpoints)?;
    let drain = settings.http.request_timeout.0 + SLACK;
    let serving = process.serve(routes, drain);
    process.watch_mysql();
    watch_redis(&process, &pool);
    if let Some(gate) = gate.clone() {
        process.watch("kafka", move || {
            let gate = gate.clone();
            async move { gate.producer.probe(gate.topic, PROBE).await }
        });
    }
    process.migrate().await?;
    match users.warm().await {
        Ok(users) => tracing::info!(users, "directory warmed"),
        Err(error) => tracing::warn!(%error, "users are looked up one by one"),
    }
    if let Some(gate) = gate.clone() {
        let (queue, end) = (gate.clone(), process.end.clone());
        process.tasks.spawn(async move { queue.watch_queue(end).await });
        process.watch("gate", move || {
            let gate = gate.clone();
            async move { gate.look().await }
        });
    }
    process.stop.cancelled().await;
    process.health.drain();
    tracing::info!("draining");
    let served = serving.await.unwrap_or(Err(BackendError::Broken("the HTTP server")));
    if let Some(gate) = gate {
        gate.drain(settings.producer.delivery_timeout.0 + SLACK).await;
    }
    process.end(SLACK).await;
    served
}

fn parts<'a>(process: &'a Process, pool: &'a Arc<RedisPool>) -> domains::Parts<'a> {
    let Process { config, db, tasks, end, metrics, .. } = process;
    domains::Parts { config, db, pool, tasks, end, metrics }
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
            sink: domains::sink(process.db.pool().clone(), failpoints),
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
    let topic = process.config.system.claims().name;
    let pool = redis(&process)?;
    let producer =
        Arc::new(EventProducer::new(&process.config.endpoints.kafka, &settings.producer, process.metrics.clone())?);
    let serving = process.serve(Router::new(), SLACK);
    process.watch_mysql();
    watch_redis(&process, &pool);
    let probe = producer.clone();
    process.watch("kafka", move || {
        let probe = probe.clone();
        async move { probe.probe(topic, PROBE).await }
    });
    process.migrate().await?;
    let mut reconciler = domains::reconciler(&parts(&process, &pool), producer.clone());
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
