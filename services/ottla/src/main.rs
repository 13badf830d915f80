//! The binary: parses the command line and hands over to it. Everything else is in the library.

use std::process::ExitCode;

use ottla::cli::{Cli, run};

fn main() -> ExitCode {
    run(Cli::read())
}
