//! The command line: noun, verb. Tables for people, `-o json|yaml` everywhere, progress and errors on standard error.

mod admin;
mod config;
mod consume;
mod dev;
mod doctor;
mod failure;
mod group;
mod health;
mod http;
mod kafka;
mod output;
mod patience;
mod produce;
mod serve;
mod status;
mod topic;
mod wire;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use ottla_runtime::seams::HostPort;

pub use self::failure::Failure;
use self::output::Format;
pub use self::output::Rows;
use self::patience::patient;

/// Where a gateway is unless `--bootstrap` says otherwise: where `ottla dev` has it.
const DEFAULT_BOOTSTRAP: &str = "localhost:9092";
/// Where a controller's admin API is unless `--admin` says otherwise.
const DEFAULT_ADMIN: &str = "localhost:9095";
/// The options that name a part of the cluster, and the commands that ask it. A command that stands here by itself is not among
/// those of its noun. The others take the options without showing them.
const ADDRESSES: &[(&str, &[&str])] = &[
    ("bootstrap", &["produce", "consume", "doctor", "topic tail"]),
    (
        "admin",
        &["topic", "group", "status", "doctor", "config describe", "config set", "config unset"],
    ),
];

/// Ottla: a Kafka-compatible event-streaming platform.
#[derive(Debug, Parser)]
#[command(name = "ottla", version, propagate_version = true)]
pub struct Cli {
    /// How results are printed.
    #[arg(short, long, global = true, value_enum, default_value_t, display_order = 900)]
    output: Format,
    /// A gateway's Kafka address.
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "OTTLA_BOOTSTRAP",
        default_value = DEFAULT_BOOTSTRAP,
        value_parser = address,
        display_order = 901
    )]
    bootstrap: String,
    /// A controller's admin address.
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "OTTLA_ADMIN",
        default_value = DEFAULT_ADMIN,
        value_parser = address,
        display_order = 902
    )]
    admin: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in this process, for development.
    Dev(dev::DevArgs),
    /// Run the roles that a configuration file names.
    Server(serve::ServerArgs),
    /// Give the data directories of a configuration file their identity.
    Format(serve::FormatArgs),
    /// Create, list, describe, change, follow, delete topics.
    #[command(subcommand)]
    Topic(topic::TopicCommand),
    /// List, describe, measure, set back, delete consumer groups.
    #[command(subcommand)]
    Group(group::GroupCommand),
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
    /// Look at configurations, and change those of topics.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

impl Cli {
    /// The command line of this process; ends it with exit code 2 where it makes no sense.
    pub fn read() -> Self {
        let matches = command().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

fn command() -> clap::Command {
    let mut command = Cli::command();
    for (option, used_by) in ADDRESSES {
        let all = command.get_arguments().find(|known| known.get_id() == option);
        let shown = all.expect("the option is one of Cli's").clone();
        for noun in names(&command) {
            let is_shown = used_by.contains(&noun.as_str());
            if !is_shown {
                let hidden = shown.clone().hide(true);
                command = command.mut_subcommand(&noun, |of_noun| of_noun.arg(hidden));
            }
            command = command.mut_subcommand(&noun, |mut of_noun| {
                for verb in names(&of_noun) {
                    let path = format!("{noun} {verb}");
                    let is_own = ADDRESSES.iter().any(|(_, used)| used.contains(&path.as_str()));
                    let verb_shows = used_by.contains(&path.as_str());
                    if is_own && verb_shows != is_shown {
                        let arg = shown.clone().hide(!verb_shows);
                        of_noun = of_noun.mut_subcommand(verb, |of_verb| of_verb.arg(arg));
                    }
                }
                of_noun
            });
        }
    }
    command
}

fn names(command: &clap::Command) -> Vec<String> {
    command.get_subcommands().map(|known| known.get_name().to_owned()).collect()
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
        Command::Dev(args) => dev::run(&args, output),
        Command::Server(args) => serve::server(&args),
        Command::Format(args) => serve::format(&args, output),
        Command::Config(command) => config::run(&admin, command, output),
        Command::Completions { shell } => {
            // Not straight to standard output: a reader that has enough is no reason to panic.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut self::command(), "ottla", &mut script);
            Ok(std::io::stdout().write_all(&script)?)
        }
        Command::Topic(command) => client(topic::run((&bootstrap, &admin), command, output)),
        Command::Group(command) => client(patient(&admin, group::run(&admin, command, output))),
        Command::Produce(args) => client(produce::run(&bootstrap, args, output)),
        Command::Consume(args) => client(consume::run(&bootstrap, args, output)),
        Command::Status => client(patient(&admin, status::run(&admin, output))),
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

/// HOST:PORT of something to connect to.
fn address(text: &str) -> Result<String, String> {
    let address: HostPort = text.parse().map_err(|error| format!("{error}"))?;
    match address.host.is_empty() || address.port == 0 {
        true => Err(format!("{text:?} is not HOST:PORT: write, say, localhost:9092")),
        false => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn parse(line: &str) -> Result<Cli, clap::Error> {
        let matches = command().try_get_matches_from(line.split_whitespace())?;
        Cli::from_arg_matches(&matches)
    }

    #[test]
    fn wrong_addresses_numbers_and_pairs_are_wrong_usage() {
        for line in [
            "ottla status --admin foo",
            "ottla consume orders --bootstrap :9092",
            "ottla health nope",
            "ottla topic create orders -p -1",
            "ottla topic create orders -r 0",
            "ottla consume orders --partition -1",
            "ottla topic alter orders",
            "ottla topic add-partitions orders",
            "ottla topic add-partitions orders --to 0",
            "ottla topic tail orders --last -1",
            "ottla config set topic orders",
            "ottla config set topic orders retention.ms",
            "ottla config describe broker one",
            "ottla dev --override foo",
            "ottla dev --port 65535",
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(!error.to_string().contains("use '--"), "{line}: {error}");
        }
    }

    #[test]
    fn addresses_are_taken_before_and_after_the_command() {
        let before = parse("ottla --admin a:1 --bootstrap b:2 topic list").unwrap();
        assert_eq!((before.admin.as_str(), before.bootstrap.as_str()), ("a:1", "b:2"));
        let after = parse("ottla topic list --admin a:1 --bootstrap b:2").unwrap();
        assert_eq!((after.admin.as_str(), after.bootstrap.as_str()), ("a:1", "b:2"));
        let tail = parse("ottla topic tail t --bootstrap b:2 --admin a:1").unwrap();
        assert_eq!((tail.admin.as_str(), tail.bootstrap.as_str()), ("a:1", "b:2"));
        assert_eq!(parse("ottla doctor").unwrap().admin, DEFAULT_ADMIN);
    }

    #[test]
    fn a_command_shows_the_addresses_that_it_uses() {
        let help = |line| parse(line).unwrap_err().to_string();
        let dev = help("ottla dev -h");
        assert!(!dev.contains("--bootstrap") && !dev.contains("--admin"), "{dev}");
        let list = help("ottla topic list -h");
        assert!(!list.contains("--bootstrap") && list.contains("--admin"), "{list}");
        assert!(help("ottla doctor -h").contains("--bootstrap"));
        let tail = help("ottla topic tail -h");
        assert!(tail.contains("--bootstrap") && !tail.contains("--admin"), "{tail}");
        let explain = help("ottla config explain -h");
        assert!(!explain.contains("--bootstrap") && !explain.contains("--admin"), "{explain}");
        let set = help("ottla config set topic -h");
        assert!(!set.contains("--bootstrap") && set.contains("--admin"), "{set}");
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }
}
