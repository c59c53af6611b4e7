//! A few shared connections to Redis, each of which knows the run id of the server it reached.
//!
//! The run id changes whenever Redis starts anew. An epoch is bound to it, so a gate call must know whom it talks to;
//! the client library's own reconnecting manager hides exactly that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisError, Value, aio::MultiplexedConnection};
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use contract::endpoint::RedisEndpoint;

/// Shortest and longest pause between two attempts to connect.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How often an idle connection is asked whether it is alive.
const PING_EVERY: Duration = Duration::from_secs(1);

/// Why Redis did not answer.
#[derive(Debug, thiserror::Error)]
pub enum RedisPoolError {
    /// There is no connection at the moment.
    #[error("Redis at {0} cannot be reached; connecting goes on")]
    NotConnected(String),
    /// The command failed.
    #[error("Redis at {address}: {source}")]
    Failed {
        /// `host:port/db`.
        address: String,
        /// What the client says.
        source: RedisError,
    },
}

impl RedisPoolError {
    /// Whether the command may or may not have been carried out, and a second try elsewhere makes sense.
    pub fn connection_lost(&self) -> bool {
        match self {
            Self::NotConnected(_) => true,
            Self::Failed { source, .. } => lost(source),
        }
    }
}

fn lost(error: &RedisError) -> bool {
    error.is_io_error() && !error.is_timeout()
}

/// One connection.
pub struct Link {
    conn: MultiplexedConnection,
    run_id: String,
    broken: Arc<Notify>,
}

impl Link {
    /// Run id of the server behind this connection.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Sends one command. A lost connection is reported to its keeper, who makes a new one.
    pub async fn send(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        let mut conn = self.conn.clone();
        let answer = conn.send_packed_command(cmd).await;
        if answer.as_ref().is_err_and(lost) {
            self.broken.notify_one();
        }
        // A server's refusal comes as a value; make it the error that it is.
        answer.and_then(Value::extract_error)
    }

    /// The connection itself, for pipelines.
    pub fn connection(&self) -> MultiplexedConnection {
        self.conn.clone()
    }
}

/// A few connections, used in turn; commands of many tasks are pipelined over them.
pub struct RedisPool {
    slots: Vec<watch::Receiver<Option<Arc<Link>>>>,
    /// Told whenever one of them comes up.
    up: Arc<Notify>,
    next: AtomicUsize,
    address: String,
}

impl RedisPool {
    /// Starts keeping `size` connections until `stop`. Does not wait for the first one.
    ///
    /// # Errors
    /// When the certificate authority cannot be read.
    pub fn start(
        endpoint: &RedisEndpoint,
        size: u16,
        timeout: Duration,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<Arc<Self>, RedisPoolError> {
        let address = endpoint.to_string();
        let client = endpoint.client().map_err(|source| RedisPoolError::Failed { address: address.clone(), source })?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout.max(BACK_OFF.0)))
            .set_response_timeout(Some(timeout));
        let up = Arc::new(Notify::new());
        let slots = (0..size.max(1)).map(|_| {
            let (tx, rx) = watch::channel(None);
            let (client, config, address) = (client.clone(), config.clone(), address.clone());
            let keeper = Keeper { client, config, address, up: up.clone() };
            let stop = stop.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = keeper.keep(tx) => {}
                    () = stop.cancelled() => {}
                }
            });
            rx
        });
        let slots = slots.collect();
        Ok(Arc::new(Self { slots, up, next: AtomicUsize::new(0), address }))
    }

    /// A connection that is up.
    pub fn link(&self) -> Result<Arc<Link>, RedisPoolError> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..self.slots.len())
            .find_map(|i| self.slots[first.wrapping_add(i) % self.slots.len()].borrow().clone())
            .ok_or_else(|| RedisPoolError::NotConnected(self.address.clone()))
    }

    /// A connection that is up, or the first one that comes up within `wait`.
    pub async fn link_within(&self, wait: Duration) -> Result<Arc<Link>, RedisPoolError> {
        let first = tokio::time::timeout(wait, first_up(&self.up, || self.link().ok())).await;
        first.map_err(|_| RedisPoolError::NotConnected(self.address.clone()))
    }

    /// Sends one command and reads the answer as `T`.
    pub async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, RedisPoolError> {
        let link = self.link()?;
        let value = link.send(cmd).await.map_err(|e| self.failed(e))?;
        T::from_redis_value(value).map_err(|e| self.failed(e.into()))
    }

    /// `error`, with the address.
    pub fn failed(&self, source: RedisError) -> RedisPoolError {
        RedisPoolError::Failed { address: self.address.clone(), source }
    }
}

/// Keeps one connection.
struct Keeper {
    client: redis::Client,
    config: AsyncConnectionConfig,
    address: String,
    up: Arc<Notify>,
}

impl Keeper {
    async fn keep(self, slot: watch::Sender<Option<Arc<Link>>>) {
        let mut pause = BACK_OFF.0;
        loop {
            match self.connect().await {
                Ok(link) => {
                    tracing::debug!(redis = self.address, run_id = link.run_id, "connected");
                    pause = BACK_OFF.0;
                    let link = Arc::new(link);
                    slot.send_replace(Some(link.clone()));
                    self.up.notify_waiters();
                    until_broken(&link).await;
                    slot.send_replace(None);
                    tracing::warn!(redis = self.address, "connection lost");
                }
                Err(error) => tracing::warn!(redis = self.address, %error, "cannot connect"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    async fn connect(&self) -> Result<Link, RedisError> {
        let mut conn = self.client.get_multiplexed_async_connection_with_config(&self.config).await?;
        let run_id = read_run_id(&mut conn).await?;
        Ok(Link { conn, run_id, broken: Arc::new(Notify::new()) })
    }
}

/// Waits until a command or a ping finds the connection dead.
async fn until_broken(link: &Link) {
    loop {
        tokio::select! {
            () = link.broken.notified() => return,
            () = tokio::time::sleep(PING_EVERY) => {
                if let Err(error) = link.send(&redis::cmd("PING")).await
                    && error.is_io_error()
                {
                    return;
                }
            }
        }
    }
}

/// Reads the run id of the server behind `conn`.
pub async fn read_run_id(conn: &mut MultiplexedConnection) -> Result<String, RedisError> {
    let info: String = redis::cmd("INFO").arg("server").query_async(conn).await?;
    let line = info.lines().find_map(|line| line.strip_prefix("run_id:"));
    line.map(|run_id| run_id.trim().to_owned())
        .filter(|run_id| !run_id.is_empty())
        .ok_or_else(|| (redis::ErrorKind::UnexpectedReturnType, "INFO server has no run_id").into())
}

/// What `look` finds, now or after one of the times at which `up` is told.
async fn first_up<T>(up: &Notify, look: impl Fn() -> Option<T>) -> T {
    loop {
        // Listening comes first: what comes up between the look and the wait is not missed.
        let mut told = std::pin::pin!(up.notified());
        told.as_mut().enable();
        if let Some(found) = look() {
            return found;
        }
        told.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever waits takes the first connection that comes up, whichever place it has.
    #[tokio::test]
    async fn any_connection_that_comes_up_ends_the_wait() {
        let (up, slots) = (Notify::new(), [watch::channel(None::<u8>), watch::channel(None)]);
        let waiting = first_up(&up, || slots.iter().find_map(|(_, slot)| *slot.borrow()));
        let coming = async {
            tokio::task::yield_now().await;
            slots[1].0.send_replace(Some(7));
            up.notify_waiters();
        };
        let both = async { tokio::join!(waiting, coming).0 };
        assert_eq!(tokio::time::timeout(Duration::from_secs(30), both).await, Ok(7));
    }
}
