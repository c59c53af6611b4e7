//! The thread that looks at a group again and again.
//!
//! librdkafka's calls block, and a new client for each look would cost a connection and a thread each time: so there is
//! one client, on a thread of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use record::event::watch::KafkaSample;

use super::{plan::LagPlan, reader::Reader, rules::History};

/// Shortest time from look to look.
const SHORTEST: Duration = Duration::from_millis(100);
/// Longest time that a stop waits for the thread; it ends by itself after the call that it is in.
const STOP: Duration = Duration::from_millis(250);

/// Looks at a group; see [`Sampler::start`].
#[derive(Debug)]
pub struct Sampler;

/// A sampler that runs. Dropping it ends it: within moments, and no sample comes afterwards.
#[derive(Debug)]
pub struct Handle {
    stopped: Arc<AtomicBool>,
    stop: Option<Sender<()>>,
    done: Receiver<()>,
}

impl Sampler {
    /// Looks every `plan.interval` and hands what it saw to `on_sample`, on the sampler's thread. While Kafka cannot be
    /// read that is one error with the reason when it begins, and nothing until the next sample.
    pub fn start(plan: LagPlan, on_sample: impl FnMut(Result<KafkaSample, String>) + Send + 'static) -> Handle {
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop, asked) = channel();
        let (ended, done) = channel();
        let watch = Watch { plan, on_sample, stopped: stopped.clone(), asked };
        let thread = std::thread::Builder::new().name("lag".into()).spawn(move || {
            watch.run();
            drop(ended);
        });
        if let Err(error) = thread {
            // Then there is no thread to say so.
            tracing::error!(%error, "no thread for consumer lag");
        }
        Handle { stopped, stop: Some(stop), done }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        drop(self.stop.take());
        // Nothing is ever sent: it ends, or the time is over.
        let _ = self.done.recv_timeout(STOP);
    }
}

struct Watch<F> {
    plan: LagPlan,
    on_sample: F,
    stopped: Arc<AtomicBool>,
    asked: Receiver<()>,
}

impl<F: FnMut(Result<KafkaSample, String>)> Watch<F> {
    fn run(mut self) {
        let interval = self.plan.interval.max(SHORTEST);
        let mut reader = Reader::new(self.plan.clone());
        let mut history = History::new(self.plan.rules);
        let (mut away, mut next) = (false, Instant::now());
        loop {
            let seen = reader.look();
            if self.stopped.load(Ordering::Acquire) {
                return;
            }
            match seen {
                Ok(look) => {
                    away = false;
                    let mut sample = history.push(&self.plan.group, &look);
                    reader.fill(&mut sample);
                    (self.on_sample)(Ok(sample));
                }
                Err(why) => {
                    history.gap();
                    if !std::mem::replace(&mut away, true) {
                        (self.on_sample)(Err(why));
                    }
                }
            }
            // A look that took too long makes the next ones late; they never pile up.
            next = (next + interval).max(Instant::now());
            match self.asked.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}
