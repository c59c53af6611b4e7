//! A compose project of shell scripts on a real Engine. Whatever is made of it goes when the test ends.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
    time::Duration,
};

use bollard::{
    exec::StartExecResults,
    models::{ContainerCreateBody, ExecConfig, NetworkCreateRequest},
    query_parameters::{InspectContainerOptions, ListContainersOptions, ListNetworksOptions, LogsOptions},
};
use compose::model::{Condition, Content, Grant, Healthcheck, Mount, MountSource, Network, Project, Service, Volume};
use futures_util::StreamExt as _;
use infra::{
    InfraError,
    docker::{self, ApplyRequest, Container, Engine, Order, Remove},
    up::UpEvent,
};
use tokio_util::sync::CancellationToken;

/// Image with a shell; `scripts/images.sh` builds it.
pub const IMAGE: &str = "ecomctl-test/redis:8.0";

/// What a test lets the Engine do.
pub struct World {
    pub engine: Engine,
    pub project: Project,
    /// What `apply` said.
    pub events: Mutex<Vec<UpEvent>>,
    state: tempfile::TempDir,
}

/// The Engine; none, aloud, where none answers. In CI that is a failure.
pub async fn engine() -> Option<Engine> {
    match Engine::connect().await {
        Ok(engine) => Some(engine),
        Err(error) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("{error}"),
        Err(error) => {
            println!("SKIPPED: {error}");
            None
        }
    }
}

impl World {
    /// An empty project with a network and a volume, under a name of its own.
    pub async fn new() -> Option<Self> {
        Some(Self::on(engine().await?))
    }

    /// The same on an engine that was reached in another way.
    pub fn on(engine: Engine) -> Self {
        let state = tempfile::Builder::new().prefix("ecomctl-it-").tempdir().unwrap();
        let name = infra::owned::Owner::of(state.path()).project("test");
        let network = Network {
            name: format!("{name}_default"),
            external: false,
            driver: None,
            internal: false,
            labels: BTreeMap::new(),
        };
        let volume = Volume { name: format!("{name}_data"), external: false, driver: None, labels: BTreeMap::new() };
        let project = Project {
            name,
            services: BTreeMap::new(),
            off: std::collections::BTreeSet::new(),
            networks: BTreeMap::from([("default".into(), network)]),
            volumes: BTreeMap::from([("data".into(), volume)]),
            configs: BTreeMap::new(),
            secrets: BTreeMap::new(),
        };
        Self { engine, project, events: Mutex::default(), state }
    }

    /// Adds a service.
    pub fn with(mut self, name: &str, service: Service) -> Self {
        self.project.services.insert(name.into(), service);
        self
    }

    /// Adds a secret under the name `key`.
    pub fn secret(mut self, key: &str, text: &str) -> Self {
        let content = Content { bytes: text.into(), secret: true };
        self.project.secrets.insert(key.into(), content);
        self
    }

    pub fn service(&mut self, name: &str) -> &mut Service {
        self.project.services.get_mut(name).unwrap()
    }

    /// Everything is wanted, once each.
    pub fn all(&self) -> Vec<Order> {
        let names = self.project.services.keys();
        names.map(|name| Order { service: name.clone(), ..Order::default() }).collect()
    }

    /// The usual request.
    pub fn request<'a>(&'a self, services: &'a [Order]) -> ApplyRequest<'a> {
        ApplyRequest {
            project: &self.project,
            services,
            state: self.state.path(),
            pull: false,
            recreate: false,
            orphans: false,
            may_replace: &|| Ok(()),
            keep_failed: false,
            ready_within: Duration::from_secs(15),
            wait: true,
        }
    }

    pub async fn apply(
        &self,
        request: &ApplyRequest<'_>,
        cancel: &CancellationToken,
    ) -> Result<Vec<Container>, InfraError> {
        docker::apply(&self.engine, request, &|event| self.events.lock().unwrap().push(event), cancel).await
    }

    /// Brings all of it up.
    pub async fn up(&self) -> Result<Vec<Container>, InfraError> {
        let services = self.all();
        self.apply(&self.request(&services), &CancellationToken::new()).await
    }

    /// Brings all of it up, which must fail and leave nothing; gives the words.
    pub async fn fails(&self) -> String {
        let message = self.up().await.expect_err("it came up").to_string();
        assert_eq!(self.left().await, [""; 0], "left after: {message}");
        message
    }

    /// Brings all of it up in a runtime of its own, which ends after `life` with everything in it, as by SIGKILL.
    pub fn up_killed_after(&self, life: Duration) {
        let services = self.all();
        let request = self.request(&services);
        let cancel = CancellationToken::new();
        let killed = std::thread::scope(|scope| {
            let run = || {
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
                let killed = runtime.block_on(async {
                    let engine = Engine::connect().await.unwrap();
                    tokio::time::timeout(life, docker::apply(&engine, &request, &|_| {}, &cancel)).await.is_err()
                });
                runtime.shutdown_background();
                killed
            };
            scope.spawn(run).join().unwrap()
        });
        assert!(killed, "{life:?} was enough");
    }

    pub async fn list(&self) -> Vec<Container> {
        docker::list(&self.engine, &self.project.name).await.unwrap()
    }

    pub async fn down(&self, volumes: bool) -> docker::Removed {
        let what = Remove { services: None, volumes, grace: Duration::from_secs(5) };
        docker::remove(&self.engine, &self.project.name, what).await.unwrap()
    }

    /// Containers, networks and volumes of the project that the Engine still has.
    pub async fn left(&self) -> Vec<String> {
        let docker = &self.engine.docker;
        let filters =
            HashMap::from([("label".to_owned(), vec![format!("com.docker.compose.project={}", self.project.name)])]);
        let options = ListContainersOptions { all: true, filters: Some(filters.clone()), ..Default::default() };
        let containers = docker.list_containers(Some(options)).await.unwrap();
        let names = containers.into_iter().flat_map(|c| c.names.unwrap_or_default());
        let mut left: Vec<String> = names.map(|name| format!("container {name}")).collect();
        let networks =
            docker.list_networks(Some(ListNetworksOptions { filters: Some(filters.clone()) })).await.unwrap();
        left.extend(networks.into_iter().filter_map(|n| n.name).map(|name| format!("network {name}")));
        let options = bollard::query_parameters::ListVolumesOptions { filters: Some(filters) };
        let volumes = docker.list_volumes(Some(options)).await.unwrap().volumes.unwrap_or_default();
        left.extend(volumes.into_iter().map(|v| format!("volume {}", v.name)));
        left
    }

    /// Makes the project's network once more, as a killed `up` may have; newer Engines refuse.
    pub async fn twin_network(&self) -> bool {
        let (network, state) = (&self.project.networks["default"], self.state.path().display().to_string());
        let labels = [
            ("com.docker.compose.project", self.project.name.as_str()),
            ("com.docker.compose.network", "default"),
            ("dev.ecomctl.state", state.as_str()),
        ];
        let body = NetworkCreateRequest {
            name: network.name.clone(),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            ..NetworkCreateRequest::default()
        };
        self.engine.docker.create_network(body).await.is_ok()
    }

    /// What `docker inspect` shows of a container.
    pub async fn inspect(&self, id: &str) -> bollard::models::ContainerInspectResponse {
        self.engine.docker.inspect_container(id, None::<InspectContainerOptions>).await.unwrap()
    }

    /// What `script` prints in a container.
    pub async fn inside(&self, id: &str, script: &str) -> String {
        let config = ExecConfig {
            cmd: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let exec = self.engine.docker.create_exec(id, config).await.unwrap();
        let StartExecResults::Attached { mut output, .. } =
            self.engine.docker.start_exec(&exec.id, None).await.unwrap()
        else {
            panic!("it is not attached")
        };
        let mut text = String::new();
        while let Some(part) = output.next().await {
            text.push_str(&part.unwrap().to_string());
        }
        text
    }

    /// Makes what `docker compose run SERVICE` makes.
    pub async fn one_off(&self, service: &str) -> String {
        let labels = [
            (docker::labels::PROJECT, self.project.name.as_str()),
            (docker::labels::SERVICE, service),
            (docker::labels::NUMBER, "1"),
            (docker::labels::ONE_OFF, "True"),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let body = ContainerCreateBody { image: Some(IMAGE.into()), labels: Some(labels), ..Default::default() };
        self.engine.docker.create_container(None, body).await.unwrap().id
    }

    /// All that a container has said.
    pub async fn log(&self, id: &str) -> String {
        let options = LogsOptions { stdout: true, stderr: true, tail: "all".into(), ..Default::default() };
        let mut stream = std::pin::pin!(self.engine.docker.logs(id, Some(options)));
        let mut text = String::new();
        while let Some(part) = stream.next().await {
            text.push_str(&part.unwrap().to_string());
        }
        text
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let (engine, project) = (self.engine.clone(), self.project.name.clone());
        let remove = async move {
            let what = Remove { services: None, volumes: true, grace: Duration::ZERO };
            let _ = docker::remove(&engine, &project, what).await;
        };
        // The test's own runtime may be on its way out.
        let removed = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(remove);
        });
        let _ = removed.join();
    }
}

/// A service that runs `script`; it ends at once when it is asked to.
pub fn script(script: &str) -> Service {
    Service {
        image: IMAGE.into(),
        entrypoint: Some(vec!["/bin/sh".into(), "-c".into()]),
        command: Some(vec![script.into()]),
        networks: BTreeMap::from([("default".into(), Vec::new())]),
        stop_signal: Some("SIGKILL".into()),
        replicas: 1,
        ..Service::default()
    }
}

/// A service that does nothing, for long.
pub fn idle() -> Service {
    script("exec sleep 600")
}

/// Asks `test` of a shell every 100 ms; three failures are too many.
pub fn healthy_when(test: &str) -> Healthcheck {
    Healthcheck {
        test: vec!["CMD-SHELL".into(), test.into()],
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(2),
        retries: 3,
        start_period: Duration::ZERO,
        start_interval: None,
    }
}

/// The same for what takes a while: failures in the beginning do not count.
pub fn healthy_at_last(test: &str) -> Healthcheck {
    Healthcheck { start_period: Duration::from_secs(30), ..healthy_when(test) }
}

/// `service`, started when `other` has reached `condition`.
pub fn after(other: &str, condition: Condition, service: Service) -> Service {
    Service { depends_on: BTreeMap::from([(other.to_owned(), condition)]), ..service }
}

/// `service` with the project's volume at `/kept`.
pub fn with_volume(service: Service) -> Service {
    let mount = Mount { source: MountSource::Volume("data".into()), target: "/kept".into(), read_only: false };
    Service { volumes: vec![mount], ..service }
}

/// `service` with the secret `key`.
pub fn with_secret(key: &str, service: Service) -> Service {
    let target = format!("/run/secrets/{key}");
    let grant = Grant { source: key.into(), target, uid: 0, gid: 0, mode: 0o444 };
    Service { secrets: vec![grant], ..service }
}
