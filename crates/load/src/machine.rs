//! What the machine allows a generator: open files, and time on a core.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::LoadError;

/// Files that a process needs besides its connections.
const OTHER_FILES: u64 = 128;

/// Raises the soft limit of open files as far as `connections` ask for.
///
/// # Errors
/// When the hard limit is below.
pub(super) fn allow_connections(connections: u64) -> Result<(), LoadError> {
    let need = connections + OTHER_FILES;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    if soft >= need {
        return Ok(());
    }
    if hard >= need && setrlimit(Resource::RLIMIT_NOFILE, need, hard).is_ok() {
        return Ok(());
    }
    Err(LoadError::OpenFiles { need, limit: hard })
}

/// Nanoseconds that the calling thread has waited for a core while it could have run; none where the kernel does not say.
pub(super) fn waited_for_core() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}
