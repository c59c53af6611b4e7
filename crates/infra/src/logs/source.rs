//! Where logs are: files of servers and of the last run's backend, and containers.
//!
//! What runs now goes first, by what was written down of it: a file of the same name may be an earlier server's. A file
//! that was last written before the stack was brought up belongs to an earlier one, and is read only for who asks for a
//! time.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::SystemTime,
};

use bollard::Docker;
use jiff::Timestamp;

use crate::{docker::stats::look, error::InfraError, launched::Launched, stack::Component, state::StateDir, stats};

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
    /// The logs of the components `names`, or all; `earlier`: also those of stacks before this one.
    pub async fn find(state: &StateDir, names: &[String], earlier: bool) -> Result<Self, InfraError> {
        let mut sources = Self::any(state, names, earlier).await?;
        let known: Vec<String> = sources.all.iter().map(|source| source.component.clone()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let meant = stats::meant(names, &known)?;
        sources.all.retain(|source| meant.contains(&source.component.as_str()));
        Ok(sources)
    }

    /// As [`Self::find`]; a name that is not there is no error: its component may come yet.
    pub async fn find_so_far(state: &StateDir, names: &[String]) -> Result<Self, InfraError> {
        let mut sources = Self::any(state, names, false).await?;
        let wanted = |component: &str| names.is_empty() || names.iter().any(|name| stats::is_of(name, component));
        sources.all.retain(|source| wanted(&source.component));
        Ok(sources)
    }

    async fn any(state: &StateDir, names: &[String], earlier: bool) -> Result<Self, InfraError> {
        let stack = state.load_stack()?;
        let mut running = stack.as_ref().map(|stack| stack.components.clone()).unwrap_or_default();
        running.extend(Launched::load(state)?.into_iter().flat_map(|launched| launched.components));
        let since = if earlier { None } else { stack.as_ref().and_then(|stack| stack.started_at.parse().ok()) };
        let files = files(state, &running, since);
        let mut all: BTreeMap<String, Place> =
            files.into_iter().map(|(name, path)| (name, Place::File(path))).collect();
        let mut docker = None;
        let contained = running.values().any(|component| component.container.is_some());
        if contained || stack.as_ref().is_some_and(stats::runs_in_docker) {
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
                for container in containers.map_err(engine)? {
                    all.insert(container.component.unwrap_or(container.name), Place::Container(container.id));
                }
                docker = Some(connected);
            }
        }
        let all = all.into_iter().map(|(component, place)| Source { component, place }).collect();
        Ok(Self { all, docker })
    }
}

/// Component → file: those of processes that run or ran last, then the newest of the last run's backend, of `serve` and of
/// the servers, without those that were last written before `since`.
fn files(
    state: &StateDir,
    running: &BTreeMap<String, Component>,
    since: Option<Timestamp>,
) -> BTreeMap<String, PathBuf> {
    let mut runs: Vec<PathBuf> = entries(&state.path("runs")).filter(|path| path.join("logs").is_dir()).collect();
    // Their names begin with their times.
    runs.sort();
    let last = runs.pop().map(|run| run.join("logs"));
    let mut files: BTreeMap<String, (SystemTime, PathBuf)> = BTreeMap::new();
    for path in last.iter().flat_map(|run| entries(run)).chain(entries(&state.path("logs"))) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".log")) else { continue };
        let written = path.metadata().and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let is_old = since.is_some_and(|since| Timestamp::try_from(written).is_ok_and(|written| written < since));
        let is_newest = files.get(name).is_none_or(|(newest, _)| *newest <= written);
        if !is_old && is_newest && !running.contains_key(name) {
            files.insert(name.to_owned(), (written, path));
        }
    }
    let others = files.into_iter().map(|(name, (_, path))| (name, path));
    others.chain(running.iter().filter_map(|(name, component)| Some((name.clone(), component.log.clone()?)))).collect()
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
            let found = Sources::find(&state, &names, false).await.map_err(|e| e.to_string())?;
            Ok::<_, String>(found.all.into_iter().map(|source| source.component).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(find(&[]).await.unwrap(), "consumer-1 kafka-1 mysql");
        assert_eq!(find(&["kafka", "mysql"]).await.unwrap(), "kafka-1 mysql");
        let error = find(&["redis"]).await.unwrap_err();
        assert!(error.contains("no component is named `redis`; there are: consumer-1, kafka-1, mysql"), "{error}");
        let last = Sources::find(&state, &["consumer-1".into()], false).await.unwrap().all.remove(0);
        assert_eq!(last.place, Place::File(state.path("runs/20261121T100000Z-quick/logs/consumer-1.log")));
    }

    /// `logs mysql` of a stack in containers showed the last words of a native server that had been shut down before.
    #[test]
    fn an_earlier_stacks_file_is_not_taken_for_what_runs_now() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::create(folder.path().join("state")).unwrap();
        for (path, age) in [
            ("logs/mysql.log", 100),
            ("logs/kafka-2.log", 100),
            ("logs/redis.log", 10),
            ("logs/api-1.log", 5),
            ("runs/20261121T100000Z-quick/logs/api-1.log", 20),
        ] {
            let path = state.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let written = SystemTime::now() - std::time::Duration::from_secs(age);
            fs::File::create(&path).unwrap().set_modified(written).unwrap();
        }
        let component = |more: serde_json::Value| -> Component {
            let mut text = serde_json::json!({"provider": "docker", "version": "1", "address": "a:1"});
            text.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(text).unwrap()
        };
        let contained = component(serde_json::json!({"container": {"id": "c", "name": "c"}}));
        let kept = component(serde_json::json!({"log": "/runs/a/logs/consumer-1.log"}));
        let running = [("redis".to_owned(), contained), ("consumer-1".to_owned(), kept)].into();
        let found = |since: Option<i64>| {
            let since = since.map(|age| Timestamp::now() - std::time::Duration::from_secs(age as u64));
            let files = files(&state, &running, since);
            files
                .into_iter()
                .map(|(name, path)| (name, path.to_string_lossy().into_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let now = found(Some(50));
        assert_eq!(now.keys().map(String::as_str).collect::<Vec<_>>(), ["api-1", "consumer-1"], "{now:?}");
        assert!(now["api-1"].ends_with("state/logs/api-1.log"), "the newer one, of `serve`: {now:?}");
        assert_eq!(now["consumer-1"], "/runs/a/logs/consumer-1.log", "that of the run which left it");
        let all = found(None);
        assert!(all.contains_key("mysql") && all.contains_key("kafka-2") && !all.contains_key("redis"), "{all:?}");
    }
}
