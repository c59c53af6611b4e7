//! Takes delivered events out of `pending`, all that wait in one command.
//!
//! A command for each grant costs Redis and the API more than the removal itself. While one command is under way the
//! next events gather, so the busier the API, the more go together; an idle one waits for nothing.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{cache::Coupon, gate::Gate};
use crate::{event::pending_member, telemetry::Metrics};

/// Most events of one command: Redis does nothing else meanwhile.
const MOST: usize = 512;

/// A grant that Kafka has.
struct Event {
    coupon: Arc<Coupon>,
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
    pub fn start(gate: Gate, metrics: Metrics, places: usize, stop: CancellationToken, tasks: &TaskTracker) -> Self {
        let (queue, events) = mpsc::channel(places.clamp(1, Semaphore::MAX_PERMITS));
        let counted = metrics.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = take_out(gate, events, counted) => {}
                () = stop.cancelled() => {}
            }
        });
        Self { queue, metrics }
    }

    /// Hands over a delivered event (JSON as it went to the gate). Does not wait.
    pub fn put(&self, coupon: Arc<Coupon>, grant_seq: u64, event: &str, place: OwnedSemaphorePermit) {
        let event = Event { coupon, member: pending_member(grant_seq, event), _place: place };
        if self.queue.try_send(event).is_err() {
            // The process is at its end. The reconciler sends it again; the consumer finds the row there.
            self.metrics.left_pending.inc();
        }
    }
}

async fn take_out(gate: Gate, mut events: mpsc::Receiver<Event>, metrics: Metrics) {
    let mut taken = Vec::with_capacity(MOST);
    while events.recv_many(&mut taken, MOST).await > 0 {
        let mut coupons = BTreeMap::<u64, (&Coupon, Vec<&str>)>::new();
        for event in &taken {
            let (_, members) = coupons.entry(event.coupon.id).or_insert_with(|| (&event.coupon, Vec::new()));
            members.push(&event.member);
        }
        for (coupon, members) in coupons.into_values() {
            if let Err(error) = gate.delivered(&coupon.keys, &members).await {
                // The reconciler sends them again; the consumer finds the rows there.
                metrics.left_pending.inc_by(members.len() as u64);
                tracing::debug!(%error, coupon_id = coupon.id, events = members.len(), "delivered but still pending");
            }
        }
        taken.clear();
    }
}
