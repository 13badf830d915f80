//! `ottla format`: gives data directories their identity before the first start.
//!
//! Invariant: a directory that has an identity keeps it. Formatting is never needed: an empty directory is formatted when a
//! process first starts on it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ottla_runtime::Seams;
use ottla_runtime::config::{
    MetaProperties, MetaPropertiesError, ServerConfig, read_meta_properties, write_meta_properties,
};
use ottla_runtime::seams::create_dir_durably;
use ottla_types::{ClusterId, DirectoryId, Uuid};
use serde::Serialize;

use crate::cli::Rows;

/// What became of each directory.
#[derive(Debug, Serialize)]
pub struct Formatted {
    /// The cluster that all of them belong to.
    pub cluster_id: String,
    /// One entry a directory.
    pub directories: Vec<FormattedDirectory>,
}

/// One directory.
#[derive(Debug, Serialize)]
pub struct FormattedDirectory {
    /// Where it is.
    pub path: PathBuf,
    /// Its `directory.id`.
    pub id: String,
    /// Whether it had its identity already.
    pub was_formatted: bool,
}

/// Why a directory was not formatted.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It is another's, or cannot be read or written.
    #[error(transparent)]
    Meta(#[from] MetaPropertiesError),
    /// It cannot be made.
    #[error("{path}: {error}; check the permissions of the folder above", path = path.display())]
    Create {
        /// Where.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

/// Formats all directories of a configuration.
///
/// # Errors
/// A directory belongs to another cluster or node, or cannot be read or written.
pub fn format(
    config: &ServerConfig,
    seams: &Seams,
    cluster_id: Option<&str>,
) -> Result<Formatted, FormatError> {
    let mut paths: BTreeSet<PathBuf> = config.log_dirs.iter().cloned().collect();
    if config.roles.controller {
        paths.insert(config.metadata_log_dir.clone());
    }
    let mut wanted = cluster_id.map(ClusterId::new);
    let mut found = Vec::new();
    for path in paths {
        let meta = read_meta_properties(&*seams.disk, &path)?;
        if let Some(meta) = &meta {
            meta.check_owner(&path, wanted.as_ref(), config.node_id)?;
            wanted.get_or_insert_with(|| meta.cluster_id.clone());
        }
        found.push((path, meta));
    }
    let random_id = || Uuid::from_random(seams.rng.next_u128());
    let cluster_id = wanted.unwrap_or_else(|| ClusterId::new(random_id().to_string()));
    let mut directories = Vec::new();
    for (path, meta) in found {
        let was_formatted = meta.is_some();
        let meta = match meta {
            Some(meta) => meta,
            None => {
                let directory_id = DirectoryId(random_id());
                let meta = MetaProperties {
                    cluster_id: cluster_id.clone(),
                    node_id: config.node_id,
                    directory_id,
                };
                create_dir_durably(&*seams.disk, &path)
                    .map_err(|error| FormatError::Create { path: path.clone(), error })?;
                write_meta_properties(&*seams.disk, &path, &meta)?;
                meta
            }
        };
        let id = meta.directory_id.to_string();
        directories.push(FormattedDirectory { path, id, was_formatted });
    }
    Ok(Formatted { cluster_id: cluster_id.to_string(), directories })
}

impl Rows for Formatted {
    fn heads(&self) -> Vec<&'static str> {
        vec!["DIRECTORY", "DIRECTORY ID", "CLUSTER ID", "RESULT"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |directory: &FormattedDirectory| {
            let result = if directory.was_formatted { "was formatted" } else { "formatted" };
            vec![
                directory.path.display().to_string(),
                directory.id.clone(),
                self.cluster_id.clone(),
                result.to_owned(),
            ]
        };
        self.directories.iter().map(row).collect()
    }
}
