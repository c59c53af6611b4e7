//! This machine, profiles and shells.

use clap::{Args, Subcommand};

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
