//! Where a process's configuration comes from: file, environment, command line, in this order of rising weight.

use std::path::Path;

use ottla_runtime::config::{ConfigSources, ServerConfig, read_config_file};
use ottla_runtime::seams::{self, Disk, RealDisk};

use crate::cli::Failure;

/// The part of the command line that overrides a configuration file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Set a key, whatever file and environment say.
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = pair)]
    pub overrides: Vec<String>,
}

fn pair(text: &str) -> Result<String, String> {
    let named = text.split_once('=').filter(|(key, _)| !key.trim().is_empty());
    named.map(|_| text.to_owned()).ok_or_else(|| format!("{text:?} is not KEY=VALUE"))
}

/// Reads a configuration. `preset` holds defaults of the command itself, below everything else.
///
/// # Errors
/// Everything that is wrong with it, a line each.
pub fn load(
    file: Option<&Path>,
    overrides: &Overrides,
    preset: Vec<(String, String)>,
) -> Result<ServerConfig, Failure> {
    load_from(&RealDisk, file, overrides, preset)
}

fn load_from(
    disk: &dyn Disk,
    file: Option<&Path>,
    overrides: &Overrides,
    preset: Vec<(String, String)>,
) -> Result<ServerConfig, Failure> {
    let file = match file {
        None => None,
        Some(path) => Some(read_config_file(disk, path).map_err(|error| {
            Failure::local(format!("{}: {error}; name a file that can be read", path.display()))
        })?),
    };
    let sources = ConfigSources {
        preset,
        file,
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        overrides: overrides.overrides.clone(),
    };
    ServerConfig::load(&sources, &seams::host_name()).map_err(Failure::local)
}
