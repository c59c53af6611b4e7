//! The external provider: servers that are there already. Nothing is started, and nothing is made or deleted there
//! without the user's word.

use std::{fs, path::PathBuf, str::FromStr};

use backend::{
    endpoint::{
        ApiEndpoint, EndpointError, Endpoints, KafkaEndpoint, KafkaSecurity, MysqlEndpoint, RedisEndpoint, Sasl, Tls,
        mask,
    },
    human::Secret,
};

use super::{
    clients,
    error::InfraError,
    ready,
    stack::{Component, SCHEMA_VERSION, Stack},
};
use crate::{
    event::names::Provider,
    profile::model::{ExternalSpec, KafkaLogin},
};

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
    pub api: Option<ApiEndpoint>,
}

/// A stack of servers that are all external, after each has answered. Nothing is started, ended or written down: whatever
/// is up in a state folder stays as it is.
///
/// # Errors
/// Where an address is missing or cannot be used, or a server does not answer.
pub async fn stack(spec: &ExternalSpec, system: &str) -> Result<Stack, InfraError> {
    let External { mysql, redis, kafka, api } = resolve(spec)?;
    let (Some(mysql), Some(redis), Some(kafka)) = (mysql, redis, kafka) else {
        return Err(InfraError::External { key: "mysql_url", why: "all three servers need an address".into() });
    };
    let (mysql_facts, redis_facts, cluster) = tokio::try_join!(
        ready::mysql(&mysql, clients::LIMIT),
        ready::redis(&redis, clients::LIMIT),
        ready::kafka(&kafka, 1, clients::LIMIT),
    )?;
    let component = |version: String, address: String| Component {
        provider: Provider::External,
        version,
        address,
        process: None,
        log: None,
        container: None,
        restarts: 0,
    };
    let components = [
        ("mysql", component(mysql_facts.version, mysql.to_string())),
        ("redis", component(redis_facts.version, redis.to_string())),
        ("kafka", component("unknown".into(), kafka.to_string())),
    ];
    Ok(Stack {
        schema_version: SCHEMA_VERSION,
        owner: None,
        system: system.to_owned(),
        brokers: u8::try_from(cluster.brokers.len()).unwrap_or(u8::MAX),
        endpoints: Endpoints { mysql, redis, kafka },
        api: None,
        api_url: api.as_ref().map(ToString::to_string),
        topics: Vec::new(),
        components: components.map(|(name, component)| (name.to_owned(), component)).into(),
        started_at: jiff::Timestamp::now().to_string(),
        docker: None,
    })
}

/// Reads addresses and secrets. A URL counts more than a file that holds one. Files of authorities are made absolute:
/// `stack.json` is read from other folders too.
///
/// # Errors
/// [`InfraError::External`] with the key. What was given is not repeated, also where it stands in a file.
pub fn resolve(spec: &ExternalSpec) -> Result<External, InfraError> {
    let mysql = secret("mysql_url_file", spec.mysql_url.as_deref(), spec.mysql_url_file.as_deref())?;
    let redis = secret("redis_url_file", spec.redis_url.as_deref(), spec.redis_url_file.as_deref())?;
    let mysql = parsed::<MysqlEndpoint>("mysql_url", mysql)?.map(|mut mysql| {
        mysql.tls = mysql.tls.map(|tls| authority("mysql_url", tls)).transpose()?;
        Ok::<_, InfraError>(mysql)
    });
    let redis = parsed::<RedisEndpoint>("redis_url", redis)?.map(|mut redis| {
        redis.tls = redis.tls.map(|tls| authority("redis_url", tls)).transpose()?;
        Ok::<_, InfraError>(redis)
    });
    let kafka = parsed::<KafkaEndpoint>("kafka_brokers", spec.kafka_brokers.clone())?.map(|mut kafka| {
        kafka.security = security(&spec.kafka)?;
        Ok::<_, InfraError>(kafka)
    });
    Ok(External {
        mysql: mysql.transpose()?,
        redis: redis.transpose()?,
        kafka: kafka.transpose()?,
        api: parsed("api_url", spec.api_url.clone())?,
    })
}

fn parsed<T: FromStr<Err = EndpointError>>(key: &'static str, text: Option<String>) -> Result<Option<T>, InfraError> {
    let parse =
        |text: String| text.parse().map_err(|e: EndpointError| InfraError::External { key, why: e.to_string() });
    text.map(parse).transpose()
}

/// The same with a file that is there, by its absolute path.
fn authority(key: &'static str, tls: Tls) -> Result<Tls, InfraError> {
    let Some(ca) = tls.ca else { return Ok(tls) };
    let found = ca.canonicalize().and_then(|path| fs::File::open(&path).map(|_| path));
    let why = |e| format!("the certificate authority {}: {e}", mask(&ca.to_string_lossy()));
    Ok(Tls { ca: Some(found.map_err(|e| InfraError::External { key, why: why(e) })?), ..tls })
}

const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

fn security(login: &KafkaLogin) -> Result<Option<KafkaSecurity>, InfraError> {
    let tls = (login.tls || login.ca.is_some())
        .then(|| Tls { ca: login.ca.as_ref().map(PathBuf::from), ..Tls::default() })
        .map(|tls| authority("kafka.ca", tls))
        .transpose()?;
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
    // Somebody may have given the secret itself instead of a file.
    let fail = |why: String| InfraError::External { key, why: format!("{}: {why}", mask(file)) };
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
