#![expect(clippy::doc_markdown, rustdoc::bare_urls, reason = "these comments are the help that people read")]
//! What can be typed. Flags are `Option`: whether one was set is never guessed from its value.

use std::path::PathBuf;

use backend::settings::Size;
use clap::{Args, Parser, Subcommand, ValueEnum};

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

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Global {
    /// Folder for data, logs and runs
    #[arg(long, global = true, env = "ECOMCTL_STATE_DIR", value_name = "DIR", default_value = ".ecomctl")]
    pub state_dir: PathBuf,
    /// Print a table for people or JSON for programs
    #[arg(long, global = true, env = "ECOMCTL_FORMAT", value_name = "FORMAT", default_value = "table")]
    pub format: Format,
    /// Draw nothing and colour nothing
    #[arg(long, global = true, env = "ECOMCTL_CI")]
    pub ci: bool,
    /// Agree to what deletes or overwrites data that ecomctl did not make
    #[arg(long, global = true, env = "ECOMCTL_YES")]
    pub yes: bool,
    /// Log more to standard error (-v info, -vv debug)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Who runs the servers
    #[arg(long, global = true, env = "ECOMCTL_PROVIDER", value_name = "PROVIDER", hide_env_values = true)]
    pub provider: Option<Provider>,
    /// Pull images that the Docker Engine does not have
    #[arg(long, global = true, env = "ECOMCTL_PULL")]
    pub pull: bool,
    /// A MySQL that is there already: mysql://USER:PASSWORD@HOST:3306/DB[?tls=true&ca=FILE]
    #[arg(long, global = true, env = "ECOMCTL_MYSQL_URL", value_name = "URL", hide_env_values = true)]
    pub mysql_url: Option<String>,
    /// File that holds that URL
    #[arg(long, global = true, env = "ECOMCTL_MYSQL_URL_FILE", value_name = "FILE")]
    pub mysql_url_file: Option<String>,
    /// A Redis that is there already: redis[s]://[USER:PASSWORD@]HOST:6379[/DB][?ca=FILE]
    #[arg(long, global = true, env = "ECOMCTL_REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// File that holds that URL
    #[arg(long, global = true, env = "ECOMCTL_REDIS_URL_FILE", value_name = "FILE")]
    pub redis_url_file: Option<String>,
    /// A Kafka that is there already: HOST:9092[,HOST:9092...]
    #[arg(long, global = true, env = "ECOMCTL_KAFKA_BROKERS", value_name = "BROKERS")]
    pub kafka_brokers: Option<String>,
    /// Encrypt the way to that Kafka
    #[arg(long, global = true, env = "ECOMCTL_KAFKA_TLS")]
    pub kafka_tls: bool,
    /// PEM file of its certificate authority
    #[arg(long, global = true, env = "ECOMCTL_KAFKA_CA", value_name = "FILE")]
    pub kafka_ca: Option<String>,
    /// SASL mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
    #[arg(long, global = true, env = "ECOMCTL_KAFKA_MECHANISM", value_name = "MECHANISM")]
    pub kafka_mechanism: Option<String>,
    /// SASL user
    #[arg(long, global = true, env = "ECOMCTL_KAFKA_USERNAME", value_name = "USER")]
    pub kafka_username: Option<String>,
    /// File that holds the SASL password (or set ECOMCTL_KAFKA_PASSWORD)
    #[arg(long, global = true, env = "ECOMCTL_KAFKA_PASSWORD_FILE", value_name = "FILE")]
    pub kafka_password_file: Option<String>,
    /// An API that runs already; no backend is started then
    #[arg(long, global = true, env = "ECOMCTL_API_URL", value_name = "URL")]
    pub api_url: Option<String>,
    /// Change a key of the profile for this once, as in backend.consumers=6
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Give a ${NAME} of the profile a value, as in COUPON_ID=1
    #[arg(short = 'e', long = "env-var", global = true, value_name = "NAME=VALUE")]
    pub env_var: Vec<String>,
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
    /// Take the stack down; data stay unless -v is given
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
    /// Everything at once: up, seed, the quick coupon profile, verify, down
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

/// `up`
#[derive(Debug, Default, Args)]
pub struct UpArgs {
    /// Profile that says how many brokers and partitions
    #[arg(default_value = "coupon-quick")]
    pub profile: String,
    /// Leave what was started when another part fails
    #[arg(long)]
    pub keep: bool,
    /// Prometheus, Grafana and exporters too, in Docker
    #[arg(long)]
    pub monitoring: bool,
    /// The teams' own stack, Kafka with ZooKeeper, in Docker
    #[arg(long)]
    pub original: bool,
}

/// `down`
#[derive(Debug, Args)]
pub struct DownArgs {
    /// Delete the data too
    // The id is the global flag's, which so gives up its `-v` here: `down -v` deletes volumes everywhere else too.
    #[arg(id = "verbose", short = 'v', long = "volumes", action = clap::ArgAction::Count)]
    pub volumes: u8,
}

/// `logs`
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Components, or kinds of them as in `kafka`; none means all
    pub components: Vec<String>,
    /// Go on as the logs grow
    #[arg(short, long)]
    pub follow: bool,
    /// Lines of each, from the end [default: 100, or all with --since]
    #[arg(short = 'n', long)]
    pub lines: Option<usize>,
    /// None older than this: 5m, or a time as in 2026-11-21T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Put the time before each line, UTC
    #[arg(short, long)]
    pub timestamps: bool,
}

/// `stats`
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Components, or kinds of them as in `kafka`; none means all
    pub components: Vec<String>,
    /// Show it anew each second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

/// `restart`
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Component, or `all`
    pub component: String,
}

/// `stop`
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Run to end; none means the one that is under way
    pub run: Option<String>,
}

/// `topics`
#[derive(Debug, Args)]
pub struct TopicsArgs {
    /// What to do
    #[command(subcommand)]
    pub action: TopicsAction,
}

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub enum TopicsAction {
    /// Topics that are there
    List,
    /// What the profile wants beside what is there
    Plan {
        /// Profile
        #[arg(default_value = "coupon-quick")]
        profile: String,
    },
    /// Make what is missing
    Create {
        /// Profile
        #[arg(default_value = "coupon-quick")]
        profile: String,
    },
    /// Delete and make again (asks for --yes: records are lost)
    Recreate {
        /// Profile
        #[arg(default_value = "coupon-quick")]
        profile: String,
    },
    /// Partitions, leaders, replicas and offsets of one topic
    Describe {
        /// Topic
        topic: String,
    },
}

/// `lag`
#[derive(Debug, Args)]
#[command(after_help = "A slope and rates need a few looks: without --watch it takes 3 (--samples), a second apart \
    (--interval), and prints what the last one means. docs/lag.md says what each status means and what to do. It only \
    reads: it joins no group and commits nothing. With --kafka-brokers it needs no stack.")]
pub struct LagArgs {
    /// Consumer group [default: that of the coupon consumers]
    #[arg(long)]
    pub group: Option<String>,
    /// Topics [default: all that the group reads]
    #[arg(long, num_args = 1.., value_name = "TOPIC")]
    pub topic: Vec<String>,
    /// Go on until Ctrl-C; with --format json one object a line
    #[arg(short, long)]
    pub watch: bool,
    /// Time from look to look
    #[arg(long, default_value = "1s", value_name = "DURATION")]
    pub interval: String,
    /// Records that each partition may be behind before anything is said of it
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub allowed: u64,
    /// Time between commits of the members; a stall is told after three of them, but not before 5 s
    #[arg(long, default_value = "1s", value_name = "DURATION")]
    pub commit_interval: String,
    /// End after so many looks [default: 3, endless with --watch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub samples: Option<u32>,
}

/// `seed`
#[derive(Debug, Args)]
pub struct SeedArgs {
    /// Profile that says what to seed
    #[arg(default_value = "coupon-quick")]
    pub profile: String,
    /// Users to make, instead of the profile's
    #[arg(long)]
    pub users: Option<u64>,
    /// Products to make, instead of the profile's
    #[arg(long)]
    pub products: Option<u64>,
    /// Way the data go
    #[arg(long, default_value = "sql")]
    pub via: Via,
}

/// Way the data go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// Batches in MySQL
    Sql,
    /// Requests to the API (which must run: `serve`, or `run --keep`)
    Api,
}

/// `serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Profile that says how the backend is tuned
    #[arg(default_value = "coupon-quick")]
    pub profile: String,
    /// What to run
    #[arg(long, default_value = "all")]
    pub role: ServeRole,
    /// Run it in containers of this size; several times: an API of each, which share the rest
    #[arg(long, env = "ECOMCTL_SIZE", value_delimiter = ',')]
    pub size: Vec<SizeArg>,
    /// Configuration of one process; written by `run` and `serve` themselves
    #[arg(long, hide = true)]
    pub process: Option<PathBuf>,
}

/// Size of the backend's containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SizeArg {
    /// 2 CPU, 2 GB, port 8080
    App,
    /// 0.5 CPU, 512 MB, port 3001
    Small,
    /// 1 CPU, 1 GB, port 3002
    Medium,
    /// 2 CPU, 2 GB, port 3003
    Large,
}

impl From<SizeArg> for Size {
    fn from(size: SizeArg) -> Self {
        match size {
            SizeArg::App => Self::App,
            SizeArg::Small => Self::Small,
            SizeArg::Medium => Self::Medium,
            SizeArg::Large => Self::Large,
        }
    }
}

/// What `serve` runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServeRole {
    /// HTTP API
    Api,
    /// Consumers, as many as the profile says
    Consumer,
    /// Reconciler
    Reconciler,
    /// All of them
    All,
}

/// `run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Profiles, run in turn
    #[arg(required = true)]
    pub profiles: Vec<String>,
    /// Virtual users, instead of the profile's
    #[arg(long)]
    pub vus: Option<u32>,
    /// Length of the load, instead of the profile's
    #[arg(long, value_name = "DURATION")]
    pub duration: Option<String>,
    /// Iterations per second, instead of the profile's (open model)
    #[arg(long)]
    pub rps: Option<f64>,
    /// Run the backend in containers of this size
    #[arg(long, env = "ECOMCTL_SIZE")]
    pub size: Option<SizeArg>,
    /// Pause between profiles
    #[arg(long, default_value = "0s", value_name = "DURATION")]
    pub settle: String,
    /// Leave servers and backend up
    #[arg(long)]
    pub keep: bool,
    /// Show the run on the dashboard
    #[arg(long)]
    pub tui: bool,
    /// How it looks.
    #[command(flatten)]
    pub look: LookArgs,
}

/// `tui`
#[derive(Debug, Args)]
#[command(
    after_help = "Without RUN it attaches to the run that is under way, else to the stack that is up; where nothing \
    runs it offers what can be started. ? shows the keys. NO_COLOR and the locale are honoured."
)]
pub struct TuiArgs {
    /// Run to look at [default: the one under way]
    pub run: Option<String>,
    /// Show a run that was recorded, at any of its moments
    #[arg(long, value_name = "RUN", conflicts_with = "run")]
    pub replay: Option<String>,
    /// How it looks.
    #[command(flatten)]
    pub look: LookArgs,
}

/// How the dashboard looks.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct LookArgs {
    /// Colours of the dashboard
    #[arg(long, env = "ECOMCTL_THEME", value_name = "THEME")]
    pub theme: Option<ThemeName>,
    /// Draw the dashboard with ASCII alone
    #[arg(long, env = "ECOMCTL_ASCII")]
    pub ascii: bool,
}

/// Colours of the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ThemeName {
    /// The terminal's own sixteen
    Default,
    /// Blue, yellow and orange instead of green, yellow and red
    ColourBlind,
    /// Bright on black
    HighContrast,
    /// None, as with NO_COLOR
    None,
}

impl ThemeName {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::ColourBlind => "colour-blind",
            Self::HighContrast => "high-contrast",
            Self::None => "none",
        }
    }
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Leave servers and backend up
    #[arg(long)]
    pub keep: bool,
}

/// `verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Profile whose coupons and checks count, where no run is named
    pub profile: Option<String>,
    /// Run whose ledger counts; none means the last
    #[arg(long)]
    pub run: Option<String>,
    /// Judge a run from its files alone, without servers
    #[arg(long, value_name = "RUN", conflicts_with = "run")]
    pub history: Option<String>,
}

/// `report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run; none means the last
    pub run: Option<String>,
}

/// `runs`
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// What to do
    #[command(subcommand)]
    pub action: RunsAction,
}

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub enum RunsAction {
    /// Runs with their verdicts, oldest first
    List,
    /// Remove runs (asks for --yes)
    Rm {
        /// Runs
        #[arg(required = true)]
        runs: Vec<String>,
    },
}

/// `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Check CPU, memory, disk, ports, limits and server programs
    #[arg(long, required = true)]
    pub preflight: bool,
}

/// `profiles`
#[derive(Debug, Args)]
pub struct ProfilesArgs {
    /// What to do; none means list
    #[command(subcommand)]
    pub action: Option<ProfilesAction>,
}

/// What to do with profiles.
#[derive(Debug, Subcommand)]
pub enum ProfilesAction {
    /// Profiles with what they are for
    List,
    /// Check one without starting anything
    Check {
        /// Profile or file
        profile: String,
    },
    /// Print a commented sample with every key and its default
    Sample,
    /// Print the JSON schema of a profile
    Schema,
}

/// `completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Shell
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
