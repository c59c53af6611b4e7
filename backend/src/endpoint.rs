//! Where MySQL, Redis and Kafka are, and how a client gets in.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::human::Secret;

/// The three servers of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoints {
    /// MySQL or MariaDB.
    pub mysql: MysqlEndpoint,
    /// Redis or Valkey.
    pub redis: RedisEndpoint,
    /// Kafka.
    pub kafka: KafkaEndpoint,
}

/// TLS of a client connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tls {
    /// PEM file with the certificate authority; unset: the public ones.
    pub ca: Option<PathBuf>,
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{given}` is not an address of {server}: {why}; write it as {form}")]
pub struct EndpointError {
    given: String,
    server: &'static str,
    why: String,
    form: &'static str,
}

/// MySQL or MariaDB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MysqlEndpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// Database.
    pub database: String,
    /// TLS, where it is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

const MYSQL_FORM: &str = "mysql://USER:PASSWORD@HOST:3306/DATABASE[?tls=true&ca=FILE]";
const REDIS_FORM: &str = "redis[s]://[USER:PASSWORD@]HOST:6379[/DB][?ca=FILE]";
const KAFKA_FORM: &str = "HOST:9092[,HOST:9092…]";

/// Splits a URL, without ever repeating its password in an error.
fn parse_url(text: &str, server: &'static str, schemes: &[&str], form: &'static str) -> Result<Url, EndpointError> {
    let fail = |given: String, why: &str| EndpointError { given, server, why: why.to_owned(), form };
    let url = Url::parse(text).map_err(|e| fail(redact(text), &e.to_string()))?;
    if !schemes.contains(&url.scheme()) {
        return Err(fail(redact(text), "the scheme is another one"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(fail(redact(text), "it has no host"));
    }
    Ok(url)
}

/// `text` without what stands between `//` and `@`.
fn redact(text: &str) -> String {
    match (text.find("//"), text.rfind('@')) {
        (Some(start), Some(at)) if at > start => format!("{}***{}", &text[..start + 2], &text[at..]),
        _ => text.to_owned(),
    }
}

fn query(url: &Url, key: &str) -> Option<String> {
    url.query_pairs().find(|(k, _)| k == key).map(|(_, v)| v.into_owned())
}

/// User names and passwords stand percent-encoded in a URL.
fn decode(text: &str) -> String {
    url::form_urlencoded::parse(format!("v={}", text.replace('+', "%2B")).as_bytes())
        .next()
        .map_or_else(String::new, |(_, v)| v.into_owned())
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

impl FromStr for MysqlEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = parse_url(text, "MySQL", &["mysql", "mariadb"], MYSQL_FORM)?;
        let database = url.path().trim_start_matches('/').to_owned();
        if database.is_empty() {
            return Err(EndpointError {
                given: redact(text),
                server: "MySQL",
                why: "it names no database".into(),
                form: MYSQL_FORM,
            });
        }
        let ca = query(&url, "ca").map(PathBuf::from);
        let tls = (ca.is_some() || query(&url, "tls").is_some_and(|v| v == "true")).then_some(Tls { ca });
        Ok(Self {
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port().unwrap_or(3306),
            user: if url.username().is_empty() { "root".into() } else { decode(url.username()) },
            password: Secret::new(decode(url.password().unwrap_or_default())),
            database,
            tls,
        })
    }
}

impl fmt::Display for MysqlEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.database)
    }
}

impl MysqlEndpoint {
    /// The URL with its password, for `ecomctl env` and nothing else.
    pub fn url(&self) -> String {
        let tls = match &self.tls {
            None => String::new(),
            Some(Tls { ca: None }) => "?tls=true".into(),
            Some(Tls { ca: Some(ca) }) => format!("?tls=true&ca={}", encode(&ca.to_string_lossy())),
        };
        let (user, password) = (encode(&self.user), encode(self.password.expose()));
        format!("mysql://{user}:{password}@{}:{}/{}{tls}", self.host, self.port, self.database)
    }

    /// Client options for a pool of `min`..=`max` connections. Every session speaks utf8mb4 and counts time in UTC.
    pub fn opts(&self, min: usize, max: usize) -> mysql_async::Opts {
        let max = max.max(1);
        let constraints = mysql_async::PoolConstraints::new(min.min(max), max).unwrap_or_default();
        let pool = mysql_async::PoolOpts::default().with_constraints(constraints).with_reset_connection(false);
        let ssl = self.tls.as_ref().map(|tls| {
            let roots = tls.ca.iter().map(|ca| ca.clone().into()).collect::<Vec<_>>();
            mysql_async::SslOpts::default().with_disable_built_in_roots(!roots.is_empty()).with_root_certs(roots)
        });
        mysql_async::OptsBuilder::default()
            .ip_or_hostname(self.host.clone())
            .tcp_port(self.port)
            .user(Some(self.user.clone()))
            .pass(Some(self.password.expose().to_owned()))
            .db_name(Some(self.database.clone()))
            .prefer_socket(false)
            .tcp_nodelay(true)
            .ssl_opts(ssl)
            .setup(vec!["SET NAMES utf8mb4", "SET time_zone = '+00:00'"])
            .pool_opts(pool)
            .into()
    }
}

/// Redis or Valkey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RedisEndpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// ACL user, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Number of the database.
    #[serde(default)]
    pub db: i64,
    /// TLS, where it is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

impl FromStr for RedisEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = parse_url(text, "Redis", &["redis", "rediss", "valkey", "valkeys"], REDIS_FORM)?;
        let path = url.path().trim_start_matches('/');
        let db = if path.is_empty() { Ok(0) } else { path.parse() };
        let db = db.map_err(|_| EndpointError {
            given: redact(text),
            server: "Redis",
            why: "the database is not a number".into(),
            form: REDIS_FORM,
        })?;
        let tls = url.scheme().ends_with("ss") || url.scheme() == "valkeys";
        Ok(Self {
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port().unwrap_or(6379),
            user: (!url.username().is_empty()).then(|| decode(url.username())),
            password: url.password().map(|p| Secret::new(decode(p))),
            db,
            tls: tls.then(|| Tls { ca: query(&url, "ca").map(PathBuf::from) }),
        })
    }
}

impl fmt::Display for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.db)
    }
}

impl RedisEndpoint {
    /// The URL with its password, for `ecomctl env` and nothing else.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        let login = match &self.password {
            None => String::new(),
            Some(p) => format!("{}:{}@", encode(self.user.as_deref().unwrap_or_default()), encode(p.expose())),
        };
        let ca = self.tls.as_ref().and_then(|tls| tls.ca.as_ref());
        let ca = ca.map_or_else(String::new, |ca| format!("?ca={}", encode(&ca.to_string_lossy())));
        format!("{scheme}://{login}{}:{}/{}{ca}", self.host, self.port, self.db)
    }

    /// A client; it connects at first use.
    ///
    /// # Errors
    /// When the certificate authority cannot be read or is none.
    pub fn client(&self) -> redis::RedisResult<redis::Client> {
        use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, TlsCertificates};
        let mut login = RedisConnectionInfo::default().set_db(self.db);
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password.expose());
        }
        let (host, port) = (self.host.clone(), self.port);
        match &self.tls {
            None => {
                redis::Client::open(ConnectionAddr::Tcp(host, port).into_connection_info()?.set_redis_settings(login))
            }
            Some(tls) => {
                let root_cert = tls.ca.as_ref().map(std::fs::read).transpose()?;
                let addr = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
                let info = addr.into_connection_info()?.set_redis_settings(login);
                redis::Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
            }
        }
    }
}

/// Kafka.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KafkaEndpoint {
    /// `host:port[,host:port…]`.
    pub brokers: String,
    /// Transport encryption and login, where they are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<KafkaSecurity>,
}

/// Transport encryption and login of Kafka.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct KafkaSecurity {
    /// TLS, where it is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// SASL login, where it is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
}

/// SASL login.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sasl {
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: String,
    /// User.
    pub username: String,
    /// Password.
    pub password: Secret,
}

impl FromStr for KafkaEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why: String| EndpointError { given: text.to_owned(), server: "Kafka", why, form: KAFKA_FORM };
        for broker in text.split(',') {
            let (host, port) = broker.rsplit_once(':').ok_or_else(|| fail(format!("`{broker}` has no port")))?;
            if host.is_empty() || host.contains('/') {
                return Err(fail(format!("`{broker}` has no plain host")));
            }
            port.parse::<u16>().map_err(|_| fail(format!("`{port}` is not a port")))?;
        }
        Ok(Self { brokers: text.to_owned(), security: None })
    }
}

impl fmt::Display for KafkaEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.brokers)
    }
}

impl KafkaEndpoint {
    /// Settings of a librdkafka client: addresses, login, and short socket time-outs.
    pub fn client_config(&self) -> rdkafka::ClientConfig {
        let mut config = rdkafka::ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "ecomctl")
            .set("allow.auto.create.topics", "false")
            .set("socket.timeout.ms", "10000")
            .set("socket.nagle.disable", "true")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000");
        let Some(security) = &self.security else { return config };
        let protocol = match (&security.tls, &security.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if let Some(ca) = security.tls.as_ref().and_then(|tls| tls.ca.as_ref()) {
            config.set("ssl.ca.location", ca.to_string_lossy());
        }
        if let Some(sasl) = &security.sasl {
            config
                .set("sasl.mechanism", &sasl.mechanism)
                .set("sasl.username", &sasl.username)
                .set("sasl.password", sasl.password.expose());
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_password_in_a_bad_url_is_not_repeated() {
        for text in ["mysql://root:hunter2@host:3306", "redis://u:hunter2@host/x", "http://u:hunter2@h/db"] {
            let message = match text.parse::<MysqlEndpoint>() {
                Err(e) => e.to_string(),
                Ok(e) => e.to_string(),
            };
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn brokers_need_a_port_each() {
        assert!("a:9092,b:9093".parse::<KafkaEndpoint>().is_ok());
        for text in ["", "a", "a:9092,b", "a:x", ":9092", "kafka://a:9092", "a:99999"] {
            assert!(text.parse::<KafkaEndpoint>().is_err(), "{text} was taken");
        }
    }

    proptest! {
        #[test]
        fn urls_read_back_whatever_the_password(user in "[^\0]{1,12}", password in "[^\0]{0,20}", port in 1_u16..) {
            let mysql = MysqlEndpoint {
                host: "127.0.0.1".into(), port, user: user.clone(), password: Secret::new(password.clone()),
                database: "ecom_db".into(), tls: None,
            };
            prop_assert_eq!(mysql.url().parse::<MysqlEndpoint>().map_err(|e| e.to_string()), Ok(mysql));
            let redis = RedisEndpoint {
                host: "127.0.0.1".into(), port, user: Some(user), password: Some(Secret::new(password)), db: 3, tls: None,
            };
            if redis.password.as_ref().is_some_and(|p| !p.expose().is_empty()) {
                prop_assert_eq!(redis.url().parse::<RedisEndpoint>().map_err(|e| e.to_string()), Ok(redis));
            }
        }
    }
}
