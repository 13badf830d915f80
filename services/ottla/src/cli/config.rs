//! `ottla config explain`: every value with its source and its effect.

use std::path::{Path, PathBuf};

use ottla_runtime::config::ExplainRow;
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output::{Format, Rows};
use crate::settings::{self, Overrides};

/// What can be done with the configuration.
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
}

#[derive(Serialize)]
#[serde(transparent)]
struct Explained(Vec<ExplainRow>);

/// Runs one of the commands.
pub(super) fn run(command: &ConfigCommand, format: Format) -> Result<(), Failure> {
    let ConfigCommand::Explain { file, overrides, changed } = command;
    let config = settings::load(file.as_deref(), overrides, preset(file.as_deref()))?;
    let mut rows = config.explain_unknown_variables();
    rows.extend(config.explain());
    if *changed {
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
