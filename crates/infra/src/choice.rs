//! Who runs a component: pure rules, with the reason in words.

use profile::model::ProviderChoice;
use record::event::names::Provider;

use super::error::InfraError;

/// Who runs a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Runner {
    /// A container of ours.
    Docker,
    /// A process of ours.
    Native,
    /// Somebody else.
    External,
}

impl From<Runner> for Provider {
    fn from(runner: Runner) -> Self {
        match runner {
            Runner::Docker => Self::Docker,
            Runner::Native => Self::Native,
            Runner::External => Self::External,
        }
    }
}

/// The three servers that a runner is chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// MySQL.
    Mysql,
    /// Redis.
    Redis,
    /// Kafka, all brokers.
    Kafka,
}

impl Server {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mysql, Self::Redis, Self::Kafka];

    /// `mysql`, `redis`, `kafka`
    pub fn name(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Redis => "redis",
            Self::Kafka => "kafka",
        }
    }

    /// Whether the component `name` (`kafka-1`) is a part of it. `kafka-init` and `kafka-ui` are beside the brokers.
    pub fn has(self, name: &str) -> bool {
        let broker = || name.strip_prefix("kafka-").is_some_and(|node| node.parse::<u8>().is_ok());
        name == self.name() || (self == Self::Kafka && broker())
    }

    /// Whether the component `name` is a part of any of them, as opposed to a backend process.
    pub fn is_any(name: &str) -> bool {
        Self::ALL.into_iter().any(|server| server.has(name))
    }

    /// Where an address is given: key of the profile, flag, variable.
    fn places(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Mysql => ("stack.external.mysql_url", "--mysql-url", "ECOMCTL_MYSQL_URL"),
            Self::Redis => ("stack.external.redis_url", "--redis-url", "ECOMCTL_REDIS_URL"),
            Self::Kafka => ("stack.external.kafka_brokers", "--kafka-brokers", "ECOMCTL_KAFKA_BROKERS"),
        }
    }
}

/// What is known about the Engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineState {
    /// It answers; its version.
    Answers(String),
    /// Why not, in words that begin a clause.
    Not(String),
}

/// What the choice for one server depends on.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// What the profile or the flag asks for.
    pub asked: ProviderChoice,
    /// An address was given.
    pub address: bool,
    /// Who runs it now, if anybody does; also where it has ended and was not taken down.
    pub running: Option<Runner>,
    /// The Engine; asked only where it can matter.
    pub engine: &'a EngineState,
    /// Images of this server that the Engine does not have.
    pub missing: &'a [String],
    /// They may be pulled.
    pub pull: bool,
}

/// Who runs a server, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Who.
    pub runner: Runner,
    /// Why; follows "because".
    pub why: String,
}

/// Chooses for one server.
///
/// # Errors
/// [`InfraError::NoAddress`] where an external server is asked for, and nobody said where it is.
pub fn choose(server: Server, facts: &Facts<'_>) -> Result<Choice, InfraError> {
    let chosen = |runner, why: String| Ok(Choice { runner, why });
    if facts.address {
        return chosen(Runner::External, "an address was given".into());
    }
    match (facts.asked, facts.running) {
        (ProviderChoice::External, _) => {
            let (key, flag, variable) = server.places();
            Err(InfraError::NoAddress { component: server.name(), key, flag, variable })
        }
        (ProviderChoice::Docker, _) => chosen(Runner::Docker, "it was asked for".into()),
        (ProviderChoice::Native, _) => chosen(Runner::Native, "it was asked for".into()),
        (ProviderChoice::Auto, Some(runner @ (Runner::Docker | Runner::Native))) => {
            chosen(runner, "it is there already".into())
        }
        (ProviderChoice::Auto, _) => match (facts.engine, facts.missing) {
            (EngineState::Not(why), _) => chosen(Runner::Native, why.clone()),
            (EngineState::Answers(version), []) => {
                chosen(Runner::Docker, format!("an Engine answers ({version}) and has the image"))
            }
            (EngineState::Answers(version), missing) if facts.pull => {
                let images = missing.join(", ");
                chosen(Runner::Docker, format!("an Engine answers ({version}) and may pull {images}"))
            }
            (EngineState::Answers(_), [image]) => {
                chosen(Runner::Native, format!("image {image} is not here (give --pull)"))
            }
            (EngineState::Answers(_), images) => {
                chosen(Runner::Native, format!("images {} are not here (give --pull)", images.join(", ")))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'a>(asked: ProviderChoice, engine: &'a EngineState, missing: &'a [String]) -> Facts<'a> {
        Facts { asked, address: false, running: None, engine, missing, pull: false }
    }

    #[test]
    fn each_case_has_its_runner_and_a_reason() {
        let answers = EngineState::Answers("27.1".into());
        let not = EngineState::Not("no Engine answers on unix:///var/run/docker.sock".into());
        let (none, one, two) = (vec![], vec!["mysql:8.4".to_owned()], vec!["a:1".to_owned(), "b:2".to_owned()]);
        let auto = |engine, missing| facts(ProviderChoice::Auto, engine, missing);
        let table = [
            (auto(&answers, &none), Runner::Docker, "an Engine answers (27.1) and has the image"),
            (auto(&answers, &one), Runner::Native, "image mysql:8.4 is not here (give --pull)"),
            (auto(&answers, &two), Runner::Native, "images a:1, b:2 are not here (give --pull)"),
            (
                Facts { pull: true, ..auto(&answers, &one) },
                Runner::Docker,
                "an Engine answers (27.1) and may pull mysql:8.4",
            ),
            (auto(&not, &none), Runner::Native, "no Engine answers on unix:///var/run/docker.sock"),
            (Facts { pull: true, ..auto(&not, &none) }, Runner::Native, "no Engine answers on"),
            (Facts { address: true, ..auto(&answers, &none) }, Runner::External, "an address was given"),
            (
                Facts { address: true, ..facts(ProviderChoice::Docker, &answers, &none) },
                Runner::External,
                "an address was given",
            ),
            (Facts { running: Some(Runner::Native), ..auto(&answers, &none) }, Runner::Native, "it is there already"),
            (Facts { running: Some(Runner::Docker), ..auto(&answers, &one) }, Runner::Docker, "it is there already"),
            // Who was external, and has no address any more, is chosen anew.
            (Facts { running: Some(Runner::External), ..auto(&not, &none) }, Runner::Native, "no Engine answers"),
            (facts(ProviderChoice::Docker, &not, &one), Runner::Docker, "it was asked for"),
            (
                Facts { running: Some(Runner::Docker), ..facts(ProviderChoice::Native, &answers, &none) },
                Runner::Native,
                "it was asked for",
            ),
        ];
        for (facts, runner, why) in table {
            let choice = choose(Server::Mysql, &facts).unwrap();
            assert_eq!(choice.runner, runner, "{facts:?}");
            assert!(choice.why.starts_with(why), "{choice:?}");
        }
    }

    #[test]
    fn an_external_server_needs_an_address_and_the_error_says_where() {
        let engine = EngineState::Not(String::new());
        for server in Server::ALL {
            let message = choose(server, &facts(ProviderChoice::External, &engine, &[])).unwrap_err().to_string();
            let (key, flag, variable) = server.places();
            assert!([key, flag, variable].iter().all(|word| message.contains(word)), "{message}");
        }
    }

    #[test]
    fn brokers_belong_to_kafka() {
        assert!(Server::Kafka.has("kafka-3") && Server::Kafka.has("kafka") && !Server::Kafka.has("kafka-init"));
        assert!(!Server::Mysql.has("kafka-1") && Server::Redis.has("redis"));
    }
}
