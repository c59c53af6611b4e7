//! Seeding, wired to the backend's own migrations and epochs.

mod group;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use backend::epoch;
use base::http::Http;
use contract::{
    cause,
    claim::Claim,
    endpoint::{Endpoints, KafkaEndpoint},
    names::dead_letter_topic,
    system::{System, Topic},
};
use infra::{choice::Server, stack::Stack};
use mysql_async::Pool;
use probe::Starts;
use record::{epoch::Opened, event::names::Provider};
use serde_json::Value;

use crate::seed::{self, Owned, SeedPlan, SeedProgress, SeedReport};

/// How long one request to the API may take.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);

/// The backend, as the seeder needs it.
struct Wired {
    system: System,
    http: Http,
    starts: Mutex<Option<epoch::LogEnds>>,
}

impl Wired {
    /// Notes where the logs ended when an epoch was opened; of several the first one counts.
    fn note(&self, ends: &epoch::LogEnds) {
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        let starts = starts.get_or_insert_with(epoch::LogEnds::default);
        for (topic, ends) in &ends.0 {
            let known = starts.0.entry(topic.clone()).or_default();
            for (partition, end) in ends {
                known.entry(*partition).or_insert(*end);
            }
        }
    }
}

impl seed::Backend for Wired {
    async fn migrate(&self, pool: &Pool) -> Result<(), String> {
        backend::migrate::run(pool, self.system).await.map_err(|e| cause::chain(&e))
    }

    async fn open_epoch(&self, pool: &Pool, endpoints: &Endpoints, claim: Claim, quantity: u64) -> Result<(), String> {
        let total = u32::try_from(quantity).map_err(|_| format!("{quantity} are more than a counter holds"))?;
        let ends = || async {
            let ends = log_ends(self.system.claims(), endpoints.kafka.clone()).await?;
            self.note(&ends);
            Ok(ends)
        };
        let id = claim.number().ok_or_else(|| format!("{claim} has no number, so that it has no gate"))?;
        epoch::open(pool, &endpoints.redis, ends, id, total).await.map(|_| ()).map_err(|e| cause::chain(&e))
    }

    async fn post(&self, url: &str, body: &Value) -> Result<(u16, String), String> {
        let (status, answer) = self.http.post(url, body).await.map_err(|e| e.to_string())?;
        Ok((status.as_u16(), answer.to_string()))
    }
}

async fn log_ends(claims: &Topic, kafka: KafkaEndpoint) -> Result<epoch::LogEnds, epoch::EpochError> {
    epoch::kafka_log_ends(&kafka, &[claims.name, &dead_letter_topic(claims.name)]).await
}

/// `plan` for the servers of `stack`. `say` is told what could not be looked at.
pub async fn plan(mut plan: SeedPlan, stack: &Stack, yes: bool, say: &(dyn Fn(&str) + Sync)) -> SeedPlan {
    // What ecomctl started is its own to overwrite; on others the user must say so. Each server guards its own.
    plan.owned = Owned { mysql: is_ours(stack, Server::Mysql), redis: is_ours(stack, Server::Redis) };
    plan.yes = yes;
    // Where the API is somebody's own, its consumers are too, and no backend joins them.
    if !yes && stack.api_url.is_none() {
        plan.elsewhere = strangers(stack, say).await;
    }
    plan
}

/// Consumers of somebody else in our group, where Kafka is not ours.
async fn strangers(stack: &Stack, say: &(dyn Fn(&str) + Sync)) -> Vec<String> {
    if is_ours(stack, Server::Kafka) { Vec::new() } else { group::strangers(stack, say).await }
}

/// What a seed did.
#[derive(Debug)]
pub struct Seeded {
    /// What it counted.
    pub report: SeedReport,
    /// The epochs that it opened.
    pub opened: Opened,
    /// Where the logs ended before anything could be claimed.
    pub starts: Starts,
}

fn is_ours(stack: &Stack, server: Server) -> bool {
    stack.components.iter().any(|(name, c)| server.has(name) && c.provider != Provider::External)
}

/// Looks whether a backend that is started now would rebuild gates of somebody else in a Redis that is not ours, or take
/// partitions from somebody's consumers in a Kafka that is not ours. `say` is told what could not be looked at.
///
/// # Errors
/// With each of them, unless `yes`; and where MySQL or Redis do not answer.
pub async fn before_serving(stack: &Stack, yes: bool, say: &(dyn Fn(&str) + Sync)) -> Result<()> {
    if yes {
        return Ok(());
    }
    let mut harm =
        if is_ours(stack, Server::Redis) { Vec::new() } else { seed::before_serving(&stack.endpoints).await? };
    harm.extend(strangers(stack, say).await);
    Ok(seed::refuse(harm)?)
}

/// Makes exist what `plan` says: rows, and a new epoch of all that can be claimed.
///
/// # Errors
/// Also when fewer rows are found afterwards than were asked for.
pub async fn run(plan: &SeedPlan, stack: &Stack, progress: &(dyn Fn(SeedProgress) + Sync)) -> Result<Seeded> {
    let (system, claims) = (plan.system, plan.system.claims());
    let backend = Wired { system, http: Http::new(REQUEST_WITHIN), starts: Mutex::default() };
    let report = seed::run(plan, &stack.endpoints, &backend, progress).await?;
    let opened = report.opened();
    let noted = backend.starts.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut ends: BTreeMap<_, _> = match noted {
        Some(ends) => ends.0,
        // A plan of which nothing can be claimed opens no epoch; dead letters are counted from now on then.
        None => log_ends(claims, stack.endpoints.kafka.clone()).await?.0,
    };
    let dead_letters = ends.remove(&dead_letter_topic(claims.name));
    let starts = Starts { topic: ends.remove(claims.name).unwrap_or_default(), dead_letters };
    Ok(Seeded { report, opened, starts })
}

/// A seed in one line.
pub fn words(report: &SeedReport) -> String {
    let tables: Vec<_> =
        report.tables.iter().map(|t| format!("{} {}", base::figure::count(t.found), t.table)).collect();
    format!("seeded in {:.1} s, counted: {}", report.seconds, tables.join(", "))
}
