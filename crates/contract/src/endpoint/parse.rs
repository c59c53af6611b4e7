//! From a text to the parts of an address. A login stands in it raw or percent-encoded, as the servers' own clients take
//! it: what URL grammar gives a meaning (`#`, `/`, `?`, `:`) is an ordinary character before the last `@`.

use std::net::Ipv6Addr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{
    EndpointError,
    params::{self, Params},
};

/// What the addresses of one server look like.
pub(super) struct Grammar {
    /// `MySQL`
    pub server: &'static str,
    /// How it is written.
    pub form: &'static str,
    /// Whether this scheme is one of the server's.
    pub scheme: fn(&str) -> bool,
    /// Why this path (decoded, without its slash) cannot be; none: it can.
    pub path: fn(&str) -> Option<&'static str>,
    /// Whether a login without `:` is a password (Redis), or else a user.
    pub bare_is_password: bool,
}

/// The parts of an address.
#[derive(Debug)]
pub(super) struct Parts {
    pub scheme: String,
    pub user: Option<String>,
    pub password: Option<String>,
    pub host: String,
    pub port: Option<u16>,
    pub path: String,
    pub params: Params,
}

/// Schemes that may be named in an error: all else might be a part of a password.
const OTHERS: [&str; 12] = [
    "http",
    "https",
    "mysql",
    "mariadb",
    "mysqlx",
    "redis",
    "rediss",
    "valkey",
    "valkeys",
    "postgres",
    "postgresql",
    "kafka",
];

impl Grammar {
    pub fn error(&self, why: impl Into<String>) -> EndpointError {
        EndpointError { server: self.server, why: why.into(), form: self.form }
    }

    /// Takes an address apart.
    pub fn parse(&self, text: &str) -> Result<Parts, EndpointError> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(self.error("it has no scheme (what stands before `://`)"));
        };
        let scheme = scheme.to_ascii_lowercase();
        if !(self.scheme)(&scheme) {
            let known = OTHERS.contains(&scheme.as_str());
            let name = if known { format!("`{scheme}`") } else { "another one".to_owned() };
            return Err(self.error(format!("its scheme is {name}")));
        }
        let mut places: Vec<(Option<&str>, &str)> =
            rest.match_indices('@').map(|(at, _)| (Some(&rest[..at]), &rest[at + 1..])).collect();
        places.reverse();
        // The last resort where an `@` stands: it belongs to the path or to a parameter.
        places.push((None, rest));
        let mut first_error = None;
        let mut found = None;
        for (login, place) in places {
            match self.place(&scheme, login, place) {
                // An `@` further right stands in a parameter of this one: `?ca=/etc/a@b.pem`.
                Ok(parts) if found.is_none() || parts.params.hold_an_at() => found = Some(parts),
                Ok(_) => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        found.ok_or_else(|| first_error.unwrap_or_else(|| self.error("it is empty")))
    }

    fn place(&self, scheme: &str, login: Option<&str>, place: &str) -> Result<Parts, EndpointError> {
        let (place, query) = place.split_once('?').map_or((place, None), |(place, query)| (place, Some(query)));
        let (authority, path) = place.split_once('/').map_or((place, ""), |(authority, path)| (authority, path));
        let (host, port) = host_and_port(authority).map_err(|why| self.error(why))?;
        let path = decode(path).ok_or_else(|| self.error("its path is not UTF-8"))?;
        if let Some(why) = (self.path)(&path) {
            return Err(self.error(why));
        }
        let params = params::parse(query.unwrap_or_default()).map_err(|why| self.error(why))?;
        let (user, password) = match login.map(|login| (login, login.split_once(':'))) {
            None => (None, None),
            Some((_, Some((user, password)))) => (Some(user), Some(password)),
            Some((password, None)) if self.bare_is_password => (None, Some(password)),
            Some((user, None)) => (Some(user), None),
        };
        let decoded = |text: Option<&str>| match text.map(decode) {
            Some(None) => Err(self.error("its login is not UTF-8")),
            other => Ok(other.flatten()),
        };
        let (user, password) = (decoded(user)?, decoded(password)?);
        Ok(Parts { scheme: scheme.to_owned(), user, password, host, port, path, params })
    }
}

/// `host`, `host:1`, `[::1]:1`.
pub(super) fn host_and_port(text: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or("the bracket of its host is not closed")?;
        // A zone (`%eth0`, or `%25eth0` as URLs write it) says by which way.
        let (address, zone) = host.split_once('%').map_or((host, None), |(a, zone)| (a, Some(zone)));
        address.parse::<Ipv6Addr>().map_err(|_| "what stands in brackets is no IPv6 address")?;
        let zone = zone.map(|zone| zone.strip_prefix("25").unwrap_or(zone)).filter(|zone| is_name(zone));
        let host = zone.map_or_else(|| address.to_owned(), |zone| format!("{address}%{zone}"));
        match port {
            "" => (host, None),
            port => (host, Some(port.strip_prefix(':').ok_or("something stands between its host and its port")?)),
        }
    } else {
        let (host, port) = text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
        if host.is_empty() {
            return Err("it has no host");
        }
        if host.contains(':') && host.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.')) {
            return Err("an IPv6 address stands in brackets: [::1]");
        }
        if !is_name(host) {
            return Err("its host is no name and no IP address");
        }
        (host.to_owned(), port)
    };
    let port = port.map(|port| match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err("its port is not a number from 1 to 65535"),
    });
    Ok((host, port.transpose()?))
}

fn is_name(host: &str) -> bool {
    !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// Undoes percent-encoding; a `%` without two digits stands for itself. None: the result is not UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Everything but letters, digits and `-._~` is encoded.
pub(super) fn encode(text: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, KEPT).to_string()
}
