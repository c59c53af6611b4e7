//! The reconciler: sends what an API granted and never sent, and rebuilds a gate that Redis lost.

pub mod rebuild;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use mysql_async::prelude::Queryable;
use tokio::task::JoinSet;

use super::{
    epoch::EpochError,
    event::{CouponEvent, epoch_run_id, parse_pending},
    metrics::Metrics,
    pending::{Acknowledged, Delivery},
};
use crate::{
    db::{Db, DbError},
    producer::{EventProducer, Outgoing, SendError},
    redis_pool::{RedisPool, RedisPoolError},
};
use contract::{
    claim::{EPOCH_ID, gate_keys},
    endpoint::{KafkaEndpoint, RedisEndpoint},
};

const CLAIM: &str = include_str!("reconciler/claim.lua");
/// Most events of one coupon in one round.
const CLAIM_MAX: usize = 500;

/// Why a round was not finished. The next one starts anew.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// MySQL.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Redis.
    #[error(transparent)]
    Redis(#[from] RedisPoolError),
    /// A rebuild.
    #[error("the gate stays closed: {0}")]
    Rebuild(#[from] EpochError),
}

/// What the reconciler needs.
pub struct Parts {
    /// MySQL.
    pub db: Db,
    /// Connections to Redis.
    pub pool: Arc<RedisPool>,
    /// Redis, for a rebuild's own connection.
    pub redis: RedisEndpoint,
    /// Kafka, for reading the log.
    pub kafka: KafkaEndpoint,
    /// Kafka, for sending.
    pub producer: Arc<EventProducer>,
    /// Topic of the events.
    pub topic: String,
    /// τ: age at which a pending event is claimed.
    pub after: Duration,
    /// How long a gate must have been closed before it is rebuilt.
    pub closed_for: Duration,
    /// Counters.
    pub metrics: Metrics,
}

/// The reconciler.
pub struct Reconciler {
    parts: Parts,
    delivery: Delivery,
    /// Coupon → the epoch that it has lost, and since when the gate is known to be closed.
    closed: HashMap<u64, (String, Instant)>,
}

/// What one round did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// Pending events that were sent and acknowledged.
    pub sent: u64,
    /// Gates that were rebuilt.
    pub rebuilt: u64,
    /// Gates that are closed and wait for their rebuild.
    pub waiting: u64,
}

impl Reconciler {
    /// A reconciler that has seen nothing yet.
    pub fn new(parts: Parts) -> Self {
        Self { parts, delivery: Delivery::default(), closed: HashMap::new() }
    }

    /// Looks at every coupon once. One coupon's trouble does not keep the others waiting.
    ///
    /// # Errors
    /// The first error of the round.
    pub async fn round(&mut self) -> Result<Round, ReconcileError> {
        let db = &self.parts.db;
        let coupons: Vec<(u64, String)> = db
            .within(async {
                let mut conn = db.pool().get_conn().await?;
                conn.query("SELECT id, epoch FROM coupons WHERE epoch IS NOT NULL ORDER BY id").await
            })
            .await?;
        self.closed.retain(|id, _| coupons.iter().any(|(coupon, _)| coupon == id));
        let mut round = Round::default();
        let mut first = None;
        for (coupon_id, epoch) in coupons {
            if let Err(error) = self.coupon(coupon_id, &epoch, &mut round).await {
                tracing::debug!(%error, coupon_id, "not reconciled in this round");
                first.get_or_insert(error);
            }
        }
        first.map_or(Ok(round), Err)
    }

    /// One round for one coupon, whose epoch in MySQL is `epoch`.
    pub async fn coupon(&mut self, coupon_id: u64, epoch: &str, round: &mut Round) -> Result<(), ReconcileError> {
        let link = self.parts.pool.link()?;
        let mut ask = redis::cmd("HGET");
        ask.arg(gate_keys(coupon_id).epoch).arg(EPOCH_ID);
        let answer = link.send(&ask).await.map_err(|e| self.parts.pool.failed(e))?;
        let in_redis: Option<String> =
            redis::FromRedisValue::from_redis_value(answer).map_err(|e| self.parts.pool.failed(e.into()))?;
        if in_redis.as_deref() == Some(epoch) && epoch_run_id(epoch) == link.run_id() {
            self.closed.remove(&coupon_id);
            round.sent += self.send_pending(coupon_id, epoch).await?;
            return Ok(());
        }
        match self.closed.get(&coupon_id) {
            Some((lost, since)) if lost == epoch => {
                if since.elapsed() < self.parts.closed_for {
                    round.waiting += 1;
                } else if rebuild::rebuild(&self.parts, coupon_id, epoch).await?.is_some() {
                    self.parts.metrics.rebuilds.inc();
                    round.rebuilt += 1;
                    self.closed.remove(&coupon_id);
                } else {
                    self.closed.remove(&coupon_id);
                }
            }
            _ => {
                if rebuild::close(&self.parts, coupon_id, epoch).await? {
                    tracing::warn!(coupon_id, epoch, wait = ?self.parts.closed_for, "Redis lost the gate; closed");
                    self.closed.insert(coupon_id, (epoch.to_owned(), Instant::now()));
                    round.waiting += 1;
                }
            }
        }
        Ok(())
    }

    /// Claims what is due and sends it with the same event id; what is acknowledged is no longer pending.
    async fn send_pending(&self, coupon_id: u64, epoch: &str) -> Result<u64, ReconcileError> {
        let keys = gate_keys(coupon_id);
        let mut claim = redis::cmd("EVAL");
        claim.arg(CLAIM).arg(2).arg(&keys.epoch).arg(&keys.pending);
        claim.arg(epoch).arg(self.parts.after.as_millis() as u64).arg(CLAIM_MAX);
        let due: Vec<String> = self.parts.pool.query(&claim).await?;
        let mut sends = send_again(&self.parts, coupon_id, due, |_| true);
        let mut done = 0;
        while let Some(sent) = sends.join_next().await {
            match sent {
                Ok(Ok((event, member))) => {
                    let event = Acknowledged { user_id: event.user_id, grant_seq: event.grant_seq, member: &member };
                    self.delivery.done(&self.parts.pool, &keys, epoch, &[event]).await?;
                    self.parts.metrics.reconciled.inc();
                    done += 1;
                }
                Ok(Err(error)) => tracing::warn!(%error, coupon_id, "claimed again later"),
                Err(error) => tracing::error!(%error, coupon_id, "a send ended badly"),
            }
        }
        Ok(done)
    }
}

/// Sends those members of `pending` that are wanted, each with the id that it has; gives back what Kafka acknowledged.
fn send_again(
    parts: &Parts,
    coupon_id: u64,
    members: Vec<String>,
    wanted: impl Fn(&CouponEvent) -> bool,
) -> JoinSet<Result<(CouponEvent, String), SendError>> {
    let mut sends = JoinSet::new();
    for member in members {
        let Some(event) = parse_pending(&member) else {
            tracing::error!(coupon_id, member, "pending holds what is no event; it stays there");
            continue;
        };
        if !wanted(&event) {
            continue;
        }
        tracing::info!(coupon_id, grant_seq = event.grant_seq, event_id = %event.event_id, "pending: sent again");
        let (producer, topic) = (parts.producer.clone(), parts.topic.clone());
        sends.spawn(async move {
            let (key, value) = (event.user_id.to_string(), event.json());
            let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
            let sent = producer.send(Outgoing { topic: &topic, key, value, headers: None }).await;
            sent.map(|()| (event, member))
        });
    }
    sends
}
