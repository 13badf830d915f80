//! `ottla config explain`: every value of a configuration file with its source and its effect; `describe`, `set` and `unset` ask
//! the cluster.

mod resources;

use std::path::{Path, PathBuf};

use ottla_runtime::config::ExplainRow;
use serde::Serialize;

use crate::cli::client;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Rows};
use crate::cli::patience::patient;
use crate::settings::{self, Overrides};

/// What can be done with configurations.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every key with its value, its source and what it does here.
    Explain {
        /// The configuration file; without it the defaults.
        file: Option<PathBuf>,
        #[command(flatten)]
        overrides: Overrides,
        /// Only keys whose value is not the default.
        #[arg(long)]
        changed: bool,
    },
    /// Show the configs of a topic or a broker, as the cluster has them.
    #[command(subcommand)]
    Describe(resources::Shown),
    /// Set configs.
    #[command(subcommand)]
    Set(resources::Set),
    /// Take configs back to their defaults.
    #[command(subcommand)]
    Unset(resources::Unset),
}

#[derive(Serialize)]
#[serde(transparent)]
struct Explained(Vec<ExplainRow>);

/// Runs one of the commands.
pub(super) fn run(admin: &str, command: ConfigCommand, format: Format) -> Result<(), Failure> {
    match command {
        ConfigCommand::Explain { file, overrides, changed } => {
            explain(file.as_deref(), &overrides, changed, format)
        }
        ConfigCommand::Describe(shown) => {
            client(patient(admin, resources::describe(admin, shown, format)))
        }
        ConfigCommand::Set(set) => client(patient(admin, resources::set(admin, set, format))),
        ConfigCommand::Unset(unset) => {
            client(patient(admin, resources::unset(admin, unset, format)))
        }
    }
}

fn explain(
    file: Option<&Path>,
    overrides: &Overrides,
    changed: bool,
    format: Format,
) -> Result<(), Failure> {
    let config = settings::load(file, overrides, preset(file))?;
    let mut rows = config.explain_unknown_variables();
    rows.extend(config.explain());
    if changed {
        rows.retain(|row| row.value != row.default);
    }
    Ok(format.print(&Explained(rows))?)
}

/// A node must have an id; without a file there is nobody to give one.
fn preset(file: Option<&Path>) -> Vec<(String, String)> {
    match file {
        Some(_) => Vec::new(),
        None => vec![("node.id".to_owned(), "1".to_owned())],
    }
}

impl Rows for Explained {
    fn heads(&self) -> Vec<&'static str> {
        vec!["KEY", "VALUE", "SOURCE", "EFFECT", "WHY NOT KAFKA'S DEFAULT"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |row: &ExplainRow| {
            vec![
                row.key.clone(),
                row.value.clone().unwrap_or_else(|| "null".to_owned()),
                row.source.clone(),
                row.effect.clone(),
                row.why_different.clone().unwrap_or_default(),
            ]
        };
        self.0.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_the_defaults_are_explained() {
        let config = settings::load(None, &Overrides::default(), preset(None)).unwrap();
        let rows = config.explain();
        assert!(rows.iter().any(|row| row.key == "num.partitions" && row.source == "default"));
    }
}
