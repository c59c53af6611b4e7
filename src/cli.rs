//! Commands: what was typed, and what is printed. Everything else is in the library's other modules.

pub mod args;
mod common;
mod demo;
mod exit;
mod held;
mod lag;
mod logs;
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

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
};

use backend::endpoint::{mask, mask_argument};
use clap::{CommandFactory, Parser};

use self::{
    args::{Cli, Command},
    common::Context,
};
use crate::exit::Exit;

/// Parses the command line, does what it says, and gives the exit code of `docs/exit-codes.md`.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if !error.use_stderr() {
                let _ = error.print();
                return Exit::Done.into();
            }
            complain_of_usage(&error);
            return Exit::Usage.into();
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

/// Prints an error of the command line, in which clap repeats arguments: an address that was typed in the wrong place
/// loses its login.
fn complain_of_usage(error: &clap::Error) {
    let (plain, coloured) = (error.render().to_string(), error.render().ansi().to_string());
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let masked = arguments.iter().fold(plain.clone(), |text, argument| mask_argument(&text, argument));
    let masked = mask(&masked);
    // Colours stand between the words, where only the plain text can be searched.
    if masked == plain && std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr().lock(), "{coloured}");
    } else {
        let _ = write!(std::io::stderr().lock(), "{masked}");
    }
}

async fn dispatch(cli: Cli) -> Exit {
    let context = Context::new(cli.global);
    let result = match cli.command {
        Command::Up(args) => stack::up(&context, &args).await,
        Command::Down(args) => stack::down(&context, &args).await,
        Command::Status => status::run(&context).await,
        Command::Env => stack::env(&context),
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
            clap_complete::generate(args.shell, &mut Cli::command(), "ecomctl", &mut std::io::stdout());
            Ok(Exit::Done)
        }
        Command::Man => common::man().map(|()| Exit::Done),
    };
    result.unwrap_or_else(|error| {
        common::complain(&format!("{error:#}"));
        exit::of_error(&error)
    })
}
