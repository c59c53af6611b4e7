//! Settings of the servers: `compose/…` is the one source for every provider. The files are embedded; those of the
//! current folder win. What depends on the machine (paths, ports, passwords) is put behind them.

use std::{fmt::Write as _, fs, io, path::PathBuf};

use super::error::InfraError;

/// The settings file of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `compose/mysql/my.cnf`
    Mysql,
    /// `compose/redis/redis.conf`
    Redis,
    /// `compose/kafka/server.properties`
    Kafka,
}

impl Source {
    /// Its path in the repository and in a user's folder.
    pub fn path(self) -> &'static str {
        match self {
            Self::Mysql => "compose/mysql/my.cnf",
            Self::Redis => "compose/redis/redis.conf",
            Self::Kafka => "compose/kafka/server.properties",
        }
    }

    fn embedded(self) -> &'static str {
        match self {
            Self::Mysql => include_str!("../../../compose/mysql/my.cnf"),
            Self::Redis => include_str!("../../../compose/redis/redis.conf"),
            Self::Kafka => include_str!("../../../compose/kafka/server.properties"),
        }
    }

    /// The file of the current folder, or the embedded one.
    pub fn load(self) -> Result<String, InfraError> {
        match fs::read_to_string(self.path()) {
            Ok(text) => Ok(text),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(self.embedded().to_owned())
            }
            Err(e) => Err(InfraError::Settings { path: PathBuf::from(self.path()), why: e.to_string() }),
        }
    }

    /// Keys that the provider sets; a user's file that sets them would point the server at something else.
    fn reserved(self) -> &'static [&'static str] {
        match self {
            Self::Mysql => &["port", "bind_address", "datadir", "socket", "pid_file", "init_file"],
            Self::Redis => &["port", "bind", "dir", "requirepass", "daemonize", "include"],
            Self::Kafka => {
                &["node.id", "listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs", "broker.id"]
            }
        }
    }

    /// The key of a line, in one spelling; none for comments, sections and empty lines.
    fn key(self, line: &str) -> Option<String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';', '!', '[']) {
            return None;
        }
        let key = match self {
            Self::Mysql => line.split(['=', ' ', '\t']).next(),
            Self::Redis => line.split_ascii_whitespace().next(),
            Self::Kafka => line.split(['=', ':', ' ', '\t']).next(),
        }?;
        Some(match self {
            Self::Mysql => key.to_ascii_lowercase().replace('-', "_"),
            _ => key.to_ascii_lowercase(),
        })
    }

    /// Puts `extra` (key, value) behind `base`; the later one counts for all three servers.
    ///
    /// # Errors
    /// When `base` sets a key that belongs to the provider: file, line and key.
    pub fn render(self, base: &str, extra: &[(&str, String)]) -> Result<String, InfraError> {
        for (number, line) in base.lines().enumerate() {
            if let Some(key) = self.key(line).filter(|key| self.reserved().contains(&key.as_str())) {
                let path = PathBuf::from(self.path());
                let why = format!("line {}: `{key}` is set by ecomctl; remove it", number + 1);
                return Err(InfraError::Settings { path, why });
            }
        }
        let mut text = format!("{}\n\n# Set by ecomctl for this machine.\n", base.trim_end());
        if self == Self::Mysql {
            text.push_str("[mysqld]\n");
        }
        for (key, value) in extra {
            let _ = match self {
                Self::Mysql => writeln!(text, "{key} = \"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
                Self::Redis => writeln!(text, "{key} \"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
                Self::Kafka => writeln!(text, "{key}={}", properties_value(value)),
            };
        }
        Ok(text)
    }

    /// The value of `key` in `text`, the last one that is set.
    pub fn value(self, text: &str, key: &str) -> Option<String> {
        let line = text.lines().rfind(|line| self.key(line).as_deref() == Some(key))?.trim();
        let value = match self {
            Self::Redis => line.split_once(char::is_whitespace)?.1,
            Self::Mysql | Self::Kafka => line.split_once('=')?.1,
        };
        Some(value.trim().trim_matches('"').to_owned())
    }
}

/// Java reads properties files as Latin-1: other letters of a path are escaped.
fn properties_value(value: &str) -> String {
    let mut text = String::new();
    for unit in value.encode_utf16() {
        match char::from_u32(u32::from(unit)) {
            Some('\\') => text.push_str("\\\\"),
            Some(plain) if plain.is_ascii() => text.push(plain),
            _ => {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_settings_leave_machine_keys_to_the_provider() {
        for source in [Source::Mysql, Source::Redis, Source::Kafka] {
            let text = source.render(source.embedded(), &[("port", "1".into())]).unwrap();
            assert!(text.starts_with(source.embedded().trim_end()), "{}", source.path());
        }
        let policy = Source::Redis.value(Source::Redis.embedded(), "maxmemory-policy");
        assert_eq!(policy.as_deref(), Some("noeviction"), "eviction of the gate would oversell");
        let auto = Source::Kafka.value(Source::Kafka.embedded(), "auto.create.topics.enable");
        assert_eq!(auto.as_deref(), Some("false"));
        assert_eq!(Source::Mysql.value(Source::Mysql.embedded(), "innodb_buffer_pool_size").as_deref(), Some("512M"));
    }

    #[test]
    fn what_the_provider_adds_stands_last_and_quoted() {
        let text = Source::Mysql.render("[mysqld]\nmax_connections=1", &[("datadir", "/a \"b\"".into())]).unwrap();
        assert!(text.ends_with("[mysqld]\ndatadir = \"/a \\\"b\\\"\"\n"), "{text}");
        let text = Source::Redis.render("", &[("dir", "/a b".into())]).unwrap();
        assert!(text.ends_with("dir \"/a b\"\n"), "{text}");
        let text = Source::Kafka.render("a=b", &[("log.dirs", "/a b".into())]).unwrap();
        assert!(text.ends_with("log.dirs=/a b\n"), "{text}");
        assert_eq!(properties_value("/데\\a"), "/\\ub370\\\\a");
    }

    #[test]
    fn a_key_of_the_provider_is_refused_with_file_and_line() {
        for (source, base) in [
            (Source::Mysql, "[mysqld]\nBind-Address=0.0.0.0"),
            (Source::Redis, "# x\n  port 6379"),
            (Source::Kafka, "\nlog.dirs = /tmp"),
        ] {
            let message = source.render(base, &[]).unwrap_err().to_string();
            assert!(message.starts_with(&format!("{}: line 2: `", source.path())), "{message}");
        }
    }
}
