//! An API that runs already.

use std::{fmt, str::FromStr};

use super::{
    EndpointError, authority,
    parse::{Grammar, host_and_port},
};

/// An API that runs already: plain HTTP, paths begin at its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiEndpoint {
    /// Host name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Read by hand: each part that an API's URL must not have is told by its name.
const GRAMMAR: Grammar = Grammar {
    server: "an API",
    form: "http://HOST:PORT",
    scheme: |scheme| scheme == "http",
    path: |_| None,
    bare_is_password: false,
};

impl FromStr for ApiEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why: &str| Err(GRAMMAR.error(why));
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return fail("it has no scheme (what stands before `://`)");
        };
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => return fail("the scheme `https` is not spoken"),
            _ => return fail("its scheme is another one"),
        }
        if rest.contains('@') {
            return fail("it has a login, and none is sent");
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['?', '#']) {
            return fail("it has a query or a fragment, and ends at the port");
        }
        if rest.contains('/') {
            return fail("it has a path; the paths of the requests are put behind it, so it ends at the port");
        }
        let (host, port) = host_and_port(rest).map_err(|why| GRAMMAR.error(why))?;
        Ok(Self { host, port: port.unwrap_or(80) })
    }
}

impl ApiEndpoint {
    /// `HOST:PORT`, as it stands in a `Host` header.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

impl fmt::Display for ApiEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}
