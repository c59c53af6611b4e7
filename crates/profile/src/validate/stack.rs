//! Rules of `stack:`.

use contract::endpoint::{ApiEndpoint, KafkaEndpoint, MysqlEndpoint, RedisEndpoint, mask};

use super::Context;
use crate::{
    model::{ExternalSpec, KafkaLogin, ProviderChoice},
    suggest::did_you_mean,
};

const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

pub(super) fn validate_brokers(c: &mut Context<'_>) {
    let brokers = c.profile.stack.brokers;
    if ![1, 3].contains(&brokers) {
        c.problem("stack.brokers", format!("{brokers} brokers are not offered; allowed: 1 or 3"));
    }
}

pub(super) fn validate_ports(c: &mut Context<'_>) {
    let (ports, brokers) = (c.profile.stack.ports, u16::from(c.profile.stack.brokers));
    if ports.kafka.checked_add(brokers.saturating_sub(1)).is_none() {
        let message = format!("{brokers} brokers take {} and the next ports, which there are not", ports.kafka);
        c.problem("stack.ports.kafka", message);
        return;
    }
    let mut taken = vec![("mysql", ports.mysql)];
    let brokers = (0..brokers.max(1)).map(|n| ("kafka", if ports.kafka == 0 { 0 } else { ports.kafka + n }));
    for (name, port) in std::iter::once(("redis", ports.redis)).chain(brokers) {
        if let Some((other, _)) = taken.iter().find(|(other, taken)| port != 0 && *other != name && *taken == port) {
            c.problem(format!("stack.ports.{name}"), format!("{port} is the port of `{other}` already"));
        }
        taken.push((name, port));
    }
}

pub(super) fn validate_docker_only(c: &mut Context<'_>) {
    let stack = &c.profile.stack;
    let provider = match stack.provider {
        ProviderChoice::Native => "native",
        ProviderChoice::External => "external",
        ProviderChoice::Auto | ProviderChoice::Docker => "",
    };
    let asked = [("monitoring", stack.monitoring), ("original", stack.original)];
    for (key, _) in asked.into_iter().filter(|(_, asked)| *asked && !provider.is_empty()) {
        let path = format!("stack.{key}");
        c.problem(path, format!("it runs in Docker only, and the provider is `{provider}`; write provider: docker"));
    }
    if c.profile.stack.original && c.profile.stack.brokers != 1 {
        c.problem("stack.brokers", "the teams' own stack (`original`) has one broker; write 1");
    }
}

pub(super) fn validate_external(c: &mut Context<'_>) {
    for (key, why) in external(&c.profile.stack.external) {
        c.problem(format!("stack.external.{key}"), why);
    }
}

/// What is wrong with the addresses of servers that are there already: key below `stack.external`, and why. These are
/// the rules of the profile's keys, and those of the flags and variables that stand for them.
pub fn external(external: &ExternalSpec) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    let addresses = [
        ("mysql_url", external.mysql_url.as_deref().and_then(|u| u.parse::<MysqlEndpoint>().err())),
        ("redis_url", external.redis_url.as_deref().and_then(|u| u.parse::<RedisEndpoint>().err())),
        ("kafka_brokers", external.kafka_brokers.as_deref().and_then(|u| u.parse::<KafkaEndpoint>().err())),
        ("api_url", external.api_url.as_deref().and_then(|u| u.parse::<ApiEndpoint>().err())),
    ];
    problems.extend(addresses.into_iter().filter_map(|(key, error)| Some((key, error?.to_string()))));
    let kafka = &external.kafka;
    let pairs = [
        ("mysql_url", "mysql_url_file", external.mysql_url.is_some() && external.mysql_url_file.is_some()),
        ("redis_url", "redis_url_file", external.redis_url.is_some() && external.redis_url_file.is_some()),
        ("kafka.password", "kafka.password_file", kafka.password.is_some() && kafka.password_file.is_some()),
    ];
    for (value, file, _) in pairs.into_iter().filter(|(_, _, both)| *both) {
        problems.push((file, format!("`{value}` is given too; give one of the two")));
    }
    kafka_login(kafka, &mut problems);
    problems
}

fn kafka_login(kafka: &KafkaLogin, problems: &mut Vec<(&'static str, String)>) {
    let password = kafka.password.is_some() || kafka.password_file.is_some();
    let allowed = MECHANISMS.join(", ");
    if let Some(mechanism) = kafka.mechanism.as_deref()
        && !MECHANISMS.contains(&mechanism)
    {
        let hint = did_you_mean(mechanism, MECHANISMS);
        problems.push(("kafka.mechanism", format!("`{}` is not spoken{hint}; allowed: {allowed}", mask(mechanism))));
    }
    if kafka.mechanism.is_some() && !(kafka.username.is_some() && password) {
        let why = "a login needs `username` and `password` or `password_file` as well";
        problems.push(("kafka.mechanism", why.into()));
    }
    if kafka.mechanism.is_none() && (kafka.username.is_some() || password) {
        problems.push(("kafka.username", format!("a login needs `mechanism` as well; allowed: {allowed}")));
    }
    if kafka.ca.is_some() && !kafka.tls {
        problems.push(("kafka.ca", "a certificate authority is of use with `tls: true` only".into()));
    }
}
