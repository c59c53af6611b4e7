//! Who uses a state folder, and who changes it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
};

use nix::fcntl::OFlag;

use super::StateDir;
use crate::error::InfraError;

/// Lock of a run, for as long as it is under way.
pub const RUN: &str = "run";
/// Lock of the backend that is served in some shell.
pub const SERVE: &str = "serve";

/// Says who changes or uses the state; the lock goes with this value, and with the process that holds it.
#[derive(Debug)]
pub struct StateLock {
    file: File,
}

impl Drop for StateLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is just starting has a copy of the file until its program
        // runs, and keeps the lock with it.
        let _ = self.file.unlock();
    }
}

impl StateDir {
    /// Takes the lock `name` for `command`, without waiting. Locks of different names are independent.
    ///
    /// # Errors
    /// [`InfraError::Locked`] with the holder's pid.
    pub fn lock(&self, name: &str, command: &str) -> Result<StateLock, InfraError> {
        let path = self.path(format!("{name}.lock"));
        let mut file = self.lock_file(name)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(self.held(&mut file)),
            Err(TryLockError::Error(error)) => return Err(InfraError::io("lock", &path)(error)),
        }
        let mut lock = StateLock { file };
        let file = &mut lock.file;
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{} {command}", std::process::id()))
            .and_then(|()| file.flush());
        written.map_err(InfraError::io("write", &path))?;
        Ok(lock)
    }

    /// Keeps runs and served backends away while `command` takes something from under them. A run that ends its own
    /// servers has its own lock already (`in_run`).
    ///
    /// # Errors
    /// [`InfraError::Locked`] with the one that uses the stack.
    pub fn alone(&self, command: &str, in_run: bool) -> Result<Vec<StateLock>, InfraError> {
        let names = if in_run { &[SERVE][..] } else { &[RUN, SERVE] };
        names.iter().map(|name| self.lock(name, command)).collect()
    }

    /// Who uses the stack: a run (other than ours, where we are `in_run`) or a served backend.
    pub fn user(&self, in_run: bool) -> Option<InfraError> {
        let names = if in_run { &[SERVE][..] } else { &[RUN, SERVE] };
        names.iter().find_map(|name| {
            let mut file = self.lock_file(name).ok()?;
            // Shared: two that only ask do not find each other.
            matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| self.held(&mut file))
        })
    }

    fn lock_file(&self, name: &str) -> Result<File, InfraError> {
        let path = self.path(format!("{name}.lock"));
        // Whatever a link here points at must not be emptied.
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
        open.open(&path).map_err(InfraError::io("open", path))
    }

    fn held(&self, file: &mut File) -> InfraError {
        let mut text = String::new();
        let _ = file.read_to_string(&mut text);
        let (pid, holder) = text.trim().split_once(' ').unwrap_or(("0", "?"));
        InfraError::Locked { state: self.root().to_owned(), pid: pid.parse().unwrap_or(0), command: holder.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::state, *};

    #[test]
    fn the_second_one_hears_who_holds_the_lock() {
        let (_dir, state) = state();
        let held = state.lock("stack", "up").unwrap();
        let message = state.lock("stack", "down").unwrap_err().to_string();
        assert!(message.contains(&format!("`ecomctl up` (pid {})", std::process::id())), "{message}");
        drop(state.lock("run", "run").unwrap());
        drop(held);
        state.lock("stack", "down").unwrap();
    }

    /// A child shares the file from its fork until its program runs: what looked like another `ecomctl` was a server
    /// that was being started.
    #[test]
    fn a_lock_ends_with_its_holder_also_while_a_child_has_a_copy() {
        let (_dir, state) = state();
        let held = state.lock("stack", "up").unwrap();
        let copy = held.file.try_clone().unwrap();
        assert!(state.lock("stack", "down").is_err());
        drop(held);
        state.lock("stack", "down").unwrap();
        drop(copy);
    }

    /// Whoever takes servers away asks once, and hears of a run and of a served backend alike.
    #[test]
    fn a_run_and_a_served_backend_keep_the_stack_to_themselves() {
        let (_dir, state) = state();
        assert!(state.user(false).is_none() && state.user(true).is_none());
        let run = state.lock(RUN, "run").unwrap();
        let message = state.alone("down", false).unwrap_err().to_string();
        let told = format!(
            "is in use by `ecomctl run` (pid {}); wait for it, or end it with `ecomctl stop`",
            std::process::id()
        );
        assert!(message.ends_with(&told), "{message}");
        assert_eq!(state.user(false).map(|user| user.to_string()), Some(message));
        assert!(state.user(true).is_none(), "a run is not in its own way");
        drop(run);
        let alone = state.alone("down", false).unwrap();
        assert!(state.lock(RUN, "run").is_err() && state.lock(SERVE, "serve").is_err());
        drop(alone);
        let _serve = state.lock(SERVE, "serve").unwrap();
        assert!(state.alone("down", true).is_err() && state.user(true).is_some());
    }

    /// A lock is emptied before it is written: a link in its place must not cost somebody a file.
    #[test]
    fn a_link_in_the_place_of_a_lock_is_not_followed() {
        let (dir, state) = state();
        let precious = dir.path().join("precious");
        std::fs::write(&precious, "all of it").unwrap();
        std::os::unix::fs::symlink(&precious, state.path("stack.lock")).unwrap();
        assert!(state.lock("stack", "up").is_err());
        assert_eq!(std::fs::read_to_string(precious).unwrap(), "all of it");
    }
}
