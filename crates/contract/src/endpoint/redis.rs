//! Redis or Valkey.

use std::{fmt, str::FromStr};

use redis::{ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, TlsCertificates};
use serde::{Deserialize, Serialize};

use super::{
    EndpointError, Tls, Verify, authority,
    parse::{Grammar, encode},
};
use crate::human::Secret;

/// Redis or Valkey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RedisEndpoint {
    /// Host name or address; an IPv6 address without brackets.
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

/// As `redis-cli -u` reads it, where a login without `:` is a password.
const GRAMMAR: Grammar = Grammar {
    server: "Redis",
    form: "redis[s]://[USER:PASSWORD@]HOST:6379[/DB][?ca=FILE]",
    scheme: |scheme| matches!(scheme, "redis" | "rediss" | "valkey" | "valkeys"),
    path: |path| (!path.is_empty() && number(path).is_none()).then_some("its database is not a number"),
    bare_is_password: true,
};

fn number(text: &str) -> Option<i64> {
    text.parse::<u32>().ok().map(i64::from)
}

impl FromStr for RedisEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = GRAMMAR.parse(text)?;
        let params = parts.params;
        let tls = params.tls(matches!(parts.scheme.as_str(), "rediss" | "valkeys"));
        let tls = tls.map_err(|why| GRAMMAR.error(why))?;
        if tls.as_ref().is_some_and(|tls| tls.verify == Verify::Authority) {
            let why = "a certificate is looked at with its name, or not at all; write ssl_cert_reqs=required or none";
            return Err(GRAMMAR.error(why));
        }
        if parts.user.is_some() && params.user.is_some() || parts.password.is_some() && params.password.is_some() {
            return Err(GRAMMAR.error("its login stands before the host and in a parameter too"));
        }
        let db = match (parts.path.as_str(), params.db) {
            ("", None) => 0,
            ("", Some(db)) => number(&db).ok_or_else(|| GRAMMAR.error("its database is not a number"))?,
            (path, None) => number(path).unwrap_or_default(),
            (_, Some(_)) => return Err(GRAMMAR.error("its database stands behind the port and in a parameter too")),
        };
        let user = parts.user.or(params.user).filter(|user| !user.is_empty());
        // Nobody's empty password is none; a user of the access list may have one.
        let password = parts.password.or(params.password).filter(|password| user.is_some() || !password.is_empty());
        Ok(Self {
            host: parts.host,
            port: parts.port.unwrap_or(6379),
            user,
            password: password.map(Secret::new),
            db,
            tls,
        })
    }
}

impl fmt::Display for RedisEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", authority(&self.host, self.port), self.db)
    }
}

impl RedisEndpoint {
    /// The URL with its password, for `ecomctl env` and nothing else. A password without a user is `default`'s: with an
    /// empty user `redis-cli` is refused.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        let user = encode(self.user.as_deref().unwrap_or("default"));
        let login = match &self.password {
            None if self.user.is_none() => String::new(),
            None => format!("{user}:@"),
            Some(password) => format!("{user}:{}@", encode(password.expose())),
        };
        let tls = self.tls.iter().flat_map(|tls| {
            let ca = tls.ca.as_ref().map(|ca| format!("ssl_ca_certs={}", encode(&ca.to_string_lossy())));
            [ca, (tls.verify == Verify::Nothing).then(|| "ssl_cert_reqs=none".to_owned())]
        });
        let tls = tls.flatten().collect::<Vec<_>>().join("&");
        let question = if tls.is_empty() { "" } else { "?" };
        format!("{scheme}://{login}{}/{}{question}{tls}", authority(&self.host, self.port), self.db)
    }

    /// A client; it connects at first use.
    ///
    /// # Errors
    /// When the certificate authority cannot be read or is none.
    pub fn client(&self) -> redis::RedisResult<redis::Client> {
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
                let insecure = tls.verify == Verify::Nothing;
                let addr = ConnectionAddr::TcpTls { host, port, insecure, tls_params: None };
                let info = addr.into_connection_info()?.set_redis_settings(login);
                redis::Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
            }
        }
    }
}
