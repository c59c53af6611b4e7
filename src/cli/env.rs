//! `env`: the addresses of what answers, for other tools.

use std::time::Duration;

use infra::{clients, ready};

use super::{
    args::Format,
    common::{Context, complain, out},
};
use crate::{exit::Exit, run::kept};

/// How long each of them may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// `env`: a server or an API that does not answer is left out, since whoever evaluates this would use it.
///
/// # Errors
/// Where there is no stack.
pub async fn run(context: &Context) -> anyhow::Result<Exit> {
    let state = context.require_state()?;
    let stack = state.require_stack()?;
    let servers = &stack.endpoints;
    let (mysql, redis, kafka, api) = tokio::join!(
        ready::mysql(&servers.mysql, ANSWERS_WITHIN),
        ready::redis(&servers.redis, ANSWERS_WITHIN),
        clients::kafka_cluster(&servers.kafka, ANSWERS_WITHIN),
        kept::api_url(&state, &stack),
    );
    let asked = [
        ("MYSQL_URL", servers.mysql.url(), mysql.err()),
        ("REDIS_URL", servers.redis.url(), redis.err()),
        ("KAFKA_BROKERS", servers.kafka.brokers.clone(), kafka.err()),
    ];
    let mut exit = Exit::Done;
    let mut all = Vec::new();
    for (name, value, error) in asked {
        match error {
            None => all.push((name, value)),
            Some(error) => {
                complain(&format!("{name} is left out: {error}; `ecomctl up` brings it back"));
                exit = Exit::Failed;
            }
        }
    }
    all.extend(api.map(|api| ("ECOM_API_URL", api)));
    match context.global.format {
        Format::Json => {
            let map: serde_json::Map<_, _> = all.into_iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
            out(&serde_json::to_string_pretty(&map)?)?;
        }
        Format::Table => {
            for (name, value) in all {
                out(&format!("export {name}='{}'", value.replace('\'', r"'\''")))?;
            }
        }
    }
    Ok(exit)
}
