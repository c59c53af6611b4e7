//! Rules of `stack:`.

use backend::endpoint::{KafkaEndpoint, MysqlEndpoint, RedisEndpoint};
use url::Url;

use super::Context;
use crate::profile::{model::ProviderChoice, suggest::did_you_mean};

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

pub(super) fn validate_urls(c: &mut Context<'_>) {
    let external = &c.profile.stack.external;
    let checked = [
        ("mysql_url", external.mysql_url.as_deref().and_then(|u| u.parse::<MysqlEndpoint>().err())),
        ("redis_url", external.redis_url.as_deref().and_then(|u| u.parse::<RedisEndpoint>().err())),
        ("kafka_brokers", external.kafka_brokers.as_deref().and_then(|u| u.parse::<KafkaEndpoint>().err())),
    ];
    for (key, error) in checked {
        if let Some(error) = error {
            c.problem(format!("stack.external.{key}"), error.to_string());
        }
    }
    if let Some(why) = external.api_url.as_deref().and_then(api_url_error) {
        c.problem("stack.external.api_url", why);
    }
}

/// Why `text` is not the URL of an API; none: it is one.
pub(crate) fn api_url_error(text: &str) -> Option<String> {
    let form = "write it as http://HOST:PORT";
    match Url::parse(text) {
        Err(e) => Some(format!("this is no URL ({e}); {form}")),
        Ok(url) if url.scheme() != "http" => Some(format!("the scheme `{}` is not spoken; {form}", url.scheme())),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => Some(format!("the URL has no host; {form}")),
        Ok(url) if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() => {
            Some(format!("the paths of the requests are put behind it, so it ends at the port; {form}"))
        }
        Ok(_) => None,
    }
}

pub(super) fn validate_files_beside_values(c: &mut Context<'_>) {
    let external = &c.profile.stack.external;
    let kafka = &external.kafka;
    let pairs = [
        ("mysql_url", external.mysql_url.is_some(), external.mysql_url_file.is_some()),
        ("redis_url", external.redis_url.is_some(), external.redis_url_file.is_some()),
        ("kafka.password", kafka.password.is_some(), kafka.password_file.is_some()),
    ];
    for (key, value, file) in pairs {
        if value && file {
            let path = format!("stack.external.{key}_file");
            c.problem(path, format!("`{key}` is given too; give one of the two"));
        }
    }
}

pub(super) fn validate_kafka_login(c: &mut Context<'_>) {
    let external = &c.profile.stack.external;
    let kafka = &external.kafka;
    let path = |key: &str| format!("stack.external.kafka.{key}");
    let password = kafka.password.is_some() || kafka.password_file.is_some();
    if let Some(mechanism) = kafka.mechanism.as_deref()
        && !MECHANISMS.contains(&mechanism)
    {
        let hint = did_you_mean(mechanism, MECHANISMS);
        let allowed = MECHANISMS.join(", ");
        c.problem(path("mechanism"), format!("`{mechanism}` is not spoken{hint}; allowed: {allowed}"));
    }
    if kafka.mechanism.is_some() && !(kafka.username.is_some() && password) {
        c.problem(path("mechanism"), "a login needs `username` and `password` or `password_file` as well");
    }
    if kafka.mechanism.is_none() && (kafka.username.is_some() || password) {
        c.problem(path("username"), format!("a login needs `mechanism` as well; allowed: {}", MECHANISMS.join(", ")));
    }
    if kafka.ca.is_some() && !kafka.tls {
        c.problem(path("ca"), "a certificate authority is of use with `tls: true` only");
    }
}
