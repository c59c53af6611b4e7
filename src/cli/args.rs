#![expect(clippy::doc_markdown, rustdoc::bare_urls, reason = "these comments are the help that people read")]
//! What can be typed. Flags are `Option`: whether one was set is never guessed from its value.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use compose::bytes;

pub use self::{
    help::{CompletionsArgs, DoctorArgs, ProfilesAction, ProfilesArgs},
    look::{LookArgs, TuiArgs},
    run::{
        DemoArgs, ReportArgs, RunArgs, RunsAction, RunsArgs, SeedArgs, ServeArgs, ServeRole, SizeArg, StopArgs,
        VerifyArgs, Via,
    },
    stack::{DownArgs, LagArgs, LogsArgs, RestartArgs, StatsArgs, TopicsAction, TopicsArgs, UpArgs},
};

mod help;
mod look;
mod run;
mod stack;

/// Brings up a MySQL + Redis + Kafka stack, loads it, and proves that nothing was lost, doubled or over-sold.
#[derive(Debug, Parser)]
#[command(name = "ecomctl", version, propagate_version = true, max_term_width = 100, subcommand_required = true)]
#[command(after_help = "Begin with `ecomctl demo`. Exit codes: 0 done and consistent, 1 could not do it, 2 usage or \
    profile, 3 consistency violated, 4 nothing proven, 99 goals missed, 130/143 interrupted.")]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command. Addresses may hold passwords, so that it has no `Debug` of its own fields.
#[derive(Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Global {
    /// Folder for data, logs and runs
    #[arg(long, global = true, env = "ECOMCTL_STATE_DIR", value_name = "DIR", default_value = ".ecomctl")]
    pub state_dir: PathBuf,
    /// Print a table for people or JSON for programs
    #[arg(long, global = true, env = "ECOMCTL_FORMAT", value_name = "FORMAT", default_value = "table")]
    pub format: Format,
    /// Draw nothing and colour nothing
    #[arg(long, global = true, env = "ECOMCTL_CI", value_parser = yes_or_no())]
    pub ci: bool,
    /// Agree to what deletes or overwrites data that ecomctl did not make
    #[arg(long, global = true, env = "ECOMCTL_YES", value_parser = yes_or_no())]
    pub yes: bool,
    /// Log more to standard error (-v info, -vv debug)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Who runs the servers
    #[arg(long, global = true, env = "ECOMCTL_PROVIDER", value_name = "PROVIDER", hide_env_values = true)]
    pub provider: Option<Provider>,
    /// Pull images that the Docker Engine does not have
    #[arg(long, global = true, env = "ECOMCTL_PULL", value_parser = yes_or_no())]
    pub pull: bool,
    /// A MySQL that is there already: mysql://USER:PASSWORD@HOST:3306/DB[?tls=true&ca=FILE]
    #[arg(long, global = true, env = "ECOMCTL_MYSQL_URL", value_name = "URL", hide_env_values = true)]
    pub mysql_url: Option<String>,
    /// File that holds that URL
    #[arg(long, global = true, env = "ECOMCTL_MYSQL_URL_FILE", value_name = "FILE", hide_env_values = true)]
    pub mysql_url_file: Option<String>,
    /// A Redis that is there already: redis[s]://[USER:PASSWORD@]HOST:6379[/DB][?ca=FILE]
    #[arg(long, global = true, env = "ECOMCTL_REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// File that holds that URL
    #[arg(long, global = true, env = "ECOMCTL_REDIS_URL_FILE", value_name = "FILE", hide_env_values = true)]
    pub redis_url_file: Option<String>,
    /// A Kafka that is there already: HOST:9092[,HOST:9092...]
    #[arg(long, global = true, env = "ECOMCTL_KAFKA_BROKERS", value_name = "BROKERS", hide_env_values = true)]
    pub kafka_brokers: Option<String>,
    /// Encrypt the way to that Kafka
    #[arg(long, global = true, env = "ECOMCTL_KAFKA_TLS", value_parser = yes_or_no())]
    pub kafka_tls: bool,
    /// PEM file of its certificate authority
    #[arg(long, global = true, env = "ECOMCTL_KAFKA_CA", value_name = "FILE")]
    pub kafka_ca: Option<String>,
    /// SASL mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
    #[arg(long, global = true, env = "ECOMCTL_KAFKA_MECHANISM", value_name = "MECHANISM")]
    pub kafka_mechanism: Option<String>,
    /// SASL user
    #[arg(long, global = true, env = "ECOMCTL_KAFKA_USERNAME", value_name = "USER", hide_env_values = true)]
    pub kafka_username: Option<String>,
    /// File that holds the SASL password (or set ECOMCTL_KAFKA_PASSWORD)
    #[arg(long, global = true, env = "ECOMCTL_KAFKA_PASSWORD_FILE", value_name = "FILE", hide_env_values = true)]
    pub kafka_password_file: Option<String>,
    /// An API that runs already; no backend is started then
    #[arg(
        long,
        visible_alias = "target",
        global = true,
        env = "ECOMCTL_API_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub api_url: Option<String>,
    /// Say so when the runs take more than this, as in 500M or 10G; 0 never says it
    #[arg(long, global = true, env = "ECOMCTL_RUNS_LIMIT", value_name = "SIZE", default_value = "5G", value_parser = size)]
    pub runs_limit: u64,
    /// Change a key of the profile for this once, as in backend.consumers=6
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Give a ${NAME} of the profile a value, as in USERS=500
    #[arg(short = 'e', long = "env-var", global = true, value_name = "NAME=VALUE")]
    pub env_var: Vec<String>,
}

fn size(text: &str) -> Result<u64, String> {
    bytes(text).ok_or_else(|| "a size is a number with a unit, as in 500M or 10G".into())
}

impl std::fmt::Debug for Global {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Global").field("state_dir", &self.state_dir).finish_non_exhaustive()
    }
}

/// A flag's variable may say `1`, `yes` or `on` as well as `true`; what is neither yes nor no is refused.
fn yes_or_no() -> clap::builder::BoolishValueParser {
    clap::builder::BoolishValueParser::new()
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Who runs the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// The best that this machine has
    Auto,
    /// Containers of a Docker Engine
    Docker,
    /// Private child processes on loopback
    Native,
    /// Your own; nothing is started
    External,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring up MySQL, Redis and Kafka, and make the topics
    Up(UpArgs),
    /// Take the stack down; data stay unless -v follows
    Down(DownArgs),
    /// Show components, addresses, memory, topics and lag
    Status,
    /// Print the addresses of the stack for other tools: eval "$(ecomctl env)"
    Env,
    /// Show the logs of servers and backend, merged by time
    Logs(LogsArgs),
    /// Show what each component uses: CPU, memory, network, disks
    Stats(StatsArgs),
    /// Restart one server, or all
    Restart(RestartArgs),
    /// End a run from another shell
    Stop(StopArgs),
    /// List, plan, make and describe topics
    Topics(TopicsArgs),
    /// Show how far a consumer group is behind, and where that leads
    Lag(LagArgs),
    /// Fill MySQL and Redis, and count what was made
    Seed(SeedArgs),
    /// Run the backend until Ctrl-C
    Serve(ServeArgs),
    /// Run profiles: seed, load, drain, verify, report
    Run(RunArgs),
    /// Look at a stack or a run: latencies, lag, stock, locks, logs and checks on one screen
    Tui(TuiArgs),
    /// Everything at once: up, seed, a quick event, verify, down
    Demo(DemoArgs),
    /// Prove that Redis, Kafka and MySQL agree with what was answered
    Verify(VerifyArgs),
    /// Print the report of a run
    Report(ReportArgs),
    /// List or remove runs
    Runs(RunsArgs),
    /// Look at this machine before anything is started
    Doctor(DoctorArgs),
    /// List profiles, or check one
    Profiles(ProfilesArgs),
    /// Print a completion script
    Completions(CompletionsArgs),
    /// Print the manual page
    Man,
}

impl Command {
    /// Whether `--set` and `--env-var` can change anything of what it does.
    pub fn reads_profile(&self) -> bool {
        match self {
            Self::Up(_)
            | Self::Seed(_)
            | Self::Serve(_)
            | Self::Run(_)
            | Self::Tui(_)
            | Self::Demo(_)
            | Self::Doctor(_) => true,
            Self::Verify(args) => args.run.is_none() && args.history.is_none(),
            Self::Topics(args) => !matches!(args.action, TopicsAction::List | TopicsAction::Describe { .. }),
            Self::Profiles(args) => matches!(args.action, Some(ProfilesAction::Check { .. })),
            Self::Down(_)
            | Self::Status
            | Self::Env
            | Self::Logs(_)
            | Self::Stats(_)
            | Self::Restart(_)
            | Self::Stop(_)
            | Self::Lag(_)
            | Self::Report(_)
            | Self::Runs(_)
            | Self::Completions(_)
            | Self::Man => false,
        }
    }
}

#[cfg(test)]
mod tests;
