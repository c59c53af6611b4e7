//! Servers: bringing them up, looking at them, taking them down.

use clap::{Args, Subcommand};
use contract::system::System;

/// `up`
#[derive(Debug, Default, Args)]
pub struct UpArgs {
    /// Profile that says how many brokers and partitions
    #[arg(default_value = System::default().description().profile)]
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
    /// Delete the data too; asks first on a terminal, unless --yes
    #[arg(short = 'v', long)]
    pub volumes: bool,
    /// System whose data are meant [default: the one that is up, or the only one]
    #[arg(long, value_name = "SYSTEM")]
    pub system: Option<String>,
    /// Log more to standard error
    // The global flag without its short form: `-v` after `down` deletes volumes, as it does everywhere else. clap fills
    // an argument with the id of a global flag with the value of that flag, so no other argument may have this id.
    #[arg(long, action = clap::ArgAction::Count)]
    pub verbose: u8,
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
    /// Components, `kafka` for all brokers, or `all`
    #[arg(required = true, value_name = "COMPONENT")]
    pub components: Vec<String>,
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
        #[arg(default_value = System::default().description().profile)]
        profile: String,
    },
    /// Make what is missing
    Create {
        /// Profile
        #[arg(default_value = System::default().description().profile)]
        profile: String,
    },
    /// Delete and make again (asks for --yes: records are lost)
    Recreate {
        /// Profile
        #[arg(default_value = System::default().description().profile)]
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
    /// Consumer group [default: that of the backend that is up]
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
    /// End after so many looks [default: 3, or as many as it takes to tell a stall; endless with --watch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub samples: Option<u32>,
}
