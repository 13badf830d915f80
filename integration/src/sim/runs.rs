//! Many seeds: each twice in processes of their own, their traces compared; then the mutants.
//!
//! Invariant: a seed that fails, or whose two traces differ, is told with the command that repeats it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::sim::report::Report;

/// The bugs that are put back, by the names that the command line knows.
pub const MUTANTS: [&str; 3] = ["no-sync", "answer-before-watermark", "reply-before-append"];
/// Processes at a time.
const AT_ONCE: usize = 2;

/// What to run.
#[derive(Clone, Debug)]
pub struct Runs {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// How long things break in each, seconds.
    pub chaos_seconds: u64,
    /// Most seeds that a mutant may survive.
    pub mutant_seeds: u64,
    /// Where traces are kept.
    pub dir: PathBuf,
}

struct Outcome {
    report: Report,
    trace: PathBuf,
}

impl Runs {
    /// Runs everything; the number of failures.
    ///
    /// # Errors
    /// A process cannot be run.
    pub fn run(&self) -> anyhow::Result<usize> {
        std::fs::create_dir_all(&self.dir)?;
        println!("{HEAD}");
        let mut failures = 0;
        for seed in self.first..self.first + self.seeds {
            failures += usize::from(!self.seed_twice(seed)?);
        }
        for mutant in MUTANTS {
            failures += usize::from(!self.mutant(mutant)?);
        }
        Ok(failures)
    }

    /// Whether a seed passes, and passes twice in the same way.
    fn seed_twice(&self, seed: u64) -> anyhow::Result<bool> {
        let outcomes = self.both(&[(seed, None, "a"), (seed, None, "b")])?;
        let [first, second] = &outcomes[..] else { bail!("two processes give two outcomes") };
        println!("{}", row(&first.report));
        let is_same = std::fs::read(&first.trace)? == std::fs::read(&second.trace)?;
        let passed = first.report.problems.is_empty() && is_same;
        if !is_same {
            let (a, b) = (first.trace.display(), second.trace.display());
            println!("  the two traces of seed {seed} differ: diff {a} {b}");
        }
        for problem in &first.report.problems {
            println!("  {problem}");
        }
        if passed {
            outcomes.iter().for_each(|outcome| _ = std::fs::remove_file(&outcome.trace));
        } else {
            println!(
                "  again: integration/sim/one --seed {seed} --chaos-seconds {} --trace FILE",
                self.chaos_seconds
            );
            println!("  trace: {}", first.trace.display());
        }
        Ok(passed)
    }

    /// Whether a mutant is found.
    fn mutant(&self, mutant: &str) -> anyhow::Result<bool> {
        let mut seed = self.first;
        while seed < self.first + self.mutant_seeds {
            let batch: Vec<_> =
                (seed..seed + AT_ONCE as u64).map(|seed| (seed, Some(mutant), "m")).collect();
            for (nth, outcome) in (seed..).zip(self.both(&batch)?) {
                if let Some(problem) = gravest(&outcome.report.problems) {
                    let count = nth - self.first + 1;
                    println!(
                        "mutant {mutant}: found by seed {nth}, after {count} seeds: {problem}"
                    );
                    return Ok(true);
                }
            }
            seed += AT_ONCE as u64;
        }
        println!("mutant {mutant}: NOT FOUND by {} seeds", self.mutant_seeds);
        Ok(false)
    }

    /// Runs processes side by side.
    fn both(&self, all: &[(u64, Option<&str>, &str)]) -> anyhow::Result<Vec<Outcome>> {
        let mut running = Vec::new();
        for (seed, mutant, which) in all {
            let name = format!("{}{seed}{which}.trace", mutant.unwrap_or("seed-"));
            let trace = self.dir.join(name);
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["one", "--json", "--seed", &seed.to_string()]);
            command.args(["--chaos-seconds", &self.chaos_seconds.to_string()]);
            command.arg("--trace").arg(&trace);
            command.args(mutant.iter().flat_map(|mutant| ["--mutant", mutant]));
            let log = std::fs::File::create(trace.with_extension("stderr"))?;
            let child = command.stdout(std::process::Stdio::piped()).stderr(log).spawn()?;
            running.push((child, trace));
        }
        let outcome = |(child, trace): (std::process::Child, PathBuf)| {
            let output = child.wait_with_output()?;
            let report = read(&output.stdout).with_context(|| {
                format!("no report; see {}", trace.with_extension("stderr").display())
            })?;
            remove_if_empty(&trace.with_extension("stderr"));
            anyhow::Ok(Outcome { report, trace })
        };
        running.into_iter().map(outcome).collect()
    }
}

/// The problem that says most: a lost record or commit, else the first.
fn gravest(problems: &[String]) -> Option<&String> {
    let lost = problems.iter().find(|problem| problem.contains("lost-"));
    lost.or(problems.first())
}

fn read(stdout: &[u8]) -> anyhow::Result<Report> {
    let text = std::str::from_utf8(stdout)?;
    Ok(serde_json::from_str(text.lines().last().context("no output")?)?)
}

fn remove_if_empty(path: &Path) {
    if std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        _ = std::fs::remove_file(path);
    }
}

const HEAD: &str = "  seed  virtual s  power  killed  ended  torn  lost  EIO  cuts  delays  elections  topics  acked   read  commits  trace";

fn row(report: &Report) -> String {
    let e = &report.effects;
    format!(
        "{:>6}  {:>9.1}  {:>5}  {:>6}  {:>5}  {:>4}  {:>4}  {:>3}  {:>4}  {:>6}  {:>9}  {:>6}  {:>5}  {:>5}  {:>7}  {}",
        report.seed,
        report.virtual_seconds,
        e.power_losses,
        e.kills,
        e.ends,
        e.torn,
        e.lost,
        e.sync_errors,
        e.cuts,
        e.delays,
        report.elections,
        report.topics,
        report.acknowledged,
        report.read,
        report.commits,
        report.trace_hash
    )
}
