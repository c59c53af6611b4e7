//! The parameters behind an address. Each is known, or an error that names it. TLS is spelt in as many ways as there are
//! clients; a spelling is taken with the meaning that it has there, and never for plain text where TLS was asked for.

use std::path::PathBuf;

use super::{Tls, Verify, parse::decode};

/// What the parameters say.
#[derive(Debug, Default)]
pub(super) struct Params {
    pub user: Option<String>,
    pub password: Option<String>,
    /// Number of a Redis database.
    pub db: Option<String>,
    /// Whether TLS is wanted; none: nothing was said.
    tls: Option<bool>,
    verify: Option<Verify>,
    ca: Option<PathBuf>,
}

const ALLOWED: &str = "allowed: tls=true or false, ssl-mode=DISABLED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY, ca=FILE";

/// Reads a query. Errors name a parameter, and never a value.
pub(super) fn parse(query: &str) -> Result<Params, String> {
    let mut params = Params::default();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (given, value) = part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
        let name: String = given.to_ascii_lowercase().chars().filter(|c| !matches!(c, '-' | '_')).collect();
        let shown = value.is_some() || SPELLINGS.contains(&name.as_str());
        let shown = shown && given.len() <= 40 && given.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        let told = if shown { format!("its parameter `{given}`") } else { "one of its parameters".to_owned() };
        let Some(value) = value else { return Err(format!("{told} has no value; {ALLOWED}")) };
        let value = decode(value).ok_or_else(|| format!("the value of {told} is not UTF-8"))?;
        params.take(&name, value).map_err(|why| format!("{told} {why}"))?;
    }
    Ok(params)
}

/// Names that are known, without `-` and `_`.
const SPELLINGS: [&str; 34] = [
    "user",
    "username",
    "password",
    "db",
    "database",
    "charset",
    "protocol",
    "tls",
    "ssl",
    "usessl",
    "usetls",
    "requiressl",
    "sslenabled",
    "ssldisabled",
    "sslmode",
    "tlsmode",
    "ca",
    "sslca",
    "tlsca",
    "cafile",
    "sslcafile",
    "tlscafile",
    "sslcacerts",
    "sslrootcert",
    "servercertificate",
    "sslcertreqs",
    "sslcheckhostname",
    "sslverifycert",
    "sslverifyidentity",
    "sslverifyservercert",
    "verifyservercertificate",
    "verifyca",
    "verifyidentity",
    "skipverify",
];

impl Params {
    /// Whether an `@` stands in one of the values: then it is no sign of a login.
    pub fn hold_an_at(&self) -> bool {
        let texts = [&self.user, &self.password].into_iter().flatten();
        let ca = self.ca.as_ref().map(|ca| ca.to_string_lossy());
        texts.map(String::as_str).chain(ca.as_deref()).any(|text| text.contains('@'))
    }

    fn take(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "user" | "username" => once(&mut self.user, value),
            "password" => once(&mut self.password, value),
            "db" | "database" => once(&mut self.db, value),
            "charset" if value.to_ascii_lowercase().starts_with("utf8") => Ok(()),
            "charset" => Err("has a value that is not spoken; write utf8mb4, or leave it away".into()),
            "protocol" if value == "2" || value.eq_ignore_ascii_case("resp2") => Ok(()),
            "protocol" => Err("has a value that is not spoken; write 2, or leave it away".into()),
            // Go's driver puts a mode there.
            "tls" | "ssl" if truth(&value).is_none() => self.mode(&value),
            "tls" | "ssl" | "usetls" | "sslenabled" => self.wanted(truth(&value), None),
            // The word asks for the way alone: Connector/J and others look at no certificate for it.
            "usessl" | "requiressl" => {
                let wanted = truth(&value);
                self.wanted(wanted, Some(Verify::Nothing).filter(|_| wanted == Some(true)))
            }
            "ssldisabled" => self.wanted(truth(&value).map(|off| !off), None),
            "sslmode" | "tlsmode" => self.mode(&value),
            "ca" | "sslca" | "tlsca" | "cafile" | "sslcafile" | "tlscafile" | "sslcacerts" | "sslrootcert"
            | "servercertificate" => once(&mut self.ca, PathBuf::from(value)),
            "sslcertreqs" => match value.to_ascii_lowercase().trim_start_matches("cert_") {
                "none" => self.looks(Verify::Nothing),
                "required" => self.looks(Verify::Full),
                _ => Err("has an unknown value; allowed: required, none".into()),
            },
            "sslcheckhostname" | "sslverifyidentity" | "verifyidentity" => {
                self.looks_if(truth(&value), Verify::Full, Verify::Authority)
            }
            "sslverifycert" | "sslverifyservercert" | "verifyservercertificate" | "verifyca" => {
                self.looks_if(truth(&value), Verify::Authority, Verify::Nothing)
            }
            "skipverify" => self.looks_if(truth(&value), Verify::Nothing, Verify::Full),
            "sslcert" | "sslkey" | "sslcertfile" | "sslkeyfile" | "tlscert" | "tlskey" => {
                Err("names a certificate of the client, which is not supported".into())
            }
            _ => Err(format!("is not known; {ALLOWED}")),
        }
    }

    fn mode(&mut self, value: &str) -> Result<(), String> {
        let word = value.to_ascii_lowercase().replace('_', "-");
        match word.as_str() {
            "disabled" | "disable" => self.wanted(Some(false), None),
            "required" | "require" | "skip-verify" => self.wanted(Some(true), Some(Verify::Nothing)),
            "verify-ca" => self.wanted(Some(true), Some(Verify::Authority)),
            "verify-identity" | "verify-full" => self.wanted(Some(true), Some(Verify::Full)),
            "preferred" | "prefer" | "allow" => Err(
                "leaves it to the server whether the way is encrypted; write ssl-mode=REQUIRED or ssl-mode=DISABLED"
                    .into(),
            ),
            _ => {
                Err("has an unknown value; allowed: true, false, or DISABLED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY"
                    .into())
            }
        }
    }

    fn wanted(&mut self, wanted: Option<bool>, verify: Option<Verify>) -> Result<(), String> {
        once(&mut self.tls, wanted.ok_or("has an unknown value; allowed: true, false")?)?;
        verify.map_or(Ok(()), |verify| self.looks(verify))
    }

    fn looks_if(&mut self, truth: Option<bool>, yes: Verify, no: Verify) -> Result<(), String> {
        let truth = truth.ok_or("has an unknown value; allowed: true, false")?;
        self.looks(if truth { yes } else { no })
    }

    fn looks(&mut self, verify: Verify) -> Result<(), String> {
        once(&mut self.verify, verify)
    }

    /// The TLS that follows. `scheme`: the scheme itself asks for it.
    pub fn tls(&self, scheme: bool) -> Result<Option<Tls>, String> {
        let asked = self.ca.is_some() || self.verify.is_some();
        match self.tls {
            Some(false) if scheme => Err("its scheme asks for TLS, and a parameter for none".into()),
            Some(false) if asked => Err("one parameter asks for no TLS, and another says how it is to be".into()),
            Some(false) => Ok(None),
            None if !scheme && !asked => Ok(None),
            _ => Ok(Some(Tls { ca: self.ca.clone(), verify: self.verify.unwrap_or_default() })),
        }
    }
}

fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Sets what is said for the first time, or said again in the same way.
fn once<T: PartialEq>(place: &mut Option<T>, value: T) -> Result<(), String> {
    match place {
        Some(old) if *old != value => Err("contradicts another parameter".into()),
        _ => {
            *place = Some(value);
            Ok(())
        }
    }
}
