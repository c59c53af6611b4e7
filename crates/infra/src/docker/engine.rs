//! The way to the Engine: which one, whether it answers, and what it is.

use std::{io::ErrorKind, time::Duration};

use bollard::{Docker, errors::Error, models::SystemInfo};

use super::{
    call::{self, within},
    host::{self, Surroundings},
};
use crate::error::InfraError;

/// How long the Engine may take to answer the first question.
const FIRST: Duration = Duration::from_secs(5);
/// Longest time until the Engine begins to answer any call.
const CALL: Duration = Duration::from_secs(120);

/// A Docker Engine that answers.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The client.
    pub docker: Docker,
    /// What it is.
    pub facts: EngineFacts,
}

/// What the Engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFacts {
    /// Where it was found.
    pub host: String,
    /// Its version, as in `20.10.24`.
    pub version: String,
    /// Version of its API that is spoken: the older one of its and ours.
    pub api: (usize, usize),
    /// Which control groups limit and count.
    pub cgroup: CgroupVersion,
    /// Processors of its machine.
    pub cpus: u64,
    /// Bytes of memory of its machine.
    pub memory: u64,
    /// `linux` or `windows`.
    pub os: String,
    /// `x86_64`, `aarch64` …
    pub architecture: String,
}

/// Control groups of the Engine's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// One tree a controller.
    V1,
    /// One tree.
    V2,
}

impl Engine {
    /// Finds the Engine, as the docker command does (`DOCKER_HOST`, `DOCKER_CONTEXT`, its current context, else the usual
    /// sockets), and agrees with it on a version of the API.
    ///
    /// # Errors
    /// [`InfraError::Engine`] where none answers, this user may not talk to it, or the way to it is one that is not
    /// supported; with the cause and what to do.
    pub async fn connect() -> Result<Self, InfraError> {
        let variable = |name: &str| std::env::var(name).ok();
        let host = host::find(&Surroundings { variable: &variable, exists: &|path| path.exists() })?;
        Self::connect_to(host.address).await
    }

    /// The same for the Engine at `host`: `unix:///path`, or `tcp://host:port` without TLS.
    ///
    /// # Errors
    /// As [`Engine::connect`].
    pub async fn connect_to(host: String) -> Result<Self, InfraError> {
        reachable(&host).await?;
        let fail = |why: String| InfraError::Engine { host: host.clone(), why, remedy: remedy(&host) };
        let docker = Docker::connect_with_host(&host).map_err(|e| fail(call::words(&e)))?.with_timeout(CALL);
        let asking = async {
            let docker = docker.negotiate_version().await?;
            let info = docker.info().await?;
            Ok::<_, Error>((docker, info))
        };
        let answer = tokio::time::timeout(FIRST, asking).await;
        let (docker, info) = answer
            .map_err(|_| fail(format!("it did not answer within {} s", FIRST.as_secs())))?
            .map_err(|e| fail(no_engine(&e)))?;
        let version = docker.client_version();
        let facts = facts(host, (version.major_version, version.minor_version), info);
        Ok(Self { docker, facts })
    }

    /// Whether the API that is spoken is at least `major.minor`.
    pub fn speaks(&self, major: usize, minor: usize) -> bool {
        self.facts.api >= (major, minor)
    }

    /// Whether it publishes ports on this very machine.
    pub(super) fn is_local(&self) -> bool {
        self.facts.host.starts_with("unix://")
    }

    /// Runs one call within `limit`, and says which one when it fails.
    pub(super) async fn call<T>(
        &self,
        action: &str,
        limit: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, InfraError> {
        within(action, limit, call).await
    }
}

fn facts(host: String, api: (usize, usize), info: SystemInfo) -> EngineFacts {
    use bollard::models::SystemInfoCgroupVersionEnum::_2;
    EngineFacts {
        host,
        version: info.server_version.unwrap_or_default(),
        api,
        cgroup: if info.cgroup_version == Some(_2) { CgroupVersion::V2 } else { CgroupVersion::V1 },
        cpus: info.ncpu.and_then(|n| u64::try_from(n).ok()).unwrap_or(1),
        memory: info.mem_total.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        os: info.os_type.unwrap_or_else(|| "linux".into()),
        architecture: info.architecture.unwrap_or_default(),
    }
}

/// Why what answers there cannot be used.
fn no_engine(error: &Error) -> String {
    let words = call::words(error);
    match error {
        Error::DockerResponseServerError { .. } if words.contains("HTTPS") => {
            "it wants TLS, which is not supported by ecomctl".to_owned()
        }
        Error::DockerResponseServerError { .. } | Error::JsonDataError { .. } | Error::JsonSerdeError { .. } => {
            format!("what answers there is no Docker Engine: {words}")
        }
        _ => words,
    }
}

/// Tells apart why a socket or port cannot be used: the client's own error does not.
async fn reachable(host: &str) -> Result<(), InfraError> {
    let connecting = async {
        match host.split_once("://") {
            Some(("unix", socket)) => tokio::net::UnixStream::connect(socket).await.map(drop),
            Some((_, place)) => tokio::net::TcpStream::connect(place.trim_end_matches('/')).await.map(drop),
            None => Ok(()),
        }
    };
    let (why, remedy) = match tokio::time::timeout(FIRST, connecting).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(e)) if e.kind() == ErrorKind::PermissionDenied => (
            "permission denied".to_owned(),
            "add your user to the group `docker` and log in again, or use sudo".to_owned(),
        ),
        Ok(Err(e)) if e.kind() == ErrorKind::NotFound => ("there is no such socket".to_owned(), remedy(host)),
        Ok(Err(e)) if e.kind() == ErrorKind::ConnectionRefused => ("nobody listens there".to_owned(), remedy(host)),
        Ok(Err(e)) => (contract::cause::chain(&e), remedy(host)),
        Err(_) => (format!("it did not answer within {} s", FIRST.as_secs()), remedy(host)),
    };
    Err(InfraError::Engine { host: host.to_owned(), why, remedy })
}

fn remedy(host: &str) -> String {
    if host.starts_with("unix://") {
        "start Docker (`systemctl start docker`, or Docker Desktop), set DOCKER_HOST, or use --provider native"
            .to_owned()
    } else {
        "check DOCKER_HOST (unix:///path, or tcp://host:port) or `docker context ls`, or use --provider native"
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_is_not_there_is_told_with_what_to_do() {
        let error = reachable("unix:///nowhere/docker.sock").await.unwrap_err().to_string();
        assert!(error.contains("/nowhere/docker.sock") && error.contains("no such socket"), "{error}");
        assert!(error.contains("--provider native"), "{error}");
    }

    /// A dead port, and something that is no Engine: one sentence each, and nothing said twice.
    #[tokio::test]
    async fn what_is_no_engine_is_told_in_one_sentence() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("tcp://{}", listener.local_addr().unwrap());
        let answers = [
            ("404 Not Found", "<html><head><title>404</title></head><body>nginx</body></html>"),
            ("200 OK", "<!doctype html><p>hello"),
            ("400 Bad Request", "Client sent an HTTP request to an HTTPS server.\n"),
        ];
        let server = tokio::spawn(async move {
            for (status, body) in answers {
                // The first connection only asks whether anybody listens.
                drop(listener.accept().await.unwrap());
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                let text =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
                let _ = stream.write_all(text.as_bytes()).await;
            }
        });
        for wanted in ["no Docker Engine: HTTP 404", "what answers there is no Docker Engine", "it wants TLS"] {
            let error = Engine::connect_to(host.clone()).await.unwrap_err().to_string();
            assert!(error.contains(wanted) && error.contains(&host), "{error}");
            assert!(!error.contains('<') && !error.contains("hyper"), "{error}");
        }
        server.await.unwrap();
        let error = Engine::connect_to(host.clone()).await.unwrap_err().to_string();
        assert!(error.contains("nobody listens there") && error.matches(&host).count() == 1, "{error}");
    }

    #[tokio::test]
    async fn a_socket_without_a_listener_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let error = reachable(&format!("unix://{}", path.display())).await.unwrap_err().to_string();
        assert!(error.contains("nobody listens"), "{error}");
    }
}
