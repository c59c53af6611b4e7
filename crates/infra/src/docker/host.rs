//! Which Engine is meant: `DOCKER_HOST`, `DOCKER_CONTEXT`, the current context of the docker command, else the usual sockets.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::error::InfraError;

const SYSTEM_SOCKET: &str = "/var/run/docker.sock";
/// How somebody reaches an Engine whose way is not supported.
const TUNNEL: &str = "forward its socket (`ssh -nNT -L /tmp/engine.sock:/var/run/docker.sock HOST`) and set \
                      DOCKER_HOST=unix:///tmp/engine.sock, or use --provider native";

/// Where an Engine is to be asked, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// `unix:///path`, or `tcp://host:port` without TLS.
    pub address: String,
    /// `DOCKER_HOST`, `the docker context NAME`; empty where nobody said anything.
    pub said_by: String,
}

/// What the docker command looks at.
pub(super) struct Surroundings<'a> {
    /// Value of a variable; one that is empty is not set.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether there is something at this path.
    pub exists: &'a dyn Fn(&Path) -> bool,
}

/// Finds it, as the docker command does.
///
/// # Errors
/// [`InfraError::Engine`] where the context cannot be read, or the way to the Engine is one that is not supported.
pub(super) fn find(around: &Surroundings<'_>) -> Result<Host, InfraError> {
    let variable = |name| (around.variable)(name).filter(|value| !value.is_empty());
    let tls = ["DOCKER_TLS_VERIFY", "DOCKER_TLS"].into_iter().find(|name| variable(name).is_some());
    if let Some(address) = variable("DOCKER_HOST") {
        return checked(Host { address, said_by: "DOCKER_HOST".into() }, tls);
    }
    let home = variable("HOME").map(PathBuf::from);
    let config = variable("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".docker")));
    let context = match variable("DOCKER_CONTEXT") {
        Some(name) => Some(name),
        None => config.as_deref().map(current_context).transpose()?.flatten(),
    };
    if let Some(name) = context.filter(|name| name != "default") {
        let folder = config.unwrap_or_default();
        let (address, secured) = of_context(&folder, &name)?;
        let said_by = format!("the docker context {name}");
        return checked(Host { address, said_by }, secured.then_some("its certificates"));
    }
    let rootless = variable("XDG_RUNTIME_DIR").map(|folder| format!("{folder}/docker.sock"));
    let desktop = home.map(|home| home.join(".docker/run/docker.sock").to_string_lossy().into_owned());
    let sockets = [Some(SYSTEM_SOCKET.to_owned()), rootless, desktop];
    let found = sockets.into_iter().flatten().find(|socket| (around.exists)(Path::new(socket)));
    let address = format!("unix://{}", found.as_deref().unwrap_or(SYSTEM_SOCKET));
    Ok(Host { address, said_by: String::new() })
}

/// Refuses by name what cannot be spoken. `tls` is what asks for it, if anything does.
fn checked(host: Host, tls: Option<&str>) -> Result<Host, InfraError> {
    let Host { address, said_by } = &host;
    let refused = |why: String, remedy: &str| {
        Err(InfraError::Engine { host: address.clone(), why: format!("{said_by}: {why}"), remedy: remedy.to_owned() })
    };
    match address.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(host),
        Some(("unix", _)) => {
            refused("the path of the socket must be absolute".into(), "write unix:///path/to/docker.sock")
        }
        Some(("tcp" | "http", _)) => match tls {
            Some(tls) => refused(format!("TLS, which {tls} asks for, is not supported by ecomctl"), TUNNEL),
            None if has_port(address) => Ok(host),
            None => refused("the port is missing".into(), "write tcp://host:2375"),
        },
        Some(("https", _)) => refused("TLS is not supported by ecomctl".into(), TUNNEL),
        Some(("ssh", _)) => refused("ssh:// is not supported by ecomctl".into(), TUNNEL),
        Some((scheme, _)) => {
            refused(format!("{scheme}:// is not supported by ecomctl"), "write unix:///path or tcp://host:port")
        }
        None => refused("it has no scheme".into(), "write unix:///path or tcp://host:port"),
    }
}

fn has_port(address: &str) -> bool {
    let place = address.split_once("://").map_or(address, |(_, rest)| rest).trim_end_matches('/');
    place.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// `currentContext` of the docker command's settings.
fn current_context(folder: &Path) -> Result<Option<String>, InfraError> {
    let settings = json(&folder.join("config.json"))?;
    let name = settings.as_ref().and_then(|all| all.get("currentContext")).and_then(Value::as_str);
    Ok(name.filter(|name| !name.is_empty()).map(str::to_owned))
}

/// Address of a context, and whether it has certificates.
fn of_context(folder: &Path, name: &str) -> Result<(String, bool), InfraError> {
    let digest = Sha256::digest(name.as_bytes()).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let file = folder.join("contexts/meta").join(&digest).join("meta.json");
    let found = json(&file)?;
    let endpoint = found.as_ref().and_then(|meta| meta.get("Endpoints")?.get("docker"));
    let Some(host) = endpoint.and_then(|endpoint| endpoint.get("Host")?.as_str()) else {
        return Err(InfraError::Engine {
            host: format!("the docker context {name}"),
            why: format!("{} does not say where it is", file.display()),
            remedy: "see `docker context ls`, or set DOCKER_HOST".into(),
        });
    };
    Ok((host.to_owned(), folder.join("contexts/tls").join(digest).join("docker").exists()))
}

/// A file of the docker command; none where there is none.
fn json(path: &Path) -> Result<Option<Value>, InfraError> {
    let unreadable = |why: String| InfraError::Engine {
        host: path.display().to_string(),
        why: format!("the docker command's settings cannot be read: {why}"),
        remedy: "mend the file, or set DOCKER_HOST".into(),
    };
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| unreadable(e.to_string())),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(unreadable(e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<Host, String> {
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let exists = |path: &Path| path == Path::new("/run/user/7/docker.sock");
        find(&Surroundings { variable: &variable, exists: &exists }).map_err(|e| e.to_string())
    }

    fn context(folder: &Path, name: &str, host: &str) -> String {
        let digest =
            Sha256::digest(name.as_bytes()).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let meta = folder.join("contexts/meta").join(&digest);
        fs::create_dir_all(&meta).unwrap();
        let text = serde_json::json!({"Name": name, "Endpoints": {"docker": {"Host": host}}});
        fs::write(meta.join("meta.json"), text.to_string()).unwrap();
        digest
    }

    /// The docker command and ecomctl must mean the same Engine: data would be made on another one.
    #[test]
    fn the_engine_is_the_one_that_the_docker_command_means() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().to_str().unwrap();
        let digest = context(folder.path(), "far", "tcp://10.0.0.7:2375");
        let is = |variables: &[(&str, &str)], address: &str| assert_eq!(found(variables).unwrap().address, address);
        is(&[], "unix:///var/run/docker.sock");
        is(&[("XDG_RUNTIME_DIR", "/run/user/7")], "unix:///run/user/7/docker.sock");
        is(&[("DOCKER_CONFIG", config)], "unix:///var/run/docker.sock");
        is(&[("DOCKER_CONFIG", config), ("DOCKER_CONTEXT", "far")], "tcp://10.0.0.7:2375");
        fs::write(folder.path().join("config.json"), r#"{"auths": {}, "currentContext": "far"}"#).unwrap();
        is(&[("DOCKER_CONFIG", config)], "tcp://10.0.0.7:2375");
        is(&[("DOCKER_CONFIG", config), ("DOCKER_CONTEXT", "default")], "unix:///var/run/docker.sock");
        is(&[("DOCKER_CONFIG", config), ("DOCKER_HOST", "unix:///x"), ("DOCKER_CONTEXT", "far")], "unix:///x");
        assert_eq!(found(&[("DOCKER_CONFIG", config)]).unwrap().said_by, "the docker context far");

        fs::create_dir_all(folder.path().join("contexts/tls").join(digest).join("docker")).unwrap();
        assert!(found(&[("DOCKER_CONFIG", config)]).unwrap_err().contains("TLS"));
        let error = found(&[("DOCKER_CONFIG", config), ("DOCKER_CONTEXT", "gone")]).unwrap_err();
        assert!(error.contains("the docker context gone") && error.contains("docker context ls"), "{error}");
        fs::write(folder.path().join("config.json"), "{").unwrap();
        assert!(found(&[("DOCKER_CONFIG", config)]).unwrap_err().contains("config.json"));
    }

    #[test]
    fn ways_that_are_not_spoken_are_refused_by_name_with_what_to_do() {
        let cases = [
            ("ssh://me@host", "ssh:// is not supported"),
            ("https://host:2376", "TLS is not supported"),
            ("npipe:////./pipe/docker_engine", "npipe:// is not supported"),
            ("fd://", "fd:// is not supported"),
            ("host:2375", "it has no scheme"),
            ("tcp://host", "the port is missing"),
            ("unix://docker.sock", "must be absolute"),
        ];
        for (host, words) in cases {
            let error = found(&[("DOCKER_HOST", host)]).unwrap_err();
            assert!(error.contains(words) && error.contains("DOCKER_HOST") && error.contains(host), "{error}");
        }
        let error = found(&[("DOCKER_HOST", "tcp://h:2376"), ("DOCKER_TLS_VERIFY", "1")]).unwrap_err();
        assert!(error.contains("DOCKER_TLS_VERIFY asks for") && error.contains("ssh -nNT"), "{error}");
        assert!(found(&[("DOCKER_HOST", "tcp://[::1]:2375")]).is_ok());
    }
}
