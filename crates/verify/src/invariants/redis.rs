//! The few reading commands of invariants, each answer as rows of key and value.

use std::{collections::BTreeSet, time::Duration};

use contract::endpoint::RedisEndpoint;
use record::invariant::{
    Argument,
    command::{Command, Shape},
};
use redis::{AsyncConnectionConfig, Cmd, Value as Answer, aio::MultiplexedConnection};
use serde_json::Value;

use super::{Each, Known};

const CONNECT: Duration = Duration::from_secs(10);
/// Most entries that one command may give.
const MOST_ENTRIES: u64 = 500_000;
/// Keys that Redis looks at in one call of SCAN.
const SCANNED: &str = "1000";

/// A connection that is opened when it is first needed.
pub(super) struct Reader {
    endpoint: RedisEndpoint,
    limit: Duration,
    connection: Option<MultiplexedConnection>,
}

impl Reader {
    /// Nothing is opened yet. `limit` holds for each command.
    pub fn new(endpoint: &RedisEndpoint, limit: Duration) -> Self {
        Self { endpoint: endpoint.clone(), limit, connection: None }
    }

    /// Sends one command and gives `each` row of its answer: `key` and `value`, or `key` alone.
    pub async fn rows(&mut self, command: &Command, words: &[Argument], each: Each<'_>) -> Known<()> {
        let words: Vec<String> = words.iter().map(Argument::text).collect();
        let rows = self.read(command, &words).await.map_err(|why| format!("Redis at {}: {why}", self.endpoint))?;
        let (pair, key) = (["key".to_owned(), "value".to_owned()], ["key".to_owned()]);
        for (member, value) in rows {
            match value {
                Some(value) => each(&pair, vec![member.into(), value.into()])?,
                None => each(&key, vec![Value::from(member)])?,
            }
        }
        Ok(())
    }

    async fn read(&mut self, command: &Command, words: &[String]) -> Known<Vec<(String, Option<String>)>> {
        if let (Some(size), Some(key)) = (command.size, words.get(1)) {
            let entries: u64 = self.ask(redis::cmd(size).arg(key)).await?;
            if entries > MOST_ENTRIES {
                return Err(format!("{key} has {entries} entries, more than the {MOST_ENTRIES} that are read"));
            }
        }
        if command.shape == Shape::Keys {
            return self.keys(words).await;
        }
        let mut sent = redis::cmd(command.name);
        sent.arg(&words[1..]);
        let answer: Answer = self.ask(&sent).await?;
        let scores = words.iter().any(|word| word.eq_ignore_ascii_case("WITHSCORES"));
        // The key that was asked for, or the field or member behind it.
        let subject = words.get(if words.len() == 3 { 2 } else { 1 }).cloned().unwrap_or_default();
        Ok(match command.shape {
            Shape::One => text(&answer).map(|value| (subject, Some(value))).into_iter().collect(),
            Shape::Pairs => pairs(&answer),
            Shape::Scored if scores => pairs(&answer),
            _ => items(&answer).iter().filter_map(text).map(|member| (member, None)).collect(),
        })
    }

    /// All keys of a pattern. One that comes twice counts once.
    async fn keys(&mut self, words: &[String]) -> Known<Vec<(String, Option<String>)>> {
        let (mut cursor, mut keys) = ("0".to_owned(), BTreeSet::new());
        let began = tokio::time::Instant::now();
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor).arg(&words[1..]).arg("COUNT").arg(SCANNED);
            let (next, some): (String, Vec<String>) = self.ask(&scan).await?;
            keys.extend(some);
            if keys.len() as u64 > MOST_ENTRIES {
                return Err(format!("there are more than the {MOST_ENTRIES} keys that are read"));
            }
            if next == "0" {
                return Ok(keys.into_iter().map(|key| (key, None)).collect());
            }
            if began.elapsed() > self.limit {
                return Err(format!("not all keys were read within {} s", self.limit.as_secs()));
            }
            cursor = next;
        }
    }

    async fn ask<T: redis::FromRedisValue>(&mut self, command: &Cmd) -> Known<T> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.endpoint, self.limit).await.map_err(|e| e.to_string())?,
        };
        let answer = command.query_async(&mut connection).await.map_err(|e| e.to_string());
        self.connection = Some(connection);
        answer
    }
}

async fn connect(endpoint: &RedisEndpoint, limit: Duration) -> redis::RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(limit));
    endpoint.client()?.get_multiplexed_async_connection_with_config(&config).await
}

fn items(answer: &Answer) -> &[Answer] {
    match answer {
        Answer::Array(items) | Answer::Set(items) => items,
        _ => &[],
    }
}

/// Field and value in turn, or as a map of the newer protocol.
fn pairs(answer: &Answer) -> Vec<(String, Option<String>)> {
    if let Answer::Map(pairs) = answer {
        return pairs.iter().filter_map(|(field, value)| Some((text(field)?, text(value)))).collect();
    }
    items(answer).chunks_exact(2).filter_map(|pair| Some((text(&pair[0])?, text(&pair[1])))).collect()
}

fn text(answer: &Answer) -> Option<String> {
    match answer {
        Answer::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Answer::SimpleString(text) => Some(text.clone()),
        Answer::Int(number) => Some(number.to_string()),
        Answer::Double(number) => Some(number.to_string()),
        _ => None,
    }
}
