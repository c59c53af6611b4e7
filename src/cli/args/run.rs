//! Seeding, the backend, runs and what is read of them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use contract::{settings::Size, system::System};

use super::LookArgs;

/// `seed`
#[derive(Debug, Args)]
pub struct SeedArgs {
    /// Profile that says what to seed
    #[arg(default_value = System::default().description().profile)]
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
    #[arg(default_value = System::default().description().profile)]
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

/// `stop`
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Run to end; none means the one that is under way
    pub run: Option<String>,
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
    /// Profile whose claims and checks count, where no run is named
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
        #[arg(required_unless_present = "keep")]
        runs: Vec<String>,
        /// Keep the newest N runs and remove the others; one that is under way stays
        #[arg(long, value_name = "N", conflicts_with = "runs")]
        keep: Option<usize>,
    },
}
