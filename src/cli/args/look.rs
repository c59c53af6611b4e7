//! The dashboard.

use clap::Args;
use tui::theme::Theme;

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
    pub theme: Option<Theme>,
    /// Draw the dashboard with ASCII alone
    #[arg(long, env = "ECOMCTL_ASCII", value_parser = super::yes_or_no())]
    pub ascii: bool,
}
