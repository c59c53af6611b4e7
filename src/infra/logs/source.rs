//! Where logs are: files of servers and of the last run's backend, and containers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bollard::Docker;

use crate::infra::{docker::stats::look, error::InfraError, stack::Stack, state::StateDir, stats};

/// The log of one component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    pub component: String,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    File(PathBuf),
    Container(String),
}

/// The logs there are.
#[derive(Debug)]
pub(super) struct Sources {
    pub all: Vec<Source>,
    /// The Engine, where there are containers.
    pub docker: Option<Docker>,
}

impl Sources {
    /// The logs of the components `names`, or all.
    pub async fn find(state: &StateDir, names: &[String]) -> Result<Self, InfraError> {
        let mut sources = Self::any(state, names).await?;
        let known: Vec<String> = sources.all.iter().map(|source| source.component.clone()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let meant = stats::meant(names, &known)?;
        sources.all.retain(|source| meant.contains(&source.component.as_str()));
        Ok(sources)
    }

    /// As [`Self::find`]; a name that is not there is no error: its component may come yet.
    pub async fn find_so_far(state: &StateDir, names: &[String]) -> Result<Self, InfraError> {
        let mut sources = Self::any(state, names).await?;
        let wanted = |component: &str| names.is_empty() || names.iter().any(|name| stats::is_of(name, component));
        sources.all.retain(|source| wanted(&source.component));
        Ok(sources)
    }

    async fn any(state: &StateDir, names: &[String]) -> Result<Self, InfraError> {
        let stack = state.load_stack()?;
        let files = files(state, stack.as_ref());
        let mut all: BTreeMap<String, Place> =
            files.into_iter().map(|(name, path)| (name, Place::File(path))).collect();
        let mut docker = None;
        if stack.as_ref().is_some_and(stats::runs_in_docker) {
            let engine = |why| InfraError::Client {
                component: "docker",
                address: "the Engine".into(),
                operation: "list containers",
                why,
            };
            // Whoever asks for files alone gets them without the Engine.
            let only_files = !names.is_empty() && names.iter().all(|name| all.contains_key(name));
            if !only_files {
                let connected = stats::connect().await?;
                let containers = look(&connected, state.root()).await;
                for container in containers.map_err(|e| engine(e.to_string()))? {
                    // A file of that name is of an earlier stack, which ran as processes.
                    all.insert(container.component.unwrap_or(container.name), Place::Container(container.id));
                }
                docker = Some(connected);
            }
        }
        let all = all.into_iter().map(|(component, place)| Source { component, place }).collect();
        Ok(Self { all, docker })
    }
}

/// Component → file: those that `stack.json` names, those of the last run's backend, and those of the servers.
fn files(state: &StateDir, stack: Option<&Stack>) -> BTreeMap<String, PathBuf> {
    let recorded = stack.into_iter().flat_map(|stack| stack.components.clone());
    let mut files: BTreeMap<_, _> = recorded.filter_map(|(name, component)| Some((name, component.log?))).collect();
    let mut runs: Vec<PathBuf> = entries(&state.path("runs")).filter(|path| path.join("logs").is_dir()).collect();
    // Their names begin with their times.
    runs.sort();
    let last = runs.pop().map(|run| run.join("logs"));
    for path in last.iter().flat_map(|run| entries(run)).chain(entries(&state.path("logs"))) {
        if let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".log")) {
            files.entry(name.to_owned()).or_insert_with(|| path.clone());
        }
    }
    files
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn servers_and_the_last_runs_backend_are_found_by_name_or_kind() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::create(folder.path().join("state")).unwrap();
        for path in [
            "logs/mysql.log",
            "logs/mysql.log.1",
            "logs/kafka-1.log",
            "runs/20261121T100000Z-quick/logs/consumer-1.log",
            "runs/20261121T090000Z-quick/logs/consumer-1.log",
            "runs/20261121T090000Z-quick/logs/consumer-2.log",
        ] {
            let path = state.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let find = async |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let found = Sources::find(&state, &names).await.map_err(|e| e.to_string())?;
            Ok::<_, String>(found.all.into_iter().map(|source| source.component).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(find(&[]).await.unwrap(), "consumer-1 kafka-1 mysql");
        assert_eq!(find(&["kafka", "mysql"]).await.unwrap(), "kafka-1 mysql");
        let error = find(&["redis"]).await.unwrap_err();
        assert!(error.contains("no component is named `redis`; there are: consumer-1, kafka-1, mysql"), "{error}");
        let last = Sources::find(&state, &["consumer-1".into()]).await.unwrap().all.remove(0);
        assert_eq!(last.place, Place::File(state.path("runs/20261121T100000Z-quick/logs/consumer-1.log")));
    }
}
