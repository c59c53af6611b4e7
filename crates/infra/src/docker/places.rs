//! Ports, passwords and images of a system's containers: drawn once, kept beside the data, and gone with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use contract::{
    endpoint::{Endpoints, KafkaEndpoint, MysqlEndpoint, RedisEndpoint},
    human::Secret,
    system::System,
};
use profile::model::{PortSpec, StackSpec};
use serde::{Deserialize, Serialize};

use crate::{error::InfraError, native::token, ports, state::StateDir};

const SCHEMA_VERSION: u32 = 1;
const HOST: &str = "127.0.0.1";

/// Variables that name the images of servers with data. Once there are data, they are kept: another image may not be
/// able to read them.
pub const IMAGES: [&str; 3] = ["ECOMCTL_IMAGE_MYSQL", "ECOMCTL_IMAGE_REDIS", "ECOMCTL_IMAGE_KAFKA"];

/// `data/<system>/docker.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Places {
    schema_version: u32,
    /// Whose they are: said by the folder that they are kept in.
    #[serde(skip)]
    system: System,
    /// What was asked for when the ports were chosen.
    asked: PortSpec,
    mysql: Login,
    redis: Login,
    /// Port of each broker.
    kafka: Vec<u16>,
    /// KRaft's cluster id: 22 characters of base64url.
    cluster_id: String,
    /// Variable → image, of the last `up`.
    #[serde(default)]
    images: BTreeMap<String, String>,
    /// The data are of the teams' own stack.
    #[serde(default)]
    original: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Login {
    port: u16,
    password: Secret,
}

/// The places of one system, and where they are kept.
#[derive(Debug, Clone)]
pub struct Kept {
    state: StateDir,
    file: PathBuf,
    /// What is kept.
    pub places: Places,
    /// The file was there.
    pub was_there: bool,
}

impl Kept {
    /// Reads the places of `system`, or draws them; nothing is written yet.
    ///
    /// # Errors
    /// Where the file cannot be used.
    pub fn open(state: &StateDir, system: System, spec: &StackSpec) -> Result<Self, InfraError> {
        let file = state.data(system.name()).join("docker.json");
        let found = state.load_json::<Places>(&file, SCHEMA_VERSION)?;
        let was_there = found.is_some();
        let mut places = found.unwrap_or_else(|| draw(system, spec));
        places.system = system;
        places.choose(spec.ports, spec.brokers)?;
        Ok(Self { state: state.clone(), file, places, was_there })
    }

    /// The ports that were asked for last time; none where nothing was.
    pub fn asked(state: &StateDir, system: System) -> Option<PortSpec> {
        let file = state.data(system.name()).join("docker.json");
        Some(state.load_json::<Places>(&file, SCHEMA_VERSION).ok()??.asked)
    }

    /// Writes them: with mode 0600, because they hold passwords.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn save(&self) -> Result<(), InfraError> {
        if let Some(folder) = self.file.parent() {
            self.state.folder(folder)?;
        }
        self.state.save_json(&self.file, &self.places)
    }
}

fn draw(system: System, spec: &StackSpec) -> Places {
    let login = || Login { port: 0, password: Secret::new(token(24)) };
    Places {
        schema_version: SCHEMA_VERSION,
        system,
        asked: spec.ports,
        mysql: login(),
        redis: login(),
        kafka: Vec::new(),
        cluster_id: format!("{}A", token(21)),
        images: BTreeMap::new(),
        original: spec.original,
    }
}

impl Places {
    /// Drawn for a stack of `system` as `spec` says, and kept nowhere.
    ///
    /// # Errors
    /// Where no port is free.
    pub fn new(system: System, spec: &StackSpec) -> Result<Self, InfraError> {
        let mut places = draw(system, spec);
        places.choose(spec.ports, spec.brokers)?;
        Ok(places)
    }

    /// Takes the ports that are asked for; where any will do, the one it had last time, or a free one.
    fn choose(&mut self, asked: PortSpec, brokers: u8) -> Result<(), InfraError> {
        let had = std::mem::replace(&mut self.asked, asked);
        let mut taken = BTreeSet::from([asked.mysql, asked.redis]);
        let mut pick = |asked: u16, had_asked: u16, had: u16| -> Result<u16, InfraError> {
            let port = match asked {
                0 if had_asked == 0 && had != 0 => had,
                0 => ports::free(&taken).map_err(InfraError::io("find a free port on", HOST))?,
                port => port,
            };
            taken.insert(port);
            Ok(port)
        };
        self.mysql.port = pick(asked.mysql, had.mysql, self.mysql.port)?;
        self.redis.port = pick(asked.redis, had.redis, self.redis.port)?;
        let before = self.kafka.clone();
        let broker = |n: u8| {
            let asked = if asked.kafka == 0 { 0 } else { asked.kafka.saturating_add(n.into()) };
            pick(asked, had.kafka, before.get(usize::from(n)).copied().unwrap_or(0))
        };
        self.kafka = (0..brokers).map(broker).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Component → port on this machine.
    pub fn ports(&self) -> Vec<(String, u16)> {
        let brokers = self.kafka.iter().enumerate().map(|(n, port)| (format!("kafka-{}", n + 1), *port));
        [("mysql".to_owned(), self.mysql.port), ("redis".to_owned(), self.redis.port)]
            .into_iter()
            .chain(brokers)
            .collect()
    }

    /// Moves drawn ports that others have taken since. `is_free` says which may be used, `owner` who has one; a port that was asked for by
    /// number is not moved.
    ///
    /// # Errors
    /// [`InfraError::PortTaken`] for one that was asked for by number.
    pub fn avoid_taken(
        &mut self,
        wanted: &dyn Fn(&str) -> bool,
        is_free: &dyn Fn(u16) -> bool,
        owner: &dyn Fn(u16) -> String,
    ) -> Result<Vec<String>, InfraError> {
        let mut notes = Vec::new();
        let mut all: BTreeSet<u16> = self.ports().into_iter().map(|(_, port)| port).collect();
        let asked = self.asked;
        let brokers =
            self.kafka.iter_mut().enumerate().map(|(n, port)| (format!("kafka-{}", n + 1), "kafka", asked.kafka, port));
        let places = [
            ("mysql".to_owned(), "mysql", asked.mysql, &mut self.mysql.port),
            ("redis".to_owned(), "redis", asked.redis, &mut self.redis.port),
        ];
        for (component, key, asked, port) in places.into_iter().chain(brokers) {
            if !wanted(&component) || is_free(*port) {
                continue;
            }
            let owner = owner(*port);
            if asked != 0 {
                return Err(InfraError::PortTaken { component, port: *port, owner, key });
            }
            let other = ports::free(&all).map_err(InfraError::io("find a free port on", HOST))?;
            all.insert(other);
            notes.push(format!("port {port} of {component} is taken by {owner}; it moves to {other}"));
            *port = other;
        }
        Ok(notes)
    }

    /// Where the servers are, for programs of this machine.
    pub fn endpoints(&self) -> Endpoints {
        let brokers: Vec<_> = self.kafka.iter().map(|port| format!("{HOST}:{port}")).collect();
        Endpoints {
            mysql: MysqlEndpoint {
                host: HOST.into(),
                port: self.mysql.port,
                user: "root".into(),
                password: self.mysql.password.clone(),
                database: self.system.description().database.into(),
                tls: None,
            },
            redis: RedisEndpoint {
                host: HOST.into(),
                port: self.redis.port,
                user: None,
                password: Some(self.redis.password.clone()),
                db: 0,
                tls: None,
            },
            kafka: KafkaEndpoint { brokers: brokers.join(","), security: None },
        }
    }

    /// KRaft's cluster id: by it our cluster is told from another one.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Whether the data are of the teams' own stack.
    pub fn is_original(&self) -> bool {
        self.original
    }

    /// Says of which stack the data are from now on.
    pub fn set_original(&mut self, original: bool) {
        self.original = original;
    }

    /// Images of the last `up`.
    pub fn images(&self) -> &BTreeMap<String, String> {
        &self.images
    }

    /// Takes the images that are asked for. Where there are data, says what changes under them.
    pub fn take_images(&mut self, asked: &BTreeMap<String, String>, data: bool) -> Vec<String> {
        let mut notes = Vec::new();
        for name in IMAGES {
            let Some(image) = asked.get(name).filter(|image| !image.is_empty()) else { continue };
            match self.images.insert(name.to_owned(), image.clone()) {
                Some(before) if before != *image && data => notes.push(format!(
                    "{name}: the data were made with {before}, and {image} may not be able to read them; if it does not \
                     come up, go back, or delete the data with `ecomctl down -v`"
                )),
                _ => {}
            }
        }
        notes
    }

    /// Whose they are.
    pub fn system(&self) -> System {
        self.system
    }

    /// Values for the variables of the compose files.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let redis = format!("requirepass {}\n", self.redis.password.expose());
        let mut all = self.images.clone();
        all.extend([
            ("ECOMCTL_PORT_MYSQL".to_owned(), self.mysql.port.to_string()),
            ("ECOMCTL_PORT_REDIS".to_owned(), self.redis.port.to_string()),
            ("ECOMCTL_MYSQL_DATABASE".to_owned(), self.system.description().database.to_owned()),
            ("ECOMCTL_KAFKA_CLUSTER_ID".to_owned(), self.cluster_id.clone()),
            ("ECOMCTL_MYSQL_PASSWORD".to_owned(), self.mysql.password.expose().to_owned()),
            ("ECOMCTL_REDIS_AUTH".to_owned(), redis),
        ]);
        let brokers = self.kafka.iter().enumerate();
        all.extend(brokers.map(|(n, port)| (format!("ECOMCTL_PORT_KAFKA_{}", n + 1), port.to_string())));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(mysql: u16, redis: u16, kafka: u16, brokers: u8) -> StackSpec {
        StackSpec { ports: PortSpec { mysql, redis, kafka }, brokers, ..StackSpec::default() }
    }

    fn state() -> (tempfile::TempDir, StateDir) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::create(dir.path().join("s")).unwrap();
        (dir, state)
    }

    #[test]
    fn passwords_and_drawn_ports_stay_and_asked_ones_are_taken() {
        use std::os::unix::fs::MetadataExt as _;
        let (_dir, state) = state();
        let first = Kept::open(&state, System::Ecommerce, &spec(0, 0, 0, 3)).unwrap();
        first.save().unwrap();
        assert_eq!(std::fs::metadata(state.data("ecommerce").join("docker.json")).unwrap().mode() & 0o777, 0o600);
        let again = Kept::open(&state, System::Ecommerce, &spec(0, 0, 0, 3)).unwrap();
        assert_eq!((again.places.ports(), again.was_there), (first.places.ports(), true));
        let ports: BTreeSet<u16> = first.places.ports().into_iter().map(|(_, port)| port).collect();
        assert_eq!(ports.len(), 5, "each has its own");
        let asked = Kept::open(&state, System::Ecommerce, &spec(3306, 0, 9092, 3)).unwrap().places;
        assert_eq!(asked.mysql.port, 3306);
        assert_eq!(asked.kafka, [9092, 9093, 9094]);
        assert_eq!(asked.redis, first.places.redis);
        assert_eq!(asked.endpoints().mysql.password.expose(), first.places.mysql.password.expose());
    }

    #[test]
    fn a_taken_port_is_told_with_its_owner_or_avoided() {
        let listener = std::net::TcpListener::bind((HOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut places = draw(System::Ecommerce, &spec(port, 0, 0, 1));
        places.choose(places.asked, 1).unwrap();
        let owner = |port: u16| format!("the owner of {port}");
        let message = places.avoid_taken(&|_| true, &ports::is_free, &owner).unwrap_err().to_string();
        assert!(
            message.contains(&format!("taken by the owner of {port}")) && message.contains("stack.ports.mysql"),
            "{message}"
        );
        assert!(places.avoid_taken(&|name| name != "mysql", &ports::is_free, &owner).unwrap().is_empty());
        places.asked.mysql = 0;
        let notes = places.avoid_taken(&|_| true, &ports::is_free, &owner).unwrap();
        assert!(notes.len() == 1 && notes[0].contains("it moves to"), "{notes:?}");
        assert_ne!(places.mysql.port, port);
    }

    #[test]
    fn images_are_kept_and_a_change_under_data_is_told() {
        let mut places = draw(System::Ecommerce, &spec(0, 0, 0, 1));
        let asked = |image: &str| BTreeMap::from([("ECOMCTL_IMAGE_MYSQL".to_owned(), image.to_owned())]);
        assert!(places.take_images(&asked("mysql:8.0"), true).is_empty(), "nothing was known before");
        assert!(places.take_images(&BTreeMap::new(), true).is_empty());
        assert_eq!(places.variables()["ECOMCTL_IMAGE_MYSQL"], "mysql:8.0");
        assert!(places.take_images(&asked("mysql:8.4"), false).is_empty());
        let notes = places.take_images(&asked("mysql:8.0"), true);
        assert!(notes[0].contains("made with mysql:8.4"), "{notes:?}");
    }
}
