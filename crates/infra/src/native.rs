//! The native provider: private servers as processes of this machine, on loopback ports, with data below the state folder.

mod kafka;
mod mysql;
mod redis;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use contract::{
    endpoint::{KafkaEndpoint, MysqlEndpoint, RedisEndpoint},
    human::Secret,
    system::System,
};
use serde::{Deserialize, Serialize};

use super::{
    docker,
    env::Env,
    error::InfraError,
    ports,
    process::{self, Spawn},
    state::StateDir,
};

const SCHEMA_VERSION: u32 = 1;
const HOST: &str = "127.0.0.1";
/// MySQL's user; it may do everything, and comes from this machine only.
const MYSQL_USER: &str = "ecomctl";

/// Ports and passwords of the private servers of a system. They are kept beside the data, and go with them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Places {
    schema_version: u32,
    /// MySQL.
    pub mysql: Login,
    /// Redis.
    pub redis: Login,
    /// One for each broker.
    pub kafka: Vec<BrokerPorts>,
    /// KRaft's cluster id: 22 characters of base64url.
    cluster_id: String,
}

/// Port and password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Login {
    port: u16,
    password: Secret,
}

/// Ports of one broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerPorts {
    broker: u16,
    controller: u16,
}

/// The private servers of one system.
#[derive(Debug)]
pub struct Native {
    state: StateDir,
    /// The same folder by a path that every settings file and script takes.
    plain: StateDir,
    system: System,
    env: Env,
    places: Places,
}

/// A server, ready to be started.
#[derive(Debug, Clone)]
pub struct Server {
    /// `mysql`, `redis`, `kafka-1` …
    pub name: String,
    /// Ports it listens on; the first is the one that clients use.
    pub ports: Vec<u16>,
    /// Data folder.
    pub data: PathBuf,
    /// Settings file.
    pub conf: PathBuf,
    /// What belongs into the settings file.
    pub conf_text: String,
    /// How it is started.
    pub spawn: Spawn,
    /// What has to be done before its first start.
    init: Init,
}

#[derive(Debug, Clone)]
enum Init {
    Nothing,
    Mysql(mysql::Init),
    Kafka(kafka::Format),
}

impl Native {
    /// Reads the places of `system`, or draws new ones.
    ///
    /// # Errors
    /// [`InfraError::BrokersChanged`] where the data belong to another number of brokers.
    pub fn open(state: &StateDir, system: System, brokers: u8, env: Env) -> Result<Self, InfraError> {
        state.folder("conf")?;
        state.folder("logs")?;
        let plain = state.plain()?;
        let data = plain.folder(Path::new("data").join(system.name()))?;
        let file = data.join("places.json");
        let places = match state.load_json::<Places>(&file, SCHEMA_VERSION)? {
            Some(places) if places.kafka.len() != usize::from(brokers) => {
                if kafka::was_formatted(&data) {
                    let had = places.kafka.len() as u8;
                    return Err(InfraError::BrokersChanged { data, had, want: brokers });
                }
                Places { kafka: draw_brokers(&places, brokers)?, ..places }
            }
            Some(places) => places,
            None => draw(brokers)?,
        };
        let native = Self { state: state.clone(), plain, system, env, places };
        native.save()?;
        Ok(native)
    }

    fn save(&self) -> Result<(), InfraError> {
        self.state.save_json(&self.data().join("places.json"), &self.places)
    }

    fn data(&self) -> PathBuf {
        self.plain.data(self.system.name())
    }

    /// Takes another port for each one that somebody else holds. `ours` says which are held by servers of this stack.
    /// Returns what was changed, in words.
    pub async fn avoid_taken_ports(&mut self, ours: impl Fn(u16) -> bool) -> Result<Vec<String>, InfraError> {
        let mut notes = Vec::new();
        let mut taken: BTreeSet<u16> = ports_of(&mut self.places).into_iter().map(|(_, port)| *port).collect();
        for (name, port) in ports_of(&mut self.places) {
            if ours(*port) || ports::is_free(*port) {
                continue;
            }
            let owner = docker::port_holder(*port).await;
            let other = ports::free(&taken).map_err(InfraError::io("find a free port on", HOST))?;
            taken.insert(other);
            notes.push(format!("port {port} of {name} is taken by {owner}; it moves to {other}"));
            *port = other;
        }
        if !notes.is_empty() {
            self.save()?;
        }
        Ok(notes)
    }

    /// MySQL's address and login.
    pub fn mysql_endpoint(&self) -> MysqlEndpoint {
        MysqlEndpoint {
            host: HOST.into(),
            port: self.places.mysql.port,
            user: MYSQL_USER.into(),
            password: self.places.mysql.password.clone(),
            database: self.system.description().database.into(),
            tls: None,
        }
    }

    /// Redis's address and login.
    pub fn redis_endpoint(&self) -> RedisEndpoint {
        RedisEndpoint {
            host: HOST.into(),
            port: self.places.redis.port,
            user: None,
            password: Some(self.places.redis.password.clone()),
            db: 0,
            tls: None,
        }
    }

    /// Kafka's addresses.
    pub fn kafka_endpoint(&self) -> KafkaEndpoint {
        let brokers: Vec<_> = self.places.kafka.iter().map(|ports| format!("{HOST}:{}", ports.broker)).collect();
        KafkaEndpoint { brokers: brokers.join(","), security: None }
    }

    fn conf(&self, file: &str) -> PathBuf {
        self.plain.path("conf").join(file)
    }

    fn spawn(&self, program: PathBuf, name: &str, cwd: &Path) -> Spawn {
        let spawn = Spawn::new(program, self.state.root(), name, cwd, &self.state.log(name));
        spawn.env(process::FOLDER_ID, self.state.owner().id())
    }
}

impl Server {
    /// Address for people.
    pub fn address(&self) -> String {
        format!("{HOST}:{}", self.ports.first().copied().unwrap_or_default())
    }

    /// Whether the settings on disk are those it would be started with.
    pub fn is_configured(&self) -> bool {
        fs::read_to_string(&self.conf).is_ok_and(|text| text == self.conf_text)
    }

    /// Writes settings, makes the data folder where there is none. The last log is kept as `<name>.log.1`.
    pub async fn prepare(&self, state: &StateDir) -> Result<(), InfraError> {
        state.write(&self.conf, self.conf_text.as_bytes())?;
        let log = &self.spawn.log;
        match fs::rename(log, log.with_extension("log.1")) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(InfraError::io("move", log)(e)),
            _ => {}
        }
        make_folder(&self.spawn.cwd.join(process::TMP))?;
        match &self.init {
            Init::Nothing => make_folder(&self.data),
            Init::Mysql(init) => init.run(state, self).await,
            Init::Kafka(format) => format.run(state, self).await,
        }
    }
}

fn make_folder(path: &Path) -> Result<(), InfraError> {
    fs::create_dir_all(path).map_err(InfraError::io("create", path))
}

fn draw(brokers: u8) -> Result<Places, InfraError> {
    let login = || Login { port: 0, password: Secret::new(token(24)) };
    let mut places = Places {
        schema_version: SCHEMA_VERSION,
        mysql: login(),
        redis: login(),
        kafka: Vec::new(),
        cluster_id: format!("{}A", token(21)),
    };
    let mut taken = BTreeSet::new();
    for port in [&mut places.mysql.port, &mut places.redis.port] {
        *port = ports::free(&taken).map_err(InfraError::io("find a free port on", HOST))?;
        taken.insert(*port);
    }
    places.kafka = draw_brokers(&places, brokers)?;
    Ok(places)
}

fn draw_brokers(places: &Places, brokers: u8) -> Result<Vec<BrokerPorts>, InfraError> {
    let mut taken = BTreeSet::from([places.mysql.port, places.redis.port]);
    let mut next = || -> Result<u16, InfraError> {
        let port = ports::free(&taken).map_err(InfraError::io("find a free port on", HOST))?;
        taken.insert(port);
        Ok(port)
    };
    (0..brokers).map(|_| Ok(BrokerPorts { broker: next()?, controller: next()? })).collect()
}

fn ports_of(places: &mut Places) -> Vec<(String, &mut u16)> {
    let mut all = vec![("mysql".to_owned(), &mut places.mysql.port), ("redis".to_owned(), &mut places.redis.port)];
    for (index, ports) in places.kafka.iter_mut().enumerate() {
        all.push((format!("kafka-{}", index + 1), &mut ports.broker));
        all.push((format!("kafka-{} (controller)", index + 1), &mut ports.controller));
    }
    all
}

/// `length` letters and digits from the system's random source: safe unquoted in every settings file.
pub(super) fn token(length: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..length).map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())])).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn env() -> Env {
        Env { search: vec![], java_home: None, kafka_home: None, cache: None }
    }

    #[tokio::test]
    async fn places_are_kept_and_a_taken_port_is_left_to_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::create(dir.path().join("s")).unwrap();
        let first = Native::open(&state, System::Ecommerce, 1, env()).unwrap();
        let mut second = Native::open(&state, System::Ecommerce, 1, env()).unwrap();
        assert_eq!(first.places, second.places);
        assert_eq!(first.mysql_endpoint().password.expose().len(), 24);

        let taken = second.places.redis.port;
        let listener = TcpListener::bind((HOST, taken)).unwrap();
        assert!(second.avoid_taken_ports(|port| port == taken).await.unwrap().is_empty());
        let notes = second.avoid_taken_ports(|_| false).await.unwrap();
        let me = format!("(pid {})", std::process::id());
        assert!(notes.len() == 1 && notes[0].contains(&me) && notes[0].contains("of redis"), "{notes:?}");
        assert_ne!(second.places.redis.port, taken);
        drop(listener);
        assert_eq!(Native::open(&state, System::Ecommerce, 1, env()).unwrap().places, second.places);
    }

    #[test]
    fn another_number_of_brokers_is_no_trouble_until_there_are_data() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::create(dir.path().join("s")).unwrap();
        Native::open(&state, System::Ecommerce, 1, env()).unwrap();
        let three = Native::open(&state, System::Ecommerce, 3, env()).unwrap();
        assert_eq!(three.kafka_endpoint().brokers.split(',').count(), 3);
        fs::write(state.data("ecommerce").join("kafka-1.formatted"), "").unwrap();
        let message = Native::open(&state, System::Ecommerce, 1, env()).unwrap_err().to_string();
        assert!(message.contains("belong to 3 broker(s), not 1"), "{message}");
    }
}
