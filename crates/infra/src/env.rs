//! Where server programs are looked for. A value of its own, so that a test can hide one.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use nix::unistd::User;

use super::error::InfraError;

/// Places of programs and of Kafka's jars.
#[derive(Debug, Clone)]
pub struct Env {
    /// Folders that hold programs, in order.
    pub search: Vec<PathBuf>,
    /// `JAVA_HOME`
    pub java_home: Option<PathBuf>,
    /// `KAFKA_HOME`: an ordinary Kafka download.
    pub kafka_home: Option<PathBuf>,
    /// The cache that `make kafka` fills: `~/.cache/ecomctl`.
    pub cache: Option<PathBuf>,
}

impl Env {
    /// As the variables of this process say. Servers often live in `sbin`, which a user's PATH may lack.
    pub fn from_process() -> Self {
        // Absolute: a server runs in a folder of its own.
        let absolute = |path: PathBuf| std::path::absolute(path).ok();
        let folder = |name: &str| env::var_os(name).map(PathBuf::from).and_then(absolute);
        let path = env::var_os("PATH").unwrap_or_default();
        let mut search: Vec<PathBuf> = env::split_paths(&path).filter_map(absolute).collect();
        search.extend(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin"].map(PathBuf::from));
        let home = folder("HOME").or_else(|| User::from_uid(nix::unistd::getuid()).ok()?.map(|user| user.dir));
        let cache = folder("XDG_CACHE_HOME").or_else(|| home.map(|home| home.join(".cache")));
        Self {
            search,
            java_home: folder("JAVA_HOME"),
            kafka_home: folder("KAFKA_HOME"),
            cache: cache.map(|cache| cache.join("ecomctl")),
        }
    }

    /// The first of `names` that is there.
    pub fn find(&self, names: &[&str]) -> Option<PathBuf> {
        names.iter().find_map(|name| self.search.iter().map(|dir| dir.join(name)).find(|path| is_program(path)))
    }

    /// `mysqld` or `mariadbd`.
    pub fn mysqld(&self) -> Result<PathBuf, InfraError> {
        self.find(&["mysqld", "mariadbd"]).ok_or_else(|| InfraError::MissingProgram {
            component: "mysql",
            missing: "a MySQL or MariaDB server".into(),
            looked_for: "mysqld and mariadbd on PATH and in /usr/sbin".into(),
            remedy: "make deps",
            external: "--mysql-url",
        })
    }

    /// MariaDB's script that makes a data folder; MySQL's server does it itself.
    pub fn mariadb_install_db(&self) -> Result<PathBuf, InfraError> {
        self.find(&["mariadb-install-db", "mysql_install_db"]).ok_or_else(|| InfraError::MissingProgram {
            component: "mysql",
            missing: "MariaDB's mariadb-install-db".into(),
            looked_for: "mariadb-install-db and mysql_install_db on PATH".into(),
            remedy: "make deps",
            external: "--mysql-url",
        })
    }

    /// `redis-server` or `valkey-server`, or the checking tool that is the same program under another name.
    pub fn redis_server(&self) -> Result<PathBuf, InfraError> {
        let names = ["redis-server", "valkey-server", "redis-check-rdb", "valkey-check-rdb"];
        self.find(&names).ok_or_else(|| InfraError::MissingProgram {
            component: "redis",
            missing: "a Redis or Valkey server".into(),
            looked_for: format!("{} on PATH and in /usr/bin", names.join(", ")),
            remedy: "make deps",
            external: "--redis-url",
        })
    }

    /// `java`.
    pub fn java(&self) -> Result<PathBuf, InfraError> {
        let home = self.java_home.iter().map(|home| home.join("bin/java")).find(|path| is_program(path));
        home.or_else(|| self.find(&["java"])).ok_or_else(|| InfraError::MissingProgram {
            component: "kafka",
            missing: "a Java runtime (17 or newer)".into(),
            looked_for: "java in JAVA_HOME and on PATH".into(),
            remedy: "make deps",
            external: "--kafka-brokers",
        })
    }

    /// Kafka's jars: of `KAFKA_HOME`, else the newest of the cache.
    pub fn kafka(&self) -> Result<KafkaJars, InfraError> {
        if let Some(jars) = self.kafka_home.as_deref().and_then(KafkaJars::of) {
            return Ok(jars);
        }
        let cached = self.cache.iter().filter_map(|cache| fs::read_dir(cache).ok()).flatten().flatten();
        let complete = cached.map(|entry| entry.path()).filter(|path| path.join("complete").exists());
        let newest = complete.filter_map(|path| KafkaJars::of(&path)).max_by_key(|jars| version_key(&jars.version));
        newest.ok_or_else(|| {
            let cache = self.cache.as_ref().map_or_else(|| "no cache folder".into(), |c| c.display().to_string());
            let home = self.kafka_home.as_ref().map_or_else(|| "which is not set".into(), |h| h.display().to_string());
            InfraError::MissingProgram {
                component: "kafka",
                missing: "Kafka's jars".into(),
                looked_for: format!("libs/kafka_2.13-*.jar in KAFKA_HOME, {home}, and below {cache}"),
                remedy: "make kafka",
                external: "--kafka-brokers",
            }
        })
    }
}

/// Kafka's jars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaJars {
    /// Folder that holds `libs`.
    pub home: PathBuf,
    /// As the jar's name says.
    pub version: String,
}

impl KafkaJars {
    fn of(home: &Path) -> Option<Self> {
        let names = fs::read_dir(home.join("libs")).ok()?.flatten();
        let version = { names }.find_map(|entry| kafka_version(entry.file_name().to_str()?))?;
        Some(Self { home: home.to_owned(), version })
    }
}

/// `kafka_2.13-4.1.0.jar` → `4.1.0`; none for other jars, also for those of sources and tests.
fn kafka_version(jar: &str) -> Option<String> {
    let (scala, version) = jar.strip_prefix("kafka_")?.strip_suffix(".jar")?.split_once('-')?;
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    (plain(scala) && plain(version)).then(|| version.to_owned())
}

fn version_key(version: &str) -> Vec<u64> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_complete_jars_of_the_cache_are_taken_and_kafka_home_first() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["4.1.0", "4.10.0", "4.9.0", "5.0.0"] {
            let home = dir.path().join(format!("kafka-{version}"));
            fs::create_dir_all(home.join("libs")).unwrap();
            fs::write(home.join(format!("libs/kafka_2.13-{version}.jar")), "").unwrap();
            fs::write(home.join("libs/kafka_2.13-sources.jar"), "").unwrap();
            if version != "5.0.0" {
                fs::write(home.join("complete"), "").unwrap();
            }
        }
        let mut env = Env { search: vec![], java_home: None, kafka_home: None, cache: Some(dir.path().into()) };
        assert_eq!(env.kafka().unwrap().version, "4.10.0");
        env.kafka_home = Some(dir.path().join("kafka-4.1.0"));
        assert_eq!(env.kafka().unwrap().version, "4.1.0");
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_brings_it() {
        let env = Env { search: vec!["/nowhere".into()], java_home: None, kafka_home: None, cache: None };
        for (error, remedy) in [
            (env.mysqld().unwrap_err(), "make deps"),
            (env.redis_server().unwrap_err(), "make deps"),
            (env.java().unwrap_err(), "make deps"),
            (env.kafka().unwrap_err(), "make kafka"),
        ] {
            assert!(error.to_string().contains(&format!("not found (looked for {}", "")), "{error}");
            assert!(error.to_string().contains(&format!("run `{remedy}`")), "{error}");
        }
    }
}
