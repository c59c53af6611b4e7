//! Containers for tests, made by hand: the parts that look at containers do not need those that bring them up.

use std::{collections::HashMap, path::Path};

use bollard::{
    Docker,
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
        RemoveContainerOptionsBuilder, StartContainerOptions,
    },
};
use infra::{
    StateDir,
    stack::{Component, ContainerRef, Stack},
};
use record::event::names::Provider;

/// Image with a shell; `scripts/images.sh` builds it.
pub const IMAGE: &str = "ecomctl-test/redis:8.0";

/// A state folder and containers that carry its label. All of them are removed in the end, however the test ends.
pub struct Containers {
    /// The Engine.
    pub docker: Docker,
    /// The state folder.
    pub state: StateDir,
    folder: tempfile::TempDir,
}

impl Containers {
    /// None yet.
    pub async fn new() -> Self {
        let docker = Docker::connect_with_defaults().unwrap();
        let docker = docker.negotiate_version().await.expect("no Docker Engine: run scripts/engine.sh");
        let folder = tempfile::Builder::new().prefix("ecomctl-it-").tempdir().unwrap();
        let state = StateDir::create(folder.path().join("state")).unwrap();
        let stack: Stack = serde_json::from_value(serde_json::json!({
            "schema_version": 1, "system": "ecommerce", "brokers": 1, "components": {}, "started_at": "",
            "endpoints": {
                "mysql": {"host": "127.0.0.1", "port": 1, "user": "u", "password": "p", "database": "d", "tls": null},
                "redis": {"host": "127.0.0.1", "port": 1, "user": null, "password": null, "db": 0, "tls": null},
                "kafka": {"brokers": "127.0.0.1:1", "security": null},
            },
        }))
        .unwrap();
        state.save_stack(&stack).unwrap();
        Self { docker, state, folder }
    }

    /// A folder for files of the test.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// Starts `script` as the component `name`, and writes it down.
    pub async fn start(&self, name: &str, script: &str, limits: HostConfig) -> String {
        let state = self.state.root().to_string_lossy().into_owned();
        let labels = [("dev.ecomctl.state", state.as_str()), ("dev.ecomctl.component", name)];
        let body = ContainerCreateBody {
            image: Some(IMAGE.into()),
            entrypoint: Some(vec!["sh".into(), "-c".into()]),
            cmd: Some(vec![script.into()]),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            stop_timeout: Some(0),
            host_config: Some(limits),
            ..ContainerCreateBody::default()
        };
        let folder = self.scratch().file_name().unwrap().to_string_lossy().into_owned();
        let container = format!("{folder}-{name}");
        let options = CreateContainerOptionsBuilder::default().name(&container).build();
        let made = self.docker.create_container(Some(options), body).await;
        let id = made.unwrap_or_else(|e| panic!("{IMAGE}: {e}; run scripts/images.sh")).id;
        self.docker.start_container(&id, None::<StartContainerOptions>).await.unwrap();
        let mut stack = self.state.load_stack().unwrap().unwrap();
        let component = Component {
            provider: Provider::Docker,
            version: "8.0".into(),
            address: "127.0.0.1:1".into(),
            process: None,
            log: None,
            container: Some(ContainerRef { id: id.clone(), name: container }),
            restarts: 0,
        };
        stack.components.insert(name.to_owned(), component);
        self.state.save_stack(&stack).unwrap();
        id
    }

    /// Waits until the container has ended.
    pub async fn ended(&self, id: &str) {
        for _ in 0..200 {
            let asked = self.docker.inspect_container(id, None::<InspectContainerOptions>).await.unwrap();
            if asked.state.unwrap().running == Some(false) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{id} does not end");
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        let (docker, state) = (self.docker.clone(), self.state.root().to_string_lossy().into_owned());
        let remove = async move {
            let filters = HashMap::from([("label".to_owned(), vec![format!("dev.ecomctl.state={state}")])]);
            let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
            for container in docker.list_containers(Some(options)).await.unwrap_or_default() {
                let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
                let _ = docker.remove_container(&container.id.unwrap_or_default(), Some(options)).await;
            }
        };
        // The test's own runtime may be on its way out.
        let removed = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(remove);
        });
        let _ = removed.join();
    }
}
