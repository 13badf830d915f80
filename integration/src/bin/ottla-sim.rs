//! `ottla-sim`: the real roles in a simulation that a seed decides.
//!
//! `one` runs one seed in this process; `run` runs many, each twice in fresh processes, then the mutants.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use ottla::roles::Variations;
use ottla_integration::sim::entropy;
use ottla_integration::sim::host::Host;
use ottla_integration::sim::runs::Runs;
use ottla_integration::sim::trace::Trace;
use ottla_integration::sim::world::{self, Options};
use ottla_storage_node::mutant::Mutant;
use tracing::Level;

#[derive(Parser)]
#[command(about = "Runs the real roles in a simulation that a seed decides.")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs one seed in this process.
    One {
        /// The seed.
        #[arg(long)]
        seed: u64,
        /// A known bug that is put back.
        #[arg(long)]
        mutant: Option<MutantName>,
        /// How long things break, virtual seconds.
        #[arg(long, default_value_t = world::CHAOS.as_secs())]
        chaos_seconds: u64,
        /// Writes the trace to this file.
        #[arg(long)]
        trace: Option<PathBuf>,
        /// Takes the roles' debug lines into the trace.
        #[arg(long)]
        debug: bool,
        /// Prints the report as one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Runs many seeds, each twice, compares their traces, and looks whether mutants are found.
    Run {
        /// How many seeds.
        #[arg(long, default_value_t = 20)]
        seeds: u64,
        /// The first.
        #[arg(long, default_value_t = 1)]
        first: u64,
        /// How long things break in each, virtual seconds.
        #[arg(long, default_value_t = world::CHAOS.as_secs())]
        chaos_seconds: u64,
        /// Seeds that a mutant may survive at most.
        #[arg(long, default_value_t = 20)]
        mutant_seeds: u64,
        /// Where traces of failed seeds are kept.
        #[arg(long, default_value = "target/sim")]
        dir: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum MutantName {
    /// Journals are never synced.
    NoSync,
    /// Produces are answered before the high watermark passed them.
    AnswerBeforeWatermark,
    /// Coordinators of groups reply before what they decided is committed.
    ReplyBeforeAppend,
}

impl From<MutantName> for Mutant {
    fn from(name: MutantName) -> Self {
        match name {
            MutantName::NoSync => Self::NoSync,
            MutantName::AnswerBeforeWatermark => Self::AnswerBeforeWatermark,
            MutantName::ReplyBeforeAppend => Self::ReplyBeforeAppend,
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    match Args::parse().command {
        Command::One { seed, mutant, chaos_seconds, trace, debug, json } => {
            let variations = Variations { mutant: mutant.map(Mutant::from), ..Host::variations() };
            let chaos = Duration::from_secs(chaos_seconds);
            let level = if debug { Level::DEBUG } else { Level::INFO };
            one(&Options { seed, chaos, variations }, level, (trace, json))
        }
        Command::Run { seeds, first, chaos_seconds, mutant_seeds, dir } => {
            let failures = Runs { first, seeds, chaos_seconds, mutant_seeds, dir }.run()?;
            Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

fn one(
    options: &Options,
    level: Level,
    (file, json): (Option<PathBuf>, bool),
) -> anyhow::Result<ExitCode> {
    entropy::answer_from(options.seed);
    let trace = Trace::default();
    trace.listen(level);
    let report = world::run(options, &trace);
    if let Some(file) = file {
        std::fs::write(file, trace.text())?;
    }
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{}", serde_json::to_string_pretty(&report)?);
        if !report.problems.is_empty() {
            let (seed, chaos) = (options.seed, options.chaos.as_secs());
            println!(
                "again: integration/sim/one --seed {seed} --chaos-seconds {chaos} --trace FILE"
            );
        }
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
