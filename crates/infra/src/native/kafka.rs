//! Private Kafka brokers in KRaft mode: one, or three that replicate.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{HOST, Init, Native, Server, make_folder};
use crate::{
    conf::Source,
    env::KafkaJars,
    error::{InfraError, StartFailure},
    logs,
    process::{self, run_to_end},
    state::StateDir,
};

/// How the data folder is made.
#[derive(Debug, Clone)]
pub(super) struct Format {
    cluster_id: String,
    /// Written when it is done: a killed format is done again.
    done: PathBuf,
    /// Arguments of `java` up to the main class.
    java_args: Vec<String>,
}

impl Native {
    /// The brokers, ready to be started.
    pub fn kafka(&self) -> Result<Vec<Server>, InfraError> {
        let java = self.env.java()?;
        let jars = self.env.kafka()?;
        let base = Source::Kafka.load()?;
        (1..=self.places.kafka.len()).map(|node| self.broker(node, &java, &jars, &base)).collect()
    }

    fn broker(&self, node: usize, java: &Path, jars: &KafkaJars, base: &str) -> Result<Server, InfraError> {
        let name = format!("kafka-{node}");
        let ports = self.places.kafka[node - 1];
        let data = self.data().join(&name);
        let conf = self.conf(&format!("{name}.properties"));
        let conf_text = Source::Kafka.render(base, &self.broker_settings(node, &data))?;
        let java_args = java_args(jars, &data, &self.data().join(process::TMP));
        let spawn = self.spawn(java.to_owned(), &name, &self.data());
        // Each thread's allocator would keep a heap of its own.
        let spawn = spawn.env("MALLOC_ARENA_MAX", "2").args(&java_args).arg("kafka.Kafka").arg(&conf);
        let done = self.data().join(format!("{name}.formatted"));
        let init = Init::Kafka(Format { cluster_id: self.places.cluster_id.clone(), done, java_args });
        Ok(Server { name, ports: vec![ports.broker, ports.controller], data, conf, conf_text, spawn, init })
    }

    fn broker_settings(&self, node: usize, data: &Path) -> Vec<(&'static str, String)> {
        let all = &self.places.kafka;
        let ports = all[node - 1];
        let voters: Vec<_> =
            all.iter().enumerate().map(|(index, ports)| format!("{}@{HOST}:{}", index + 1, ports.controller)).collect();
        let broker = format!("BROKER://{HOST}:{}", ports.broker);
        let replication = all.len().min(3);
        // With three copies one broker may be away, and a record that was acknowledged is still in two places.
        let in_sync = if replication == 3 { 2 } else { 1 };
        let mut settings = vec![
            ("node.id", node.to_string()),
            ("listeners", format!("{broker},CONTROLLER://{HOST}:{}", ports.controller)),
            ("advertised.listeners", broker),
            ("controller.quorum.voters", voters.join(",")),
            ("log.dirs", data.display().to_string()),
            ("min.insync.replicas", in_sync.to_string()),
            ("transaction.state.log.min.isr", in_sync.to_string()),
            ("share.coordinator.state.topic.min.isr", in_sync.to_string()),
        ];
        let replicated = [
            "default.replication.factor",
            "offsets.topic.replication.factor",
            "transaction.state.log.replication.factor",
            "share.coordinator.state.topic.replication.factor",
        ];
        settings.extend(replicated.map(|key| (key, replication.to_string())));
        settings
    }
}

/// Whether the brokers whose data are in `data` were ever made.
pub(super) fn was_formatted(data: &Path) -> bool {
    data.join("kafka-1.formatted").exists()
}

/// A small heap, the collector and compiler that start fastest, and no files in /tmp.
fn java_args(jars: &KafkaJars, data: &Path, tmp: &Path) -> Vec<String> {
    let options = [
        "-Xms64m",
        "-Xmx112m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        "-Djava.net.preferIPv4Stack=true",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSX",
    ];
    let mut args = options.map(String::from).to_vec();
    // The JVM does not read TMPDIR.
    args.push(format!("-Djava.io.tmpdir={}", tmp.display()));
    // An ordinary download logs through log4j, which is silent without its configuration.
    let log4j = jars.home.join("config/log4j2.yaml");
    if log4j.exists() {
        args.push(format!("-Dlog4j2.configurationFile={}", log4j.display()));
        args.push(format!("-Dkafka.logs.dir={}", data.display()));
    }
    args.extend(["-cp".into(), format!("{}/libs/*", jars.home.display())]);
    args
}

impl Format {
    pub(super) async fn run(&self, state: &StateDir, server: &Server) -> Result<(), InfraError> {
        if self.done.exists() {
            return Ok(());
        }
        if server.data.exists() {
            fs::remove_dir_all(&server.data).map_err(InfraError::io("remove", &server.data))?;
        }
        make_folder(&server.data)?;
        let mut spawn = server.spawn.clone();
        spawn.args.clear();
        let spawn =
            spawn.args(&self.java_args).args(["kafka.tools.StorageTool", "format", "-g", "-t", &self.cluster_id]);
        let spawn = spawn.arg("-c").arg(&server.conf);
        let started = Instant::now();
        let status = run_to_end(&spawn).await.map_err(InfraError::io("run", &spawn.program))?;
        if !status.success() {
            return Err(StartFailure {
                component: server.name.clone(),
                cause: "its data folder could not be formatted".into(),
                status: Some(process::describe(status)),
                waited: started.elapsed(),
                log: server.spawn.log.clone(),
                tail: logs::tail(&server.spawn.log, 20).unwrap_or_default(),
            }
            .into());
        }
        state.write(&self.done, b"")
    }
}
