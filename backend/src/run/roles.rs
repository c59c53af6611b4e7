//! The three roles.

use std::{sync::Arc, time::Duration};

use axum::Router;

use super::{BackendError, Process};
use crate::{
    api::Api,
    consumer::{
        dead_letter::DeadLetters,
        group::{self, Member},
        write::Writer,
    },
    coupon::{cache::Coupons, delivered::Delivered, gate::Gate, issue::now_ms},
    producer::EventProducer,
    product::cache::ProductCache,
    reconciler::{self, Reconciler},
    redis_pool::RedisPool,
    routes,
    user::directory::Directory,
};
use contract::{failpoint::Failpoints, names::EPOCH_ID, system::Topic};

/// Longest time of one question to Kafka about its topics.
const PROBE: Duration = Duration::from_secs(3);
/// How long requests may still run after the stop, on top of their own limit.
const SLACK: Duration = Duration::from_secs(1);

pub(super) async fn api(mut process: Process, failpoints: Failpoints) -> Result<(), BackendError> {
    let settings = process.config.settings.clone();
    let endpoints = process.config.endpoints.clone();
    let topic = process.config.system.claims().name;
    let pool = redis(&process)?;
    let api = Arc::new(Api {
        db: process.db.clone(),
        gate: Gate::new(pool.clone()),
        delivered: Delivered::start(
            pool.clone(),
            process.metrics.clone(),
            settings.producer.queue,
            process.end.clone(),
            &process.tasks,
        ),
        coupons: Coupons::new(process.db.clone()),
        users: Directory::new(process.db.clone()),
        products: ProductCache::new(pool.clone(), &settings, process.metrics.clone()),
        producer: EventProducer::new(&endpoints.kafka, &settings.producer, process.metrics.clone())?,
        queue: Api::queue(&settings),
        tasks: process.tasks.clone(),
        failpoints,
        metrics: process.metrics.clone(),
        topic: topic.to_owned(),
        request_timeout: settings.http.request_timeout.0,
        body_limit: settings.http.body_limit,
    });
    let drain = settings.http.request_timeout.0 + SLACK;
    let serving = process.serve(routes::router(api.clone()), drain);
    process.watch_mysql();
    watch_redis(&process, &pool);
    let probed = api.clone();
    process.watch("kafka", move || {
        let api = probed.clone();
        async move { api.producer.probe(topic, PROBE).await }
    });
    process.migrate().await?;
    match api.users.warm().await {
        Ok(users) => tracing::info!(users, "directory warmed"),
        Err(error) => tracing::warn!(%error, "users are looked up one by one"),
    }
    watch_gate(&process, &api);
    watch_queue(&process, &api);
    process.stop.cancelled().await;
    process.health.drain();
    tracing::info!("draining");
    let served = serving.await.unwrap_or(Err(BackendError::Broken("the HTTP server")));
    // What was granted is sent, or given up by the producer itself, within its delivery time.
    let limit = settings.producer.delivery_timeout.0 + SLACK;
    if !emptied(&api.queue, settings.producer.queue, limit).await {
        tracing::warn!(?limit, "some grants are left to the reconciler");
    }
    api.producer.flush(limit).await;
    process.end(SLACK).await;
    served
}

/// Waits until every place of the queue is free again, at most `limit`, and gives none away any more.
async fn emptied(queue: &tokio::sync::Semaphore, places: usize, limit: Duration) -> bool {
    let all = u32::try_from(places.max(1)).unwrap_or(u32::MAX);
    let done = tokio::time::timeout(limit, queue.acquire_many(all)).await.is_ok_and(|all| all.is_ok());
    queue.close();
    done
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

/// Reads the coupons again each second, and asks whether the gates of those that are valid now have their epoch.
fn watch_gate(process: &Process, api: &Arc<Api>) {
    let api = api.clone();
    process.watch("gate", move || {
        let api = api.clone();
        async move {
            api.coupons.refresh(std::time::Instant::now()).await.map_err(|e| e.to_string())?;
            if !api.producer.ready() {
                return Err("the Kafka producer is being rebuilt".into());
            }
            let link = api.gate.pool().link().map_err(|e| e.to_string())?;
            let now = now_ms();
            for coupon in api.coupons.all().into_iter().filter(|coupon| coupon.valid_at(now)) {
                let Some(epoch) = &coupon.epoch else { continue };
                let mut ask = redis::cmd("HGET");
                ask.arg(&coupon.keys.epoch).arg(EPOCH_ID);
                let found: Option<String> = api.gate.pool().query(&ask).await.map_err(|e| e.to_string())?;
                if found.as_ref() != Some(epoch) || crate::event::epoch_run_id(epoch) != link.run_id() {
                    return Err(format!("the gate of coupon {} is closed until it is rebuilt", coupon.id));
                }
            }
            Ok(())
        }
    });
}

fn watch_queue(process: &Process, api: &Arc<Api>) {
    let (api, stop) = (api.clone(), process.end.clone());
    let places = process.config.settings.producer.queue.max(1);
    process.tasks.spawn(async move {
        while !stop.is_cancelled() {
            api.metrics.queue.set(places.saturating_sub(api.queue.available_permits()) as i64);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
                () = stop.cancelled() => {}
            }
        }
    });
}

pub(super) async fn consumer(mut process: Process, failpoints: Failpoints) -> Result<(), BackendError> {
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
            writer: Writer::new(process.db.pool().clone(), Arc::new(failpoints)),
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
        metrics: process.metrics.clone(),
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
