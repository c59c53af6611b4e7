//! MySQL and MariaDB, by what they say about themselves. What the server does not keep, or this user may not read, is
//! left out and named; the rest goes on.

mod queries;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use base::held::Held;
use contract::{cause, endpoint::MysqlEndpoint};
use mysql_async::{Conn, Error, Row, prelude::Queryable};
use record::event::{
    Event,
    watch::{Digest, LockWait, MysqlSample, SlowQuery},
};

use self::queries::Cells;
use super::{Source, Stacked, pools::Pools};

/// Longest time for connecting.
const CONNECT: Duration = Duration::from_secs(2);
/// What costs the server more than a glance is read at each so many looks.
const SELDOM: u64 = 5;
/// A reading that took longer is made a tenth as often: the slow log has no index.
const TOO_LONG: Duration = Duration::from_millis(100);

/// The watcher.
pub(super) struct Mysql {
    endpoint: MysqlEndpoint,
    connection: Held<Conn>,
    pools: Pools,
    looks: u64,
    /// What is read seldom, as it was last.
    digests: Option<Vec<Digest>>,
    slow: Option<Vec<SlowQuery>>,
    slow_again: u64,
    variables: BTreeMap<String, String>,
    before: Option<Counters>,
}

/// What rates are counted from.
#[derive(Debug, Clone, Copy)]
struct Counters {
    at: Instant,
    questions: u64,
    reads: u64,
    requests: u64,
}

impl Mysql {
    pub fn new(endpoint: MysqlEndpoint, stack: Stacked) -> Self {
        Self {
            endpoint,
            connection: Held::default(),
            pools: Pools::new(stack),
            looks: 0,
            digests: None,
            slow: None,
            slow_again: 0,
            variables: BTreeMap::new(),
            before: None,
        }
    }

    async fn connect(endpoint: &MysqlEndpoint) -> Result<Conn, Error> {
        let connecting = tokio::time::timeout(CONNECT, Conn::new(endpoint.opts(0, 1))).await;
        let mut connection =
            connecting.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))?;
        // Our own looks shall neither lock anything up nor stand in what they look at. Each server knows some of these.
        for statement in queries::SESSION {
            permitted(connection.query_drop(statement).await)?;
        }
        Ok(connection)
    }

    async fn read(&mut self, connection: &mut Conn) -> Result<MysqlSample, Error> {
        let mut sample = MysqlSample::default();
        let began = Instant::now();
        connection.query_drop("DO 1").await?;
        sample.latency_ms = Some(began.elapsed().as_secs_f64() * 1_000.0);
        let seldom = self.looks.is_multiple_of(SELDOM);
        if seldom {
            self.variables = pairs(connection, queries::VARIABLES).await?;
        }
        let status = pairs(connection, queries::STATUS).await?;
        self.fill(&mut sample, &status);
        let maria = sample.version.to_ascii_lowercase().contains("mariadb");
        let waits = if maria { queries::MARIA_LOCK_WAITS } else { queries::LOCK_WAITS };
        // Without its performance schema MySQL keeps none; the tables are there, and empty.
        let kept = maria || self.is_on("performance_schema");
        sample.lock_waits = if kept { rows(connection, waits, lock_wait).await? } else { None };
        if seldom {
            let on = self.is_on("performance_schema");
            self.digests = if on { rows(connection, queries::DIGESTS, digest).await? } else { None };
        }
        if self.looks >= self.slow_again {
            let began = Instant::now();
            let kept = self.variables.get("log_output").is_some_and(|output| output.contains("TABLE"));
            self.slow = if kept { rows(connection, queries::SLOW, slow_query).await? } else { None };
            self.slow_again = self.looks + if began.elapsed() > TOO_LONG { SELDOM * 10 } else { SELDOM };
        }
        (sample.digests, sample.slow) = (self.digests.clone(), self.slow.clone());
        for (name, absent) in [
            ("lock_waits", sample.lock_waits.is_none()),
            ("digests", sample.digests.is_none()),
            ("slow", sample.slow.is_none()),
        ] {
            if absent {
                sample.denied.push(name.to_owned());
            }
        }
        self.looks += 1;
        Ok(sample)
    }

    fn is_on(&self, variable: &str) -> bool {
        self.variables.get(variable).is_some_and(|value| matches!(value.as_str(), "ON" | "1"))
    }

    fn fill(&mut self, sample: &mut MysqlSample, status: &BTreeMap<String, String>) {
        let number_of = |map: &BTreeMap<String, String>, name: &str| map.get(name).and_then(|text| text.parse().ok());
        let number = |name: &str| number_of(status, name).unwrap_or(0);
        sample.version = self.variables.get("version").cloned().unwrap_or_default();
        sample.connections = number("threads_connected");
        sample.running = number("threads_running");
        sample.max_connections = number_of(&self.variables, "max_connections").unwrap_or(0);
        sample.buffer_pool = number_of(&self.variables, "innodb_buffer_pool_size").unwrap_or(0);
        sample.row_lock_waits = number("innodb_row_lock_waits");
        sample.row_lock_time_ms = number("innodb_row_lock_time");
        sample.deadlocks = number_of(status, "innodb_deadlocks");
        let pages = (number("innodb_buffer_pool_pages_data"), number("innodb_buffer_pool_pages_total"));
        sample.buffer_pool_used = (pages.1 > 0).then(|| pages.0 as f64 / pages.1 as f64);
        let now = Counters {
            at: Instant::now(),
            questions: number("questions"),
            reads: number("innodb_buffer_pool_reads"),
            requests: number("innodb_buffer_pool_read_requests"),
        };
        if let Some(before) = self.before.filter(|before| before.questions <= now.questions) {
            let seconds = now.at.duration_since(before.at).as_secs_f64();
            sample.queries_per_s = (seconds > 0.0).then(|| (now.questions - before.questions) as f64 / seconds);
            let requests = now.requests.saturating_sub(before.requests);
            let missed = now.reads.saturating_sub(before.reads).min(requests);
            sample.buffer_pool_hits = (requests > 0).then(|| 1.0 - missed as f64 / requests as f64);
        }
        self.before = Some(now);
    }
}

impl Source for Mysql {
    const NAME: &'static str = "mysql";

    async fn look(&mut self) -> Result<Event, String> {
        let looking = async {
            if self.connection.is_empty() {
                // The next connection may lead to another server: its counters are others.
                (self.looks, self.slow_again, self.before) = (0, 0, None);
            }
            let mut connection = self.connection.take_or(Self::connect(&self.endpoint)).await?;
            let sample = self.read(&mut connection).await?;
            self.connection.give_back(connection);
            Ok::<_, Error>(sample)
        };
        let mut sample = looking.await.map_err(|e| format!("MySQL at {}: {}", self.endpoint, cause::chain(&e)))?;
        sample.pools = self.pools.read().await;
        Ok(Event::Mysql(sample))
    }
}

/// Name and value, names in lower case: MySQL and MariaDB differ in it.
async fn pairs(connection: &mut Conn, query: &str) -> Result<BTreeMap<String, String>, Error> {
    let rows: Vec<(String, String)> = connection.query(query).await?;
    Ok(rows.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
}

/// The rows of a query that this server may refuse; none then.
async fn rows<T>(connection: &mut Conn, query: &str, make: fn(&mut Cells) -> T) -> Result<Option<Vec<T>>, Error> {
    let rows: Option<Vec<Row>> = permitted(connection.query(query).await)?;
    Ok(rows.map(|rows| rows.into_iter().map(|row| make(&mut Cells(row))).collect()))
}

/// What the server refuses is absent; a lost connection is an error.
fn permitted<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        // The server is going down, or has thrown us out.
        Err(Error::Server(error)) if matches!(error.code, 1053 | 1077 | 1079 | 1927 | 3169 | 4031) => {
            Err(Error::Server(error))
        }
        Err(Error::Server(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn lock_wait(cells: &mut Cells) -> LockWait {
    LockWait {
        waiting: cells.number(0),
        waiting_sql: text(&cells.bytes(1), 200),
        waited_s: cells.number::<f64>(2).max(0.0),
        blocking: cells.number(3),
        blocking_sql: text(&cells.bytes(4), 200),
        blocking_age_s: cells.number::<f64>(5).max(0.0),
        table: text(&cells.bytes(6), 100).replace('`', ""),
    }
}

fn digest(cells: &mut Cells) -> Digest {
    Digest {
        text: text(&cells.bytes(0), 200),
        count: cells.number(1),
        total_ms: cells.number(2),
        rows_examined: cells.number(3),
        rows_sent: cells.number(4),
    }
}

fn slow_query(cells: &mut Cells) -> SlowQuery {
    SlowQuery {
        at: text(&cells.bytes(0), 40),
        query_ms: cells.number(1),
        lock_ms: cells.number(2),
        rows_examined: cells.number(3),
        sql: text(&cells.bytes(4), 500),
    }
}

/// A statement in one line, cut.
fn text(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut words = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if words.len() > most * 4 {
            break;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    match words.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refusal_is_absent_and_a_server_that_ends_is_away() {
        let server = |code| {
            let error = mysql_async::ServerError { code, message: String::new(), state: "42000".into() };
            permitted::<()>(Err(Error::Server(error)))
        };
        for code in [1142, 1227, 1146, 1109, 3024, 1969, 1193] {
            assert!(matches!(server(code), Ok(None)), "{code}");
        }
        assert!(server(1053).is_err());
        assert!(permitted::<()>(Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into())).is_err());
    }

    #[test]
    fn rates_are_of_the_time_between_two_looks() {
        let mut mysql = Mysql::new("mysql://u:p@127.0.0.1:1/d".parse().unwrap(), std::sync::Arc::new(|| None));
        let mut look = |questions: u64, reads: u64, requests: u64| {
            let status = [
                ("questions", questions),
                ("innodb_buffer_pool_reads", reads),
                ("innodb_buffer_pool_read_requests", requests),
            ];
            let status = status.into_iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect();
            let mut sample = MysqlSample::default();
            mysql.fill(&mut sample, &status);
            (sample.queries_per_s.is_some(), sample.buffer_pool_hits)
        };
        assert_eq!(look(100, 10, 1_000), (false, None));
        assert_eq!(look(110, 35, 1_100), (true, Some(0.75)));
        assert_eq!(look(120, 35, 1_100), (true, None), "nothing was read");
        assert_eq!(look(1, 0, 0), (false, None), "started anew");
    }

    proptest! {
        #[test]
        fn statements_stay_short_and_in_one_line(bytes in proptest::collection::vec(any::<u8>(), 0..3_000)) {
            let text = text(&bytes, 200);
            prop_assert!(text.chars().count() <= 201 && !text.chars().any(char::is_control));
        }
    }
}
