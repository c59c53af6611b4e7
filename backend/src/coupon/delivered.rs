//! Takes delivered events out of `pending`, all that wait in one script.
//!
//! A script for each grant costs Redis and the API more than the removal itself. While one script is under way the
//! next events gather, so the busier the API, the more go together; an idle one waits for nothing.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    cache::Coupon,
    event::pending_member,
    metrics::Metrics,
    pending::{Acknowledged, Delivery},
};
use crate::redis_pool::RedisPool;

/// Most events of one script: Redis does nothing else meanwhile.
const MOST: usize = 512;

/// A grant that Kafka has.
struct Event {
    coupon: Arc<Coupon>,
    user_id: u64,
    grant_seq: u64,
    member: String,
    /// Its place in the producer's queue, free again once Redis was told.
    _place: OwnedSemaphorePermit,
}

/// Where delivered events go.
pub struct Delivered {
    queue: mpsc::Sender<Event>,
    metrics: Metrics,
}

impl Delivered {
    /// Starts to take events out, until `stop`. `places` is how many places the producer's queue has: as each event
    /// brings its own, that many can wait at most.
    pub fn start(
        pool: Arc<RedisPool>,
        metrics: Metrics,
        places: usize,
        stop: CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let (queue, events) = mpsc::channel(places);
        let counted = metrics.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = take_out(&pool, events, counted) => {}
                () = stop.cancelled() => {}
            }
        });
        Self { queue, metrics }
    }

    /// Hands over a delivered event (JSON as it went to the gate, in the epoch of `coupon`). Does not wait.
    pub fn put(&self, coupon: Arc<Coupon>, user_id: u64, grant_seq: u64, event: &str, place: OwnedSemaphorePermit) {
        let event = Event { coupon, user_id, grant_seq, member: pending_member(grant_seq, event), _place: place };
        if self.queue.try_send(event).is_err() {
            // The process is at its end. The reconciler sends it again; the consumer finds the row there.
            self.metrics.left_pending.inc();
        }
    }
}

async fn take_out(pool: &RedisPool, mut events: mpsc::Receiver<Event>, metrics: Metrics) {
    let delivery = Delivery::default();
    let mut taken = Vec::with_capacity(MOST);
    while events.recv_many(&mut taken, MOST).await > 0 {
        let mut epochs = BTreeMap::<(u64, &str), (&Coupon, Vec<Acknowledged<'_>>)>::new();
        for event in &taken {
            let epoch = event.coupon.epoch.as_deref().unwrap_or_default();
            let (_, events) = epochs.entry((event.coupon.id, epoch)).or_insert_with(|| (&event.coupon, Vec::new()));
            let Event { user_id, grant_seq, member, .. } = event;
            events.push(Acknowledged { user_id: *user_id, grant_seq: *grant_seq, member });
        }
        for ((_, epoch), (coupon, events)) in epochs {
            if let Err(error) = delivery.done(pool, &coupon.keys, epoch, &events).await {
                // The reconciler sends them again; the consumer finds the rows there.
                metrics.left_pending.inc_by(events.len() as u64);
                tracing::debug!(%error, coupon_id = coupon.id, events = events.len(), "delivered but still pending");
            }
        }
        taken.clear();
    }
}
