//! What a `run` or `serve` has launched beside the servers, as long as it goes on: the file `launched.json`.
//!
//! Whoever launches a process writes it down at once, and again whenever it is started anew: so `status` in another shell
//! knows all of it. The file goes with the last process. One that is left belongs to a command that was killed.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use base::files;
use serde::{Deserialize, Serialize};

use super::{error::InfraError, process, process::ProcessRef, stack::Component, state::StateDir};

/// Version of `launched.json`. A newer file is refused with a clear message.
const SCHEMA_VERSION: u32 = 1;
const FILE: &str = "launched.json";

/// What a command has launched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Launched {
    schema_version: u32,
    /// The command's process.
    pub owner: Option<ProcessRef>,
    /// `api-1`, `consumer-1` …
    pub components: BTreeMap<String, Component>,
}

impl Launched {
    /// Reads the file; none where nothing was launched.
    ///
    /// # Errors
    /// A file that cannot be read, or of a newer version.
    pub fn load(state: &StateDir) -> Result<Option<Self>, InfraError> {
        let launched: Option<Self> = state.load_json(&state.path(FILE), SCHEMA_VERSION)?;
        Ok(launched.map(|mut launched| {
            // Those of the folder that this one is a copy of are not ours to end.
            launched.components.retain(|_, component| !component.process.is_some_and(|p| state.owner().is_foreign(p)));
            launched
        }))
    }

    /// Whether the command that launched it still goes on.
    pub fn is_owned(&self) -> bool {
        self.owner.is_some_and(process::is_alive)
    }

    /// Forgets what a killed command left; what belongs to one that goes on stays.
    ///
    /// # Errors
    /// A file that cannot be read or removed.
    pub fn forget_orphans(state: &StateDir) -> Result<(), InfraError> {
        match Self::load(state)? {
            Some(launched) if !launched.is_owned() => {
                let path = state.path(FILE);
                remove(&path).map_err(InfraError::io("remove", path))
            }
            _ => Ok(()),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The file as its writer keeps it; clones write the same one.
#[derive(Debug, Clone)]
pub struct Roster {
    path: PathBuf,
    components: Arc<Mutex<BTreeMap<String, Component>>>,
}

impl Roster {
    /// Nothing is launched yet. What a killed command left in the file is forgotten with the first process.
    pub fn new(state: &Path) -> Self {
        Self { path: state.join(FILE), components: Arc::default() }
    }

    /// Writes down that `name` is as `component` says.
    pub fn put(&self, name: &str, component: Component) {
        self.change(|all| drop(all.insert(name.to_owned(), component)));
    }

    /// Writes down that `name` was ended, or left alone, on purpose.
    pub fn remove(&self, name: &str) {
        self.change(|all| drop(all.remove(name)));
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Component>)) {
        let mut components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut components);
        let launched =
            Launched { schema_version: SCHEMA_VERSION, owner: process::this(), components: components.clone() };
        let written = if components.is_empty() {
            remove(&self.path)
        } else {
            serde_json::to_vec_pretty(&launched)
                .map_err(io::Error::from)
                .and_then(|text| files::replace(&self.path, &text))
        };
        // Without it `status` knows less. That is no reason to end what runs.
        if let Err(error) = written {
            tracing::warn!(%error, path = %self.path.display(), "what was launched could not be written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(address: &str) -> Component {
        let text = format!(r#"{{"provider": "native", "version": "1", "address": "{address}"}}"#);
        serde_json::from_str(&text).unwrap()
    }

    /// Another shell sees what a run has launched, and a killed run's file does not outlive the next `up`.
    #[test]
    fn the_file_lives_as_long_as_something_runs_or_nobody_has_cleaned_up() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::create(folder.path().join("state")).unwrap();
        let roster = Roster::new(state.root());
        roster.put("api-1", component("127.0.0.1:1"));
        roster.clone().put("consumer-1", component("127.0.0.1:2"));
        roster.put("api-1", component("127.0.0.1:3"));
        let launched = Launched::load(&state).unwrap().unwrap();
        assert!(launched.is_owned());
        let addresses: Vec<_> = launched.components.values().map(|c| c.address.as_str()).collect();
        assert_eq!(addresses, ["127.0.0.1:3", "127.0.0.1:2"]);
        Launched::forget_orphans(&state).unwrap();
        assert!(Launched::load(&state).unwrap().is_some(), "its owner lives");

        let mut killed = launched;
        killed.owner = killed.owner.map(|owner| ProcessRef { start_time: owner.start_time + 1, ..owner });
        state.save_json(&state.path(FILE), &killed).unwrap();
        assert!(!Launched::load(&state).unwrap().unwrap().is_owned());
        Launched::forget_orphans(&state).unwrap();
        assert!(Launched::load(&state).unwrap().is_none());

        roster.put("api-1", component("127.0.0.1:3"));
        roster.remove("consumer-1");
        roster.remove("api-1");
        assert!(!state.path(FILE).exists());
    }
}
