//! One call to the Engine: with a limit, and with an error that says what was being done.

use std::time::Duration;

use bollard::errors::Error;

use crate::error::InfraError;

/// Limit of a call that only asks or writes down.
pub(super) const QUICK: Duration = Duration::from_secs(30);
/// Limit of a call for which the Engine works: create, start, remove.
pub(super) const SLOW: Duration = Duration::from_secs(90);

/// Runs `call` within `limit`.
pub(super) async fn within<T>(
    action: &str,
    limit: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, InfraError> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(action, &error)),
        Err(_) => Err(silent(action, limit)),
    }
}

/// The Engine did not answer.
pub(super) fn silent(action: &str, limit: Duration) -> InfraError {
    InfraError::Docker {
        action: action.to_owned(),
        why: format!("the Engine did not answer within {} s", limit.as_secs()),
        remedy: "see the Engine's own log".into(),
    }
}

/// Puts an error of the Engine into words, with a remedy where one is known.
pub(super) fn failed(action: &str, error: &Error) -> InfraError {
    let why = words(error);
    let remedy = remedy(&why);
    InfraError::Docker { action: action.to_owned(), why, remedy }
}

/// An error of the Engine or of the way to it, in one line that says nothing twice.
pub fn words(error: &Error) -> String {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    match error {
        // A web server or a proxy that answers in the Engine's place.
        Error::DockerResponseServerError { status_code, message } if message.trim_start().starts_with('<') => {
            format!("HTTP {status_code} with a page instead of an answer")
        }
        Error::DockerResponseServerError { message, .. } => line(message),
        Error::DockerStreamError { error } => line(error),
        Error::RequestTimeoutError => "no answer in time".to_owned(),
        Error::JsonDataError { .. } | Error::JsonSerdeError { .. } => {
            "its answer is not what an Engine says".to_owned()
        }
        Error::IOError { err } => contract::cause::chain(err),
        other => innermost(other),
    }
}

/// The cause of causes: what stands around it are names of libraries.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(cause) = inner.source() {
        inner = cause;
    }
    contract::cause::once(&inner.to_string())
}

/// What to do about an error of the Engine, by its words.
fn remedy(why: &str) -> String {
    let why = why.to_lowercase();
    let known = [
        (
            "no space left on device",
            "the Engine's disk is full: `docker system df` shows by what; `docker system prune` frees what is unused",
        ),
        ("executable file not found", "check `command` and `entrypoint` of the service: its image has no such program"),
        ("rootfs is marked read-only", "a service with `read_only` cannot be given configs or secrets: leave it out"),
        ("permission denied", "this user or the Engine may not do that; see the Engine's own log"),
        (
            "no such host",
            "the registry cannot be reached: check the network, or give images that are here by ECOMCTL_IMAGE_…",
        ),
        ("connection refused", "the registry or the Engine cannot be reached: check the network"),
        ("pull access denied", "check its name; one that needs a login is fetched by `docker login` and `docker pull`"),
        ("manifest unknown", "the image has no such tag: check its name"),
        ("minimum memory limit", "raise the memory limit of the service"),
        ("range of cpus", "lower the CPU limit of the service: this machine has fewer"),
        (
            "address pools",
            "the Engine has no free address range for another network: `docker network prune` frees unused ones",
        ),
    ];
    let found = known.iter().find(|(words, _)| why.contains(words));
    found.map_or_else(|| "see the Engine's own log".to_owned(), |(_, remedy)| (*remedy).to_owned())
}

/// Whether the Engine answered that there is no such thing: what was to be removed is gone already.
pub(super) fn is_gone(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// Whether the Engine answered that the thing is in that state already (304), or is being removed by somebody else (409).
pub(super) fn is_done_already(error: &Error) -> bool {
    match error {
        Error::DockerResponseServerError { status_code: 304 | 404, .. } => true,
        Error::DockerResponseServerError { status_code: 409, message } => message.contains("already in progress"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_an_unreachable_registry_get_their_remedy() {
        let server = |message: &str| Error::DockerResponseServerError { status_code: 500, message: message.into() };
        let full = failed("create mysql", &server("write /var/lib/docker: no space left on device")).to_string();
        assert!(full.contains("create mysql") && full.contains("docker system prune"), "{full}");
        let away = failed("pull x", &server("lookup registry: no such host")).to_string();
        assert!(away.contains("ECOMCTL_IMAGE_"), "{away}");
    }
}
