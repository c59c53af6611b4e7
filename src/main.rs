//! The `ecomctl` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ecomctl::cli::main()
}
