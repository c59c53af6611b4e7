//! What one `up` has done so far, and taking it back.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bollard::query_parameters::{ListContainersOptions, ListNetworksOptions, ListVolumesOptions, RemoveVolumeOptions};
use futures_util::future::join_all;

use super::{
    Engine,
    call::{QUICK, is_done_already, within},
    labels,
    list::{Container, ContainerState},
    make::{self, GRACE},
    wait::{self, Limits, Until},
};
use crate::{
    error::InfraError,
    owned::Owner,
    up::{Progress, UpEvent},
};

/// How long one that is put back may take until it is what it was.
const BACK_WITHIN: Duration = Duration::from_secs(60);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one `up` has done so far. What it replaces is stopped and stays there until [`Doing::settle`], so that
/// [`Doing::undo`] can start it again.
pub(super) struct Doing {
    pub engine: Engine,
    pub project: String,
    /// The state folder that the project belongs to.
    pub folder: Owner,
    /// System that the project serves; empty where it serves none.
    pub system: String,
    /// Number of this `up`, on the labels of everything that it makes.
    pub apply: String,
    /// Containers that were there and were started.
    started: Mutex<Vec<(String, String)>>,
    /// Frozen containers that were let go on.
    thawed: Mutex<Vec<(String, String)>>,
    /// Containers that go when all is well; those that ran are stopped by then, in this order.
    going: Mutex<Vec<Container>>,
    /// Containers that stand beside the one in whose place they come: id, and the name that they get then.
    renames: Mutex<Vec<(String, String)>>,
    /// Calls that make something: a call that was begun is never dropped, so that what it makes is known.
    calls: tokio_util::task::TaskTracker,
}

impl Doing {
    /// Nothing was done yet for `project`.
    pub fn new(engine: &Engine, project: &str, state: &Path) -> Self {
        let folder = Owner::of(state);
        Self {
            system: folder.system_of(project).unwrap_or_default(),
            folder,
            engine: engine.clone(),
            project: project.to_owned(),
            apply: uuid::Uuid::new_v4().simple().to_string(),
            started: Mutex::default(),
            thawed: Mutex::default(),
            going: Mutex::default(),
            renames: Mutex::default(),
            calls: tokio_util::task::TaskTracker::default(),
        }
    }

    /// Writes down a container that was there before and is started.
    pub fn note_started(&self, name: &str, id: &str) {
        locked(&self.started).push((name.to_owned(), id.to_owned()));
    }

    /// Writes down a frozen container that goes on.
    pub fn note_thawed(&self, name: &str, id: &str) {
        locked(&self.thawed).push((name.to_owned(), id.to_owned()));
    }

    /// Writes down a container that goes when all is well, before it is stopped.
    pub fn note_going(&self, container: &Container) {
        locked(&self.going).push(container.clone());
    }

    /// Writes down the name that a container gets when the one that has it now is gone.
    pub fn note_name(&self, id: &str, name: String) {
        locked(&self.renames).push((id.to_owned(), name));
    }

    /// Runs a call that changes something to its end, even when nobody waits for it any more.
    pub async fn to_its_end<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, InfraError>> + Send + 'static,
    ) -> Result<T, InfraError> {
        let task = self.calls.spawn(call);
        task.await.unwrap_or_else(|e| {
            Err(InfraError::Docker { action: "go on".into(), why: e.to_string(), remedy: "please report this".into() })
        })
    }

    /// All is well: what was replaced goes, and what came in its place gets its name. Gives what could not be done.
    pub async fn settle(&self) -> Vec<String> {
        let going = locked(&self.going).clone();
        let gone = join_all(going.iter().map(|old| make::delete(&self.engine, &old.name, &old.id))).await;
        let mut problems: Vec<String> = gone.into_iter().filter_map(Result::err).map(|e| e.to_string()).collect();
        let renames = locked(&self.renames).clone();
        for (id, name) in renames {
            let result = make::rename(&self.engine, &id, &name).await;
            problems.extend(result.err().map(|e| e.to_string()));
        }
        problems
    }

    /// Removes everything that was made, stops what was started, and starts what was stopped again. Problems are told,
    /// and the rest is done.
    pub async fn undo(&self, progress: Progress<'_>) {
        self.calls.close();
        self.calls.wait().await;
        let mut problems = Vec::new();
        let filters = labels::of_apply(&self.project, &self.apply);
        let options = ListContainersOptions { all: true, filters: Some(filters.clone()), ..Default::default() };
        let made = self.engine.call("list containers", QUICK, self.engine.docker.list_containers(Some(options))).await;
        let ids = made.map(|all| all.into_iter().filter_map(|c| c.id).collect::<Vec<_>>());
        match ids {
            Ok(ids) => {
                let gone = join_all(ids.iter().map(|id| make::delete(&self.engine, id, id))).await;
                problems.extend(gone.into_iter().filter_map(Result::err).map(|e| e.to_string()));
            }
            Err(error) => problems.push(error.to_string()),
        }
        let started = locked(&self.started).clone();
        let stopped = join_all(started.iter().map(|(name, id)| make::stop(&self.engine, name, id, GRACE))).await;
        problems.extend(stopped.into_iter().filter_map(Result::err).map(|e| e.to_string()));
        let thawed = locked(&self.thawed).clone();
        for (name, id) in thawed {
            let frozen = self.engine.docker.pause_container(&id);
            problems.extend(within(&format!("freeze {name} again"), QUICK, frozen).await.err().map(|e| e.to_string()));
        }
        problems.extend(self.put_back(progress).await);
        problems.extend(self.networks(filters.clone()).await);
        problems.extend(self.volumes(filters).await);
        for message in problems {
            progress(UpEvent::Note { message: format!("could not clean up: {message}") });
        }
    }

    /// Starts what was stopped for the sake of something new, and waits until it is what it was.
    async fn put_back(&self, progress: Progress<'_>) -> Vec<String> {
        let going = locked(&self.going).clone();
        let ran =
            |state| matches!(state, ContainerState::Running | ContainerState::Restarting | ContainerState::Paused);
        let back = going.iter().rev().filter(|old| ran(old.state)).map(|old| async move {
            make::start(&self.engine, &old.component, &old.id).await?;
            if old.state == ContainerState::Paused {
                let frozen = self.engine.docker.pause_container(&old.id);
                within(&format!("freeze {} again", old.component), QUICK, frozen).await?;
            } else {
                let limits = Limits { within: BACK_WITHIN, stale: BACK_WITHIN };
                wait::until(&self.engine, old, Until::Up, limits, &[]).await?;
            }
            progress(UpEvent::PutBack { name: old.component.clone() });
            Ok::<(), InfraError>(())
        });
        join_all(back).await.into_iter().filter_map(Result::err).map(|e| e.to_string()).collect()
    }

    async fn networks(&self, filters: std::collections::HashMap<String, Vec<String>>) -> Vec<String> {
        let options = ListNetworksOptions { filters: Some(filters) };
        let docker = &self.engine.docker;
        let Ok(Ok(found)) = tokio::time::timeout(QUICK, docker.list_networks(Some(options))).await else {
            return vec!["the Engine does not list its networks".into()];
        };
        // By id: two may have the same name.
        let found = found.into_iter().filter_map(|network| Some((network.id?, network.name?)));
        let removals = found.map(|(id, name)| async move {
            match tokio::time::timeout(QUICK, docker.remove_network(&id)).await {
                Ok(Err(error)) if !is_done_already(&error) => Some(format!("network {name}: {error}")),
                Ok(_) => None,
                Err(_) => Some(format!("network {name}: no answer")),
            }
        });
        join_all(removals).await.into_iter().flatten().collect()
    }

    async fn volumes(&self, filters: std::collections::HashMap<String, Vec<String>>) -> Vec<String> {
        let options = ListVolumesOptions { filters: Some(filters) };
        let docker = &self.engine.docker;
        let Ok(Ok(found)) = tokio::time::timeout(QUICK, docker.list_volumes(Some(options))).await else {
            return vec!["the Engine does not list its volumes".into()];
        };
        let removals = found.volumes.unwrap_or_default().into_iter().map(|volume| async move {
            match tokio::time::timeout(QUICK, docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>)).await {
                Ok(Err(error)) if !is_done_already(&error) => Some(format!("volume {}: {error}", volume.name)),
                Ok(_) => None,
                Err(_) => Some(format!("volume {}: no answer", volume.name)),
            }
        });
        join_all(removals).await.into_iter().flatten().collect()
    }
}
