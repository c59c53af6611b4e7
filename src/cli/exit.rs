//! Which exit code an error asks for.

use infra::InfraError;

use crate::exit::Exit;

/// A mistake in what was typed, found after parsing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The exit code of an error: an invalid profile or command line is 2, all else 1.
pub fn of_error(error: &anyhow::Error) -> Exit {
    let usage = error.chain().any(|cause| {
        cause.is::<UsageError>()
            || cause.is::<profile::ProfileError>()
            || cause.is::<contract::endpoint::EndpointError>()
            || cause.downcast_ref::<InfraError>().is_some_and(InfraError::is_usage)
    });
    if usage { Exit::Usage } else { Exit::Failed }
}
