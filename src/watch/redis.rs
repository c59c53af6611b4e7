//! Redis, by what it says about itself. A user whose ACL lacks a command leaves those figures out.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use base::held::Held;
use contract::{
    claim::{Claim, GATE_FIGURES, Kind, gate_keys},
    endpoint::RedisEndpoint,
};
use infra::gates::GateScan;
use record::event::{
    Event, Figures,
    watch::{RedisSample, SlowCommand},
};
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};

use super::Source;

/// Longest time for connecting, and for each answer.
const LIMIT: Duration = Duration::from_secs(2);
/// Entries of the slow log.
const SLOW: usize = 20;
/// Gates that are shown.
const GATES: usize = 20;
/// Gates are looked for anew this often: a pass over the keys is not free.
const FIND_EVERY: Duration = Duration::from_secs(30);
/// Arguments of a slow command, and characters of each, that are kept.
const ARGUMENTS: (usize, usize) = (4, 48);

/// The watcher.
pub(super) struct Redis {
    endpoint: RedisEndpoint,
    connection: Held<MultiplexedConnection>,
    before: Option<Counters>,
    gates: Vec<u64>,
    found: Option<Instant>,
}

/// What rates are counted from.
#[derive(Debug, Clone, Copy)]
struct Counters {
    at: Instant,
    commands: u64,
    hits: u64,
    misses: u64,
}

impl Redis {
    pub fn new(endpoint: RedisEndpoint) -> Self {
        Self { endpoint, connection: Held::default(), before: None, gates: Vec::new(), found: None }
    }

    async fn connect(endpoint: &RedisEndpoint) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(LIMIT)).set_response_timeout(Some(LIMIT));
        endpoint.client()?.get_multiplexed_async_connection_with_config(&config).await
    }

    async fn read(&mut self, connection: &mut MultiplexedConnection) -> Result<RedisSample, RedisError> {
        let mut sample = RedisSample::default();
        let mut asked = Asked { connection, denied: &mut sample.denied };
        let began = Instant::now();
        let pong = asked.ask::<Value>("PING", &redis::cmd("PING")).await?;
        sample.latency_ms = pong.map(|_| began.elapsed().as_secs_f64() * 1_000.0);
        let info = asked.ask::<String>("INFO", &redis::cmd("INFO")).await?;
        let slow = asked.ask::<Value>("SLOWLOG", redis::cmd("SLOWLOG").arg("GET").arg(SLOW)).await?;
        if self.found.is_none_or(|found| found.elapsed() > FIND_EVERY) {
            self.gates = find_gates(&mut asked).await?;
            self.found = Some(Instant::now());
        }
        sample.subjects = gates(&mut asked, &self.gates).await?;
        if let Some(info) = info {
            self.fill(&mut sample, &Info::parse(&info));
        }
        sample.slow = slow.map(|value| slow_log(&value)).unwrap_or_default();
        Ok(sample)
    }

    fn fill(&mut self, sample: &mut RedisSample, info: &Info<'_>) {
        sample.used_memory = info.number("used_memory");
        sample.max_memory = info.number("maxmemory");
        sample.policy = info.text("maxmemory_policy");
        sample.evicted = info.number("evicted_keys");
        sample.expired = info.number("expired_keys");
        sample.clients = info.number("connected_clients");
        sample.blocked = info.number("blocked_clients");
        sample.run_id = info.text("run_id");
        sample.oom_errors = info.errors("OOM");
        let bad = ["rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status"];
        let bad = bad.into_iter().filter(|name| !matches!(info.text(name).as_str(), "" | "ok"));
        sample.persistence = bad.map(|name| format!("{name}:{}", info.text(name))).collect::<Vec<_>>().join(" ");
        sample.persistence_error = !sample.persistence.is_empty();
        let now = Counters {
            at: Instant::now(),
            commands: info.number("total_commands_processed"),
            hits: info.number("keyspace_hits"),
            misses: info.number("keyspace_misses"),
        };
        sample.ops_per_s = info.number("instantaneous_ops_per_sec") as f64;
        // A counter that fell belongs to a server that was started anew.
        if let Some(before) = self.before.filter(|before| before.commands <= now.commands) {
            let seconds = now.at.duration_since(before.at).as_secs_f64();
            if seconds > 0.0 {
                sample.ops_per_s = (now.commands - before.commands) as f64 / seconds;
            }
            sample.hit_rate = share(now.hits.saturating_sub(before.hits), now.misses.saturating_sub(before.misses));
        }
        self.before = Some(now);
    }
}

impl Source for Redis {
    const NAME: &'static str = "redis";

    async fn look(&mut self) -> Result<Event, String> {
        let looking = async {
            let mut connection = self.connection.take_or(Self::connect(&self.endpoint)).await?;
            let sample = self.read(&mut connection).await?;
            self.connection.give_back(connection);
            Ok::<_, RedisError>(sample)
        };
        let sample = looking.await;
        sample.map(Event::Redis).map_err(|e| format!("Redis at {}: {e}", self.endpoint))
    }
}

fn share(yes: u64, no: u64) -> Option<f64> {
    (yes + no > 0).then(|| yes as f64 / (yes + no) as f64)
}

/// Asks, and remembers what may not be asked.
struct Asked<'a> {
    connection: &'a mut MultiplexedConnection,
    denied: &'a mut Vec<String>,
}

impl Asked<'_> {
    /// The answer; none where this user may not ask, or the server does not know the command.
    async fn ask<T: FromRedisValue>(&mut self, name: &str, command: &Cmd) -> Result<Option<T>, RedisError> {
        match command.query_async(self.connection).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if refused(&error) => {
                if !self.denied.iter().any(|denied| denied == name) {
                    self.denied.push(name.to_owned());
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The server answers, and says no to this command. Not logged in at all, or still loading, is no such answer.
fn refused(error: &RedisError) -> bool {
    let plain = matches!(error.kind(), ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError));
    plain || matches!(error.code(), Some("NOPERM" | "ERR" | "WRONGTYPE"))
}

async fn find_gates(asked: &mut Asked<'_>) -> Result<Vec<u64>, RedisError> {
    let mut scan = GateScan::default();
    while let Some(command) = scan.command() {
        let Some(answer) = asked.ask("SCAN", &command).await? else { return Ok(Vec::new()) };
        scan.take(answer);
    }
    Ok(scan.ids(GATES))
}

type Gate = (Option<i64>, u64, u64);

/// The three figures of each gate in one round trip.
async fn gates(asked: &mut Asked<'_>, ids: &[u64]) -> Result<BTreeMap<Claim, Figures>, RedisError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut pipe = redis::pipe();
    for id in ids {
        let keys = gate_keys(*id);
        pipe.cmd("GET").arg(keys.stock).cmd("HLEN").arg(keys.users).cmd("ZCARD").arg(keys.pending);
    }
    let answers: Result<Vec<Value>, RedisError> = pipe.query_async(asked.connection).await;
    match answers {
        Ok(answers) => {
            let gate = |answers: &[Value]| {
                let (stock, grants, pending): Gate =
                    redis::from_redis_value(Value::Array(answers.to_vec())).unwrap_or_default();
                let [left, held, sending] = GATE_FIGURES;
                let mut figures = Figures::default().with(held, grants).with(sending, pending);
                figures.set(left, stock);
                figures
            };
            let claims = ids.iter().map(|id| Claim::numbered(Kind::OF_A_NUMBER, *id));
            Ok(claims.zip(answers.chunks(3).map(gate)).collect())
        }
        Err(error) if refused(&error) => {
            asked.denied.push("HLEN".to_owned());
            Ok(BTreeMap::new())
        }
        Err(error) => Err(error),
    }
}

/// `name:value` lines.
struct Info<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Info<'a> {
    fn parse(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.split_once(':')).collect())
    }

    fn text(&self, name: &str) -> String {
        self.0.get(name).map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.0.get(name).and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// Times that the error `name` was answered: `errorstat_OOM:count=3`.
    fn errors(&self, name: &str) -> u64 {
        let count = |text: &&str| text.trim().strip_prefix("count=")?.split(',').next()?.parse().ok();
        self.0.get(format!("errorstat_{name}").as_str()).and_then(count).unwrap_or(0)
    }
}

/// Entries of `SLOWLOG GET`; what has another form is left out.
fn slow_log(value: &Value) -> Vec<SlowCommand> {
    let Value::Array(entries) = value else { return Vec::new() };
    entries.iter().take(SLOW).filter_map(slow_command).collect()
}

fn slow_command(entry: &Value) -> Option<SlowCommand> {
    let Value::Array(fields) = entry else { return None };
    let number = |i: usize| match fields.get(i) {
        Some(Value::Int(n)) => Some(*n),
        _ => None,
    };
    let Some(Value::Array(arguments)) = fields.get(3) else { return None };
    let mut words: Vec<String> = arguments.iter().take(ARGUMENTS.0).map(word).collect();
    if arguments.len() > ARGUMENTS.0 {
        words.push(format!("… {} more", arguments.len() - ARGUMENTS.0));
    }
    Some(SlowCommand {
        id: u64::try_from(number(0)?).ok()?,
        at: number(1)?,
        micros: u64::try_from(number(2)?).ok()?,
        command: words.join(" "),
    })
}

/// An argument, cut; bytes that are no text, and line breaks, cannot spoil a terminal.
fn word(value: &Value) -> String {
    let text = match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let cut = text.chars().take(ARGUMENTS.1).map(|c| if c.is_control() { '·' } else { c });
    let mut cut: String = cut.collect();
    if text.chars().nth(ARGUMENTS.1).is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn info_is_read_with_its_errors_and_what_is_missing_is_nothing() {
        let info =
            Info::parse("# Memory\r\nused_memory:12\r\nmaxmemory_policy:noeviction\r\nerrorstat_OOM:count=3\r\nx\r\n");
        assert_eq!((info.number("used_memory"), info.errors("OOM"), info.errors("ERR")), (12, 3, 0));
        assert_eq!((info.text("maxmemory_policy"), info.number("maxmemory_policy")), ("noeviction".into(), 0));
    }

    #[test]
    fn the_hit_rate_is_of_the_time_between_two_looks() {
        let mut redis = Redis::new("redis://127.0.0.1:1".parse().unwrap());
        let mut rate = |hits: u64, misses: u64, commands: u64| {
            let text = format!("keyspace_hits:{hits}\nkeyspace_misses:{misses}\ntotal_commands_processed:{commands}\n");
            let mut sample = RedisSample::default();
            redis.fill(&mut sample, &Info::parse(&text));
            sample.hit_rate
        };
        assert_eq!(rate(1_000, 0, 1_000), None, "one look says nothing");
        assert_eq!(rate(1_030, 10, 1_040), Some(0.75));
        assert_eq!(rate(1_030, 10, 1_050), None, "nobody read");
        assert_eq!(rate(5, 5, 10), None, "started anew");
    }

    #[test]
    fn slow_commands_are_cut_and_cannot_spoil_a_terminal() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let arguments = vec![text("SET"), text("a\x1b[31m\nb"), text(&"장".repeat(100)), text("x"), text("y")];
        let entry = Value::Array(vec![Value::Int(7), Value::Int(1_000), Value::Int(25), Value::Array(arguments)]);
        let slow = slow_log(&Value::Array(vec![entry, Value::Nil]));
        assert_eq!((slow.len(), slow[0].id, slow[0].at, slow[0].micros), (1, 7, 1_000, 25));
        assert_eq!(slow[0].command, format!("SET a·[31m·b {}… x … 1 more", "장".repeat(48)));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<i64>().prop_map(Value::Int),
            proptest::collection::vec(any::<u8>(), 0..80).prop_map(Value::BulkString),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| proptest::collection::vec(inner, 0..6).prop_map(Value::Array))
    }

    proptest! {
        #[test]
        fn no_answer_breaks_the_reader(value in value(), text in "\\PC*") {
            let slow = slow_log(&value);
            prop_assert!(slow.len() <= SLOW && slow.iter().all(|s| !s.command.chars().any(char::is_control)));
            let info = Info::parse(&text);
            let _ = (info.number("a"), info.errors("OOM"));
        }
    }
}
