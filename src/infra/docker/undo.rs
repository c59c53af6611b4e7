//! What one `up` has done so far, and taking it back.

use std::sync::{Mutex, PoisonError};

use bollard::query_parameters::{ListContainersOptions, ListNetworksOptions, ListVolumesOptions, RemoveVolumeOptions};
use futures_util::future::join_all;

use super::{
    Engine,
    call::{QUICK, is_done_already},
    labels,
    make::{self, GRACE},
};
use crate::infra::{error::InfraError, owned::Owner};

/// What one `up` does.
pub(super) struct Doing<'a> {
    pub engine: &'a Engine,
    pub project: &'a str,
    /// The state folder that the project belongs to.
    pub folder: Owner,
    /// System that the project serves; empty where it serves none.
    pub system: String,
    /// Number of this `up`, on the labels of everything that it makes.
    pub apply: &'a str,
    /// Containers that were there and were started.
    pub started: Mutex<Vec<(String, String)>>,
    /// Calls that make something: a call that was begun is never dropped, so that what it makes is known.
    pub calls: tokio_util::task::TaskTracker,
}

impl Doing<'_> {
    /// Writes down a container that was there before and was started.
    pub fn note_started(&self, name: &str, id: &str) {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.push((name.to_owned(), id.to_owned()));
    }

    /// Runs a call that makes something to its end, even when nobody waits for it any more.
    pub async fn to_its_end<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, InfraError>> + Send + 'static,
    ) -> Result<T, InfraError> {
        let task = self.calls.spawn(call);
        task.await.unwrap_or_else(|e| {
            Err(InfraError::Docker { action: "go on".into(), why: e.to_string(), remedy: "please report this".into() })
        })
    }

    /// Removes everything that was made, and stops what was started. Problems are told, and the rest is done.
    pub async fn undo(&self) -> Vec<String> {
        self.calls.close();
        self.calls.wait().await;
        let mut problems = Vec::new();
        let filters = labels::of_apply(self.project, self.apply);
        let options = ListContainersOptions { all: true, filters: Some(filters.clone()), ..Default::default() };
        let made = self.engine.call("list containers", QUICK, self.engine.docker.list_containers(Some(options))).await;
        let ids = made.map(|all| all.into_iter().filter_map(|c| c.id).collect::<Vec<_>>());
        match ids {
            Ok(ids) => {
                let gone = join_all(ids.iter().map(|id| make::delete(self.engine, id, id))).await;
                problems.extend(gone.into_iter().filter_map(Result::err).map(|e| e.to_string()));
            }
            Err(error) => problems.push(error.to_string()),
        }
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stopped = join_all(started.iter().map(|(name, id)| make::stop(self.engine, name, id, GRACE))).await;
        problems.extend(stopped.into_iter().filter_map(Result::err).map(|e| e.to_string()));
        problems.extend(self.networks(filters.clone()).await);
        problems.extend(self.volumes(filters).await);
        problems
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
