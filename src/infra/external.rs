//! The external provider: servers that are there already. Nothing is started, and nothing is made or deleted there
//! without the user's word.

use std::{fs, path::PathBuf};

use backend::{
    endpoint::{KafkaEndpoint, KafkaSecurity, MysqlEndpoint, RedisEndpoint, Sasl, Tls},
    human::Secret,
};

use super::error::InfraError;
use crate::profile::model::{ExternalSpec, KafkaLogin};

/// The components that have an address of their own.
#[derive(Debug, Clone, Default)]
pub struct External {
    /// MySQL, if it is external.
    pub mysql: Option<MysqlEndpoint>,
    /// Redis, if it is external.
    pub redis: Option<RedisEndpoint>,
    /// Kafka, if it is external.
    pub kafka: Option<KafkaEndpoint>,
    /// The API, if it is external.
    pub api_url: Option<String>,
}

/// Reads addresses and secrets. A URL counts more than a file that holds one.
pub fn resolve(spec: &ExternalSpec) -> Result<External, InfraError> {
    let mysql = secret("mysql_url_file", spec.mysql_url.as_deref(), spec.mysql_url_file.as_deref())?;
    let redis = secret("redis_url_file", spec.redis_url.as_deref(), spec.redis_url_file.as_deref())?;
    let mysql = mysql.map(|url| url.parse().map_err(|source| InfraError::Address { key: "mysql_url", source }));
    let redis = redis.map(|url| url.parse().map_err(|source| InfraError::Address { key: "redis_url", source }));
    let kafka = spec.kafka_brokers.as_deref().map(str::trim).filter(|brokers| !brokers.is_empty());
    let kafka = kafka.map(|brokers| {
        let mut endpoint: KafkaEndpoint =
            brokers.parse().map_err(|source| InfraError::Address { key: "kafka_brokers", source })?;
        endpoint.security = security(&spec.kafka)?;
        Ok::<_, InfraError>(endpoint)
    });
    Ok(External {
        mysql: mysql.transpose()?,
        redis: redis.transpose()?,
        kafka: kafka.transpose()?,
        api_url: spec.api_url.clone(),
    })
}

const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

fn security(login: &KafkaLogin) -> Result<Option<KafkaSecurity>, InfraError> {
    let tls = (login.tls || login.ca.is_some()).then(|| Tls { ca: login.ca.as_ref().map(PathBuf::from) });
    if let Some(ca) = login.ca.as_deref() {
        fs::metadata(ca).map_err(|e| InfraError::External { key: "kafka.ca", why: format!("{ca}: {e}") })?;
    }
    let password = secret("kafka.password_file", login.password.as_deref(), login.password_file.as_deref())?;
    let sasl = match (&login.username, password) {
        (None, None) if login.mechanism.is_none() => None,
        (Some(username), Some(password)) => {
            let mechanism = login.mechanism.clone().unwrap_or_else(|| "PLAIN".into()).to_ascii_uppercase();
            if !MECHANISMS.contains(&mechanism.as_str()) {
                let why = format!("`{mechanism}` is not supported; write one of {}", MECHANISMS.join(", "));
                return Err(InfraError::External { key: "kafka.mechanism", why });
            }
            Some(Sasl { mechanism, username: username.clone(), password: Secret::new(password) })
        }
        (username, _) => {
            let (key, why) = if username.is_none() {
                ("kafka.username", "is missing; a login needs username and password")
            } else {
                ("kafka.password", "is missing; give password or password_file")
            };
            return Err(InfraError::External { key, why: why.into() });
        }
    };
    Ok((tls.is_some() || sasl.is_some()).then_some(KafkaSecurity { tls, sasl }))
}

/// The value, or the content of the file, without the end of its line.
fn secret(key: &'static str, value: Option<&str>, file: Option<&str>) -> Result<Option<String>, InfraError> {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        return Ok(Some(value.to_owned()));
    }
    let Some(file) = file else { return Ok(None) };
    let fail = |why: String| InfraError::External { key, why: format!("{file}: {why}") };
    let text = fs::read_to_string(file).map_err(|e| fail(e.to_string()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(fail("it is empty".into()));
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_files_are_read_and_the_url_counts_more() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        fs::write(&file, "mysql://u:p%40ss@db.example/ecom_db?tls=true\n").unwrap();
        let file = file.to_string_lossy().into_owned();
        let mut spec = ExternalSpec { mysql_url_file: Some(file), ..ExternalSpec::default() };
        let external = resolve(&spec).unwrap();
        assert_eq!(external.mysql.as_ref().unwrap().password.expose(), "p@ss");
        assert!(external.redis.is_none() && external.kafka.is_none());
        spec.mysql_url = Some("mysql://other/ecom_db".into());
        assert_eq!(resolve(&spec).unwrap().mysql.unwrap().host, "other");
    }

    #[test]
    fn a_login_is_whole_or_an_error_that_names_the_key() {
        let spec =
            |kafka: KafkaLogin| ExternalSpec { kafka_brokers: Some("a:1".into()), kafka, ..ExternalSpec::default() };
        let error = |kafka: KafkaLogin| resolve(&spec(kafka)).unwrap_err().to_string();
        let text = |text: &str| Some(text.to_owned());
        let whole = KafkaLogin { username: text("u"), password: text("p"), ..KafkaLogin::default() };
        let security = resolve(&spec(whole.clone())).unwrap().kafka.unwrap().security.unwrap();
        assert_eq!(security.sasl.unwrap().mechanism, "PLAIN");
        let half = KafkaLogin { username: text("u"), ..KafkaLogin::default() };
        assert!(error(half).starts_with("stack.external.kafka.password: is missing"));
        let wrong = KafkaLogin { mechanism: text("GSSAPI"), ..whole.clone() };
        assert!(error(wrong).contains("write one of PLAIN, SCRAM-SHA-256"));
        let no_file = KafkaLogin { password: None, password_file: text("/nowhere"), ..whole };
        assert!(error(no_file).starts_with("stack.external.kafka.password_file: /nowhere: "));
        assert!(resolve(&spec(KafkaLogin::default())).unwrap().kafka.unwrap().security.is_none());
    }
}
