//! The command line: noun, verb. Tables for people, `-o json|yaml` everywhere, progress and errors on standard error.

mod admin;
mod config;
mod consume;
mod doctor;
mod failure;
mod health;
mod kafka;
mod output;
mod produce;
mod serve;
mod status;
mod topic;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

pub use self::failure::Failure;
use self::output::Format;
pub use self::output::Rows;

/// Ottla: a Kafka-compatible event-streaming platform.
#[derive(Debug, Parser)]
#[command(name = "ottla", version, propagate_version = true)]
pub struct Cli {
    /// How results are printed.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    output: Format,
    /// A gateway's Kafka address.
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "OTTLA_BOOTSTRAP",
        default_value = "localhost:9092"
    )]
    bootstrap: String,
    /// A controller's admin address.
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "OTTLA_ADMIN",
        default_value = "localhost:9095"
    )]
    admin: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in this process, for development.
    Dev(serve::DevArgs),
    /// Run the roles that a configuration file names.
    Server(serve::ServerArgs),
    /// Give the data directories of a configuration file their identity.
    Format(serve::FormatArgs),
    /// Create, list, describe, delete topics.
    #[command(subcommand)]
    Topic(topic::TopicCommand),
    /// Send standard input to a topic, a record a line.
    Produce(produce::ProduceArgs),
    /// Print a topic's records.
    Consume(consume::ConsumeArgs),
    /// Show the cluster: quorum, storage nodes, gateways.
    Status,
    /// Produce and consume through the cluster and check what it depends on.
    Doctor(doctor::DoctorArgs),
    /// Ask a process whether it is ready.
    Health(health::HealthArgs),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Runs one command; the process's exit code is listed in `cli/failure.rs`.
pub fn run(cli: Cli) -> ExitCode {
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader such as `head` that went away is no error.
        Err(Failure::Local(cause)) if cause.contains("Broken pipe") => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

fn execute(cli: Cli) -> Result<(), Failure> {
    let Cli { output, bootstrap, admin, command } = cli;
    match command {
        Command::Dev(args) => serve::dev(&args, output),
        Command::Server(args) => serve::server(&args),
        Command::Format(args) => serve::format(&args, output),
        Command::Config(command) => config::run(&command, output),
        Command::Completions { shell } => {
            // Not straight to standard output: a reader that has enough is no reason to panic.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ottla", &mut script);
            Ok(std::io::stdout().write_all(&script)?)
        }
        Command::Topic(command) => client(topic::run(&admin, command, output)),
        Command::Produce(args) => client(produce::run(&bootstrap, args, output)),
        Command::Consume(args) => client(consume::run(&bootstrap, args, output)),
        Command::Status => client(status::run(&admin, output)),
        Command::Health(args) => client(health::run(args, output)),
        Command::Doctor(args) => client(doctor::run(&bootstrap, &admin, args, output)),
    }
}

/// A client command needs no more than one thread.
fn client(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(command);
    // A blocked read of standard input must not keep the process.
    runtime.shutdown_background();
    result
}

/// `NAME=VALUE`, for options that can be given several times.
fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    Ok((name.trim().to_owned(), value.to_owned()))
}
