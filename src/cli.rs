//! Commands: what was typed, and what is printed. Everything else is in the library's other modules.

pub mod args;
mod common;
mod demo;
mod env;
mod exit;
mod lag;
mod logs;
mod out;
mod profiles;
mod progress;
mod run;
mod runs;
mod seed;
mod serve;
mod signals;
mod single;
mod stack;
mod stats;
mod status;
mod topics;
mod tui;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use self::{
    args::{Cli, Command},
    common::Context,
};
use crate::exit::Exit;

/// Parses the command line, does what it says, and gives the exit code of `docs/exit-codes.md`.
pub fn main() -> ExitCode {
    // Files for others are nobody's wish here, and without our own rights to them nothing works.
    let others = nix::sys::stat::Mode::from_bits_truncate(0o077);
    let given = nix::sys::stat::umask(others);
    nix::sys::stat::umask(given & others);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            return out::parsed(&error).map_or_else(failed, |()| exit).into();
        }
    };
    // A backend process has a runtime, logs and signals of its own.
    if let Command::Serve(serve) = &cli.command
        && let Some(file) = &serve.process
    {
        return serve::process(file).into();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            common::complain(&format!("cannot start the runtime: {error}"));
            return Exit::Failed.into();
        }
    };
    let exit = runtime.block_on(dispatch(cli));
    // A blocked look-up or probe must not hold the exit.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    exit.into()
}

async fn dispatch(cli: Cli) -> Exit {
    let context = Context::new(cli.global);
    let changes_profile = !context.global.set.is_empty() || !context.global.env_var.is_empty();
    if changes_profile && !cli.command.reads_profile() {
        out::note("warning: --set and --env-var change a profile, and this command reads none: they do nothing here");
    }
    let result = match cli.command {
        Command::Up(args) => stack::up(&context, &args).await,
        Command::Down(args) => stack::down(&context, &args).await,
        Command::Status => status::run(&context).await,
        Command::Env => env::run(&context).await,
        Command::Logs(args) => logs::run(&context, &args).await,
        Command::Stats(args) => stats::run(&context, &args).await,
        Command::Restart(args) => stack::restart(&context, &args).await,
        Command::Stop(args) => runs::stop(&context, &args).await,
        Command::Topics(args) => topics::run(&context, &args).await,
        Command::Lag(args) => lag::run(&context, &args).await,
        Command::Seed(args) => seed::run(&context, &args).await,
        Command::Serve(args) => serve::run(&context, &args).await,
        Command::Run(args) => run::run(&context, &args).await,
        Command::Tui(args) => Box::pin(tui::run(&context, &args)).await,
        Command::Demo(args) => demo::run(&context, &args).await,
        Command::Verify(args) => verify::run(&context, &args).await,
        Command::Report(args) => runs::report(&context, &args),
        Command::Runs(args) => runs::run(&context, &args),
        Command::Doctor(args) => stack::doctor(&context, &args).await,
        Command::Profiles(args) => profiles::run(&context, &args),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "ecomctl", &mut script);
            out::out(&String::from_utf8_lossy(&script)).map(|()| Exit::Done)
        }
        Command::Man => common::man().map(|()| Exit::Done),
    };
    result.unwrap_or_else(failed)
}

/// Says why a command failed, and gives its exit code.
#[expect(clippy::needless_pass_by_value, reason = "it ends chains of results")]
fn failed(error: anyhow::Error) -> Exit {
    out::fail(&error);
    exit::of_error(&error)
}
