//! What the commands share: the state folder, the stack, profiles with the overrides of the command line.

use std::path::{Path, PathBuf};

use contract::{endpoint::KafkaEndpoint, system::System};
use infra::{self, InfraError, external::External, stack::Stack, state::StateDir};
use profile::{
    self, Loaded, Overrides,
    model::{Profile, ProviderChoice, StackSpec},
};
use serde::Serialize;

pub use super::out::{complain, note, out};
use super::{
    args::{Cli, Format, Global, Provider},
    exit::UsageError,
    out::{self, Stream},
};

/// The global flags and what follows from them.
pub struct Context {
    /// The flags.
    pub global: Global,
    /// Standard error is a terminal and drawing is wanted.
    pub draw: bool,
}

impl Context {
    /// Starts the log and finds out where words may be drawn.
    pub fn new(global: Global) -> Self {
        let level = match global.verbose {
            // What librdkafka says on the way is told again, in words of ours, where it matters.
            0 => "warn,rdkafka=off,librdkafka=off",
            1 => "info",
            _ => "debug",
        };
        let filter = tracing_subscriber::EnvFilter::try_from_env("ECOMCTL_LOG")
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(|| out::Log)
            .with_ansi(!global.ci && out::coloured(Stream::Err))
            .init();
        let draw = !global.ci && out::drawable(Stream::Err);
        Self { global, draw }
    }

    /// Whether what was printed on standard output may be written over.
    pub fn redraws(&self) -> bool {
        !self.global.ci && out::drawable(Stream::Out)
    }

    /// The state folder, made if it is missing.
    pub fn state(&self) -> anyhow::Result<StateDir> {
        Ok(StateDir::create(&self.global.state_dir)?)
    }

    /// The state folder, if it is there.
    pub fn existing_state(&self) -> anyhow::Result<Option<StateDir>> {
        Ok(StateDir::open(&self.global.state_dir)?)
    }

    /// The state folder; without one there is no stack.
    pub fn require_state(&self) -> anyhow::Result<StateDir> {
        let state = self.global.state_dir.clone();
        self.existing_state()?.ok_or_else(|| InfraError::NotUp { state }.into())
    }

    /// The servers: those that flags or variables name, and of the others those that are up. They are only looked at.
    pub fn stack(&self) -> anyhow::Result<Stack> {
        let state = self.existing_state()?;
        let up = state.map(|state| state.load_stack()).transpose()?.flatten();
        let up = up.filter(|stack| !stack.components.is_empty());
        let stack = self.named()?.over(up);
        stack.ok_or_else(|| InfraError::NotUp { state: self.global.state_dir.clone() }.into())
    }

    /// Kafka: the one that flags or variables name, else that of the stack that is up.
    pub fn kafka(&self) -> anyhow::Result<KafkaEndpoint> {
        match self.named()?.kafka {
            Some(kafka) => Ok(kafka),
            None => Ok(self.require_state()?.require_stack()?.endpoints.kafka),
        }
    }

    /// The servers that flags or variables name: no profile is asked.
    fn named(&self) -> anyhow::Result<External> {
        let mut spec = StackSpec::default();
        self.external(&mut spec)?;
        Ok(infra::external::resolve(&spec.external)?)
    }

    /// The system that is up; the default one where none is, or where that cannot be read.
    pub fn system(&self) -> System {
        let stack = self.existing_state().ok().flatten().and_then(|state| state.load_stack().ok()?);
        stack.map(|stack| stack.system).unwrap_or_default()
    }

    /// Folder of the runs; it need not be there.
    ///
    /// # Errors
    /// Where the state folder is none of ecomctl's.
    pub fn runs(&self) -> anyhow::Result<PathBuf> {
        let state = self.existing_state()?;
        Ok(state.map_or_else(|| self.global.state_dir.join("runs"), |state| state.path("runs")))
    }

    /// Loads a profile with the overrides of the command line.
    pub fn profile(&self, name: &str) -> anyhow::Result<Loaded> {
        self.profile_with(name, |_| {})
    }

    /// The same with further overrides of one command.
    pub fn profile_with(&self, name: &str, change: impl FnOnce(&mut Overrides)) -> anyhow::Result<Loaded> {
        let mut overrides =
            Overrides { set: self.global.set.clone(), env: self.global.env_var.clone(), ..Overrides::default() };
        change(&mut overrides);
        let mut loaded = profile::load(name, &overrides)?;
        self.external(&mut loaded.profile.stack)?;
        for warning in &loaded.warnings {
            note(&format!("warning: {warning}"));
        }
        Ok(loaded)
    }

    /// Flags and variables win over the profile, and keep the rules of its keys.
    ///
    /// # Errors
    /// A [`UsageError`] that names key, flag and variable.
    fn external(&self, stack: &mut StackSpec) -> Result<(), UsageError> {
        let flags = self.global.clone();
        if let Some(provider) = flags.provider {
            stack.provider = match provider {
                Provider::Auto => ProviderChoice::Auto,
                Provider::Docker => ProviderChoice::Docker,
                Provider::Native => ProviderChoice::Native,
                Provider::External => ProviderChoice::External,
            };
        }
        let external = &mut stack.external;
        // A URL by flag must win over a file by profile, and the other way round: clear both, then set.
        if flags.mysql_url.is_some() || flags.mysql_url_file.is_some() {
            (external.mysql_url, external.mysql_url_file) = (flags.mysql_url, flags.mysql_url_file);
        }
        if flags.redis_url.is_some() || flags.redis_url_file.is_some() {
            (external.redis_url, external.redis_url_file) = (flags.redis_url, flags.redis_url_file);
        }
        replace(&mut external.kafka_brokers, flags.kafka_brokers);
        replace(&mut external.api_url, flags.api_url);
        let kafka = &mut external.kafka;
        kafka.tls |= flags.kafka_tls;
        replace(&mut kafka.ca, flags.kafka_ca);
        replace(&mut kafka.mechanism, flags.kafka_mechanism);
        replace(&mut kafka.username, flags.kafka_username);
        let password = std::env::var("ECOMCTL_KAFKA_PASSWORD").ok();
        if password.is_some() || flags.kafka_password_file.is_some() {
            (kafka.password, kafka.password_file) = (password, flags.kafka_password_file);
        }
        let problems = profile::validate::external(external);
        if problems.is_empty() {
            return Ok(());
        }
        let line = |(key, why): (&str, String)| format!("{}: {why}", places_of(key));
        Err(UsageError(problems.into_iter().map(line).collect::<Vec<_>>().join("\n")))
    }

    /// Prints a result: `table` for people, `value` for programs.
    pub fn print(&self, table: &str, value: &impl Serialize) -> anyhow::Result<()> {
        match self.global.format {
            Format::Table => out(table),
            Format::Json => out(&serde_json::to_string_pretty(value)?),
        }
    }
}

/// Where a key below `stack.external` can be given: `--api-url (or ECOMCTL_API_URL, or stack.external.api_url)`.
fn places_of(key: &str) -> String {
    let variable = format!("ECOMCTL_{}", key.replace('.', "_").to_ascii_uppercase());
    // A password in an argument could be read by everybody on the machine.
    let flag = if key.ends_with(".password") { String::new() } else { format!("--{}, ", key.replace(['.', '_'], "-")) };
    format!("{flag}{variable} or stack.external.{key}")
}

/// Whether the servers that are up are those of the profile's system.
///
/// # Errors
/// [`InfraError::OtherSystem`] where they are another's: its data and topics would be taken for this one's.
pub fn same_system(profile: &Profile, up: System, state: &Path) -> Result<(), InfraError> {
    if profile.system == up {
        return Ok(());
    }
    let (up, asked) = (up.name().into(), profile.system.name().into());
    Err(InfraError::OtherSystem { state: state.to_owned(), up, asked })
}

fn replace(target: &mut Option<String>, value: Option<String>) {
    if value.is_some() {
        *target = value;
    }
}

/// Prints the manual page.
pub fn man() -> anyhow::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(<Cli as clap::CommandFactory>::command()).render(&mut page)?;
    out(&String::from_utf8_lossy(&page))
}
