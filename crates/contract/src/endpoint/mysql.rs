//! MySQL or MariaDB.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    EndpointError, Tls, Verify, authority,
    parse::{Grammar, encode},
};
use crate::human::Secret;

/// MySQL or MariaDB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MysqlEndpoint {
    /// Host name or address; an IPv6 address without brackets.
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

/// Also as JDBC (`jdbc:mysql`) and Python's libraries (`mysql+pymysql`) spell the scheme.
const GRAMMAR: Grammar = Grammar {
    server: "MySQL",
    form: "mysql://USER:PASSWORD@HOST:3306/DATABASE[?tls=true&ca=FILE]",
    scheme: |scheme| {
        let scheme = scheme.strip_prefix("jdbc:").unwrap_or(scheme);
        matches!(scheme.split_once('+').map_or(scheme, |(server, _)| server), "mysql" | "mariadb")
    },
    path: |path| path.is_empty().then_some("it names no database"),
    bare_is_password: false,
};

/// What every session needs, whatever the server's own defaults are: each statement commits by itself unless a
/// transaction was begun, rows may be changed without a key, quotes and zeros mean what the statements here mean, and
/// nothing is cut off in mid-way. The comments are for one of the two servers each, and end a limit of its own.
const SESSION: &str = "SET SESSION autocommit = 1, sql_safe_updates = 0, sql_select_limit = 18446744073709551615, \
    sql_big_selects = 1, sql_auto_is_null = 0, completion_type = 'NO_CHAIN', foreign_key_checks = 1, unique_checks = 1, \
    sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', \
    time_zone = '+00:00' /*M!100102 , max_statement_time = 0 */ /*!50708 , max_execution_time = 0 */";

/// The statements that set a session up. The driver promises no order among them, so none may depend on another.
const SETUP: [&str; 3] = ["SET NAMES utf8mb4", SESSION, "SET SESSION TRANSACTION READ WRITE"];
/// How far sessions see one another, where nobody asks for something else.
const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";

impl FromStr for MysqlEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = GRAMMAR.parse(text)?;
        let params = parts.params;
        let tls = params.tls(false).map_err(|why| GRAMMAR.error(why))?;
        if params.db.is_some() {
            return Err(GRAMMAR.error("a parameter names a database, which stands behind the port"));
        }
        if parts.user.is_some() && params.user.is_some() || parts.password.is_some() && params.password.is_some() {
            return Err(GRAMMAR.error("its login stands before the host and in a parameter too"));
        }
        let user = parts.user.or(params.user).filter(|user| !user.is_empty());
        Ok(Self {
            host: parts.host,
            port: parts.port.unwrap_or(3306),
            user: user.unwrap_or_else(|| "root".into()),
            password: Secret::new(parts.password.or(params.password).unwrap_or_default()),
            database: parts.path,
            tls,
        })
    }
}

impl fmt::Display for MysqlEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", authority(&self.host, self.port), self.database)
    }
}

impl MysqlEndpoint {
    /// The URL with its password, for `ecomctl env` and nothing else.
    pub fn url(&self) -> String {
        let mode = self.tls.as_ref().map(|tls| match tls.verify {
            Verify::Full => "?ssl-mode=VERIFY_IDENTITY",
            Verify::Authority => "?ssl-mode=VERIFY_CA",
            Verify::Nothing => "?ssl-mode=REQUIRED",
        });
        let ca = self.tls.as_ref().and_then(|tls| tls.ca.as_ref());
        let ca = ca.map_or_else(String::new, |ca| format!("&ssl-ca={}", encode(&ca.to_string_lossy())));
        let (user, password) = (encode(&self.user), encode(self.password.expose()));
        let (place, database) = (authority(&self.host, self.port), encode(&self.database));
        format!("mysql://{user}:{password}@{place}/{database}{}{ca}", mode.unwrap_or_default())
    }

    /// Client options for a pool of `min`..=`max` connections. Every session speaks utf8mb4 and has what our statements
    /// need: nothing depends on the server's defaults.
    pub fn opts(&self, min: usize, max: usize) -> mysql_async::Opts {
        self.opts_with(min, max, &[])
    }

    /// As [`Self::opts`], with statements of one's own for each session; an isolation level among them takes the place of
    /// the usual one.
    pub fn opts_with(&self, min: usize, max: usize, extra: &[&'static str]) -> mysql_async::Opts {
        let isolation = (!extra.iter().any(|sql| sql.contains("ISOLATION LEVEL"))).then_some(&ISOLATION);
        let max = max.max(1);
        let constraints = mysql_async::PoolConstraints::new(min.min(max), max).unwrap_or_default();
        let pool = mysql_async::PoolOpts::default().with_constraints(constraints).with_reset_connection(false);
        let ssl = self.tls.as_ref().map(|tls| {
            let roots = tls.ca.iter().map(|ca| ca.clone().into()).collect::<Vec<_>>();
            mysql_async::SslOpts::default()
                .with_disable_built_in_roots(!roots.is_empty())
                .with_root_certs(roots)
                .with_danger_skip_domain_validation(tls.verify != Verify::Full)
                .with_danger_accept_invalid_certs(tls.verify == Verify::Nothing)
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
            .setup(SETUP.iter().chain(isolation).chain(extra).copied().collect::<Vec<_>>())
            .pool_opts(pool)
            .into()
    }
}
