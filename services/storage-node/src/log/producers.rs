//! Producer snapshots, and the batches behind the newest one: what the caller rebuilds a partition's producer state from.
//!
//! Invariant: a snapshot is believed only if it is whole and not beyond the log's end; then the one before it is tried.

use std::io::{self, IoSlice};
use std::path::PathBuf;

use ottla_log_format::BatchHeader;
use ottla_log_format::producer_snapshot::{self, ProducerEntry};
use ottla_runtime::seams::OpenMode;
use ottla_types::Offset;

use super::files::Files;
use super::lookup::{CorruptSegment, LookupError};
use super::names::{FileKind, parse_file_name};
use super::partition_log::PartitionLog;
use super::scan::Headers;
use super::text_file;

/// Producer state as of an offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadedProducers {
    /// Batches from here on are not in it.
    pub offset: Offset,
    /// The producers.
    pub entries: Vec<ProducerEntry>,
}

/// Why producer state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ProducersError {
    /// A segment is corrupt.
    #[error(transparent)]
    Corrupt(#[from] CorruptSegment),
    /// The disk's own error.
    #[error("cannot read or write {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl From<LookupError> for ProducersError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Corrupt(error) => Self::Corrupt(error),
            LookupError::Io { path, source } => Self::Io { path, source },
        }
    }
}

impl PartitionLog {
    /// Writes a snapshot of the producers just before `offset`: at a roll, and at a clean stop. Not synced: a torn one is
    /// found out by its checksum.
    ///
    /// # Errors
    /// `Io`.
    pub fn write_producers(
        &mut self,
        files: &Files,
        offset: Offset,
        entries: &[ProducerEntry],
    ) -> Result<(), ProducersError> {
        let path = self.path(offset, FileKind::Snapshot);
        let write = || {
            let file = files.disk().open(&path, OpenMode::Create)?;
            file.set_len(0)?;
            file.write_all_at(&[IoSlice::new(&producer_snapshot::encode(entries))], 0)
        };
        write().map_err(|source| ProducersError::Io { path: path.clone(), source })
    }

    /// The newest snapshot that can be believed; without one, no producers as of the log's start. Snapshots that cannot
    /// be believed are removed, and so are those of no segment but for the newest.
    ///
    /// # Errors
    /// `Io`.
    pub fn load_producers(&self, files: &Files) -> Result<LoadedProducers, ProducersError> {
        let disk = files.disk();
        let io = |path: &PathBuf| {
            let path = path.clone();
            move |source| ProducersError::Io { path, source }
        };
        let mut loaded: Option<LoadedProducers> = None;
        for offset in self.snapshot_offsets(files)?.into_iter().rev() {
            let path = self.path(offset, FileKind::Snapshot);
            let is_of_segment = self.segments.iter().any(|segment| segment.base == offset);
            if loaded.is_some() && is_of_segment {
                continue;
            }
            if loaded.is_none() && offset <= self.end && offset >= self.log_start {
                let bytes = text_file::read(&**disk, &path).map_err(io(&path))?;
                let entries = bytes.and_then(|bytes| producer_snapshot::decode(&bytes).ok());
                loaded = entries.map(|entries| LoadedProducers { offset, entries });
                if loaded.is_some() {
                    continue;
                }
            }
            disk.remove_file(&path).map_err(io(&path))?;
        }
        Ok(loaded.unwrap_or(LoadedProducers { offset: self.log_start, entries: Vec::new() }))
    }

    /// Offsets of the snapshots that are there, ascending.
    pub(super) fn snapshot_offsets(&self, files: &Files) -> Result<Vec<Offset>, ProducersError> {
        let entries = match files.disk().list(&self.dir) {
            Ok(entries) => entries,
            Err(source) => return Err(ProducersError::Io { path: self.dir.to_path_buf(), source }),
        };
        let snapshots = entries.iter().filter_map(|entry| match parse_file_name(&entry.name) {
            Some((offset, FileKind::Snapshot)) => Some(offset),
            _ => None,
        });
        Ok(snapshots.collect())
    }

    /// Gives every batch from `from` on to `each`: its header, and for a control batch its bytes.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn for_each_batch(
        &self,
        files: &mut Files,
        from: Offset,
        each: &mut dyn FnMut(&BatchHeader, Option<&[u8]>),
    ) -> Result<(), ProducersError> {
        for index in self.segment_index(from)..self.segments.len() {
            if self.segments[index].size == 0 {
                continue;
            }
            let open = self.open_segment(files, index)?;
            let base = open.segment.base;
            let position = self.position_before(files, &open, from)?;
            let mut headers = Headers::new(&*open.file, position, u64::from(open.segment.size));
            while let Some(found) = headers.next().map_err(|error| self.scan_error(base, error))? {
                if found.header.last_offset() < from {
                    continue;
                }
                if !found.header.attributes.is_control() {
                    each(&found.header, None);
                    continue;
                }
                let mut bytes = vec![0; found.header.size_bytes()];
                open.file
                    .read_exact_at(&mut bytes, found.position)
                    .map_err(|source| self.io_error(base, FileKind::Log, source))?;
                each(&found.header, Some(&bytes));
            }
        }
        Ok(())
    }
}
