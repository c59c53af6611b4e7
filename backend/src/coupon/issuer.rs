//! What an API process issues coupons with.

use std::{sync::Arc, time::Duration, time::Instant};

use contract::{claim::EPOCH_ID, failpoint::Failpoints, process::ProcessConfig, system::UserKey};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{cache::Coupons, delivered::Delivered, event::epoch_run_id, gate::Gate, issue::now_ms, metrics::Metrics};
use crate::{
    api::Limits,
    db::Db,
    producer::{EventProducer, ProducerError},
    redis_pool::RedisPool,
    telemetry,
    user::Users,
};

/// What the routes of the coupons share.
pub struct Issuer {
    /// MySQL.
    pub db: Db,
    /// The users.
    pub users: Arc<Users>,
    /// How a request names its user.
    pub user_key: UserKey,
    /// The coupons.
    pub coupons: Coupons,
    /// The gate.
    pub gate: Gate,
    /// What Kafka has goes there.
    pub delivered: Delivered,
    /// Kafka.
    pub producer: EventProducer,
    /// Topic of the events.
    pub topic: &'static str,
    /// Places of the producer's queue. One is taken before the gate is asked.
    pub queue: Arc<Semaphore>,
    /// Tasks that outlive their request: a grant is sent even when the client has hung up.
    pub tasks: TaskTracker,
    /// Failures on purpose.
    pub failpoints: Arc<Failpoints>,
    /// Counters.
    pub metrics: Metrics,
    /// Limits of a request.
    pub limits: Limits,
    places: usize,
}

/// What the process gives to its issuer.
pub struct Parts<'a> {
    /// What the process was told.
    pub config: &'a ProcessConfig,
    /// MySQL.
    pub db: Db,
    /// Redis.
    pub pool: Arc<RedisPool>,
    /// The users.
    pub users: Arc<Users>,
    /// Failures on purpose.
    pub failpoints: Arc<Failpoints>,
    /// The process's tasks.
    pub tasks: TaskTracker,
    /// Ends what is needed until the last grant is sent.
    pub end: CancellationToken,
    /// What the process counts.
    pub metrics: &'a telemetry::Metrics,
}

impl Issuer {
    /// An issuer that has not asked anybody anything yet.
    ///
    /// # Errors
    /// When the producer's settings are refused.
    pub fn start(parts: Parts<'_>) -> Result<Arc<Self>, ProducerError> {
        let Parts { config, db, pool, users, failpoints, tasks, end, metrics: process } = parts;
        let (settings, metrics) = (&config.settings, Metrics::new(process));
        let places = settings.producer.queue.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Arc::new(Self {
            users,
            user_key: config.system.description().user_key,
            coupons: Coupons::new(db.clone()),
            db,
            gate: Gate::new(pool.clone()),
            delivered: Delivered::start(pool, metrics.clone(), places, end, &tasks),
            producer: EventProducer::new(&config.endpoints.kafka, &settings.producer, process.clone())?,
            topic: config.system.claims().name,
            queue: Arc::new(Semaphore::new(places)),
            tasks,
            failpoints,
            metrics,
            limits: (&settings.http).into(),
            places,
        }))
    }

    /// Reads the coupons again, and asks whether the gates of those that are valid now have their epoch.
    ///
    /// # Errors
    /// With the first reason why a coupon cannot be issued.
    pub async fn look(&self) -> Result<(), String> {
        self.coupons.refresh(Instant::now()).await.map_err(|e| e.to_string())?;
        if !self.producer.ready() {
            return Err("the Kafka producer is being rebuilt".into());
        }
        let link = self.gate.pool().link().map_err(|e| e.to_string())?;
        let now = now_ms();
        for coupon in self.coupons.all().into_iter().filter(|coupon| coupon.valid_at(now)) {
            let Some(epoch) = &coupon.epoch else { continue };
            let mut ask = redis::cmd("HGET");
            ask.arg(&coupon.keys.epoch).arg(EPOCH_ID);
            let found: Option<String> = self.gate.pool().query(&ask).await.map_err(|e| e.to_string())?;
            if found.as_ref() != Some(epoch) || epoch_run_id(epoch) != link.run_id() {
                return Err(format!("the gate of coupon {} is closed until it is rebuilt", coupon.id));
            }
        }
        Ok(())
    }

    /// Counts the places of the queue that are taken, now and then, until `stop`.
    pub async fn watch_queue(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.metrics.queue.set(self.places.saturating_sub(self.queue.available_permits()) as i64);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Waits until what was granted is sent, or given up by the producer itself, at most `limit`. Nothing is granted any
    /// more.
    pub async fn drain(&self, limit: Duration) {
        let all = u32::try_from(self.places).unwrap_or(u32::MAX);
        let emptied = tokio::time::timeout(limit, self.queue.acquire_many(all)).await;
        self.queue.close();
        if !emptied.is_ok_and(|all| all.is_ok()) {
            tracing::warn!(?limit, "some grants are left to the reconciler");
        }
        self.producer.flush(limit).await;
    }
}
