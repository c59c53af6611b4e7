//! One request for a coupon, from the queue's place to the delivery report.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use uuid::Uuid;

use contract::failpoint::Point;

use super::{
    cache::Coupon,
    event::{CouponEvent, PendingEvent},
    gate::Answer,
    issuer::Issuer,
};
use crate::producer::{Outgoing, SendError};

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Granted, and Kafka has it.
    Queued {
        /// Number of the grant.
        grant_seq: u64,
        /// Its event.
        event_id: Uuid,
    },
    /// The user has one already.
    Duplicate,
    /// None is left.
    SoldOut,
    /// Nothing was decided, or it is unknown what was.
    Unavailable(&'static str),
}

/// How long to ask again for a user whose grant Kafka has not acknowledged, and the first pause; each is twice as long.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(5));

const CLOSED: Outcome = Outcome::Unavailable("the gate of this coupon is closed at the moment");

/// Milliseconds since 1970 by this machine's clock.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// Asks the gate for a coupon and sends what it grants.
///
/// The work runs in a task of its own: the web framework drops this future when the client hangs up, and a grant
/// must be sent all the same.
pub async fn issue(issuer: Arc<Issuer>, coupon: Arc<Coupon>, user_id: u64) -> Outcome {
    // The place comes first: a grant that finds the queue full could not be taken back.
    let Ok(place) = issuer.queue.clone().try_acquire_owned() else {
        return Outcome::Unavailable("too many requests are under way");
    };
    if !issuer.producer.ready() {
        return CLOSED;
    }
    let (tell, told) = oneshot::channel();
    let limit = issuer.limits.request_timeout;
    let tasks = issuer.tasks.clone();
    tasks.spawn(decide(issuer, coupon, user_id, place, tell));
    match tokio::time::timeout(limit, told).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Outcome::Unavailable("internal error; see the log"),
        Err(_) => Outcome::Unavailable("no answer in time; whether it was granted is not known yet"),
    }
}

async fn decide(
    issuer: Arc<Issuer>,
    mut coupon: Arc<Coupon>,
    user_id: u64,
    place: OwnedSemaphorePermit,
    tell: oneshot::Sender<Outcome>,
) {
    let mut event = PendingEvent {
        event_id: Uuid::now_v7(),
        coupon_id: coupon.id,
        user_id,
        epoch: String::new(),
        granted_at_ms: now_ms() as u64,
    };
    // Nobody listens after the request's time; a gate that answers later keeps its event in `pending`.
    let asked = tokio::time::timeout(issuer.limits.request_timeout, ask(&issuer, &mut coupon, &mut event)).await;
    let (grant_seq, json) = match asked {
        Ok(Ok(granted)) => granted,
        Ok(Err(outcome)) => return drop(tell.send(outcome)),
        Err(_) => return drop(tell.send(Outcome::Unavailable("the gate does not answer in time"))),
    };
    issuer.failpoints.pass(Point::ApiAfterGate);
    let event_id = event.event_id;
    if let Err(error) = send(&issuer, &event.numbered(grant_seq)).await {
        tracing::warn!(%error, coupon_id = coupon.id, grant_seq, "left to the reconciler");
        return drop(tell.send(Outcome::Unavailable("whether the grant is recorded is not known yet")));
    }
    let _ = tell.send(Outcome::Queued { grant_seq, event_id });
    issuer.delivered.put(coupon, user_id, grant_seq, &json, place);
}

/// Asks the gate, once more with a fresh epoch when it is closed. A grant comes back with the event as it was sent.
///
/// A user whose first grant is still on its way to Kafka is told nothing yet: DUPLICATE says that there is a coupon, and
/// a Redis that loses its state now would lose the grant too. That lasts for milliseconds as a rule.
async fn ask(issuer: &Issuer, coupon: &mut Arc<Coupon>, event: &mut PendingEvent) -> Result<(u64, String), Outcome> {
    let started = Instant::now();
    let (mut fresh, mut pause) = (false, WAIT.1);
    loop {
        let Some(epoch) = coupon.epoch.clone() else {
            *coupon = fresher(issuer, coupon, started).await?;
            fresh = true;
            continue;
        };
        event.epoch = epoch;
        let json = event.json();
        let asked = Instant::now();
        let answer = issuer.gate.ask(&coupon.keys, &event.epoch, event.user_id, &json).await;
        issuer.metrics.gate.observe(asked.elapsed().as_secs_f64());
        match answer {
            Ok(Answer::Granted(seq)) => return Ok((seq, json)),
            Ok(Answer::Duplicate) => return Err(Outcome::Duplicate),
            Ok(Answer::SoldOut) => return Err(Outcome::SoldOut),
            Ok(Answer::Waiting) if started.elapsed() + pause < WAIT.0.min(issuer.limits.request_timeout) => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Ok(Answer::Waiting) => {
                return Err(Outcome::Unavailable("whether this user's grant is recorded is not known yet"));
            }
            Ok(Answer::Closed) if !fresh => {
                *coupon = fresher(issuer, coupon, started).await?;
                fresh = true;
            }
            Ok(Answer::Closed) => return Err(CLOSED),
            Err(error) => {
                tracing::debug!(%error, "the gate did not answer");
                return Err(Outcome::Unavailable("the gate does not answer at the moment"));
            }
        }
    }
}

/// The coupon with another epoch than `coupon` has.
async fn fresher(issuer: &Issuer, coupon: &Coupon, seen: Instant) -> Result<Arc<Coupon>, Outcome> {
    if let Err(error) = issuer.coupons.refresh(seen).await {
        tracing::warn!(%error, "the coupons cannot be read again");
        return Err(CLOSED);
    }
    match issuer.coupons.cached(coupon.id) {
        Some(fresh) if fresh.epoch.is_some() && fresh.epoch != coupon.epoch => Ok(fresh),
        _ => Err(CLOSED),
    }
}

async fn send(issuer: &Issuer, event: &CouponEvent) -> Result<(), SendError> {
    let (key, value) = (event.user_id.to_string(), event.json());
    let record =
        Outgoing { topic: issuer.topic, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: None };
    issuer.producer.send(record).await
}
