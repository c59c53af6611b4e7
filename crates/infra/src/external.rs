//! The external provider: servers that are there already. Nothing is started, and nothing is made or deleted there
//! without the user's word.

use std::{collections::BTreeMap, fs, path::PathBuf, str::FromStr};

use contract::{
    endpoint::{
        ApiEndpoint, EndpointError, Endpoints, KafkaEndpoint, KafkaSecurity, MysqlEndpoint, RedisEndpoint, Sasl, Tls,
        mask,
    },
    human::Secret,
};
use profile::model::{ExternalSpec, KafkaLogin, System};
use record::event::names::Provider;

use super::{
    choice::Server,
    error::InfraError,
    stack::{Component, SCHEMA_VERSION, Stack},
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

impl External {
    /// `stack` with these servers in the place of its own; without one a stack of these alone, where all of them have an
    /// address. Nothing is asked, started or written down.
    pub fn over(self, stack: Option<Stack>) -> Option<Stack> {
        let Self { mysql, redis, kafka, api } = self;
        let named = [
            (Server::Mysql, mysql.as_ref().map(ToString::to_string)),
            (Server::Redis, redis.as_ref().map(ToString::to_string)),
            (Server::Kafka, kafka.as_ref().map(ToString::to_string)),
        ];
        let before = stack.as_ref().map(|stack| stack.endpoints.clone());
        let endpoints = Endpoints {
            mysql: mysql.or_else(|| Some(before.as_ref()?.mysql.clone()))?,
            redis: redis.or_else(|| Some(before.as_ref()?.redis.clone()))?,
            kafka: kafka.or_else(|| Some(before?.kafka))?,
        };
        let mut stack = stack.unwrap_or_else(|| Stack {
            schema_version: SCHEMA_VERSION,
            owner: None,
            system: System::default(),
            brokers: 1,
            endpoints: endpoints.clone(),
            api: None,
            api_url: None,
            topics: Vec::new(),
            components: BTreeMap::new(),
            started_at: String::new(),
            docker: None,
        });
        stack.endpoints = endpoints;
        stack.api_url = api.map(|api| api.to_string()).or(stack.api_url);
        for (server, address) in named {
            let Some(address) = address else { continue };
            stack.components.retain(|name, _| !server.has(name));
            let component = Component {
                provider: Provider::External,
                version: String::new(),
                address,
                process: None,
                log: None,
                container: None,
                restarts: 0,
            };
            stack.components.insert(server.name().to_owned(), component);
        }
        Some(stack)
    }
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

    /// Whoever looks at servers by their addresses alone starts nothing, and ends nothing that runs here.
    #[test]
    fn named_servers_take_the_place_of_those_that_are_up() {
        let spec = |kafka: Option<&str>| ExternalSpec {
            mysql_url: Some("mysql://u:p@db.example/d".into()),
            redis_url: Some("redis://cache.example".into()),
            kafka_brokers: kafka.map(str::to_owned),
            ..ExternalSpec::default()
        };
        assert!(resolve(&spec(None)).unwrap().over(None).is_none(), "Kafka is not named, and none is up");
        let all = resolve(&spec(Some("one.example:9092"))).unwrap().over(None).unwrap();
        assert!(all.components.values().all(|c| c.provider == Provider::External && c.process.is_none()));
        assert_eq!(all.components.keys().map(String::as_str).collect::<Vec<_>>(), ["kafka", "mysql", "redis"]);

        let mut up = all.clone();
        let broker = up.components.remove("kafka").unwrap();
        up.components.insert("kafka-1".into(), Component { provider: Provider::Native, ..broker });
        let other = ExternalSpec { mysql_url: Some("mysql://u:p@other.example/d".into()), ..ExternalSpec::default() };
        let mixed = resolve(&other).unwrap().over(Some(up)).unwrap();
        assert_eq!(mixed.endpoints.mysql.host, "other.example");
        assert_eq!(mixed.endpoints.kafka, all.endpoints.kafka);
        assert_eq!(mixed.components["kafka-1"].provider, Provider::Native);
    }
}
