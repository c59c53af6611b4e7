//! Whole stacks in Docker, on a real Engine: up, load, verdict and down; and what is left behind when something goes wrong.

use std::{
    collections::HashMap,
    io::Read as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use bollard::{
    Docker,
    models::ContainerInspectResponse,
    query_parameters::{
        InspectContainerOptions, KillContainerOptionsBuilder, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
        ListVolumesOptionsBuilder, LogsOptionsBuilder,
    },
};
use futures_util::StreamExt as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::support::{Stack, both, handles_ctrl_c, shared, wait, went_well, write};

/// What a command may take on a machine that does other things too.
pub const LONG: Duration = Duration::from_secs(240);

/// A state folder whose servers are containers on free ports.
pub struct InDocker {
    pub stack: Stack,
    pub engine: Docker,
    pub runtime: tokio::runtime::Runtime,
    pub profile: String,
}

impl InDocker {
    pub fn new() -> Self {
        let stack = Stack::empty();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let engine = runtime.block_on(async {
            let engine = Docker::connect_with_defaults().unwrap();
            engine.negotiate_version().await.expect("no Docker Engine: run scripts/engine.sh")
        });
        let path = stack.scratch().join("small.yaml");
        write(&path, include_str!("profiles/small.yaml"));
        let profile = path.to_string_lossy().into_owned();
        Self { stack, engine, runtime, profile }
    }

    /// `args` with images of this machine and ports that are free.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut all = args.to_vec();
        all.extend(["--ci", "--set", "backend.port=0"]);
        all.extend(["mysql", "redis", "kafka"].iter().flat_map(|server| match *server {
            "mysql" => ["--set", "stack.ports.mysql=0"],
            "redis" => ["--set", "stack.ports.redis=0"],
            _ => ["--set", "stack.ports.kafka=0"],
        }));
        let mut command = self.stack.command(&all);
        command
            .env("ECOMCTL_PROVIDER", "docker")
            .env("ECOMCTL_IMAGE_MYSQL", "ecomctl-test/mysql:9.7")
            .env("ECOMCTL_IMAGE_REDIS", "ecomctl-test/redis:8.0")
            .env("ECOMCTL_IMAGE_KAFKA", "ecomctl-test/kafka:4")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).spawn().unwrap()
    }

    pub fn ok(&self, args: &[&str]) -> Output {
        let output = wait(self.start(args), LONG);
        assert!(went_well(&output), "ecomctl {}: {}\n{}", args.join(" "), output.status, both(&output));
        output
    }

    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let args: Vec<_> = args.iter().copied().chain(["--format", "json"]).collect();
        let output = self.ok(&args);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}\n{}", both(&output)))
    }

    /// Finds whatever was made for this state folder.
    pub fn label(&self) -> HashMap<String, Vec<String>> {
        let state = self.stack.scratch().canonicalize().unwrap().join("state");
        HashMap::from([("label".to_owned(), vec![format!("dev.ecomctl.state={}", state.display())])])
    }

    pub fn containers(&self) -> Vec<ContainerInspectResponse> {
        self.runtime.block_on(async {
            let options = ListContainersOptionsBuilder::new().all(true).filters(&self.label()).build();
            let mut found = Vec::new();
            for summary in self.engine.list_containers(Some(options)).await.unwrap() {
                let id = summary.id.unwrap();
                found.extend(self.engine.inspect_container(&id, None::<InspectContainerOptions>).await.ok());
            }
            found
        })
    }

    /// Containers, networks and volumes of ours.
    pub fn everything(&self) -> Vec<String> {
        let mut names: Vec<String> = self.containers().into_iter().filter_map(|container| container.name).collect();
        self.runtime.block_on(async {
            let options = ListNetworksOptionsBuilder::new().filters(&self.label()).build();
            let networks = self.engine.list_networks(Some(options)).await.unwrap();
            names.extend(networks.into_iter().filter_map(|network| network.name));
            let options = ListVolumesOptionsBuilder::new().filters(&self.label()).build();
            let volumes = self.engine.list_volumes(Some(options)).await.unwrap().volumes.unwrap_or_default();
            names.extend(volumes.into_iter().map(|volume| volume.name));
        });
        names
    }

    pub fn log(&self, id: &str) -> String {
        self.runtime.block_on(async {
            let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
            let lines: Vec<_> = self.engine.logs(id, Some(options)).collect().await;
            lines.into_iter().filter_map(Result::ok).map(|line| line.to_string()).collect()
        })
    }

    pub fn component(&self, name: &str) -> serde_json::Value {
        self.stack_json()["components"][name].clone()
    }

    pub fn stack_json(&self) -> serde_json::Value {
        let text = std::fs::read(self.stack.state_dir().join("stack.json")).unwrap_or_else(|_| b"{}".to_vec());
        serde_json::from_slice(&text).unwrap()
    }
}

pub fn wait_for(what: &str, child: &mut Child, done: impl Fn() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < LONG, "no {what}");
        if let Some(status) = child.try_wait().unwrap() {
            let mut words = String::new();
            let _ = child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut words));
            panic!("ended with {status} before {what}: {words}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub fn small(place: &InDocker) -> &str {
    &place.profile
}

/// Addresses on which a container is published.
fn published(container: &ContainerInspectResponse) -> Vec<String> {
    let ports = container.network_settings.as_ref().and_then(|n| n.ports.clone()).unwrap_or_default();
    ports.into_values().flatten().flatten().filter_map(|binding| binding.host_ip).collect()
}

/// Nothing that the Engine shows may hold a password, and nobody but this machine may come in.
fn hides_its_passwords_and_listens_here_only(place: &InDocker) {
    let env = place.json(&["env"]);
    let password = |name: &str| {
        let url = env[name].as_str().unwrap();
        url.split('@').next().unwrap().rsplit(':').next().unwrap().to_owned()
    };
    let passwords = [password("MYSQL_URL"), password("REDIS_URL")];
    assert!(passwords.iter().all(|password| password.len() >= 16), "{env:#}");
    let containers = place.containers();
    assert!(containers.len() >= 3);
    for container in containers {
        let (name, id) = (container.name.clone().unwrap(), container.id.clone().unwrap());
        let all = serde_json::to_string(&container).unwrap() + &place.log(&id);
        for password in &passwords {
            assert!(!all.contains(password), "{name} shows a password");
        }
        for address in published(&container) {
            assert_eq!(address, "127.0.0.1", "{name}");
        }
    }
}

#[test]
fn a_stack_in_docker_is_loaded_proven_and_taken_down() {
    let place = InDocker::new();
    let cold = Instant::now();
    let up = place.json(&["up", small(&place)]);
    println!("cold up in Docker: {:?}, {} ms by its own clock", cold.elapsed(), up["took_ms"]);
    assert!(up["components"].as_array().unwrap().iter().all(|c| c["provider"] == "docker"), "{up:#}");
    let ids = |place: &InDocker| place.containers().into_iter().filter_map(|c| c.id).collect::<Vec<_>>();
    let before = ids(&place);
    let warm = Instant::now();
    let again = place.json(&["up", small(&place)]);
    println!("up of a stack that is up: {:?}", warm.elapsed());
    assert!(again["components"].as_array().unwrap().iter().all(|c| c["reused"] == true), "{again:#}");
    assert_eq!(ids(&place), before, "the same settings mean the same containers");
    place.ok(&["seed", small(&place)]);
    place.ok(&["status"]);

    let summary = place.json(&["run", small(&place), "--size", "medium"]);
    assert_eq!(summary["verdict"], "consistent", "{summary:#}");
    assert_eq!(summary["settings"]["size"], "medium", "{summary:#}");
    let run = place.stack.state_dir().join("runs").join(summary["run"].as_str().unwrap());
    for name in ["api-medium", "consumer-1", "reconciler-1"] {
        let log = std::fs::read_to_string(run.join("logs").join(format!("{name}.log"))).unwrap();
        assert!(log.contains("started"), "{name}: {log}");
    }
    assert_eq!(place.containers().len(), 3, "the backend's containers went with the run");
    assert_eq!(place.json(&["verify"])["verdict"], "consistent");
    hides_its_passwords_and_listens_here_only(&place);

    let redis = place.component("redis")["container"]["id"].clone();
    place.ok(&["restart", "redis"]);
    assert_eq!(place.component("redis")["container"]["id"], redis, "a restart keeps the container");

    let down = place.json(&["down"]);
    assert_eq!(down["containers"].as_array().unwrap().len(), 3, "{down:#}");
    assert_eq!(down["volumes"].as_array().unwrap().len(), 3, "data stay: {down:#}");
    assert_eq!(place.json(&["up", small(&place)])["components"][0]["reused"], false);
    // After a down and an up the data are there. A Redis that was started anew may have lost its newest grants, though:
    // what rests on it is unknown, and the run's own files still prove it.
    let output = wait(place.start(&["verify", "--format", "json"]), LONG);
    let again: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let verdict =
        |id: &str| again["checks"].as_array().unwrap().iter().find(|c| c["id"] == id).unwrap()["verdict"].clone();
    assert_eq!((verdict("CP1"), verdict("CP5"), verdict("CP13")), ("holds".into(), "holds".into(), "holds".into()));
    assert_eq!((verdict("CP3"), &again["verdict"]), ("unknown".into(), &"unproven".into()), "{again:#}");
    let name = summary["run"].as_str().unwrap();
    assert_eq!(place.json(&["verify", "--history", name])["verdict"], "consistent");
    let output = wait(place.start(&["up", small(&place), "--set", "stack.brokers=3"]), LONG);
    assert!(both(&output).contains("belong to 1 broker(s), not 3"), "{}", both(&output));
    // A state folder that somebody has deleted: what belonged to it is still found.
    std::fs::remove_dir_all(place.stack.state_dir()).unwrap();
    // It may have been moved: its data go with a word only.
    let output = wait(place.start(&["down", "-v"]), LONG);
    assert!(!output.status.success() && both(&output).contains("confirm with --yes"), "{}", both(&output));
    place.ok(&["down", "-v", "--yes"]);
    assert_eq!(place.everything(), Vec::<String>::new());
}

#[test]
fn three_sizes_answer_side_by_side_within_their_limits() {
    let place = InDocker::new();
    place.ok(&["up", small(&place)]);
    let serve = ["serve", small(&place), "--size", "small", "--size", "medium", "--size", "large"];
    let mut child = place.start(&serve);
    wait_for("backend", &mut child, || !place.component("reconciler-1").is_null());
    let http = |address: &str| {
        let url = format!("http://{address}/api/products?limit=1");
        place.runtime.block_on(base::http::Http::new(Duration::from_secs(10)).get(&url))
    };
    let containers = place.containers();
    let wanted = [("small", 0.5, 512), ("medium", 1.0, 1024), ("large", 2.0, 2048)];
    for (size, cpus, mebibytes) in wanted {
        let component = place.component(&format!("api-{size}"));
        let (status, body) = http(component["address"].as_str().unwrap()).unwrap();
        assert!(status.is_success(), "{size}: {status} {body}");
        let id = component["container"]["id"].as_str().unwrap();
        let container = containers.iter().find(|c| c.id.as_deref() == Some(id)).unwrap();
        let host = container.host_config.clone().unwrap();
        assert_eq!(host.nano_cpus, Some((cpus * 1e9) as i64), "{size}");
        assert_eq!(host.memory, Some(mebibytes << 20), "{size}");
        assert_eq!(container.config.clone().unwrap().user.as_deref(), Some("65534:65534"), "{size}");
    }
    hides_its_passwords_and_listens_here_only(&place);
    // A run takes the API of its size, and leaves what others serve.
    let output = place.ok(&["run", small(&place), "--size", "small"]);
    let address = place.component("api-small")["address"].as_str().unwrap().to_owned();
    assert!(both(&output).contains(&format!("backend kept from before: API on {address}")), "{}", both(&output));

    // Killed, `serve` leaves its containers; the next one takes their place, and ends well.
    kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL).unwrap();
    wait(child, LONG);
    let left = place.component("api-large")["container"]["id"].clone();
    let mut child = place.start(&serve);
    wait_for("second backend", &mut child, || {
        let now = place.component("api-large")["container"]["id"].clone();
        !now.is_null() && now != left && !place.component("reconciler-1").is_null()
    });
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let output = wait(child, LONG);
    assert!(output.status.success(), "{}", both(&output));
    assert_eq!(place.containers().len(), 3, "only the servers are left");
    place.ok(&["down", "-v"]);
    assert_eq!(place.everything(), Vec::<String>::new());
}

#[test]
fn one_of_three_brokers_is_killed_in_the_load_and_nothing_is_lost() {
    let place = InDocker::new();
    let run = ["run", small(&place), "--set", "stack.brokers=3", "--format", "json"];
    let mut child = place.start(&run);
    let events = || {
        let runs = std::fs::read_dir(place.stack.state_dir().join("runs")).into_iter().flatten().flatten();
        runs.last().map_or_else(String::new, |run| {
            std::fs::read_to_string(run.path().join("events.jsonl")).unwrap_or_default()
        })
    };
    wait_for("load", &mut child, || events().contains(r#""type":"load""#));
    let id = place.component("kafka-2")["container"]["id"].as_str().unwrap().to_owned();
    let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
    place.runtime.block_on(place.engine.kill_container(&id, Some(options))).unwrap();
    let output = wait(child, LONG);
    let summary: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{}", both(&output)));
    assert_eq!(summary["verdict"], "consistent", "{summary:#}");
    place.ok(&["down", "-v"]);
    assert_eq!(place.everything(), Vec::<String>::new());
}

#[test]
fn a_broker_of_elsewhere_goes_with_containers_and_auto_says_why() {
    let kafka = shared().endpoints().kafka.brokers;
    let place = InDocker::new();
    let up = place.json(&["up", "coupon-quick", "--kafka-brokers", &kafka]);
    let providers: Vec<_> = up["components"].as_array().unwrap().iter().map(|c| c["provider"].clone()).collect();
    assert_eq!(providers, ["docker", "docker", "external"], "{up:#}");
    // The backend's containers could not reach that broker, and say so before anything is seeded.
    let output = wait(place.start(&["run", small(&place), "--kafka-brokers", &kafka, "--size", "small"]), LONG);
    let text = both(&output);
    assert!(output.status.code() == Some(1) && text.contains("inside a container is the container itself"), "{text}");
    assert!(!text.contains("seeded"), "{text}");
    place.ok(&["down", "-v"]);
    assert_eq!(place.everything(), Vec::<String>::new());

    let auto = |name: &str, value: &str| {
        let mut command = place.command(&["up", "coupon-quick", "--provider", "auto"]);
        command.env(name, value);
        let output = wait(command.spawn().unwrap(), LONG);
        assert!(output.status.success(), "{}", both(&output));
        place.ok(&["down", "-v"]);
        both(&output)
    };
    let text = auto("DOCKER_HOST", "unix:///nowhere/docker.sock");
    assert!(text.contains("mysql: native, because no Docker Engine answers on"), "{text}");
    let text = auto("ECOMCTL_IMAGE_REDIS", "nowhere/redis:0");
    assert!(text.contains("redis: native, because image nowhere/redis:0 is not here (give --pull)"), "{text}");
    assert!(text.contains("mysql: docker, because an Engine answers"), "{text}");
    assert_eq!(place.everything(), Vec::<String>::new());
}

#[test]
fn a_broken_off_up_leaves_nothing_and_a_killed_one_is_mended() {
    let place = InDocker::new();
    for millis in [100, 500, 1_000, 2_000] {
        let child = place.start(&["up", small(&place)]);
        handles_ctrl_c(child.id());
        std::thread::sleep(Duration::from_millis(millis));
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
        let output = wait(child, LONG);
        // A quick machine may be up by then.
        if output.status.code() == Some(130) {
            // Its network stayed, and what a first start had begun to write.
            assert_eq!(place.everything(), Vec::<String>::new(), "after {millis} ms: {}", both(&output));
        } else {
            assert!(output.status.success(), "{}", both(&output));
        }
        place.ok(&["down", "-v"]);
    }
    let child = place.start(&["up", small(&place)]);
    std::thread::sleep(Duration::from_millis(1_200));
    kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL).unwrap();
    wait(child, LONG);
    place.ok(&["up", small(&place)]);
    place.ok(&["status"]);
    assert_eq!(place.containers().len(), 3);
    place.ok(&["down", "-v"]);
    assert_eq!(place.everything(), Vec::<String>::new());
    assert!(!Path::new(&place.stack.state_dir().join("stack.json")).exists());
}
