//! Watchers: each looks at one source every second or two and tells what it sees as an event.
//!
//! | watcher | reads | event |
//! |---|---|---|
//! | [`kafka::lag`] | the consumer group, on a thread of its own | `Event::Kafka` |
//! | `redis` | PING, INFO, SLOWLOG, gates by name | `Event::Redis` |
//! | `mysql` | status, variables, lock waits, digests, slow log; `/metrics` of backend processes for their pools | `Event::Mysql` |
//! | `stack` | processes and containers | `Event::Stack` |
//!
//! Each has one long-lived connection, and a time limit on every look. A source that goes away is told once
//! (`Event::Unreachable`); the watcher goes on trying, and the next sample says that it is back.

mod mysql;
mod pools;
mod redis;
mod stack;

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use contract::endpoint::Endpoints;
use infra::{StateDir, stack::Stack};
use kafka::lag::{self, LagPlan};
use record::event::Event;
use tokio::{task::JoinHandle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Longest time that one look may take.
const LIMIT: Duration = Duration::from_secs(4);

/// Gives the stack as it is now: processes come and go while it is watched. None: nothing is known about it.
pub type Stacked = Arc<dyn Fn() -> Option<Stack> + Send + Sync>;

/// What to watch.
#[derive(Clone)]
pub struct WatchPlan {
    /// The state folder, by which containers are found; none where ecomctl has started nothing.
    pub state: Option<StateDir>,
    /// The servers.
    pub endpoints: Endpoints,
    /// The stack; asked before each look.
    pub stack: Stacked,
    /// Topic of the events.
    pub topic: String,
    /// Consumer group whose lag counts.
    pub group: String,
    /// Time from look to look.
    pub interval: Duration,
}

/// The watchers at work. Dropping them ends them.
#[derive(Debug)]
pub struct Watchers {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    kafka: Option<lag::Handle>,
}

impl Watchers {
    /// Starts all watchers; must be called within a tokio runtime. `emit` must not block.
    pub fn start(plan: WatchPlan, emit: impl Fn(Event) + Send + Sync + Clone + 'static) -> Self {
        let stop = CancellationToken::new();
        let WatchPlan { state, endpoints, stack, topic, group, interval } = plan;
        let interval = interval.max(Duration::from_millis(50));
        let redis = redis::Redis::new(endpoints.redis);
        let mysql = mysql::Mysql::new(endpoints.mysql, stack.clone());
        let components = stack::Components::new(state, stack);
        let lag = LagPlan {
            endpoint: endpoints.kafka,
            group,
            topics: vec![topic],
            search: true,
            interval,
            rules: lag::Rules::default(),
        };
        let kafka = Some(kafka(lag, emit.clone(), stop.clone()));
        let tasks = vec![
            tokio::spawn(watch(redis, (interval, LIMIT), emit.clone(), stop.clone())),
            tokio::spawn(watch(mysql, (interval, LIMIT), emit.clone(), stop.clone())),
            tokio::spawn(watch(components, (interval, LIMIT), emit, stop.clone())),
        ];
        Self { stop, tasks, kafka }
    }

    /// Ends the watchers; looks that are under way are given up.
    pub async fn stop(mut self) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            // It only ends early by a panic of its own, and then there is nothing left to wait for.
            let _ = task.await;
        }
        // The thread is waited for a moment, which must not hold up other tasks.
        let kafka = self.kafka.take();
        let _ = tokio::task::spawn_blocking(move || drop(kafka)).await;
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The watcher of the consumer group.
fn kafka(plan: LagPlan, emit: impl Fn(Event) + Send + 'static, stop: CancellationToken) -> lag::Handle {
    // A call that hangs may outlive the watchers; whatever `emit` holds must not.
    let emit = Arc::new(Mutex::new(Some(emit)));
    let held = emit.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        held.lock().unwrap_or_else(PoisonError::into_inner).take();
    });
    lag::Sampler::start(plan, move |looked| {
        if let Some(emit) = emit.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            emit(match looked {
                Ok(sample) => Event::Kafka(sample),
                Err(why) => Event::Unreachable { source: "kafka".into(), why },
            });
        }
    })
}

/// Something that can be looked at.
trait Source: Send + 'static {
    /// Its name in events.
    const NAME: &'static str;

    /// Looks once. After an error, or when it is given up in the middle, it begins with a new connection.
    fn look(&mut self) -> impl Future<Output = Result<Event, String>> + Send;
}

async fn watch<S: Source>(
    mut source: S,
    (interval, limit): (Duration, Duration),
    emit: impl Fn(Event),
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = false;
    loop {
        let look = async {
            ticks.tick().await;
            match tokio::time::timeout(limit, source.look()).await {
                Ok(looked) => looked,
                Err(_) => Err(format!("no answer within {limit:?}")),
            }
        };
        let looked = tokio::select! {
            looked = look => looked,
            () = stop.cancelled() => return,
        };
        match looked {
            Ok(event) => {
                away = false;
                emit(event);
            }
            Err(why) if !away => {
                away = true;
                emit(Event::Unreachable { source: S::NAME.to_owned(), why });
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use record::event::watch::StackSample;

    /// A source that answers as it is told: `None` hangs.
    struct Scripted(std::vec::IntoIter<Option<Result<(), &'static str>>>);

    impl Source for Scripted {
        const NAME: &'static str = "scripted";

        async fn look(&mut self) -> Result<Event, String> {
            match self.0.next() {
                Some(Some(Ok(()))) => Ok(Event::Stack(StackSample::default())),
                Some(Some(Err(why))) => Err(why.to_owned()),
                Some(None) | None => std::future::pending().await,
            }
        }
    }

    #[tokio::test]
    async fn an_absence_is_told_once_and_a_hanging_source_is_away_too() {
        let script = vec![Some(Ok(())), Some(Err("refused")), Some(Err("again")), Some(Ok(())), None];
        let times = (Duration::from_millis(10), Duration::from_millis(100));
        let told = Arc::new(Mutex::new(Vec::new()));
        let (teller, stop) = (told.clone(), CancellationToken::new());
        let emit = move |event: Event| {
            teller.lock().unwrap().push(match event {
                Event::Unreachable { why, .. } => why,
                _ => "sample".to_owned(),
            });
        };
        let task = tokio::spawn(watch(Scripted(script.into_iter()), times, emit, stop.clone()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
        task.await.unwrap();
        assert_eq!(*told.lock().unwrap(), ["sample", "refused", "sample", "no answer within 100ms"]);
    }
}
