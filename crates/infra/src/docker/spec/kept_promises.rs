//! What a compose file may say of a service is what the Engine is asked for.

use compose::{Demands, Options, Profiles, SourceFile, service_keys};

use super::{
    super::{CgroupVersion, EngineFacts, files, make},
    *,
};

/// An Engine that nobody asks.
fn engine() -> Engine {
    let docker = bollard::Docker::connect_with_http("http://127.0.0.1:1", 1, bollard::API_DEFAULT_VERSION).unwrap();
    let facts = EngineFacts {
        host: String::new(),
        version: String::new(),
        api: (1, 47),
        cgroup: CgroupVersion::V2,
        cpus: 1,
        memory: 0,
        os: String::new(),
        architecture: String::new(),
    };
    Engine { docker, facts }
}

/// Everything that follows from a service: the request that makes its container and what is done besides.
fn follows(own: &str) -> String {
    let text = format!(
        "services:\n  b: {{image: x}}\n  a: {{image: x{own}}}\nnetworks: {{n: {{}}, m: {{}}}}\nvolumes: {{v: {{}}}}\n\
         configs: {{c: {{content: text}}}}\nsecrets: {{s: {{environment: S}}}}\n"
    );
    let files = [SourceFile { name: "c.yaml".into(), text }];
    let vars = BTreeMap::from([("S".to_owned(), "secret".to_owned())]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.env"), "FROM_FILE=1\n").unwrap();
    let options = Options {
        project_name: Some("p"),
        profiles: Profiles::Named(&[]),
        working_dir: folder.path(),
        demands: Demands::default(),
    };
    let project = compose::load(&files, &vars, &options).unwrap_or_else(|e| panic!("{own}: {e}"));
    let Some(service) = project.services.get("a") else { return "it is not started".into() };
    let body = serde_json::to_value(create_body(&engine(), &project, "a", service)).unwrap();
    let name = make::container_name(&project, "a", service, 1);
    let put_in = files::archive(&files::of(&project, service, &[])).unwrap();
    let joined = others(&project, "a", service).len();
    let Service { replicas, depends_on, platform, labels, .. } = service;
    format!("{body} {name} {put_in:?} {joined} {replicas} {depends_on:?} {platform:?} {labels:?}")
}

/// A key that is accepted and changes nothing would be a promise that nobody keeps.
#[test]
fn every_key_that_is_accepted_is_acted_on() {
    let samples = [
        "cap_add: [NET_ADMIN]",
        "cap_drop: [ALL]",
        "command: [a]",
        "configs: [c]",
        "configs: [{source: c, mode: 0400}]",
        "configs: [{source: c, uid: 7}]",
        "configs: [{source: c, gid: 7}]",
        "configs: [{source: c, target: /t}]",
        "container_name: other",
        "depends_on: [b]",
        "depends_on: {b: {condition: service_healthy}}",
        "deploy: {replicas: 2}",
        "deploy: {replicas: 0}",
        "deploy: {resources: {limits: {cpus: 0.5}}}",
        "deploy: {resources: {limits: {memory: 64m}}}",
        "deploy: {resources: {limits: {pids: 9}}}",
        "deploy: {resources: {reservations: {memory: 32m}}}",
        "devices: ['/dev/null:/dev/x']",
        "entrypoint: [a]",
        "env_file: x.env",
        "environment: {A: b}",
        "expose: ['80']",
        "extra_hosts: ['a:1.2.3.4']",
        "healthcheck: {test: [CMD, a]}",
        "healthcheck: {disable: true}",
        "healthcheck: {interval: 9s}",
        "healthcheck: {timeout: 9s}",
        "healthcheck: {retries: 9}",
        "healthcheck: {start_period: 9s}",
        "healthcheck: {start_interval: 9s}",
        "hostname: h",
        "init: true",
        "init: false",
        "labels: {a: b}",
        "networks: [n]",
        "networks: [n, m]",
        "networks: {n: {aliases: [z]}}",
        "pid: host",
        "platform: linux/amd64",
        "ports: ['127.0.0.1:7:8']",
        "ports: ['127.0.0.1:7:8/udp']",
        "ports: [{target: 8, published: 7, host_ip: '::1'}]",
        "privileged: true",
        "profiles: [debug]",
        "read_only: true",
        "restart: always",
        "restart: unless-stopped",
        "restart: on-failure",
        "restart: on-failure:3",
        "scale: 3",
        "secrets: [s]",
        "security_opt: ['no-new-privileges:true']",
        "shm_size: 64m",
        "stop_grace_period: 9s",
        "stop_signal: SIGINT",
        "tmpfs: [/t]",
        "tmpfs: ['/t:size=1m']",
        "ulimits: {nofile: 9}",
        "ulimits: {nofile: {soft: 8, hard: 9}}",
        "user: '7:7'",
        "volumes: ['v:/d']",
        "volumes: ['v:/d:ro']",
        "volumes: [/d]",
        "volumes: ['./x:/d']",
        "volumes: [{type: tmpfs, target: /d, tmpfs: {size: 1m}}]",
        "working_dir: /w",
    ];
    let mut seen = BTreeMap::from([(follows(""), "nothing")]);
    for sample in samples {
        if let Some(other) = seen.insert(follows(&format!(", {sample}")), sample) {
            panic!("`{sample}` comes to the same as `{other}`");
        }
    }
    let key = |sample: &str| sample.split_once(':').map(|(key, _)| key.to_owned()).unwrap();
    let tried: Vec<String> = samples.into_iter().map(key).collect();
    let missing: Vec<&str> =
        service_keys().filter(|known| *known != "image" && !tried.iter().any(|t| t == known)).collect();
    assert_eq!(missing, [""; 0], "keys that are accepted and tried by nobody");
}
