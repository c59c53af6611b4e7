//! Runs one role of the backend from its start to its end.

mod roles;

use std::{
    future::Future,
    io::{self, Read as _},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api,
    consumer::{self, group::GroupError},
    db::Db,
    health::{self, Health},
    migrate::{self, MigrateError},
    producer::ProducerError,
    redis_pool::RedisPoolError,
    telemetry::Metrics,
};
use contract::{
    failpoint::{FailpointError, Failpoints},
    process::{ProcessConfig, Role},
};

/// Pause before the schema is tried again while MySQL cannot be reached.
const MIGRATE_AGAIN: Duration = Duration::from_millis(250);

/// Why a process could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The port.
    #[error("cannot listen on {address}: {source}; set backend.port to another one, or 0 for a free one")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The HTTP server.
    #[error("HTTP server: {0}")]
    Serve(io::Error),
    /// Failures on purpose.
    #[error(transparent)]
    Failpoint(#[from] FailpointError),
    /// The schema.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// Redis.
    #[error(transparent)]
    Redis(#[from] RedisPoolError),
    /// The producer.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The consumer.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// A task of the process broke down.
    #[error("{0} ended unexpectedly; see the log")]
    Broken(&'static str),
}

/// A runtime with as many threads as `backend.http.threads` gives the API, and one for the others.
pub fn runtime(config: &ProcessConfig) -> io::Result<tokio::runtime::Runtime> {
    let threads = if config.role == Role::Api { usize::from(config.settings.http.threads).max(1) } else { 1 };
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).thread_name(&config.name).enable_all().build()
}

/// Runs the role of `config` until `stop`, then drains: refuses, finishes what is in flight, commits.
///
/// Logs go to `tracing`, which the caller has set up.
///
/// # Errors
/// At the start: the port, the failpoints, a schema that cannot be migrated. A server that does not answer is no
/// error: the process is up and not ready, and goes on trying.
pub async fn run(config: ProcessConfig, stop: CancellationToken) -> Result<(), BackendError> {
    let failpoints = Arc::new(Failpoints::parse(&config.settings.failpoints)?);
    let address = config.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| BackendError::Listen { address, source })?;
    if config.stop_with_stdin {
        stop_with_stdin(stop.clone());
    }
    // A part of the process that ends by itself takes the rest with it.
    let stop = stop.child_token();
    let _ends_all = stop.clone().drop_guard();
    tracing::info!(role = ?config.role, name = config.name, %address, "started");
    let process = Process::new(config, listener, stop);
    match process.config.role {
        Role::Api => roles::api(process, failpoints).await,
        Role::Consumer => roles::consumer(process, failpoints).await,
        Role::Reconciler => roles::reconciler(process).await,
    }
}

/// What every role has.
struct Process {
    config: ProcessConfig,
    listener: Option<TcpListener>,
    stop: CancellationToken,
    /// Ends what is needed until the last grant is sent: the connections to Redis.
    end: CancellationToken,
    tasks: TaskTracker,
    metrics: Metrics,
    health: Arc<Health>,
    db: Db,
}

impl Process {
    fn new(config: ProcessConfig, listener: TcpListener, stop: CancellationToken) -> Self {
        let mut pool = config.settings.db_pool.clone();
        let spec = config.system.description().roles.iter().find(|spec| spec.role == config.role);
        let parts = spec.map_or(&[][..], |spec| spec.ready);
        let session: &[&'static str] = if config.role == Role::Consumer { &consumer::SESSION } else { &[] };
        if config.role != Role::Api {
            pool.min_idle = 1;
        }
        Self {
            health: Health::new(&config, parts),
            db: Db::new(&config.endpoints.mysql, &pool, session),
            metrics: Metrics::new(),
            listener: Some(listener),
            end: CancellationToken::new(),
            tasks: TaskTracker::new(),
            config,
            stop,
        }
    }

    /// Serves `router` with health and metrics.
    fn serve(&mut self, router: Router, drain: Duration) -> JoinHandle<Result<(), BackendError>> {
        let common = health::router(self.health.clone(), self.metrics.clone(), self.db.clone());
        let router = api::router::finish(router.merge(common), self.metrics.clone());
        let connections = self.config.settings.http.max_connections;
        let (listener, stop) = (self.listener.take(), self.stop.clone());
        let ended = self.stop.clone();
        tokio::spawn(async move {
            let Some(listener) = listener else { return Ok(()) };
            let _ends_all = ended.drop_guard();
            api::server::serve(listener, router, connections, stop, drain).await.map_err(BackendError::Serve)
        })
    }

    /// Brings the schema up to date. MySQL may still be starting, or away: that is waited for.
    async fn migrate(&self) -> Result<(), BackendError> {
        loop {
            let limit = Duration::from_secs(60);
            let done = tokio::select! {
                done = tokio::time::timeout(limit, migrate::run(self.db.pool(), self.config.system)) => done,
                () = self.stop.cancelled() => return Ok(()),
            };
            let reason = match done {
                Ok(Ok(())) => {
                    self.health.set("schema", Ok(()));
                    return Ok(());
                }
                Ok(Err(error)) if !error.passes() => return Err(error.into()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("the schema was not migrated within {limit:?}"),
            };
            self.health.set("schema", Err(reason));
            tokio::time::sleep(MIGRATE_AGAIN).await;
        }
    }

    /// Asks `ask` every second how `part` does, until the process ends.
    fn watch<F, R>(&self, part: &'static str, mut ask: F)
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        let (health, stop) = (self.health.clone(), self.end.clone());
        self.tasks.spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(1));
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = tick.tick() => {}
                    () = stop.cancelled() => return,
                }
                tokio::select! {
                    state = ask() => health.set(part, state),
                    () = stop.cancelled() => return,
                }
            }
        });
    }

    fn watch_mysql(&self) {
        let db = self.db.clone();
        self.watch("mysql", move || {
            let db = db.clone();
            async move {
                use mysql_async::prelude::Queryable;
                let ask = db.within(async { db.pool().get_conn().await?.query_drop("DO 1").await });
                ask.await.map_err(|e| e.to_string())
            }
        });
    }

    /// Ends everything that is left, within `limit`.
    async fn end(self, limit: Duration) {
        self.end.cancel();
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!(?limit, "some tasks did not end in time");
        }
        let _ = tokio::time::timeout(Duration::from_secs(2), self.db.pool().clone().disconnect()).await;
        tracing::info!("stopped");
    }
}

/// Stops when standard input ends. A thread of its own: a blocked read must not hold up the runtime's end.
fn stop_with_stdin(stop: CancellationToken) {
    std::thread::spawn(move || {
        let mut buffer = [0_u8; 64];
        while io::stdin().read(&mut buffer).is_ok_and(|n| n > 0) {}
        tracing::info!("standard input has ended");
        stop.cancel();
    });
}
